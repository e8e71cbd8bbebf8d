"""The one way to ask a provider over HTTP: bounded, retried here and nowhere else, never in floats.

Http.get ──> deadline, breaker, budgets, 8 at once ──> one attempt ──> JSON, or a refusal
    └── again, after a wait, where it only reads, a try may help, and few others are tried again
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any, Self, TypeVar

import httpx2

from adapters import telemetry
from adapters.providers.kit.answers import Answer, Explain, Failed, Reading
from adapters.providers.kit.breaker import Permit, Refused
from adapters.providers.kit.egress import Egress, Guarded, checked
from adapters.providers.kit.host import Host
from adapters.providers.kit.names import named
from adapters.providers.kit.timing import Deadline, Timing, back_off_s
from adapters.providers.kit.wire import SHOWN, Wire, client_of
from domain.errors import CredentialsRejected, DomainError, ProviderUnavailable
from domain.providers import Allowance, Budgets

T = TypeVar("T")

Params = Mapping[str, str | int | Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Limits of one provider; times in seconds.

    `call_s` bounds one attempt from connecting to the last byte, `pull_s` all of a pull where the
    caller brings no deadline, `wait_s_max` the sum of the waits between the attempts of a call.
    `pace_s_max` is how long a call waits for its turn, where an allowance of ours is spent.
    """

    call_s: float = 30.0
    pull_s: float = 600.0
    tries_max: int = 4
    wait_first_s: float = 0.5
    wait_one_s_max: float = 20.0
    wait_s_max: float = 45.0
    pace_s_max: float = 0.0
    in_flight_max: int = 8
    bytes_max: int = 16 * 1024 * 1024


class Http:
    """A provider's base URL with everything that a call to it must respect.

    Raises egress.Blocked for a base URL that may not be reached. Closed by `aclose`. With others of
    the same `host` it shares its breaker, its places (as many as the first of them says) and its
    retry budget.
    """

    def __init__(
        self,
        provider: str,
        base_url: str,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        egress: Egress = Egress(),  # noqa: B008 - frozen
        headers: Mapping[str, str] | None = None,
        policy: Policy = Policy(),
        host: Host | None = None,
        timing: Timing = Timing(),  # noqa: B008 - frozen
        budgets: Budgets | None = None,
        allowances: Sequence[Allowance] = (),
        explain: Explain | None = None,
        reset_header: str | None = None,
    ) -> None:
        self._provider, self._policy, self._timing = provider, policy, timing
        self._reading = Reading(
            provider=provider, timing=timing, explain=explain, reset_header=reset_header
        )
        self._budgets = budgets
        # The shortest first: one that refuses has cost the others nothing, or what soon returns.
        self._allowances = sorted(allowances, key=lambda allowance: allowance.per)
        if allowances and budgets is None:
            raise TypeError("allowances are counted in budgets")
        self._host = host or Host(provider, policy.in_flight_max, timing)
        url = checked(base_url, egress.private)
        self._origin = (url.scheme, url.host, url.port)
        guarded = transport or Guarded(policy.in_flight_max, egress)
        self._client = client_of(url, guarded, headers or {}, policy.call_s)
        self._wire = Wire(provider, self._client, policy.bytes_max, timing)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def deadline(self, seconds: float | None = None) -> Deadline:
        """For the calls of one pull together."""
        return Deadline(self._policy.pull_s if seconds is None else seconds, self._timing)

    async def get(
        self,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
        budget_key: str = "",
        shown: str | None = None,
    ) -> object:
        """The JSON of a read, its numbers Decimal. Logs and traces have the path as `shown`, for
        one with a secret in it.

        Raises CredentialsRejected, ProviderUnavailable.
        """
        request = self._request("GET", path, shown, params=params, headers=headers)
        return await self._ask(
            request, self._reading.json, self._policy.tries_max, deadline, budget_key
        )

    async def get_content(self, path: str, *, deadline: Deadline | None = None) -> bytes:
        """A read of what is no JSON, as it is. Raises as `get`."""
        request = self._request("GET", path, None, headers={"accept": "*/*"})
        tries = self._policy.tries_max
        return await self._ask(request, self._reading.content, tries, deadline, "")

    async def post(
        self,
        path: str,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
        budget_key: str = "",
        only_reads: bool = False,
    ) -> object:
        """As `get`. Sent again only where the call says that it `only_reads`."""
        request = self._request("POST", path, None, json=json, data=form, headers=headers)
        tries = self._policy.tries_max if only_reads else 1
        return await self._ask(request, self._reading.json, tries, deadline, budget_key)

    async def post_for_text(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline | None = None,
        budget_key: str = "",
        shown: str | None = None,
    ) -> str:
        """The answer to a POST of nothing, as the text that it is. Sent once. As `get` else."""
        headers = {"accept": "*/*", **(headers or {})}
        request = self._request("POST", path, shown, content=b"", headers=headers)
        return await self._ask(request, self._reading.text, 1, deadline, budget_key)

    def _request(self, method: str, path: str, shown: str | None, **said: Any) -> httpx2.Request:
        try:
            request = self._client.build_request(method, path, **said)
        except (httpx2.InvalidURL, UnicodeError):  # an id or a cursor of theirs went into it
            raise self._unavailable("would be asked what cannot be sent", None) from None
        request.extensions[SHOWN] = shown or request.url.path
        url = request.url
        if (url.scheme, url.host, url.port) != self._origin:
            raise self._unavailable("would lead elsewhere", None)
        return request

    async def _ask(
        self,
        request: httpx2.Request,
        read: Callable[[Answer], T],
        tries: int,
        deadline: Deadline | None,
        budget_key: str,
    ) -> T:
        limit = deadline or self.deadline()
        waited_s, attempt = 0.0, 1
        self._host.retries.earn()
        while True:
            try:
                return await self._once(request, read, attempt, limit, budget_key)
            except Refused as refusal:
                await self._paced(refusal, limit)
            except Failed as failure:
                waited_s += await self._backed_off(failure, attempt, tries, waited_s, limit)
                attempt += 1

    async def _paced(self, refusal: Refused, limit: Deadline) -> None:
        """Waits for our own budget where that takes little. Raises ProviderUnavailable."""
        wait_s = refusal.retry_after_s
        if refusal.is_ours and wait_s <= self._policy.pace_s_max and wait_s < limit.left_s:
            await self._timing.sleep(wait_s)
            return
        if telemetry.watch is not None:
            telemetry.watch.not_asked(self._provider)
        raise self._unavailable(str(refusal), wait_s, asked=not refusal.is_ours) from refusal

    async def _backed_off(
        self, failure: Failed, attempt: int, tries: int, waited_s: float, limit: Deadline
    ) -> float:
        """How many seconds were waited. Raises ProviderUnavailable where it is not tried again."""
        policy, wait_s = self._policy, failure.retry_after_s
        if wait_s is None:
            first_s, max_s = policy.wait_first_s, policy.wait_one_s_max
            wait_s = back_off_s(attempt, first_s=first_s, max_s=max_s, timing=self._timing)
        too_long = waited_s + wait_s > policy.wait_s_max or wait_s >= limit.left_s
        last = attempt == tries or not failure.again or too_long
        if last or not self._host.retries.spend():
            said_s = failure.retry_after_s
            after_s = None if said_s is None else ceil(said_s)
            raise self._unavailable(failure.reason, after_s) from failure
        await self._timing.sleep(wait_s)
        return wait_s

    async def _once(
        self,
        request: httpx2.Request,
        read: Callable[[Answer], T],
        attempt: int,
        limit: Deadline,
        budget_key: str,
    ) -> T:
        async with self._slot(limit) as permit:
            try:
                await self._take(budget_key)
                with telemetry.asking(self._wire.call(request, attempt)) as answered:
                    seconds = min(self._policy.call_s, limit.left_s)
                    answer = await self._wire.sent(request, attempt, seconds)
                    answered(answer.status)
                    content = read(answer)
            except Failed as failure:
                if failure.unhealthy:
                    self._host.breaker.settle(permit, ok=False)
                raise
            except DomainError as refusal:
                if isinstance(refusal, CredentialsRejected | ProviderUnavailable):
                    self._host.breaker.settle(permit, ok=True)  # it answered, if not what we hoped
                raise
            self._host.breaker.settle(permit, ok=True)
            return content

    async def _take(self, budget_key: str) -> None:
        """Count this attempt in every budget. Raises Refused where one of them is spent."""
        if self._budgets is None:
            return
        for allowance in self._allowances:
            key = self._provider if allowance.shared else f"{self._provider}/{budget_key}"
            wait = await self._budgets.take(key, allowance, self._timing.now())
            if wait is not None:
                left_s = max(ceil(wait / timedelta(seconds=1)), 1)
                raise Refused("has been asked often enough", left_s, is_ours=True)

    @asynccontextmanager
    async def _slot(self, limit: Deadline) -> AsyncIterator[Permit]:
        """One of the few calls at once; what was not settled inside is abandoned."""
        try:
            async with asyncio.timeout(limit.left_s):
                await self._host.slots.acquire()
        except TimeoutError:
            raise _too_late() from None
        if not limit.left_s:
            self._host.slots.release()
            raise _too_late()
        try:
            permit = self._host.breaker.enter()
            try:
                yield permit
            finally:
                self._host.breaker.abandon(permit)
        finally:
            self._host.slots.release()

    def _unavailable(
        self, reason: str, retry_after_s: int | None, *, asked: bool = True
    ) -> ProviderUnavailable:
        return ProviderUnavailable(
            f"{named(self._provider)} {reason}",
            provider=self._provider,
            retry_after_s=retry_after_s,
            asked=asked,
        )


def _too_late() -> Failed:
    return Failed("had no time left", unhealthy=False, again=False)
