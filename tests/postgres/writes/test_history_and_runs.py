"""Balance snapshots, runs and what these could not read."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from adapters.postgres.store import PostgresStore
from domain.errors import ErrorCode
from domain.identity import Actor, new_id
from domain.links import SyncError
from domain.sync import QuarantinedRow, SyncCounts, SyncRun, SyncScope, SyncStatus
from tests.builders import NOW, TODAY, a_run, money
from tests.postgres.writes.world import (
    a_snapshot,
    owning,
)


async def test_an_account_has_one_snapshot_at_an_instant(
    store: PostgresStore, alice: Actor
) -> None:
    owned = await owning(store, alice)
    run = a_run(user_id=alice.user_id, link_id=owned.link.id)
    later = a_snapshot(
        owned.account,
        at=NOW + timedelta(seconds=1),
        holdings_value=money("60.00"),
        cash_value=money("40.00"),
        available_balance=money("1"),
    )
    async with store.begin(alice, None) as work:
        await work.runs.add(run)
        added = await work.history.add([a_snapshot(owned.account), later], run_id=run.id)
        assert added == 1
        assert await work.history.latest([owned.account.id]) == {owned.account.id: later}
        await work.history.delete_of_run(run.id)
        latest = await work.history.latest([owned.account.id])
        assert latest[owned.account.id].at == NOW


async def test_a_run_comes_back_as_written(store: PostgresStore, alice: Actor) -> None:
    owned = await owning(store, alice)
    run = a_run(
        user_id=alice.user_id,
        link_id=owned.link.id,
        scopes=frozenset({SyncScope.ACCOUNTS}),
        since=TODAY,
        until=TODAY,
        account_keys=frozenset({"a1"}),
    )
    done: SyncRun = replace(
        run.started(NOW),
        step=SyncScope.ACCOUNTS,
        progress=Decimal("0.5"),
        accounts=SyncCounts(created=1, updated=2, unchanged=3, removed=4, quarantined=5),
        cursor="c",
        error=SyncError(code=ErrorCode.RATE_LIMITED, message="slow down", retry_after_s=7),
    )
    async with store.begin(alice, None) as work:
        assert await work.runs.active(owned.link.id) is None
        await work.runs.add(run)
        assert await work.runs.active(owned.link.id) == run
        await work.runs.save(done)
        assert await work.runs.get(run.id, lock=True) == done
        assert await work.runs.last_user_finish(owned.link.id) is None
        await work.runs.save(replace(done, status=SyncStatus.SUCCEEDED, finished_at=NOW))
        assert await work.runs.active(owned.link.id) is None
        assert await work.runs.last_user_finish(owned.link.id) == NOW


async def test_quarantined_rows_are_kept_until_they_are_released(
    store: PostgresStore, alice: Actor
) -> None:
    owned = await owning(store, alice)
    run = a_run(user_id=alice.user_id, link_id=owned.link.id)
    rows = [
        QuarantinedRow(
            id=UUID(int=number),
            run_id=run.id,
            kind=SyncScope.TRANSACTIONS,
            reason="no date",
            raw="{}",
            line=3,
            account_key="a1",
        )
        for number in range(2)
    ]
    async with store.begin(alice, None) as work:
        await work.runs.add(run)
        await work.runs.quarantine(rows)
        assert await work.runs.quarantined(run.id) == rows
        await work.runs.release([rows[0].id])
        assert await work.runs.quarantined(run.id) == rows[1:]


async def test_a_quarantined_row_may_hold_what_is_no_text(
    store: PostgresStore, alice: Actor
) -> None:
    owned = await owning(store, alice)
    run = a_run(user_id=alice.user_id, link_id=owned.link.id)
    row = QuarantinedRow(
        id=new_id(), run_id=run.id, kind=SyncScope.ACCOUNTS, reason="bad", raw="a\x00b\ud800é"
    )
    async with store.begin(alice, None) as work:
        await work.runs.add(run)
        await work.runs.quarantine([row])
        (kept,) = await work.runs.quarantined(run.id)
    assert kept.raw == "a\\x00b\\ud800é"
