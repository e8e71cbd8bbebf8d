"""Limits that several processes share in Redis, and what holds while it is away.

Reads go on: each process counts them by itself, against a share of the limit. What may be guessed
at, or costs others something (signing in, registering, linking), waits until it is back.
"""

import asyncio
from dataclasses import replace
from decimal import Decimal
from hashlib import blake2b
from time import monotonic

import structlog

from adapters.memory.cache import SessionCache
from adapters.memory.limits import MemoryLimits
from domain.errors import Unavailable
from domain.limits import Limit, Limiter, Verdict

SHARES_MIN = 4  # as many processes stay within a limit together, wherever they run
LOOK_EVERY_S = 0.5
RETRY_AFTER_S = 5
AT_ONCE = 16  # questions to Redis: more would only wait there, each on a connection of its own
LOOK = Limit(name="look", burst=1, per_seconds=1)
WARNING = "Redis is away: nobody can sign in, register or link, and limits are each process's own"

log = structlog.get_logger("dashtam.limits")


class SharedLimits:
    """`domain.limits.Limiter`, of which each process remembers what it let through itself.

    So a Redis that comes back empty lets no second burst of guesses through this process. And what
    was refused is so until it may be tried again, without Redis: a flood ends here. `processes` is
    how many gateways there are, as far as this one knows.
    """

    def __init__(
        self, shared: Limiter, *, processes: int = 1, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self._shared, self._look_every_s = shared, look_every_s
        self._own, self._refusals = MemoryLimits(), _Refusals()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._shares = max(processes, SHARES_MIN)
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        return self._looking is not None

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        """Raises: Unavailable, where the limit is kept by all together or not at all."""
        if not limit.shared_only:
            return await self._take_or_share(key, limit, cost)
        mine = await self._own.take(key, limit, cost)
        if not mine.allowed:
            return mine
        allowed = False
        try:
            verdict = await self._ask(key, limit, cost)
            allowed = verdict.allowed
        finally:
            if not allowed:
                await self._own.settle(key, limit, -cost)
        return verdict

    async def settle(
        self, key: str, limit: Limit, units: int, *, taken: Verdict | None = None
    ) -> None:
        """What is given back goes to where it was taken; while that is away, time brings it."""
        if limit.shared_only:
            await self._own.settle(key, limit, units)
        is_apart = taken is not None and taken.is_apart and units < 0
        if not (self.is_away or is_apart):
            try:
                async with self._turns:
                    await self._shared.settle(key, limit, units)
            except Unavailable:
                self._lost()
            else:
                return
        if taken is None or taken.is_apart or units > 0:
            await self._own.settle(key, self._share(limit), units)

    async def look(self) -> Unavailable | None:
        """Before anyone needs it: why Redis does not answer, where it does not."""
        try:
            await self._shared.take("look", LOOK, 0)
        except Unavailable as error:
            self._lost()
            return error
        return None

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def warning(self) -> str | None:
        """For /readyz."""
        return WARNING if self.is_away else None

    async def _take_or_share(self, key: str, limit: Limit, cost: int) -> Verdict:
        if not self.is_away:
            try:
                return await self._ask(key, limit, cost)
            except Unavailable:
                pass  # which is on record by now
        share = self._share(limit)
        verdict = await self._own.take(key, share, min(cost, share.burst))
        if verdict.allowed and cost > share.burst:  # which never fits: the rest is owed
            await self._own.settle(key, share, cost - share.burst)
        return replace(verdict, is_apart=True)

    async def _ask(self, key: str, limit: Limit, cost: int) -> Verdict:
        """Raises: Unavailable, at once while it is known to be away."""
        if (refusal := self._refusals.of(key, limit, cost)) is not None:
            return refusal
        async with self._turns:
            if self.is_away:
                raise _away()
            try:
                verdict = await self._shared.take(key, limit, cost)
            except Unavailable as error:
                self._lost()
                raise _away() from error
        if not verdict.allowed:
            self._refusals.keep(key, limit, cost, verdict)
        return verdict

    def _share(self, limit: Limit) -> Limit:
        burst, debt = (units // self._shares for units in (limit.burst, limit.debt))
        return replace(limit, burst=max(1, burst), debt=debt)

    def _lost(self) -> None:
        if self._looking is None:
            log.error("limits.redis_away")
            self._looking = asyncio.create_task(self._until_back())

    async def _until_back(self) -> None:
        since = monotonic()
        while True:
            await asyncio.sleep(self._look_every_s)
            try:
                await self._shared.take("look", LOOK, 0)
            except Unavailable:
                continue
            except Exception:
                log.exception("limits.bug")
                continue
            break
        self._looking = None
        log.warning("limits.redis_back", ms=round((monotonic() - since) * 1000))


class _Refusals:
    """Until when somebody has to wait, which nobody shortens: only what may be owed comes back
    otherwise than by time.
    """

    def __init__(self) -> None:
        self._until: SessionCache[tuple[bytes, Limit, int], tuple[float, Verdict]] = SessionCache()

    def of(self, key: str, limit: Limit, cost: int) -> Verdict | None:
        found = self._until.get(_which(key, limit, cost))
        if found is None:
            return None
        at, verdict = found
        gone = Decimal(round((monotonic() - at) * 1_000_000)).scaleb(-6)
        return replace(
            verdict,
            retry_after_s=max(verdict.retry_after_s - gone, Decimal(0)),
            next_s=max(verdict.next_s - gone, Decimal(0)),
            reset_s=max(verdict.reset_s - gone, Decimal(0)),
        )

    def keep(self, key: str, limit: Limit, cost: int, verdict: Verdict) -> None:
        if not limit.debt:
            known = monotonic(), verdict
            ttl_s = float(verdict.retry_after_s)
            self._until.put(_which(key, limit, cost), known, ttl_s=ttl_s)


def _which(key: str, limit: Limit, cost: int) -> tuple[bytes, Limit, int]:
    """Short, however long the key is."""
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest(), limit, cost


def _away() -> Unavailable:
    return Unavailable("nobody can count attempts now", retry_after_s=RETRY_AFTER_S)
