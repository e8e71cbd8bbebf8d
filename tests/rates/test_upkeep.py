"""The table of exchange rates fills itself, stays up to date, and what is in it is never changed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
import structlog

from adapters.postgres.pool import Pool, open_pool
from adapters.postgres.rates import KnownRates
from adapters.rates import shipped
from domain.errors import Unavailable
from domain.money import Currency
from domain.rates import Publication
from gateway.worker.rates import ECB, RateUpkeep, Source, source_of
from tests.builders import USD
from tests.providers.simulators.base import Trouble
from tests.rates.ecb import ALL, DAILY, NINETY_DAYS, Ecb, as_xml
from tests.servers import Database

FRIDAY = date(2026, 10, 30)  # the last of those shipped
MONDAY = date(2026, 11, 2)
TODAY = {"USD": "1.12", "GBP": "0.83", "JPY": "175.5"}
ROWS = "SELECT currency, day, per_euro, source FROM exchange_rates"


@dataclass
class World:
    database: Database
    pool: Pool
    known: KnownRates
    ecb: Ecb
    at: datetime = datetime(2026, 11, 2, 16, tzinfo=UTC)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def upkeep(self, path: str | None = None) -> RateUpkeep:
        """As in a worker of its own; `path` is where rates come from."""
        url = None if path is None else self.ecb.url + path
        source = await self.stack.enter_async_context(source_of(url, self.ecb.outside()))
        return RateUpkeep(self.pool, source, lambda: self.at, random=lambda: 0.5)

    async def shipped(self, count: int = 30) -> None:
        """As if only the last few of what is shipped were all."""
        newest = sorted(shipped(lambda day: day > FRIDAY - timedelta(days=count)), key=_day)
        await self.known.add(newest, ECB)

    async def of(self, day: date) -> dict[str, str]:
        async with self.pool.acquire() as connection:
            rows = await connection.fetch(f"{ROWS} WHERE day = $1 ORDER BY currency", day)
        return {row["currency"]: f"{row['per_euro']} {row['source']}" for row in rows}

    async def count(self) -> int:
        async with self.pool.acquire() as connection:
            found: int = await connection.fetchval("SELECT count(*) FROM exchange_rates")
        return found


def _day(publication: Publication) -> date:
    return publication.day


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    pool = await open_pool(database.app_url, 3)
    ecb = Ecb()
    async with AsyncExitStack() as stack, ecb:
        ecb.days = {MONDAY: TODAY}
        yield World(database, pool, KnownRates(pool), ecb, stack=stack)
    await pool.close()


async def loaded(upkeep: RateUpkeep) -> RateUpkeep:
    """Without the rest of the history, which takes a second: as where it is all there."""
    upkeep._loaded = True
    return upkeep


async def test_what_is_shipped_is_loaded_the_newest_first_and_once(world: World) -> None:
    first, second = await world.upkeep(), await world.upkeep()
    await asyncio.gather(first.step(), second.step())
    assert (await world.known.newest(),) == (FRIDAY,)
    assert await world.count() < 10_000  # a year or so
    for _ in range(28):
        await first.step()
    assert await world.count() > 221_000
    await second.step()  # goes on as if it had them still before it
    assert (await world.of(date(1999, 1, 4)))["USD"] == "1.1789 ECB"
    third = await world.upkeep()
    for _ in range(3):
        await third.step()
    with structlog.testing.capture_logs() as said:
        await (await world.upkeep()).step()
    assert said == []  # nothing lacked


async def test_a_load_that_was_cut_off_goes_on_with_what_lacks(world: World) -> None:
    await (await world.upkeep()).step()
    async with asyncpg.create_pool(world.database.superuser_url, min_size=1, max_size=1) as pool:
        await pool.execute("DELETE FROM exchange_rates WHERE day = '2026-10-29'")
    await (await world.upkeep()).step()
    assert len(await world.of(date(2026, 10, 29))) == 29


@pytest.mark.parametrize("path", [DAILY, NINETY_DAYS, ALL])
async def test_newer_ones_come_from_where_the_operator_says(world: World, path: str) -> None:
    await world.shipped()
    upkeep = await loaded(await world.upkeep(path))
    await upkeep.step()
    assert await world.of(MONDAY) == {
        "GBP": "0.83 127.0.0.1",
        "JPY": "175.5 127.0.0.1",
        "USD": "1.12 127.0.0.1",
    }
    await upkeep.step()
    world.at += timedelta(hours=20)  # before those of the next day are out
    await upkeep.step()
    assert len(world.ecb.requests) == 1
    assert world.ecb.complaints == []
    world.at += timedelta(hours=4)
    await upkeep.step()
    assert len(world.ecb.requests) == 2


async def test_a_second_worker_does_not_ask_for_what_is_there(world: World) -> None:
    await world.shipped()
    for _ in range(2):
        await (await loaded(await world.upkeep(DAILY))).step()
    assert len(world.ecb.requests) == 1


async def test_a_rate_of_the_past_is_never_changed(world: World) -> None:
    await world.shipped()
    before = await world.of(FRIDAY)
    world.ecb.days[FRIDAY] = {"USD": "1.2", "VND": "29000"}
    await (await loaded(await world.upkeep(NINETY_DAYS))).step()
    assert await world.of(FRIDAY) == before
    assert await world.known.newest() == MONDAY
    again = [Publication(FRIDAY, {USD: Decimal(2), Currency("GBP"): Decimal(2)})]
    assert await world.known.add(again, "me") == 0


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _dollars(_: bytes) -> bytes:
    return as_xml({MONDAY: {"USD": "0.8929", "GBP": "0.741", "JPY": "15670"}})


def _future(content: bytes) -> bytes:
    return content.replace(b"2026-11-02", b"2026-11-12")


@pytest.mark.parametrize("hostile", [_half, _dollars, _future])
async def test_a_hostile_answer_changes_nothing_and_is_said(
    world: World, hostile: Callable[[bytes], bytes]
) -> None:
    await world.shipped()
    before = await world.count()
    world.ecb.mutate(hostile)
    upkeep = await loaded(await world.upkeep(DAILY))
    with structlog.testing.capture_logs() as said:
        await upkeep.step()
    assert [line["event"] for line in said if "rates" in line["event"]] == ["rates.refused"]
    assert await world.count() == before
    world.at += timedelta(hours=1)
    await upkeep.step()
    assert await world.known.newest() == MONDAY


@pytest.mark.parametrize("trouble", [Trouble.CUT, Trouble.FORBIDDEN_PAGE, Trouble.UNAUTHORIZED])
async def test_a_source_that_is_down_is_said_and_asked_again_later(
    world: World, trouble: Trouble
) -> None:
    await world.shipped()
    world.ecb.fault(trouble, times=10)
    upkeep = await loaded(await _impatient(world))
    with structlog.testing.capture_logs() as said:
        await upkeep.step()
    assert [line["event"] for line in said if "rates" in line["event"]] == ["rates.away"]
    world.ecb.mend()
    asked = len(world.ecb.requests)
    world.at += timedelta(minutes=59)
    await upkeep.step()
    assert len(world.ecb.requests) == asked
    world.at += timedelta(minutes=1)
    await upkeep.step()
    assert await world.known.newest() == MONDAY


async def test_a_holiday_is_not_asked_about_every_hour(world: World) -> None:
    await world.shipped()
    upkeep = await loaded(await world.upkeep(DAILY))
    await upkeep.step()
    world.at += timedelta(days=1)
    await upkeep.step()
    world.at += timedelta(hours=5)
    await upkeep.step()
    assert len(world.ecb.requests) == 2
    world.at += timedelta(hours=1)
    await upkeep.step()
    assert len(world.ecb.requests) == 3


async def test_without_a_source_nobody_is_asked(world: World) -> None:
    upkeep = await loaded(await world.upkeep())
    await upkeep.step()
    world.at += timedelta(days=30)
    await upkeep.step()
    assert world.ecb.requests == []


async def test_while_the_database_is_away_nothing_is_forgotten(world: World) -> None:
    pool = await open_pool(world.database.app_url, 1)
    upkeep = RateUpkeep(pool, None, lambda: world.at)
    await upkeep.step()
    before = await world.count()
    await pool.close()
    with pytest.raises(Unavailable):
        await upkeep.step()
    upkeep._known = world.known
    await upkeep.step()
    assert await world.count() > before
    assert len({p.day for p in shipped(lambda day: day > date(2025, 1, 1))}) == len(
        [day for day in await world.known.days() if day > date(2025, 1, 1)]
    )


@asynccontextmanager
async def _patient(world: World) -> AsyncIterator[Source | None]:
    from tests.providers.fakes import Clock

    async with source_of(world.ecb.url + DAILY, world.ecb.outside(Clock())) as source:
        yield source


async def _impatient(world: World) -> RateUpkeep:
    """Whose waits between attempts take no time."""
    source = await world.stack.enter_async_context(_patient(world))
    return RateUpkeep(world.pool, source, lambda: world.at, random=lambda: 0.5)
