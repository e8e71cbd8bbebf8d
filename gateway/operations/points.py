"""Points: what operations cost, and what an answer says of the limits that applied to it.

The fields are those of draft-ietf-httpapi-ratelimit-headers (10 and 11): a policy's `q` units come
back evenly within `w` seconds; `r` are left, and `t` is when there is one more. So whoever uses no
more than `r` within `t` is not refused. Where it is refused, `t` is what Retry-After says.
"""

import asyncio
from datetime import timedelta
from decimal import Decimal
from math import ceil
from typing import Any, Protocol, TypeVar

import structlog

from domain.commands.attempts import network_of_address, user_of
from domain.errors import RateLimited, Unavailable
from domain.limits import Limit, Limiter, Verdict
from gateway.operations.faults import Fault
from schema.context import Context
from schema.scalars import instant

Header = tuple[str, str]
C_contra = TypeVar("C_contra", contravariant=True)

log = structlog.get_logger("dashtam.limits")


class Meter(Protocol[C_contra]):
    """What is told of every operation, over whatever it came."""

    async def begin(self, context: C_contra, cost: int = 1) -> None:
        """Before a query, a mutation or a subscription runs that may come to `cost`.

        Raises: Fault 429.
        """

    def end(self, context: C_contra) -> None:
        """Once it has, or one event of a subscription has, however it ended."""

    async def close(self) -> None:
        """Wait for what is still being counted."""


class Unmetered:
    async def begin(self, context: object, cost: int = 1) -> None:
        pass

    def end(self, context: object) -> None:
        pass

    async def close(self) -> None:
        pass


class Points:
    """A point an operation, at least; else one for each object that it was given.

    It begins where as many are left as it may come to, which are taken, and what it did not come to
    is given back once it is over. What may come to more than there ever are begins with all of
    them, and owes the rest; so does what came to more than its price. Events of a subscription are
    not refused, since nobody asks for each: they are paid for once they are sent.
    """

    def __init__(self, limits: Limiter, limit: Limit) -> None:
        self._limits, self._limit = limits, limit
        self.policy = _policy(limit.name, limit.burst, limit.per_seconds)
        self._settling: set[asyncio.Task[None]] = set()

    async def begin(self, context: Context, cost: int = 1) -> None:
        context.cost = cost
        # What it was priced at it may be given, with a limit of its own too.
        context.budget.objects = max(context.budget.objects, cost)
        context.points = await self._take(_whose(context), self._charged(context))

    def end(self, context: Context) -> None:
        """Without waiting for it, since nobody's answer depends on it."""
        units = context.budget.spent
        if context.points is not None:
            units = -self._given_back(context)
        if units == 0:
            return
        task = asyncio.create_task(self._settle(_whose(context), units, context.points))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def refused(self, address: str | None, status: int) -> list[Header]:
        """What the answer to a request says of the limits, whose operation never began: it counts
        for the address, as long as the fault is the client's.

        Raises: Fault 429.
        """
        if status >= 500:
            return [("ratelimit-policy", self.policy)]
        verdict = await self._take(network_of_address(address), 1)
        return self._headers(verdict, verdict.remaining, None)

    def headers(self, context: Context) -> list[Header]:
        if context.points is None:
            return [("ratelimit-policy", self.policy)]
        return self._headers(context.points, self._left(context, context.points), context.limited)

    def extensions(self, context: Context) -> dict[str, Any]:
        """For who asks what it cost: `limit` is what `remaining` is of, and `resetAt` when all of
        them are there again."""
        verdict = context.points
        if verdict is None or not context.reports_cost:
            return {}
        back = Decimal(self._given_back(context)) * self._limit.per_seconds / self._limit.burst
        wait_s = ceil(max(verdict.reset_s - back, Decimal(0)))
        return {
            "cost": {
                "requested": context.cost,
                "limit": self._limit.burst,
                "remaining": self._left(context, verdict),
                "resetAt": instant(context.app.now() + timedelta(seconds=wait_s)),
            }
        }

    async def close(self) -> None:
        await asyncio.gather(*self._settling, return_exceptions=True)

    def _charged(self, context: Context) -> int:
        return min(max(context.cost, 1), self._limit.burst)

    def _given_back(self, context: Context) -> int:
        """Negative where it came to more."""
        return self._charged(context) - max(context.budget.spent, 1)

    def _left(self, context: Context, verdict: Verdict) -> int:
        left = verdict.remaining + self._given_back(context)
        return max(0, min(left, self._limit.burst - 1))

    async def _take(self, key: str, units: int) -> Verdict:
        """Raises: Fault 429."""
        verdict = await self._limits.take(key, self._limit, units)
        if verdict.allowed:
            return verdict
        wait = max(1, ceil(verdict.retry_after_s))
        headers = {
            "retry-after": str(wait),
            "ratelimit-policy": self.policy,
            "ratelimit": _state(self._limit.name, 0, wait),
        }
        raise Fault(429, "RATE_LIMITED", f"too much in a minute; try again in {wait} s", headers)

    async def _settle(self, key: str, units: int, taken: Verdict | None) -> None:
        try:
            await self._limits.settle(key, self._limit, units, taken=taken)
        except Unavailable:
            log.warning("limits.not_settled")

    def _headers(self, verdict: Verdict, left: int, limited: RateLimited | None) -> list[Header]:
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
