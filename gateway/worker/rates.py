"""How exchange rates come into the database, and stay up to date.

First the history that is shipped with us, where it lacks, the newest days first: a little at a
time, so that nothing waits for it. Then each business day's, from where the operator says. What
is there is never changed, so that any number of workers may do the same.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from random import SystemRandom
from urllib.parse import urlsplit

import structlog

from adapters.postgres.pool import Pool
from adapters.postgres.rates import KnownRates
from adapters.providers.kit import Outside, Policy
from adapters.rates import BYTES_MAX, NotRates, published, shipped
from domain.errors import DomainError
from domain.rates import BEHIND_MAX, Publication, expected, leaps

log = structlog.get_logger("dashtam.rates")

ECB, ECB_DOMAIN = "ECB", ".ecb.europa.eu"
STEP_S = 0.5
DAYS_AT_ONCE = 256  # 8,000 rates, which take 40 ms
AGAIN = timedelta(hours=1)  # half to one and a half times as long, by chance
HOLIDAY = timedelta(hours=6)
CHANCE = SystemRandom().random


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who publishes, and how that is read. `read` raises DomainError."""

    name: str
    read: Callable[[], Awaitable[bytes]]


@asynccontextmanager
async def source_of(url: str | None, outside: Outside) -> AsyncIterator[Source | None]:
    """Where rates come from that are newer than those shipped; None where nowhere is configured."""
    if url is None:
        yield None
        return
    parts = urlsplit(url)
    policy = Policy(bytes_max=BYTES_MAX, pull_s=120.0)
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    host = parts.hostname or ""
    name = ECB if f".{host}".endswith(ECB_DOMAIN) else host
    async with outside.http("rates", f"{parts.scheme}://{parts.netloc}", policy=policy) as http:
        yield Source(name=name, read=lambda: http.get_content(path))


class RateUpkeep:
    """`step` is called again and again; each does a little, and most do nothing."""

    def __init__(
        self,
        pool: Pool,
        source: Source | None,
        now: Callable[[], datetime],
        *,
        random: Callable[[], float] = CHANCE,
    ) -> None:
        self._known, self._source, self._now, self._random = KnownRates(pool), source, now, random
        self._loading: Iterator[Publication] | None = None
        self._loaded = False
        self._count = 0
        self._next_at = datetime.min.replace(tzinfo=UTC)

    async def step(self) -> None:
        """Raises Unavailable while the database is away, and does the same again later."""
        now = self._now()
        if now < self._next_at:
            return
        if not self._loaded:
            await self._load()
        elif self._source is None:
            self._next_at = datetime.max.replace(tzinfo=UTC)
        else:
            self._next_at = self._later(AGAIN)
            newest = await self._known.newest()
            if newest is None or newest < expected(now):
                await self._ask(self._source, now.date())

    async def _load(self) -> None:
        try:
            if self._loading is None:
                known = await self._known.days()
                self._loading = shipped(lambda day: day not in known)
            some = list(islice(self._loading, DAYS_AT_ONCE))
            self._count += await self._known.add(some, ECB)
        except NotRates as fault:  # the installation is broken: newer ones may come all the same
            log.error("rates.refused", reason=str(fault))  # noqa: TRY400 - it says what is wrong
            some = []
        except BaseException:
            self._loading = None  # it has gone past what was not kept
            raise
        if len(some) < DAYS_AT_ONCE:
            self._loading, self._loaded = None, True
            if self._count:
                log.info("rates.loaded", count=self._count)

    async def _ask(self, source: Source, today: date) -> None:
        try:
            told = await asyncio.to_thread(published, await source.read(), today=today)
            known = await self._known.days()
            new = [p for p in told if p.day not in known]
            await self._refuse_leaps(new)
        except DomainError as refusal:
            log.warning("rates.away", code=refusal.code.value, reason=str(refusal))
            return
        except NotRates as fault:
            log.warning("rates.refused", reason=str(fault))
            return
        count = 0
        for begin in range(0, len(new), DAYS_AT_ONCE):
            count += await self._known.add(new[begin : begin + DAYS_AT_ONCE], source.name)
        log.info("rates.added", count=count)
        if not new:
            self._next_at = self._later(HOLIDAY)

    async def _refuse_leaps(self, new: list[Publication]) -> None:
        """Raises NotRates."""
        if new:
            currencies = {currency for p in new for currency in p.per_euro}
            since = min(p.day for p in new) - BEHIND_MAX
            if found := leaps(new, await self._known.since(since, currencies)):
                raise NotRates(f"{', '.join(sorted(found))} cannot be what it was before")

    def _later(self, about: timedelta) -> datetime:
        return self._now() + about * (0.5 + self._random())
