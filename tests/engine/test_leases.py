"""Who may work on a link: one at a time, and nobody after losing it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from domain.commands.leases import Busy, LeaseLost
from domain.errors import ProviderUnavailable
from domain.identity import new_id
from domain.sync import LEASE, SyncStatus
from gateway.worker.process import Worker
from tests.builders import money
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import DATA, Engine

PATIENCE_S = 30.0


@pytest.fixture
def gate(scripted: Scripted) -> asyncio.Event:
    """The scripted provider answers the first who asks for its second page when this is set."""
    opened = asyncio.Event()

    async def wait(number: int) -> None:
        if number == 1:
            scripted.before = None
            await opened.wait()

    scripted.before = wait
    scripted.script = [accounts(checking()), transactions(spent("t1")), transactions(spent("t2"))]
    return opened


async def queued(engine: Engine) -> Any:
    await engine.connect(provider="scripted", login="ann")
    return (await engine.one("sync_runs"))["id"]


async def until(engine: Engine, table: str, where: str, *, count: int = 1) -> None:
    """Somebody else writes it: there is nothing but to look again."""
    give_up_at = asyncio.get_running_loop().time() + PATIENCE_S
    while await engine.count(table, where) < count:
        assert asyncio.get_running_loop().time() < give_up_at, f"no {table} where {where}"
        await asyncio.sleep(0.01)


async def no_job_left(engine: Engine) -> None:
    await until(engine, "(SELECT count(*) AS jobs FROM jobs.pgqueuer) AS q", "jobs = 0")


async def test_of_two_workers_one_does_the_run_and_the_other_is_told_to_come_back(
    engine: Engine, gate: asyncio.Event
) -> None:
    run = await queued(engine)
    first = asyncio.create_task(engine.run(run, worker=new_id()))
    await until(engine, "accounts", "true")
    with pytest.raises(Busy) as busy:
        await engine.run(run, worker=new_id())
    assert 0 < busy.value.retry_after_s <= LEASE.total_seconds() + 1
    gate.set()
    assert (await first).status is SyncStatus.SUCCEEDED
    assert await engine.count("transactions") == 2


async def test_many_workers_at_once_store_every_row_once(engine: Engine) -> None:
    await engine.connect()
    run = (await engine.one("sync_runs"))["id"]
    ends = await asyncio.gather(
        *(engine.run(run, worker=new_id()) for _ in range(8)), return_exceptions=True
    )
    done = [e for e in ends if not isinstance(e, Busy)]
    assert all(not isinstance(e, BaseException) for e in done)
    assert done
    assert await engine.count("accounts") == 6
    assert (await engine.one("sync_runs"))["attempts"] == 1
    doubled = "SELECT count(*) - count(DISTINCT key) FROM transaction_keys"
    assert await engine.spy.fetchval(doubled) == 0


async def test_a_worker_whose_lease_ran_out_stores_nothing_more(
    engine: Engine, scripted: Scripted, gate: asyncio.Event
) -> None:
    run = await queued(engine)
    slow = asyncio.create_task(engine.run(run, worker=new_id()))
    async with asyncio.timeout(PATIENCE_S):
        while scripted.before is not None:  # noqa: ASYNC110 - until it waits for its second page
            await asyncio.sleep(0.01)
    engine.clock.at += LEASE * 2

    taken = await engine.run(run, worker=new_id())

    assert taken.status is SyncStatus.SUCCEEDED
    before = await engine.written(*DATA, "sync_runs", "links", "events")
    gate.set()
    with pytest.raises(LeaseLost):
        await slow
    assert await engine.written(*DATA, "sync_runs", "links", "events") == before
    assert await engine.count("transactions") == 2
    assert (await engine.one("links"))["lease_fence"] == 2


async def test_a_lease_is_renewed_with_each_page(engine: Engine, scripted: Scripted) -> None:
    scripted.script = [accounts(checking()), *(transactions(spent(f"t{i}")) for i in range(5))]

    async def slowly(number: int) -> None:
        engine.clock.at += LEASE * 2 / 3

    scripted.before = slowly
    assert (await engine.run(await queued(engine))).status is SyncStatus.SUCCEEDED


async def test_a_run_goes_on_after_its_last_page(engine: Engine, scripted: Scripted) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1")), transactions(spent("t2"))]
    run = await queued(engine)

    class Died(BaseException): ...

    async def die(number: int) -> None:
        if number == 2:
            raise Died

    scripted.before = die
    with pytest.raises(Died):
        await engine.run(run)
    stored = await engine.one("sync_runs")
    assert (stored["cursor"], stored["status"], stored["attempts"]) == ("2", "RUNNING", 1)
    scripted.before = None
    engine.clock.turn(minutes=2)
    done = await engine.run(run, worker=new_id())
    assert scripted.asked[-1].cursor == "2"
    assert done.transactions.created == 2
    assert done.accounts.received == 1
    assert (await engine.events()).count("sync.started") == 1


async def test_no_transaction_is_open_while_the_provider_is_asked(
    engine: Engine, gate: asyncio.Event
) -> None:
    run = asyncio.create_task(engine.run(await queued(engine)))
    await until(engine, "accounts", "true")
    await asyncio.sleep(0.1)
    busy = await engine.spy.fetch(
        "SELECT state, query FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
    )
    assert busy == []
    gate.set()
    await run


# ── the worker itself ───────────────────────────────────────────────────────


@asynccontextmanager
async def working(engine: Engine) -> AsyncIterator[Worker]:
    """A real worker on this database, ended as a signal would end it."""
    async with asyncpg.create_pool(engine.database.app_url, min_size=2, max_size=6) as pool:
        worker = Worker(engine.wired, pool)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            async with asyncio.timeout(PATIENCE_S):
                await task


async def test_a_worker_does_what_is_queued_and_tells_the_events(engine: Engine) -> None:
    await engine.connect()
    async with working(engine):
        await until(engine, "sync_runs", "status = 'SUCCEEDED'")
        await until(engine, "events", "name = 'sync.completed' AND relayed_at IS NOT NULL")
        await no_job_left(engine)
    assert await engine.count("holdings") == 25
    assert await engine.count("events", "relayed_at IS NULL") == 0


async def test_two_workers_share_the_runs_of_several_links(engine: Engine) -> None:
    for number in range(4):
        await engine.connect(scenario="default", seed=f"s{number}")
    async with working(engine), working(engine):
        await until(engine, "sync_runs", "status = 'SUCCEEDED'", count=4)
    assert await engine.count("accounts") == 24
    runs = await engine.rows("sync_runs")
    assert {row["attempts"] for row in runs} == {1}


async def test_a_run_whose_job_was_lost_is_taken_up(engine: Engine) -> None:
    await engine.connect()
    await engine.spy.execute("DELETE FROM jobs.pgqueuer")
    # It looks at the runs that nobody has touched for a while; what is new can wait for its job.
    engine.clock.at = datetime.now(UTC)
    engine.clock.turn(minutes=5)
    async with working(engine):
        await until(engine, "sync_runs", "status = 'SUCCEEDED'")
    assert await engine.count("accounts") == 6


async def test_a_run_that_cannot_be_read_holds_up_none_that_came_later(engine: Engine) -> None:
    await engine.connect(scenario="empty")
    await engine.spy.execute("UPDATE sync_runs SET error_code = 'OF_A_LATER_RELEASE'")
    await engine.connect()
    await engine.spy.execute("DELETE FROM jobs.pgqueuer")
    engine.clock.at = datetime.now(UTC)
    engine.clock.turn(minutes=5)
    async with working(engine):
        await until(engine, "sync_runs", "status = 'SUCCEEDED'")


async def test_a_run_that_cannot_be_read_is_tried_again_less_and_less_often(engine: Engine) -> None:
    await engine.connect(scenario="empty")
    await engine.spy.execute("UPDATE sync_runs SET error_code = 'OF_A_LATER_RELEASE'")
    await engine.spy.execute("UPDATE jobs.pgqueuer SET created = now() - interval '1 hour'")
    engine.clock.at = datetime.now(UTC)
    async with working(engine):
        await until(engine, "jobs.pgqueuer", "execute_after > now() + interval '10 minutes'")


async def test_a_job_of_a_run_that_is_over_does_nothing(engine: Engine) -> None:
    await engine.linked()  # its job still waits
    assert await engine.count("jobs.pgqueuer") == 1
    before = await engine.written(*DATA, "sync_runs", "links", "events")
    async with working(engine):
        await no_job_left(engine)
    after = await engine.written(*DATA, "sync_runs", "links")
    assert {table: before[table] for table in after} == after


async def test_a_worker_queues_what_is_due(engine: Engine) -> None:
    link, _ = await engine.linked(scenario="empty")
    engine.clock.turn(hours=6, minutes=19)  # a part of it is up to chance
    async with working(engine):
        await until(engine, "sync_runs", "trigger = 'SCHEDULE' AND status = 'SUCCEEDED'")
    assert (await engine.link(link.id))["next_sync_at"] > engine.clock.at


async def test_a_provider_that_fails_does_not_stop_the_worker(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [ProviderUnavailable("down", provider="scripted")]
    await engine.connect(provider="scripted", login="ann")
    await engine.connect(scenario="empty")
    async with working(engine):
        await until(engine, "sync_runs", "status = 'FAILED'")
        await until(engine, "sync_runs", "status = 'SUCCEEDED'")


async def test_a_bug_in_an_adapter_is_tried_again_and_given_up_at_last(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [ZeroDivisionError("a bug")]
    run = await queued(engine)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            await engine.run(run)
    assert (await engine.run(run)).status is SyncStatus.FAILED
    assert (await engine.link((await engine.one("links"))["id"]))["lease_until"] is None


async def test_a_provider_that_is_no_longer_offered_fails_its_runs(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking(balance=money("1.00")))]
    run = await queued(engine)
    left = {slug: p for slug, p in engine.app.providers.items() if slug != "scripted"}
    ended = await engine.run(run, app=replace(engine.app, providers=left))
    assert ended.status is SyncStatus.FAILED
    assert ended.error is not None
    assert ended.error.code.value == "PROVIDER_DISABLED"
