"""How often a provider may be asked is the same in memory and in PostgreSQL: never once too often."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import httpx2
import pytest

from adapters.memory.budgets import MemoryBudgets
from adapters.postgres.budgets import PostgresBudgets, clear_budgets
from adapters.postgres.pool import Pool, open_pool
from domain.errors import ProviderUnavailable
from domain.providers import Allowance, Budgets
from tests.postgres.writes.world import connected
from tests.providers.fakes import Clock
from tests.providers.script import an_http
from tests.servers import Database, Postgres

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
AT = datetime(2026, 3, 17, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
TWO = Allowance(name="two a minute", calls=2, per=timedelta(minutes=1))
DAILY = Allowance(name="daily", calls=24, per=DAY)


@pytest.fixture(scope="module")
async def kept(postgres: Postgres) -> AsyncIterator[Database]:
    async with postgres.fresh_database() as database:
        yield database


@pytest.fixture(scope="module")
async def pool(kept: Database) -> AsyncIterator[Pool]:
    opened = await open_pool(kept.app_url, 4)
    yield opened
    await opened.close()


@pytest.fixture(params=["memory", "postgres"])
def budgets(request: pytest.FixtureRequest) -> Budgets:
    if request.param == "memory":
        return MemoryBudgets()
    return PostgresBudgets(request.getfixturevalue("pool"))


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


async def test_so_many_are_taken_and_then_it_says_how_long_to_wait(
    budgets: Budgets, key: str
) -> None:
    assert await budgets.take(key, TWO, AT) is None
    assert await budgets.take(key, TWO, AT + 20 * SECOND) is None
    assert await budgets.take(key, TWO, AT + 25 * SECOND) == 35 * SECOND
    assert await budgets.take(key, TWO, AT + 59 * SECOND) == 1 * SECOND
    assert await budgets.take(key, TWO, AT + 60 * SECOND) is None
    assert await budgets.take(key, TWO, AT + 60 * SECOND) == 20 * SECOND


async def test_what_was_refused_is_not_counted(budgets: Budgets, key: str) -> None:
    for second in (0, 1, *range(2, 60, 5)):
        await budgets.take(key, TWO, AT + second * SECOND)
    assert await budgets.take(key, TWO, AT + 61 * SECOND) is None
    assert await budgets.take(key, TWO, AT + 61 * SECOND) is None


async def test_each_key_and_each_allowance_is_counted_by_itself(budgets: Budgets, key: str) -> None:
    other = Allowance(name="another", calls=1, per=DAY)
    for of in (key, f"{key}/2"):
        assert await budgets.take(of, TWO, AT) is None
        assert await budgets.take(of, TWO, AT) is None
        assert await budgets.take(of, other, AT) is None
        assert await budgets.take(of, TWO, AT) == timedelta(minutes=1)
        assert await budgets.take(of, other, AT) == DAY


async def test_a_clock_that_is_behind_gets_none_more(budgets: Budgets, key: str) -> None:
    assert await budgets.take(key, TWO, AT) is None
    assert await budgets.take(key, TWO, AT - 30 * SECOND) is None  # counts as of AT
    assert await budgets.take(key, TWO, AT - 30 * SECOND) == 90 * SECOND
    assert await budgets.take(key, TWO, AT + 59 * SECOND) == 1 * SECOND
    assert await budgets.take(key, TWO, AT + 60 * SECOND) is None


async def test_of_fifty_at_once_none_is_one_too_many(budgets: Budgets, key: str) -> None:
    waits = await asyncio.gather(*(budgets.take(key, DAILY, AT) for _ in range(50)))
    assert waits.count(None) == 24
    assert {wait for wait in waits if wait is not None} == {DAY}


async def test_no_window_of_thirty_days_holds_more_than_may_be(budgets: Budgets, key: str) -> None:
    dice, at, taken = Random(7), AT, list[datetime]()
    for _ in range(400):
        if await budgets.take(key, DAILY, at) is None:
            taken.append(at)
        at += timedelta(seconds=dice.choice((1, 60, 600, 3_600, 30_000)))
    assert at - AT > timedelta(days=30)
    assert most_within(DAY, taken) <= DAILY.calls


async def test_another_process_and_a_later_start_count_on(
    kept: Database, pool: Pool, key: str
) -> None:
    again = await open_pool(kept.app_url, 2)
    one, other = PostgresBudgets(pool), PostgresBudgets(again)
    both = (b.take(key, DAILY, AT) for n in range(30) for b in ([one, other][n % 2],))
    assert (await asyncio.gather(*both)).count(None) == 24
    await again.close()
    later = await open_pool(kept.app_url, 1)
    assert await PostgresBudgets(later).take(key, DAILY, AT + DAY - SECOND) == SECOND
    await later.close()


async def test_a_key_is_not_kept_in_clear_and_what_is_over_is_cleared(
    kept: Database, pool: Pool
) -> None:
    budgets, said = PostgresBudgets(pool), "simplefin/5e6c0a3f"
    await clear_budgets(pool, AT + 400 * DAY, 1_000)
    await budgets.take(said, TWO, AT)
    await budgets.take("another", DAILY, AT)
    async with connected(kept.superuser_url) as superuser:
        rows = await superuser.fetch("SELECT * FROM request_budgets")
    assert len(rows) == 2
    assert said not in str(rows)
    assert all(len(row["key"]) == 32 for row in rows)

    assert await clear_budgets(pool, AT + TWO.per, 1_000) == 0
    assert await clear_budgets(pool, AT + TWO.per + SECOND, 1_000) == 1
    assert await budgets.take(said, TWO, AT + TWO.per + SECOND) is None
    assert await clear_budgets(pool, AT + 2 * DAY, 1) == 1
    assert await clear_budgets(pool, AT + 2 * DAY, 1_000) == 1


async def test_what_is_cleared_while_it_is_taken_is_made_again(pool: Pool, key: str) -> None:
    budgets, old = PostgresBudgets(pool), AT - 50 * DAY
    allowance = Allowance(name="a", calls=2, per=SECOND)

    async def taken() -> int:
        at, count = old, 0
        for n in range(60):
            at = old + n * SECOND
            count += await budgets.take(key, allowance, at) is None
        return count

    async def cleared() -> int:
        return sum([await clear_budgets(pool, AT - 40 * DAY, 10) for _ in range(60)])

    count, gone = await asyncio.gather(taken(), cleared())
    assert count == 60
    assert gone > 0


LINKS, DAYS = 100 if LONG else 3, 30


async def test_in_thirty_days_of_links_that_are_all_due_no_allowance_is_exceeded() -> None:
    """Asked every half hour, of a provider that fails now and then and is asked again."""
    clock, dice = Clock(chance=0.5), Random(11)
    together = Allowance(name="all of them", calls=LINKS * 20, per=DAY, shared=True)
    asked: dict[str, list[datetime]] = {str(n): [] for n in range(LINKS)}

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked[request.url.params["link"]].append(clock.timing.now())
        return httpx2.Response(503 if dice.random() < 0.2 else 200, text="{}")

    http = an_http(answer, clock, allowances=[DAILY, together])
    refused = 0
    for turn in range(DAYS * 48):
        clock.seconds = max(clock.seconds, turn * 1_800.0)
        for link in asked:
            try:
                await http.get("/x", params={"link": link}, budget_key=link)
            except ProviderUnavailable as refusal:
                refused += not refusal.asked

    assert refused > LINKS * DAYS
    assert all(most_within(DAY, moments) <= DAILY.calls for moments in asked.values())
    everybodys = sorted(moment for moments in asked.values() for moment in moments)
    assert LINKS * 15 < most_within(DAY, everybodys) <= together.calls


def most_within(per: timedelta, moments: Sequence[datetime]) -> int:
    most, window = 0, deque[datetime]()
    for moment in moments:
        window.append(moment)
        while window[0] <= moment - per:
            window.popleft()
        most = max(most, len(window))
    return most
