"""Points: what operations cost, and what an answer says of the limits that applied to it.

The fields are those of draft-ietf-httpapi-ratelimit-headers (10 and 11): a policy's `q` units come
back evenly within `w` seconds; `r` are left, and `t` is when there is one more. So whoever uses no
more than `r` within `t` is not refused. Where it is refused, `t` is what Retry-After says.
"""

import asyncio
from math import ceil
from typing import Protocol, TypeVar

import structlog

from domain.commands.attempts import network_of_address, user_of
from domain.errors import RateLimited, Unavailable
from domain.limits import Limit, Limits, Verdict
from gateway.faults import Fault
from schema.context import Context

Header = tuple[str, str]
C_contra = TypeVar("C_contra", contravariant=True)

log = structlog.get_logger("dashtam.limits")


class Meter(Protocol[C_contra]):
    """What is told of every operation, over whatever it came."""

    async def begin(self, context: C_contra) -> None:
        """Before a query, a mutation or a subscription runs.

        Raises: Fault 429.
        """

    def end(self, context: C_contra) -> None:
        """Once it has, or one event of a subscription has, however it ended."""

    async def close(self) -> None:
        """Wait for what is still being counted."""


class Unmetered:
    async def begin(self, context: object) -> None:
        pass

    def end(self, context: object) -> None:
        pass

    async def close(self) -> None:
        pass


class Points:
    """A point an operation, at least; else one for each object that it was given.

    They are known once it is over: so it begins while there is any left, and what it took beyond
    that is owed, and waited for before the next. Events of a subscription are not refused: nobody
    asks for each.
    """

    def __init__(self, limits: Limits, limit: Limit) -> None:
        self._limits, self._limit = limits, limit
        self.policy = _policy(limit.name, limit.burst, limit.per_seconds)
        self._settling: set[asyncio.Task[None]] = set()

    async def begin(self, context: Context) -> None:
        context.points = await self._take(_whose(context))

    def end(self, context: Context) -> None:
        """Without waiting for it, since nobody's answer depends on it."""
        units = context.budget.spent - (context.points is not None)
        if units <= 0:
            return
        task = asyncio.create_task(self._settle(_whose(context), units))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def refused(self, address: str | None, status: int) -> list[Header]:
        """What the answer to a request says of the limits, whose operation never began: it counts
        for the address, as long as the fault is the client's.

        Raises: Fault 429.
        """
        if status >= 500:
            return [("ratelimit-policy", self.policy)]
        return self._headers(await self._take(network_of_address(address)), 1, None)

    def headers(self, context: Context) -> list[Header]:
        if context.points is None:
            return [("ratelimit-policy", self.policy)]
        return self._headers(context.points, context.budget.spent, context.limited)

    async def close(self) -> None:
        await asyncio.gather(*self._settling, return_exceptions=True)

    async def _take(self, key: str) -> Verdict:
        """Raises: Fault 429."""
        verdict = await self._limits.take(key, self._limit)
        if verdict.allowed:
            return verdict
        wait = max(1, ceil(verdict.retry_after_s))
        headers = {
            "retry-after": str(wait),
            "ratelimit-policy": self.policy,
            "ratelimit": _state(self._limit.name, 0, wait),
        }
        raise Fault(429, "RATE_LIMITED", f"too much in a minute; try again in {wait} s", headers)

    async def _settle(self, key: str, units: int) -> None:
        try:
            await self._limits.settle(key, self._limit, units)
        except Unavailable:
            log.warning("limits.not_settled")

    def _headers(self, verdict: Verdict, spent: int, limited: RateLimited | None) -> list[Header]:
        left = max(0, verdict.remaining - max(0, spent - 1))
        policies, states = [self.policy], [_state(self._limit.name, left, ceil(verdict.next_s))]
        if limited is not None and limited.key is not None:
            name = limited.key.partition(":")[0]
            policies.append(_policy(name, limited.burst, limited.per_seconds))
            states.append(_state(name, 0, limited.retry_after_s))
        return [("ratelimit-policy", ", ".join(policies)), ("ratelimit", ", ".join(states))]


def _whose(context: Context) -> str:
    if context.viewer is not None:
        return user_of(context.viewer.user_id)
    return network_of_address(context.client.ip)


def _policy(name: str, burst: int, per_seconds: int) -> str:
    return f'"{name}";q={burst};w={per_seconds}'


def _state(name: str, left: int, next_s: int) -> str:
    return f'"{name}";r={left};t={next_s}'
