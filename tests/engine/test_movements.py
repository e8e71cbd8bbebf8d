"""A change of a run is told once it is committed, to whoever watches that run, and holds up nobody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
import structlog

from adapters.postgres.connections import open_engine
from adapters.postgres.store import PostgresStore
from domain.commands.sync import CancelSync, cancel_sync
from domain.errors import Unavailable
from domain.identity import new_id
from domain.ports import RUN_MOVED
from domain.sync import RunId, SyncStatus
from gateway.live.movements import RunMovements
from tests.builders import a_mac
from tests.engine.world import Engine
from tests.gateway.http.served import until


@asynccontextmanager
async def told(engine: Engine) -> AsyncIterator[list[str]]:
    """What another process hears of runs that moved."""
    heard: list[str] = []
    ready = asyncio.Event()

    async def hear() -> None:
        async with engine.wired.fanout.subscribe(RUN_MOVED) as said:
            async for run_id in said:
                ready.set()
                if run_id is not None:
                    heard.append(run_id)

    hearing = asyncio.create_task(hear())
    await asyncio.wait_for(ready.wait(), 5)
    yield heard
    hearing.cancel()
    await asyncio.gather(hearing, return_exceptions=True)


async def test_a_run_moves_when_it_is_asked_for_with_each_page_and_when_it_ends(
    engine: Engine,
) -> None:
    async with told(engine) as heard:
        await engine.connect()
        await until(lambda: len(heard) == 1)
        [done] = await engine.run_waiting()
        pages = len(heard)
        await until(lambda: len(heard) > pages or pages > 3)

    assert set(heard) == {str(done.id)}
    assert done.status is SyncStatus.SUCCEEDED


async def test_whoever_hears_of_it_finds_it_in_the_tables(engine: Engine) -> None:
    async with told(engine) as heard:
        await engine.connect()
        [queued] = await engine.rows("sync_runs")
        await cancel_sync(
            engine.app, CancelSync(actor=engine.actor, run_id=queued["id"], at=engine.clock())
        )
        await until(lambda: len(heard) == 2)
        assert (await engine.one("sync_runs"))["status"] == "CANCELLED"


async def test_what_is_not_committed_was_never_moved(engine: Engine) -> None:
    await engine.connect()
    row = await engine.one("sync_runs")
    async with told(engine) as heard:
        await asyncio.sleep(0.1)
        heard.clear()
        with suppress(ZeroDivisionError):
            async with engine.app.store.begin(engine.actor, None) as work:
                run = await work.runs.get(RunId(row["id"]), lock=True)
                await work.runs.save(replace(run, cancel_asked=True))
                raise ZeroDivisionError
        async with engine.app.store.begin(engine.actor, None) as work:  # which only looks
            await work.runs.get(RunId(row["id"]))
        await asyncio.sleep(0.2)

    assert heard == []


async def test_who_watches_a_run_hears_of_that_one_only(engine: Engine) -> None:
    movements = engine.wired.movements
    one, other = RunId(new_id()), RunId(new_id())
    with (
        movements.watch(one) as mine,
        movements.watch(one) as mine_too,
        movements.watch(other) as others,
    ):
        assert movements.watched == 3
        movements.moved([one])
        await asyncio.wait_for(mine.wait(), 5)
        await asyncio.wait_for(mine_too.wait(), 5)
        assert not others.is_set()
    assert movements.watched == 0


async def test_who_watches_several_runs_hears_of_each(engine: Engine) -> None:
    movements = engine.wired.movements
    one, other = RunId(new_id()), RunId(new_id())
    with movements.watch(one, other, one) as moved:
        for run in (one, other):
            moved.clear()
            movements.moved([run])
            await asyncio.wait_for(moved.wait(), 5)
    assert movements.watched == 0


async def test_after_a_silence_everyone_who_watches_looks(engine: Engine) -> None:
    movements = engine.wired.movements
    await asyncio.sleep(0.1)
    with movements.watch(RunId(new_id())) as one, movements.watch(RunId(new_id())) as two:
        await engine.spy.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        )
        await until(lambda: one.is_set() and two.is_set())
        assert movements.watched == 2


@pytest.mark.parametrize("said", ["", "no run", "00000000-0000-0000-0000-00000000000"])
async def test_what_is_no_run_is_overheard(engine: Engine, said: str) -> None:
    movements, run = engine.wired.movements, RunId(new_id())
    with movements.watch(run) as mine:
        await engine.wired.fanout.publish(RUN_MOVED, said)
        await engine.wired.fanout.publish(RUN_MOVED, str(run))
        await asyncio.wait_for(mine.wait(), 5)


class DeafFanout:
    """Can be told nothing, and takes its time to say so."""

    hears = False

    def __init__(self) -> None:
        self.asked = 0

    async def publish(self, channel: str, payload: str) -> None:
        self.asked += 1
        await asyncio.sleep(0.05)
        raise Unavailable("nobody is there")


async def test_a_failure_to_tell_fails_no_work_and_is_in_the_log(engine: Engine) -> None:
    deaf: Any = DeafFanout()
    movements = RunMovements(deaf)
    async with AsyncExitStack() as stack:
        opened = open_engine(engine.database.app_url, 1)
        stack.push_async_callback(opened.dispose)
        store = PostgresStore(opened, mac=a_mac, moved=movements.moved)
        await engine.connect()
        row = await engine.one("sync_runs")
        with structlog.testing.capture_logs() as lines:
            for _ in range(10):
                async with asyncio.timeout(2), store.begin(engine.actor, None) as work:
                    run = await work.runs.get(RunId(row["id"]), lock=True)
                    await work.runs.save(run)
            await movements.close()

    assert 1 <= deaf.asked <= 10  # said once for all that moved meanwhile
    assert {line["event"] for line in lines} == {"run.not_told"}
    assert {line["run"] for line in lines} == {row["id"]}


async def test_there_is_one_connection_that_listens_however_many_watch(engine: Engine) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(500):
            stack.enter_context(engine.wired.movements.watch(RunId(new_id())))
        assert engine.wired.movements.watched == 500
        spy: asyncpg.Connection = engine.spy
        count = await spy.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
    assert count == 1
