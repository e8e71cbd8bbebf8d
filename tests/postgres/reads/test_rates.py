"""Exchange rates as they are read: one statement, whatever is asked for."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal

import asyncpg
import pytest

from adapters.postgres.pool import Pool
from adapters.postgres.rates import KnownRates
from adapters.postgres.reads.rates import RATES
from domain.money import Currency
from domain.rates import EURO, GAP_MAX, Publication
from tests.postgres.reads.rows import Owner, Recorded

USD, GBP, HRK = Currency("USD"), Currency("GBP"), Currency("HRK")
NEWEST = date(2026, 11, 20)
LEFT_OUT = NEWEST - timedelta(days=100)
DAYS = [d for n in range(400) if (d := NEWEST - timedelta(days=n)) != LEFT_OUT]


@pytest.fixture(scope="module")
async def known(pool: Pool, superuser: asyncpg.Connection) -> AsyncIterator[KnownRates]:
    """A rate that tells its day, and a currency that ended."""
    found = KnownRates(pool)
    rates = {USD: Decimal("1.1"), GBP: Decimal("0.8")}
    ended = {HRK: Decimal("7.53450")}
    await found.add(
        [Publication(d, rates | (ended if d < NEWEST - timedelta(days=30) else {})) for d in DAYS],
        "ECB",
    )
    yield found
    await superuser.execute("TRUNCATE exchange_rates")


async def test_a_span_is_one_statement_and_no_more_than_is_needed(
    known: KnownRates, reads: Recorded
) -> None:
    since, until = NEWEST - timedelta(days=20), NEWEST - timedelta(days=10)
    rates = await reads.rates({USD, EURO, Currency("BTC")}, since=since, until=until)

    assert reads.statements == 1
    assert set(rates.quotes) == {USD}
    assert sorted(rates.quotes[USD]) == sorted(d for d in DAYS if since - GAP_MAX <= d <= until)
    assert rates.quotes[USD][until] == (Decimal("1.1"), "ECB")
    assert rates.newest == NEWEST


async def test_later_than_all_is_read_from_the_newest(known: KnownRates, reads: Recorded) -> None:
    later = NEWEST + timedelta(days=40)
    rates = await reads.rates({USD, HRK}, since=later, until=later)

    rate = rates.rate(USD, EURO, later)
    assert rate is not None
    assert rate.date == NEWEST
    assert rates.rate(HRK, USD, later) is None


async def test_digits_are_as_they_were_published(known: KnownRates, reads: Recorded) -> None:
    day = NEWEST - timedelta(days=40)
    rates = await reads.rates({HRK}, since=day, until=day)
    assert str(rates.quotes[HRK][day][0]) == "7.53450"


async def test_before_there_were_any_there_are_none(
    superuser: asyncpg.Connection, reads: Recorded
) -> None:
    async with superuser.transaction():
        rates = await reads.rates({Currency("XAU")}, since=NEWEST, until=NEWEST)
    assert (rates.quotes, rates.newest) == ({}, None)


async def test_a_span_is_a_range_of_an_index(
    known: KnownRates, superuser: asyncpg.Connection, owner: Owner
) -> None:
    await superuser.execute("ANALYZE exchange_rates")
    plan = await superuser.fetch("EXPLAIN " + RATES, ["GBP", "USD"], NEWEST, NEWEST)
    lines = "\n".join(row[0] for row in plan)
    assert "pk_exchange_rates" in lines
    assert "Seq Scan" not in lines


async def test_what_is_no_rate_is_refused_by_the_table(known: KnownRates) -> None:
    for wrong in (Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Infinity")):
        with pytest.raises(asyncpg.CheckViolationError):
            await known.add([Publication(LEFT_OUT, {USD: wrong})], "me")
    with pytest.raises(asyncpg.CheckViolationError):
        await known.add([Publication(LEFT_OUT, {EURO: Decimal(1)})], "me")
    assert await known.newest() == NEWEST


async def test_a_rate_of_a_day_to_come_cannot_be_said_before(
    known: KnownRates, superuser: asyncpg.Connection
) -> None:
    """It would be kept when the day has come, and no newer one be asked for until then."""
    today: date = await superuser.fetchval("SELECT current_date")
    for day in (today + timedelta(days=2), date(9999, 12, 31), date(1998, 12, 31)):
        assert await known.add([Publication(day, {USD: Decimal(1)})], "me") == 0
    assert await known.newest() == NEWEST
