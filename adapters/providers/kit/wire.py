"""One attempt on the wire: sent, received whole within its time and size, and logged."""

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpcore2
import httpx2
import structlog

from adapters import telemetry
from adapters.providers.kit.answers import Answer, Failed
from adapters.providers.kit.content import ENCODINGS, content_of
from adapters.providers.kit.egress import Blocked
from adapters.providers.kit.timing import Timing

log = structlog.get_logger()

SHOWN = "shown"  # of a request: its path in logs and traces

UNREACHED = (
    *(httpx2.TransportError, httpx2.DecodingError),
    *(httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol),
)


def client_of(
    url: httpx2.URL,
    transport: httpx2.AsyncBaseTransport,
    headers: Mapping[str, str],
    seconds: float,
) -> httpx2.AsyncClient:
    """A client that keeps nothing of one call for the next, and goes nowhere by itself."""
    return httpx2.AsyncClient(
        base_url=url,
        transport=transport,
        headers={"accept": "application/json", "accept-encoding": ENCODINGS, **headers},
        # A cookie of one login must not go along with another's.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=seconds,
        follow_redirects=False,  # a redirect would carry credentials elsewhere
        trust_env=False,  # nor does HTTP_PROXY decide where they go
    )


class Wire:
    def __init__(
        self, provider: str, client: httpx2.AsyncClient, bytes_max: int, timing: Timing
    ) -> None:
        self._provider, self._client = provider, client
        self._bytes_max, self._timing = bytes_max, timing

    async def sent(self, request: httpx2.Request, attempt: int, seconds: float) -> Answer:
        """The whole answer, within so many seconds. Raises Failed where there is none."""
        began = self._timing.monotonic()
        try:
            async with asyncio.timeout(seconds):
                answer = await self._received(request)
        except Failed as failure:
            self._log(request, attempt, began, reason=failure.reason)
            raise
        except (TimeoutError, httpx2.TimeoutException, httpcore2.TimeoutException):
            self._log(request, attempt, began, reason="timeout")
            raise Failed("did not answer in time") from None
        except Blocked as fault:
            self._log(request, attempt, began, reason=type(fault).__name__)
            raise Failed("is at an address that we do not connect to", again=False) from None
        except UNREACHED as fault:
            self._log(request, attempt, began, reason=type(fault).__name__)
            raise Failed("could not be reached") from None
        self._log(request, attempt, began, status=answer.status)
        return answer

    def call(self, request: httpx2.Request, attempt: int) -> telemetry.Call:
        url = request.url
        return telemetry.Call(
            provider=self._provider,
            method=request.method,
            host=url.host,
            port=url.port,
            path=request.extensions[SHOWN],
            attempt=attempt,
        )

    async def _received(self, request: httpx2.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            body = await content_of(response, self._bytes_max)
        finally:
            await response.aclose()
        return Answer(status=response.status_code, headers=response.headers, body=body)

    def _log(self, request: httpx2.Request, attempt: int, began: float, **facts: object) -> None:
        log.info(
            "provider.answered",
            provider=self._provider,
            path=request.extensions[SHOWN],  # never the query string: some carry tokens
            attempt=attempt,
            ms=round((self._timing.monotonic() - began) * 1000),
            **facts,
        )
