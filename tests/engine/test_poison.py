"""A run that kills whoever works on it, or fails in each of them, ends and says why."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.sync import ATTEMPTS_MAX, LEASE, SyncStatus
from tests.builders import money
from tests.engine.fatal import bank_of
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.test_kill_points import Scene
from tests.engine.test_killed import Forked
from tests.engine.world import Engine, running_engine
from tests.servers import Database


@pytest.fixture
async def scene(database: Database, tmp_path: Path) -> AsyncIterator[Scene]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.engine.fatal"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    bank = bank_of(tmp_path, datetime.now(UTC))
    async with running_engine(database, tmp_path, bank) as engine:
        bank.now = engine.clock
        yield Scene(engine, Forked(process), tmp_path, bank)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


async def test_a_run_that_kills_every_worker_is_given_up(scene: Scene) -> None:
    one = await scene.linked()
    for _ in range(ATTEMPTS_MAX):
        await scene.killed("sync", "page.half", one)
        scene.engine.clock.at += LEASE * 2
    run = await scene.engine.run(one.run)

    assert run.status is SyncStatus.FAILED
    assert run.error is not None
    assert "5 attempts" in run.error.message
    now = await scene.engine.link(one.link.id)
    assert (now["status"], now["consecutive_failures"]) == ("ACTIVE", 1)
    assert now["next_sync_at"] > scene.engine.clock()  # and it is tried again, later
    assert (await scene.engine.events()).count("sync.failed") == 1


async def test_a_page_that_cannot_be_stored_by_anyone_ends_its_run(
    engine: Engine, scripted: Scripted
) -> None:
    impossible = spent("t2", unit_price=money("1.00"))
    await engine.spy.execute(
        "ALTER TABLE transactions ADD CONSTRAINT no_price CHECK (unit_price IS NULL)"
    )
    scripted.script = [accounts(checking()), transactions(spent("t1")), transactions(impossible)]
    await engine.connect(provider="scripted", login="ann")
    run_id = (await engine.one("sync_runs"))["id"]
    for _ in range(ATTEMPTS_MAX):
        with pytest.raises(Exception, match="no_price"):
            await engine.run(run_id)
    await engine.run(run_id)

    ended = await engine.one("sync_runs")
    assert (ended["status"], ended["transactions_created"]) == ("FAILED", 1)
    assert len(scripted.asked) == ATTEMPTS_MAX
    assert (await engine.one("links"))["lease_holder"] is None
