"""A run that is cut short, for whatever reason, goes on with whoever asks next."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.commands.leases import Busy
from domain.commands.running import Interrupted, RunSync, run_sync
from domain.identity import new_id
from domain.sync import LEASE, RunId, SyncRun, SyncStatus
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.test_leases import until
from tests.engine.world import Engine


async def queued(engine: Engine) -> RunId:
    await engine.connect(provider="scripted", login="ann")
    return RunId((await engine.one("sync_runs"))["id"])


def running(engine: Engine, run_id: RunId, **said: Any) -> asyncio.Task[SyncRun]:
    cmd = RunSync(actor=engine.actor, run_id=run_id, worker=new_id(), at=engine.clock(), **said)
    return asyncio.ensure_future(run_sync(engine.app, cmd))


async def test_a_stopping_worker_ends_after_its_page_and_another_goes_on_at_once(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1")), transactions(spent("t2"))]
    run_id = await queued(engine)

    with pytest.raises(Interrupted):
        await running(engine, run_id, stopping=lambda: True)
    assert await engine.count("accounts") == 1
    assert await engine.count("transactions") == 0

    done = await running(engine, run_id)
    assert (done.status, done.transactions.created) == (SyncStatus.SUCCEEDED, 2)
    assert scripted.asked[-1].cursor == "1"


async def test_a_bug_in_a_provider_leaves_the_link_free(engine: Engine, scripted: Scripted) -> None:
    scripted.script = [accounts(checking()), RuntimeError("a bug")]
    run_id = await queued(engine)
    with pytest.raises(RuntimeError, match="a bug"):
        await running(engine, run_id)

    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    assert (await running(engine, run_id)).status is SyncStatus.SUCCEEDED


async def test_a_cancelled_request_leaves_the_link_free(engine: Engine, scripted: Scripted) -> None:
    reached = asyncio.Event()

    async def wait(number: int) -> None:
        if number == 1:
            reached.set()
            await asyncio.Event().wait()

    scripted.before = wait
    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    run_id = await queued(engine)
    first = running(engine, run_id)
    await reached.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first

    scripted.before = None
    assert (await running(engine, run_id)).status is SyncStatus.SUCCEEDED


async def test_a_lease_lasts_as_long_as_the_provider_thinks(
    engine: Engine, scripted: Scripted
) -> None:
    opened = asyncio.Event()

    async def wait(number: int) -> None:
        if number == 1:
            await opened.wait()

    scripted.before = wait
    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    run_id = await queued(engine)
    slow = running(engine, run_id, renew_every=timedelta(milliseconds=5))
    for _ in range(4):  # two leases long
        engine.clock.turn(seconds=LEASE.total_seconds() / 2)
        renewed = engine.clock() + LEASE
        await until(engine, "links", f"lease_until >= '{renewed}'")
        with pytest.raises(Busy):
            await running(engine, run_id)
    assert not await engine.count("sync_runs", f"touched_at < now() - interval '{LEASE}'")
    opened.set()
    assert (await slow).status is SyncStatus.SUCCEEDED


async def test_after_a_first_sync_that_lost_an_account_the_next_reads_everything_again(
    engine: Engine, scripted: Scripted
) -> None:
    both = (checking(), checking(key="a2", number="999"))
    scripted.script = [accounts(*both, failed={"a2": "down"}), transactions(spent("t1"))]
    link, run = await engine.linked(provider="scripted", login="ann")
    assert run.status is SyncStatus.PARTIAL

    scripted.script = [accounts(*both), transactions(spent("t1"), spent("t2", account_key="a2"))]
    engine.clock.turn(hours=1)
    await engine.sync(link, force=False)
    assert scripted.asked[-1].since is None
    assert (await engine.one("links"))["last_synced_at"] == engine.clock()
