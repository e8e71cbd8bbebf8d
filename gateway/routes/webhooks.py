"""Where providers tell us that there is news: POST /webhooks/{provider}.

Nobody is signed in there: a request is believed for the provider's own signature, which its adapter
checks. One that is signed is answered alike whether or not it is about anybody here. What is not
costs its address so much that nobody keeps the provider's own from being checked.

    404 no such provider, or none that tells   405, 413, 415, 429   400 not signed by it
    503 nobody can tell just now               200 taken, or nothing to us
"""

import asyncio
from collections import Counter
from dataclasses import dataclass

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from domain.commands.attempts import network_of_address, take
from domain.commands.notices import receive_notice
from domain.errors import ProviderUnavailable, RateLimited, Unavailable
from domain.ports import App
from domain.providers import Forged, Notice, Notifying
from gateway.auth import Authenticator
from gateway.http.body import Body, fits
from gateway.http.responses import answer
from gateway.operations.faults import Fault, overloaded
from gateway.operations.replies import fault_error

BODY_MAX = 64 << 10  # bytes; those of Plaid have under 2 KiB
BODY_S_MAX = 10.0
UNPROVEN = 60  # units that a webhook costs until it is known to be the provider's, and then 1
RETRY_AFTER_S = 60
JSON = "application/json"

log = structlog.get_logger("dashtam.webhooks")


@dataclass(frozen=True, slots=True)
class Webhooks:
    app: App
    authenticator: Authenticator

    def routes(self) -> list[Route]:
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        return [Route("/webhooks/{provider}", self.take, methods=methods)]

    async def take(self, request: Request) -> Response:
        """Raises ClientDisconnect where nobody is left to answer."""
        trace_id: str = request.state.trace_id
        body = Body(request.scope, request.receive)
        try:
            provider = self._provider(request)
            address = await self._admit(request)
            content = await _read(body)
            notice = await self._notice(provider, request, content)
            await self.app.limits.settle(address, self.app.limit_settings.webhook, 1 - UNPROVEN)
            slug: str = request.path_params["provider"]
            now = self.app.now()
            found = await receive_notice(self.app, slug, notice, now, trace_id=trace_id)
        except ClientDisconnect:
            raise
        except (Fault, Unavailable) as error:
            fault = error if isinstance(error, Fault) else _away(error.retry_after_s)
            return await _refused(fault, body, trace_id)
        log.info("webhook.taken", provider=slug, operation=notice.said.value, count=found)
        return answer(JSON, 200, {})

    def _provider(self, request: Request) -> Notifying:
        """Raises Fault."""
        fits(request.scope)
        provider = self.app.providers.get(request.path_params["provider"])
        if provider is None or not provider.info.enabled or not isinstance(provider, Notifying):
            raise Fault(404, "NOT_FOUND", "there is nothing here")
        if request.method != "POST":
            raise Fault(405, "BAD_REQUEST", "webhooks are posted", {"allow": "POST"})
        return provider

    async def _admit(self, request: Request) -> str:
        """What its address is counted by. Raises Fault, and Unavailable where nobody can tell."""
        address = f"webhook:{network_of_address(self.authenticator.address(request))}"
        try:
            await take(self.app, address, self.app.limit_settings.webhook, UNPROVEN)
        except RateLimited as refusal:
            wait = {"retry-after": str(refusal.retry_after_s)}
            raise Fault(429, "RATE_LIMITED", "too many webhooks", wait) from None
        return address

    async def _notice(self, provider: Notifying, request: Request, content: bytes) -> Notice:
        """Raises Fault."""
        said = request.headers.items()
        often = Counter(name for name, _ in said)
        headers = {name: value for name, value in said if often[name] == 1}  # twice is by nobody
        try:
            return await provider.notice(headers, content, self.app.now())
        except Forged as forged:
            slug = request.path_params["provider"]
            log.warning("webhook.refused", provider=slug, reason=str(forged))
            raise Fault(400, "BAD_REQUEST", "this is not signed as it has to be") from None
        except ProviderUnavailable as away:
            raise _away(away.retry_after_s or RETRY_AFTER_S) from None


async def _read(body: Body) -> bytes:
    """Raises Fault, ClientDisconnect."""
    try:
        async with asyncio.timeout(BODY_S_MAX):
            return await body.read(size_max=BODY_MAX, long=BODY_MAX, is_long=lambda: None)
    except TimeoutError:
        raise Fault(408, "TIMEOUT", "the request took too long to arrive") from None


def _away(retry_after_s: int) -> Fault:
    return overloaded("try again in a moment", retry_after_s=retry_after_s)


async def _refused(fault: Fault, body: Body, trace_id: str) -> Response:
    is_read = fault.status != 408 and await body.drain()
    headers = [*fault.headers.items(), *(() if is_read else [("connection", "close")])]
    return answer(JSON, fault.status, {"errors": [fault_error(fault, trace_id)]}, headers)
