"""What is stored of a simulated account at Alpaca, in a real database, over its socket."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.providers.alpaca import Alpaca
from domain.errors import Conflict
from domain.links import Link
from domain.sync import SyncCounts, SyncRun, SyncStatus
from tests.engine.world import MORNING, Engine, running_engine
from tests.providers.alpaca_life import CALL, COINS, PUT, a_client, in_new_york, lived
from tests.providers.fakes import Clock
from tests.providers.simulators import alpaca_rules as rules
from tests.providers.simulators.alpaca import LIVE_KEY, SECRET, AlpacaSimulator, traded
from tests.providers.simulators.base import Trouble
from tests.servers import Database


@dataclass
class World:
    engine: Engine
    sim: AlpacaSimulator

    async def linked(self) -> tuple[Link, SyncRun]:
        return await self.engine.linked(provider="alpaca", api_key=LIVE_KEY, api_secret=SECRET)

    async def later(self, link: Link, **by: float) -> SyncRun:
        """As the scheduler would, once that has passed."""
        self.engine.clock.turn(**by)
        return await self.engine.sync(link, force=False)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with AlpacaSimulator() as sim:
        outside = sim.outside(Clock())
        alpaca = Alpaca(outside, a_client(sim))
        async with running_engine(database, tmp_path, alpaca) as engine:
            sim.now = engine.clock
            yield World(engine, sim)
        await outside.aclose()
    assert sim.complaints == []


async def test_250_activities_are_stored_as_250_and_the_next_pull_is_only_of_what_is_new(
    world: World,
) -> None:
    """Probe 20."""
    engine, sim = world.engine, world.sim
    traded(sim.live, MORNING - timedelta(days=400), 250, every=timedelta(days=1, hours=14))
    link, run = await world.linked()

    assert run.status is SyncStatus.SUCCEEDED
    assert run.transactions == SyncCounts(created=250)
    assert await engine.count("transactions") == 250
    assert len(sim.asked(rules.HISTORY)) == 2  # 400 days and more

    before, version = await engine.written(), await engine.version()
    asked = len(sim.requests)
    again = await world.later(link, minutes=6)
    assert (await engine.written(), await engine.version()) == (before, version)
    assert again.transactions.created == again.transactions.updated == 0
    assert 0 < again.transactions.received < 30
    assert {r.path for r in sim.requests[asked:]} == {*rules.PARAMETERS}
    assert [r.param("page_token") is not None for r in sim.asked(rules.ACTIVITIES)[4:]] == [
        True,
        True,
    ]

    sim.live.fill("sell", "ACME", "3", "104", engine.clock.at)
    new = await world.later(link, hours=6)
    assert new.transactions.created == 1
    assert await engine.count("transactions") == 251


async def test_a_bit_of_everything_is_stored_as_it_is(world: World) -> None:
    """Probes 21 and 22, and every digit."""
    engine = world.engine
    lived(world.sim.live)
    _, run = await world.linked()

    assert run.status is SyncStatus.SUCCEEDED
    account = await engine.one("accounts")
    value = await engine.spy.fetchval("SELECT sum(market_value) FROM holdings WHERE is_active")
    assert account["balance"] == account["cash_balance"] + value
    held = {
        row["symbol"]: row
        for row in await engine.spy.fetch(
            "SELECT s.symbol, s.multiplier, s.asset_type, h.* FROM holdings h"
            " JOIN securities s ON s.id = h.security_id"
        )
    }
    assert held["ZORK"]["quantity"] == -40
    assert held["ZORK"]["cost_basis"] == -1000
    assert held[PUT]["quantity"] == -1
    assert (held[CALL]["multiplier"], held[CALL]["cost_basis"]) == (100, 300)
    fee = Decimal("0.000308641972530864")
    assert held["BTC"]["quantity"] == Decimal(COINS) - fee
    assert held["BTC"]["asset_type"] == "CRYPTOCURRENCY"
    types = {
        row["description"]: (row["subtype"], row["amount"], row["currency"])
        for row in await engine.rows("transactions")
    }
    assert types["Dividend, ACME"] == ("DIVIDEND", Decimal("12.5"), "USD")
    assert types["Tax withheld on a dividend (NRA), ACME"] == ("TAX", Decimal("-3.75"), "USD")
    assert types["Margin interest"] == ("MARGIN_INTEREST", Decimal("-4.56"), "USD")
    assert types["Crypto fee, BTCUSD"] == ("COMMISSION", -fee, "BTC")
    assert types["NEWTYPE: Something new"] == ("OTHER", Decimal("-0.5"), "USD")
    coins = await engine.one("transactions", "description LIKE 'Bought 0.1%'")
    assert (coins["quantity"], coins["date"]) == (Decimal(COINS), date(2026, 2, 1))
    symbols = [row["symbol"] for row in await engine.rows("securities")]
    assert len({*symbols}) == len(symbols)  # the coin that was bought is the one that is held


async def test_what_is_entered_late_and_what_is_corrected_arrive(world: World) -> None:
    engine, sim = world.engine, world.sim
    traded(sim.live, MORNING - timedelta(days=60), 60, every=timedelta(days=1))
    wrong = sim.live.enter("FEE", (MORNING - timedelta(days=3)).date(), "-5", description="Wrong")
    link, _ = await world.linked()
    sim.live.enter("FEE", (MORNING - timedelta(days=1)).date(), "-0.02", description="Late")
    wrong.row["status"] = "canceled"
    run = await world.later(link, hours=6)

    assert (run.transactions.created, run.transactions.updated) == (1, 1)
    late = await engine.one("transactions", "description = 'Late'")
    assert late["date"] == (MORNING - timedelta(days=1)).date()
    cancelled = await engine.one("transactions", "description = 'Wrong'")
    assert cancelled["status"] == "CANCELLED"


async def test_equity_of_the_past_is_the_history_of_the_account(world: World) -> None:
    engine = world.engine
    lived(world.sim.live)
    link, _ = await world.linked()
    rows = await engine.rows("balance_snapshots", "source = 'BACKFILL'", order="at")

    assert rows[0]["at"].date() == date(2025, 1, 6)
    assert rows[0]["balance"] == 50_000
    assert rows[-1]["at"].date() == date(2026, 11, 19)
    assert len(rows) == sum(
        (date(2025, 1, 6) + timedelta(days=n)).weekday() < 5 for n in range(683)
    )
    await world.later(link, days=3)
    days = [r["at"].date() for r in await engine.rows("balance_snapshots", order="at")]
    assert date(2026, 11, 20) in days


async def test_a_pull_that_breaks_off_goes_on_and_one_login_is_linked_once(world: World) -> None:
    engine, sim = world.engine, world.sim
    traded(sim.live, in_new_york(date(2026, 1, 5), 10), 250)
    sim.fault(Trouble.CUT, path=rules.ACTIVITIES, after=1)
    link, run = await world.linked()

    assert run.status is SyncStatus.SUCCEEDED
    assert await engine.count("transactions") == 250
    with pytest.raises(Conflict) as caught:
        await world.linked()
    assert caught.value.existing == ("Link", link.id)

    sim.keys.clear()
    run = await world.later(link, hours=6)
    assert run.status is SyncStatus.FAILED
    assert (await engine.link(link.id))["status"] == "NEEDS_REAUTHORIZATION"
