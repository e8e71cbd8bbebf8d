"""The one way to ask a provider over HTTP: bounded, retried here and nowhere else, never in floats.

Http.get ──> deadline, breaker, budget, 8 at once ──> one attempt ──> JSON, or a refusal
    └── again, after a wait, where it only reads and another try may help
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from typing import Self

import httpx2
import structlog

from adapters import telemetry
from adapters.providers.kit.answers import Answer, Explain, Failed, understood
from adapters.providers.kit.breaker import Breaker, Budget, Permit, Refused
from adapters.providers.kit.timing import Deadline, Timing, back_off_s
from domain.errors import CredentialsRejected, DomainError, ProviderUnavailable

log = structlog.get_logger()

Params = Mapping[str, str | int | Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Limits of one provider; times in seconds.

    `call_s` bounds one attempt from connecting to the last byte, `pull_s` all of a pull where the
    caller brings no deadline, `wait_s_max` the sum of the waits between the attempts of a call.
    """

    call_s: float = 30.0
    pull_s: float = 600.0
    tries_max: int = 4
    wait_first_s: float = 0.5
    wait_one_s_max: float = 20.0
    wait_s_max: float = 45.0
    in_flight_max: int = 8
    bytes_max: int = 16 * 1024 * 1024


class Http:
    """A provider's base URL with everything that a call to it must respect.

    `explain` turns a provider's own error body into its refusal; what it leaves is mapped as in
    `answers`. Closed by `aclose`. The breaker is per instance: one host, one instance.
    """

    def __init__(
        self,
        provider: str,
        base_url: str,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        headers: Mapping[str, str] | None = None,
        policy: Policy = Policy(),
        timing: Timing = Timing(),  # noqa: B008 - frozen
        budgets: Sequence[Budget] = (),
        explain: Explain | None = None,
    ) -> None:
        self._provider, self._policy, self._timing = provider, policy, timing
        self._explain, self._budgets = explain, tuple(budgets)
        self._breaker = Breaker(timing)
        telemetry.breakers[self._breaker] = provider
        self._slots = asyncio.Semaphore(policy.in_flight_max)
        self._client = httpx2.AsyncClient(
            base_url=base_url,
            transport=transport,
            headers={"accept": "application/json", **(headers or {})},
            timeout=policy.call_s,
            follow_redirects=False,  # a redirect would carry credentials elsewhere
            trust_env=False,
            limits=httpx2.Limits(max_connections=policy.in_flight_max),
        )

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
    ) -> object:
        """The JSON of a read, its numbers Decimal.

        Raises CredentialsRejected, ProviderUnavailable.
        """
        request = self._client.build_request("GET", path, params=params, headers=headers)
        return await self._ask(request, self._policy.tries_max, deadline, budget_key)

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
        request = self._client.build_request("POST", path, json=json, data=form, headers=headers)
        tries = self._policy.tries_max if only_reads else 1
        return await self._ask(request, tries, deadline, budget_key)

    async def _ask(
        self, request: httpx2.Request, tries: int, deadline: Deadline | None, budget_key: str
    ) -> object:
        limit = deadline or self.deadline()
        waited_s = 0.0
        for attempt in range(1, tries + 1):
            try:
                return await self._once(request, attempt, limit, budget_key)
            except Refused as refusal:
                if telemetry.watch is not None:
                    telemetry.watch.not_asked(self._provider)
                raise self._unavailable(str(refusal), refusal.retry_after_s) from refusal
            except Failed as failure:
                policy = self._policy
                wait_s = failure.retry_after_s
                if wait_s is None:
                    wait_s = back_off_s(
                        attempt,
                        first_s=policy.wait_first_s,
                        max_s=policy.wait_one_s_max,
                        timing=self._timing,
                    )
                too_long = waited_s + wait_s > policy.wait_s_max or wait_s >= limit.left_s
                if attempt == tries or not failure.again or too_long:
                    said_s = failure.retry_after_s
                    after_s = None if said_s is None else ceil(said_s)
                    raise self._unavailable(failure.reason, after_s) from failure
                waited_s += wait_s
                await self._timing.sleep(wait_s)
        raise AssertionError("a call has at least one try")

    async def _once(
        self, request: httpx2.Request, attempt: int, limit: Deadline, budget_key: str
    ) -> object:
        async with self._slot(limit) as permit:
            try:
                for budget in self._budgets:
                    budget.take(budget_key)
                with telemetry.asking(self._call(request, attempt)) as answered:
                    answer = await self._sent(request, attempt, limit)
                    answered(answer.status)
                    json = understood(answer, self._provider, self._explain, self._timing)
            except Failed as failure:
                if failure.unhealthy:
                    self._breaker.settle(permit, ok=False)
                raise
            except DomainError as refusal:
                if isinstance(refusal, CredentialsRejected | ProviderUnavailable):
                    self._breaker.settle(permit, ok=True)  # it answered, if not what we hoped
                raise
            self._breaker.settle(permit, ok=True)
            return json

    @asynccontextmanager
    async def _slot(self, limit: Deadline) -> AsyncIterator[Permit]:
        """One of the few calls at once; what was not settled inside is abandoned."""
        try:
            async with asyncio.timeout(limit.left_s):
                await self._slots.acquire()
        except TimeoutError:
            raise _too_late() from None
        if not limit.left_s:
            self._slots.release()
            raise _too_late()
        try:
            permit = self._breaker.enter()
            try:
                yield permit
            finally:
                self._breaker.abandon(permit)
        finally:
            self._slots.release()

    async def _sent(self, request: httpx2.Request, attempt: int, limit: Deadline) -> Answer:
        began = self._timing.monotonic()
        seconds = min(self._policy.call_s, limit.left_s)
        try:
            async with asyncio.timeout(seconds):
                answer = await self._received(request)
        except Failed as failure:
            self._log(request, attempt, began, failure=failure.reason)
            raise
        except (TimeoutError, httpx2.TimeoutException):
            self._log(request, attempt, began, failure="timeout")
            raise Failed("did not answer in time") from None
        except (httpx2.TransportError, httpx2.DecodingError) as fault:
            self._log(request, attempt, began, failure=type(fault).__name__)
            raise Failed("could not be reached") from None
        self._log(request, attempt, began, status=answer.status)
        return answer

    async def _received(self, request: httpx2.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            parts: list[bytes] = []
            size = 0
            async for part in response.aiter_bytes():
                size += len(part)
                if size > self._policy.bytes_max:
                    raise Failed("answered too much", again=False)
                parts.append(part)
        finally:
            await response.aclose()
        return Answer(status=response.status_code, headers=response.headers, body=b"".join(parts))

    def _call(self, request: httpx2.Request, attempt: int) -> telemetry.Call:
        url = request.url
        return telemetry.Call(
            provider=self._provider,
            method=request.method,
            host=url.host,
            port=url.port,
            path=url.path,
            attempt=attempt,
        )

    def _log(self, request: httpx2.Request, attempt: int, began: float, **facts: object) -> None:
        log.info(
            "provider.answered",
            provider=self._provider,
            path=request.url.path,  # never the query string: some carry tokens
            attempt=attempt,
            ms=round((self._timing.monotonic() - began) * 1000),
            **facts,
        )

    def _unavailable(self, reason: str, retry_after_s: int | None) -> ProviderUnavailable:
        return ProviderUnavailable(
            f"{self._provider} {reason}", provider=self._provider, retry_after_s=retry_after_s
        )


def _too_late() -> Failed:
    return Failed("had no time left", unhealthy=False, again=False)
