"""Balance snapshots, runs and quarantine."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from decimal import Decimal

from adapters.postgres.pool import Pool
from adapters.postgres.snapshot import Snapshot
from domain.accounts import AccountId
from domain.errors import ErrorCode
from domain.history import BalanceSnapshot, SnapshotId, SnapshotSource
from domain.identity import new_id
from domain.links import LinkId, SyncError
from domain.money import Currency, Money
from domain.sync import (
    QuarantinedRow,
    RunId,
    SyncCounts,
    SyncRun,
    SyncScope,
    SyncStatus,
    SyncTrigger,
)
from tests.postgres.reads.rows import NOON, Owner, Recorded

HOUR = timedelta(hours=1)


async def test_a_balance_snapshot_comes_whole(owner: Owner, reads: Recorded) -> None:
    account, id = await owner.account(), SnapshotId(new_id())
    await owner.put(
        "balance_snapshots",
        account_id=account,
        at=NOON,
        id=id,
        balance=Decimal("-1.50"),
        currency="CHF",
        source="HOLDINGS_SYNC",
        available_balance=Decimal("0.0"),
        holdings_value=Decimal(2),
        cash_value=Decimal("-3.5"),
    )
    chf = Currency("CHF")
    assert await reads.latest_snapshots([account], count=1) == [
        BalanceSnapshot(
            id=id,
            account_id=account,
            at=NOON,
            balance=Money(Decimal("-1.50"), chf),
            source=SnapshotSource.HOLDINGS_SYNC,
            available_balance=Money(Decimal("0.0"), chf),
            holdings_value=Money(Decimal(2), chf),
            cash_value=Money(Decimal("-3.5"), chf),
        )
    ]


async def test_a_history_has_the_last_balance_before_it_and_ends_before_its_end(
    owner: Owner, reads: Recorded
) -> None:
    one, two, three = sorted([await owner.account() for _ in range(3)])
    for hour in range(-3, 4):
        await owner.balance(one, NOON + hour * HOUR, str(hour))
    await owner.balance(two, NOON - 9 * HOUR, "9")

    found = await reads.snapshots(
        [two, one, three, one], since=NOON, before=NOON + 2 * HOUR, limit=10
    )

    assert [(s.account_id, int(s.balance.amount)) for s in found] == [
        (one, -1),
        (one, 0),
        (one, 1),
        (two, 9),
    ]
    assert reads.statements == 1
    assert await reads.snapshots([], since=NOON, before=NOON, limit=1) == []


async def test_no_more_balances_come_than_the_limit(owner: Owner, reads: Recorded) -> None:
    account = await owner.account()
    for hour in range(5):
        await owner.balance(account, NOON + hour * HOUR)
    until = NOON + 9 * HOUR
    assert len(await reads.snapshots([account], since=NOON, before=until, limit=5)) == 5
    assert len(await reads.snapshots([account], since=NOON, before=until, limit=4)) == 4
    assert len(await reads.snapshots([account], since=NOON, before=NOON, limit=5)) == 0


async def test_the_latest_balances_come_oldest_first(owner: Owner, reads: Recorded) -> None:
    one, two = sorted([await owner.account() for _ in range(2)])
    for hour in range(4):
        await owner.balance(one, NOON + hour * HOUR, str(hour))
    await owner.balance(two, NOON)

    found = await reads.latest_snapshots([two, one, one], count=2)

    assert [(s.account_id, s.at) for s in found] == [
        (one, NOON + 2 * HOUR),
        (one, NOON + 3 * HOUR),
        (two, NOON),
    ]
    assert await reads.latest_snapshots([], count=1) == []


def five(first: int) -> SyncCounts:
    return SyncCounts(
        created=first,
        updated=first + 1,
        unchanged=first + 2,
        removed=first + 3,
        quarantined=first + 4,
    )


async def test_a_run_comes_whole(owner: Owner, reads: Recorded) -> None:
    link = await owner.link()
    counts = {
        f"{room}_{kind}": n
        for n, (room, kind) in enumerate(
            (room, kind)
            for room in ("accounts", "holdings", "transactions")
            for kind in ("created", "updated", "unchanged", "removed", "quarantined")
        )
    }
    id = await owner.run(
        link,
        trigger="SCHEDULE",
        status="FAILED",
        scopes=["HOLDINGS", "TRANSACTIONS"],
        since=date(2026, 1, 1),
        until=date(2026, 2, 1),
        force=True,
        account_keys=["a", "b"],
        started_at=NOON + HOUR,
        finished_at=NOON + 2 * HOUR,
        step="HOLDINGS",
        progress=Decimal("0.25"),
        read_accounts=3,
        failed_accounts=2,
        error_code="RATE_LIMITED",
        error_message="slow down",
        error_retry_after_s=60,
        attempts=4,
        cursor="c",
        cancel_asked=True,
        **counts,
    )

    (run,) = await reads.runs_by_id([id, RunId(new_id())])

    assert run == SyncRun(
        id=id,
        user_id=owner.id,
        link_id=link,
        trigger=SyncTrigger.SCHEDULE,
        status=SyncStatus.FAILED,
        queued_at=NOON,
        scopes=frozenset({SyncScope.HOLDINGS, SyncScope.TRANSACTIONS}),
        since=date(2026, 1, 1),
        until=date(2026, 2, 1),
        force=True,
        account_keys=frozenset({"a", "b"}),
        started_at=NOON + HOUR,
        finished_at=NOON + 2 * HOUR,
        step=SyncScope.HOLDINGS,
        progress=Decimal("0.25"),
        accounts=five(0),
        holdings=five(5),
        transactions=five(10),
        read_accounts=3,
        failed_accounts=2,
        error=SyncError(code=ErrorCode.RATE_LIMITED, message="slow down", retry_after_s=60),
        attempts=4,
        cursor="c",
        cancel_asked=True,
    )


async def test_a_run_that_only_waits_has_nothing_more(owner: Owner, reads: Recorded) -> None:
    id = await owner.run(await owner.link(), status="QUEUED", progress=Decimal(0))
    (run,) = await reads.runs_by_id([id])
    assert (run.error, run.step, run.account_keys, run.started_at) == (None,) * 4
    assert run.accounts == run.holdings == run.transactions == SyncCounts()
    assert await reads.runs_by_id([]) == []


async def test_runs_come_in_pages_the_newest_first(owner: Owner, reads: Recorded) -> None:
    one, two = await owner.link(), await owner.link()
    ids = [await owner.run(link) for link in (one, two, one, two, one)]
    newest = sorted(ids, reverse=True)
    of_one = sorted([ids[0], ids[2], ids[4]], reverse=True)

    async def page(link: LinkId | None, limit: int, after: RunId | None) -> list[RunId]:
        return [run.id for run in await reads.runs(link, limit=limit, after=after)]

    assert await page(None, 10, None) == newest
    assert await page(None, 2, None) == newest[:2]
    assert await page(None, 2, newest[1]) == newest[2:4]
    assert await page(None, 2, newest[4]) == []
    assert await page(one, 2, None) == of_one[:2]
    assert await page(one, 2, of_one[1]) == of_one[2:]
    assert await page(LinkId(new_id()), 2, None) == []


async def test_each_link_has_a_last_run(owner: Owner, reads: Recorded) -> None:
    one, two, idle = [await owner.link() for _ in range(3)]
    runs = [await owner.run(one), await owner.run(one)]
    other = await owner.run(two)

    found = await reads.last_runs([one, two, idle, one])

    assert {link: run.id for link, run in found.items()} == {one: max(runs), two: other}
    assert reads.statements == 1
    assert await reads.last_runs([]) == {}


async def test_a_run_keeps_what_it_could_not_read(owner: Owner, reads: Recorded) -> None:
    link = await owner.link()
    run, other, clean = [await owner.run(link) for _ in range(3)]
    ids = sorted(new_id() for _ in range(3))
    for line, id in enumerate(ids):
        await owner.put(
            "quarantine", run_id=run, id=id, kind="HOLDINGS", reason="why", raw="{}", line=line
        )
    lone = new_id()
    await owner.put(
        "quarantine",
        run_id=other,
        id=lone,
        kind="TRANSACTIONS",
        reason="no date",
        raw="<STMTTRN>",
        account_key="k",
    )

    found = await reads.quarantine([run, other, clean, run], limit=2)

    assert [row.id for row in found[run]] == ids[:2]
    assert found[run][1].line == 1
    assert found[other] == [
        QuarantinedRow(
            id=lone,
            run_id=other,
            kind=SyncScope.TRANSACTIONS,
            reason="no date",
            raw="<STMTTRN>",
            account_key="k",
        )
    ]
    assert clean not in found
    assert await reads.quarantine([], limit=2) == {}
    assert reads.statements == 1


async def test_a_stranger_sees_no_history_and_no_runs(
    an_owner: Callable[[], Awaitable[Owner]], pool: Pool
) -> None:
    alice, bob = await an_owner(), await an_owner()
    link = await alice.link()
    run = await alice.run(link)
    account: AccountId = await alice.account()
    await alice.balance(account, NOON)
    await alice.put("quarantine", run_id=run, id=new_id(), kind="ACCOUNTS", reason="r", raw="")
    reads = Snapshot(pool, bob.id)

    assert await reads.snapshots([account], since=NOON, before=NOON + HOUR, limit=9) == []
    assert await reads.latest_snapshots([account], count=9) == []
    assert await reads.runs_by_id([run]) == []
    assert await reads.runs(link, limit=9, after=None) == []
    assert await reads.last_runs([link]) == {}
    assert await reads.quarantine([run], limit=9) == {}
    await reads.close()
