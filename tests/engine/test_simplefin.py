"""SimpleFIN through the engine: a real server on a socket, a real database, from token to rows."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.providers.configuration import Configuration
from adapters.providers.kit import Timing
from adapters.providers.simplefin import SimpleFin
from domain.errors import Conflict
from domain.links import LinkId
from domain.sync import SyncRun, SyncStatus
from tests.engine.world import DATA, MORNING, Engine, running_engine
from tests.providers.fakes import outside
from tests.providers.simulators.simplefin import Entry, Held, SimpleFinServer, household
from tests.servers import Database


@dataclass
class World:
    engine: Engine
    sim: SimpleFinServer

    @property
    def checking(self) -> Held:
        return self.sim.held[0]

    async def linked(self, code: str = "demo") -> SyncStatus:
        token = self.sim.setup_token(code)
        _, run = await self.engine.linked(provider="simplefin", setup_token=token)
        return run.status

    async def next_day(self) -> SyncStatus:
        self.engine.clock.turn(days=1)
        for held in self.sim.held:
            held.at += timedelta(days=1)
        [asked] = await self.engine.request()
        return (await self.engine.run(asked.id)).status

    async def coffee(self) -> list[tuple[str, str, bool]]:
        rows = await self.engine.rows("transactions", "amount = -4.50", order="date, id")
        return [(str(r["id"]), r["status"], r["removed_at"] is None) for r in rows]


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with SimpleFinServer(held=household(MORNING)) as sim:
        reached = outside(None, sim.host)
        provider = SimpleFin(reached, Configuration(simplefin_hosts=(sim.host,)))
        async with running_engine(database, tmp_path, provider) as engine:
            sim.now = engine.clock
            provider._outside = replace(reached, timing=Timing(now=engine.clock))
            yield World(engine, sim)
            await provider._outside.aclose()


async def test_a_setup_token_becomes_a_link_with_everything_and_no_secret_in_sight(
    world: World,
) -> None:
    engine = world.engine
    assert await world.linked("s3cret") is SyncStatus.SUCCEEDED
    assert await engine.count("accounts") == 5
    assert await engine.count("transactions") == 9
    assert await engine.count("holdings") == 2
    owed = await engine.spy.fetchval("SELECT sum(balance) FROM accounts WHERE balance < 0")
    assert str(owed) == "-240532.69"
    for table in await engine.every_table():
        rows = await engine.spy.fetch(f"SELECT t::text AS row FROM {table} t")
        assert not [row for row in rows if "pass:s3cret" in row["row"] or "user-s3" in row["row"]]
    assert not world.sim.complaints


async def test_the_same_again_writes_nothing_and_asks_once(world: World) -> None:
    await world.linked()
    before, asked = await world.engine.written(*DATA), len(world.sim.requests)
    world.engine.clock.turn(minutes=6)
    [run] = await world.engine.request()
    assert (await world.engine.run(run.id)).status is SyncStatus.SUCCEEDED
    assert await world.engine.written(*DATA) == before
    assert len(world.sim.requests) == asked + 1


async def test_the_same_access_twice_is_refused_and_another_token_doubles_nothing(
    world: World,
) -> None:
    await world.linked()
    with pytest.raises(Conflict) as refused:
        await world.linked()
    assert refused.value.existing is not None

    assert await world.linked("another") is SyncStatus.SUCCEEDED
    assert await world.engine.count("accounts") == 5
    assert await world.engine.count("transactions") == 9


@pytest.mark.parametrize("new_id", ["T-hold", "T-posted"])
async def test_what_was_pending_settles_as_the_same_transaction(world: World, new_id: str) -> None:
    await world.linked()
    [(id, status, _)] = await world.coffee()
    assert status == "PENDING"

    world.sim.settle(world.checking, "T-hold", MORNING.date(), new_id=new_id)
    assert await world.next_day() is SyncStatus.SUCCEEDED
    assert await world.coffee() == [(id, "SETTLED", True)]

    before = await world.engine.written("transactions")
    await world.next_day()
    assert await world.engine.written("transactions") == before


async def test_what_was_pending_and_is_nowhere_is_removed_and_comes_back_when_it_settles(
    world: World,
) -> None:
    await world.linked()
    [(id, _, _)] = await world.coffee()
    held = next(e for e in world.checking.entries if e.id == "T-hold")
    world.checking.entries.remove(held)
    await world.next_day()
    assert await world.coffee() == [(id, "PENDING", False)]
    assert await world.engine.count("transactions", "removed_at IS NOT NULL") == 1

    posted = replace(held, id="T-9", posted=MORNING.date() + timedelta(days=1))
    world.checking.entries.append(posted)
    await world.next_day()
    assert await world.coffee() == [(id, "SETTLED", True)]


async def test_a_second_coffee_that_is_still_pending_is_not_taken_for_the_first(
    world: World,
) -> None:
    held = next(e for e in world.checking.entries if e.id == "T-hold")
    world.checking.entries.append(replace(held, id="T-hold-2"))
    await world.linked()
    assert len(await world.coffee()) == 2

    world.sim.settle(world.checking, "T-hold", MORNING.date(), new_id="T-posted")
    await world.next_day()
    assert [(status, stands) for _, status, stands in await world.coffee()] == [
        ("PENDING", True),
        ("SETTLED", True),
    ]


async def test_two_alike_that_settle_on_two_pages_one_by_its_own_id_are_two(world: World) -> None:
    """The first page has what settled under another id, and the one that kept its own is not told
    to be pending any more."""
    held, today = next(e for e in world.checking.entries if e.id == "T-hold"), MORNING.date()
    world.checking.entries.append(replace(held, id="T-hold-2"))
    await world.linked()
    world.sim.settle(world.checking, "T-hold-2", today + timedelta(days=1), new_id="T-posted")
    world.sim.settle(world.checking, "T-hold", today)
    world.checking.entries += [
        Entry(id=f"F{n}", amount="-1.00", description="SHOP", posted=today) for n in range(600)
    ]
    assert await world.next_day() is SyncStatus.SUCCEEDED
    told = [(status, stands) for _, status, stands in await world.coffee()]
    assert told == [("SETTLED", True)] * 2

    before = await world.engine.written("transactions")
    await world.next_day()
    assert await world.engine.written("transactions") == before


async def test_a_bank_that_fails_is_partial_and_its_pending_rows_stay(world: World) -> None:
    await world.linked()
    world.checking.entries = [e for e in world.checking.entries if e.id != "T-hold"]
    world.sim.errlist = [{"code": "act.missingdata", "account_id": "ACT-checking", "msg": "Later"}]
    assert await world.next_day() is SyncStatus.PARTIAL
    assert [(status, stands) for _, status, stands in await world.coffee()] == [("PENDING", True)]


async def test_access_that_was_revoked_there_ends_the_link_and_a_new_token_mends_it(
    world: World,
) -> None:
    await world.linked()
    world.sim.revoked = True
    assert await world.next_day() is SyncStatus.FAILED
    link = await world.engine.one("links")
    assert link["status"] == "REVOKED"

    world.sim.revoked = False
    token = world.sim.setup_token("new")
    await world.engine.connect(provider="simplefin", link_id=link["id"], setup_token=token)
    [run] = await world.engine.run_waiting()
    assert run.status is SyncStatus.SUCCEEDED
    assert (await world.engine.one("links"))["status"] == "ACTIVE"
    assert await world.engine.count("accounts") == 5
    assert await world.engine.count("transactions") == 9


async def test_what_the_budget_of_a_day_stops_is_gone_on_with_on_the_next(world: World) -> None:
    """Eleven windows of sixty days, where twelve further back may be asked for a day, of which the
    first sync took five."""
    engine = world.engine
    days = [MORNING.date() - timedelta(days=60 * back + 30) for back in range(11)]
    world.checking.entries += [
        Entry(id=f"old-{n}", amount=f"-{n + 100}.00", description="SHOP", posted=day)
        for n, day in enumerate(days)
    ]
    await world.linked()
    asked = len(world.sim.requests)
    link, since = LinkId((await engine.one("links"))["id"]), days[-1]

    async def run() -> SyncRun:
        [asked] = await engine.request(link_id=link, since=since, force=True)
        return await engine.run(asked.id)

    stopped = await run()
    assert stopped.status is SyncStatus.FAILED
    assert stopped.error is not None
    assert "often enough" in stopped.error.message
    again = await run()
    assert (again.status, again.transactions.received) == (SyncStatus.FAILED, 0)
    engine.clock.turn(days=1, minutes=1)
    done = await run()

    assert done.status is SyncStatus.SUCCEEDED
    windows = [request.param("start-date") for request in world.sim.requests[asked:]]
    assert len(windows) == len({*windows}) == 11
    assert await engine.count("transactions", "description = 'SHOP'") == 11
    for counts in (stopped.transactions, done.transactions):
        assert counts.received == counts.created + counts.unchanged > 0
    assert stopped.transactions.received + done.transactions.received == 20
    [news] = await engine.run_waiting()
    assert (news.status, len(world.sim.requests[asked:])) == (SyncStatus.SUCCEEDED, 12)
