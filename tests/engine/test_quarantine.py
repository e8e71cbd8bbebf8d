from datetime import timedelta
from decimal import Decimal

import pytest

from domain.commands.sync import ReplayQuarantine, replay_quarantine
from domain.errors import (
    Conflict,
)
from domain.sync import (
    Page,
    QuarantinedRow,
    ReceivedBalance,
    SyncRun,
    SyncScope,
    SyncStatus,
    Unreadable,
)
from tests.builders import money
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import DATA, Engine


async def replay(engine: Engine, run: SyncRun) -> SyncRun:
    cmd = ReplayQuarantine(actor=engine.actor, run_id=run.id, at=engine.clock())
    return await replay_quarantine(engine.app, cmd)


def unreadable(raw: str, **said: object) -> Unreadable:
    values: dict[str, object] = {"scope": SyncScope.TRANSACTIONS, "reason": "no such kind"}
    return Unreadable(raw=raw, account_key="a1", **values | said)  # type: ignore[arg-type]


# ── what cannot be read ─────────────────────────────────────────────────────


async def test_what_a_hostile_feed_says_is_read_or_kept_with_its_reason(engine: Engine) -> None:
    _, run = await engine.linked(scenario="hostile")

    assert run.status is SyncStatus.PARTIAL
    kept = await engine.rows("quarantine")
    assert all(row["reason"] for row in kept)
    counts = (run.accounts, run.holdings, run.transactions)
    assert sum(c.quarantined for c in counts) == len(kept) == 26
    assert run.accounts.quarantined == 5  # three accounts, two balances of the past
    assert (run.holdings.quarantined, run.transactions.quarantined) == (3, 18)
    assert run.accounts.created == await engine.count("accounts") == 6
    assert run.transactions.created == await engine.count("transactions")
    assert run.transactions.unchanged == 2  # sent twice
    assert run.error is not None


async def test_a_hostile_feed_again_writes_nothing_but_its_quarantine(engine: Engine) -> None:
    link, first = await engine.linked(scenario="hostile")
    before, version = await engine.written(*DATA), await engine.version()

    second = await engine.sync(link)

    assert (await engine.written(*DATA), await engine.version()) == (before, version)
    assert second.transactions.received == first.transactions.received
    assert await engine.count("quarantine", "run_id = $1", second.id) == 26


async def test_a_mended_reader_moves_quarantined_rows_into_place(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [
        accounts(checking(), complete=False),
        transactions(spent("t1"), unreadable=[unreadable("t2"), unreadable("never")]),
    ]
    _, run = await engine.linked(provider="scripted", login="ann")
    assert run.transactions.quarantined == 2
    scripted.reads = lambda row: None if row.raw == "never" else transactions(spent(row.raw))

    mended = await replay(engine, run)

    assert (mended.transactions.created, mended.transactions.quarantined) == (2, 1)
    assert mended.transactions.received == run.transactions.received == 3
    assert [row["raw"] for row in await engine.rows("quarantine")] == ["never"]
    assert await engine.count("transactions") == 2
    before = await engine.written(*DATA, "quarantine", "sync_runs")
    assert await replay(engine, run) == mended
    assert await engine.written(*DATA, "quarantine", "sync_runs") == before


async def test_a_row_whose_account_is_still_unknown_stays_in_quarantine_once(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1", account_key="a9"))]
    _, run = await engine.linked(provider="scripted", login="ann")
    [kept] = await engine.rows("quarantine")
    assert "not known" in kept["reason"]
    scripted.reads = lambda row: transactions(spent("t1", account_key="a9"))

    assert (await replay(engine, run)).transactions.quarantined == 1
    assert [row["id"] for row in await engine.rows("quarantine")] == [kept["id"]]


async def test_an_account_is_replayed_before_what_is_in_it(
    engine: Engine, scripted: Scripted
) -> None:
    lost = unreadable("account", scope=SyncScope.ACCOUNTS)
    scripted.script = [
        accounts(complete=False, unreadable=[lost], failed={"a1": "strange"}),
        transactions(spent("t1")),
    ]
    _, run = await engine.linked(provider="scripted", login="ann")
    assert run.status is SyncStatus.FAILED  # the only account could not be read

    def read(row: QuarantinedRow) -> Page:
        return (
            accounts(checking(), complete=False)
            if row.raw == "account"
            else transactions(spent("t1"))
        )

    scripted.reads = read
    mended = await replay(engine, run)

    assert (mended.accounts.created, mended.transactions.created) == (1, 1)
    assert await engine.count("quarantine") == 0


async def test_a_balance_of_the_past_can_be_replayed_and_is_still_counted(
    engine: Engine, scripted: Scripted
) -> None:
    lost = unreadable("past", scope=SyncScope.ACCOUNTS)
    scripted.script = [accounts(checking(), unreadable=[lost])]
    _, run = await engine.linked(provider="scripted", login="ann")
    past = ReceivedBalance(
        account_key="a1", at=engine.clock.at - timedelta(days=3), balance=money("7.00")
    )
    scripted.reads = lambda row: Page(step=SyncScope.ACCOUNTS, progress=Decimal(1), balances=[past])

    mended = await replay(engine, run)

    assert mended.accounts.received == run.accounts.received == 2
    assert await engine.count("balance_snapshots", "source = 'BACKFILL'") == 1


async def test_nothing_is_replayed_under_way_or_into_a_link_that_is_gone(
    engine: Engine, scripted: Scripted
) -> None:
    from domain.commands.links import Disconnect, disconnect

    scripted.script = [accounts(checking(), unreadable=[unreadable("t2")])]
    link = await engine.connect(provider="scripted", login="ann")
    run = await engine.one("sync_runs")
    cmd = ReplayQuarantine(actor=engine.actor, run_id=run["id"], at=engine.clock())
    with pytest.raises(Conflict):
        await replay_quarantine(engine.app, cmd)
    await engine.run_waiting()
    await disconnect(
        engine.app,
        Disconnect(actor=engine.actor, link_id=link.id, delete_data=False, at=engine.clock()),
    )
    with pytest.raises(Conflict):
        await replay_quarantine(engine.app, cmd)
