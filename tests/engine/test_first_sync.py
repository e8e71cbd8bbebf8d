from datetime import date, timedelta

from domain.sync import SyncCounts, SyncRun, SyncStatus
from tests.engine.world import DATA, Engine


def honest(counts: SyncCounts) -> bool:
    return counts.received == (
        counts.created + counts.updated + counts.unchanged + counts.quarantined
    )


def nothing_new(run: SyncRun) -> bool:
    every = (run.accounts, run.holdings, run.transactions)
    return not any(c.created + c.updated + c.removed + c.quarantined for c in every)


async def test_the_first_sync_of_the_sandbox_brings_a_years_household(engine: Engine) -> None:
    link, run = await engine.linked()

    assert run.status is SyncStatus.SUCCEEDED
    assert await engine.count("accounts", "is_active") == 6
    assert await engine.count("holdings", "is_active") == 25
    assert await engine.count("transactions") >= 400
    days = await engine.spy.fetch(
        "SELECT account_id, count(DISTINCT at::date) AS days, min(at)::date AS first"
        " FROM balance_snapshots GROUP BY 1"
    )
    assert {row["days"] for row in days} == {366}  # 365 of the past, and today
    assert {row["first"] for row in days} == {engine.clock.at.date() - timedelta(days=365)}
    stored = await engine.link(link.id)
    assert stored["status"] == "ACTIVE"
    assert stored["last_synced_at"] == engine.clock.at
    assert stored["next_sync_at"] > engine.clock.at
    assert stored["lease_until"] is None


async def test_what_a_run_counts_is_what_is_stored(engine: Engine) -> None:
    _, run = await engine.linked()

    assert run.accounts == SyncCounts(created=6)
    assert run.holdings == SyncCounts(created=await engine.count("holdings"))
    assert run.transactions == SyncCounts(created=await engine.count("transactions"))


async def test_the_same_again_writes_no_row_whether_forced_or_incremental(engine: Engine) -> None:
    link, first = await engine.linked()
    before, version = await engine.written(*DATA), await engine.version()

    forced = await engine.sync(link, force=True)
    assert (await engine.written(*DATA), await engine.version()) == (before, version)
    engine.clock.turn(minutes=6)
    incremental = await engine.sync(link, force=False)

    assert (await engine.written(*DATA), await engine.version()) == (before, version)
    assert nothing_new(forced)
    assert nothing_new(incremental)
    assert forced.transactions.received == first.transactions.received
    assert 0 < incremental.transactions.received < 100


async def test_a_new_day_adds_one_snapshot_to_each_account(engine: Engine) -> None:
    link, _ = await engine.linked()
    before = await engine.count("balance_snapshots")

    engine.clock.turn(days=1)
    await engine.sync(link, force=False)

    added = await engine.rows("balance_snapshots", "at > $1", engine.clock.at - timedelta(hours=12))
    assert len({row["account_id"] for row in added}) == len(added) == 6
    assert await engine.count("balance_snapshots") == before + 6


async def test_a_snapshot_of_an_invested_account_says_what_is_cash(engine: Engine) -> None:
    link, _ = await engine.linked()
    engine.clock.turn(days=1)
    await engine.sync(link, force=False)

    rows = await engine.spy.fetch(
        "SELECT s.*, (SELECT sum(market_value) FROM holdings h WHERE h.account_id = s.account_id"
        " AND h.is_active) AS held FROM balance_snapshots s JOIN accounts a ON a.id = s.account_id"
        " WHERE a.type IN ('BROKERAGE', 'IRA') AND s.at = $1",
        engine.clock.at,
    )
    assert len(rows) == 2
    for row in rows:
        assert row["holdings_value"] == row["held"]
        assert row["cash_value"] + row["holdings_value"] == row["balance"]


async def test_a_pending_row_settles_under_our_id_and_a_vanished_one_is_marked(
    engine: Engine,
) -> None:
    # A fuel pump's hold is seen on every seventh day.
    while engine.clock.at.date().toordinal() % 7:
        engine.clock.turn(days=1)
    link, _ = await engine.linked()
    pending = await engine.rows("transactions", "status = 'PENDING'")
    hold = [r for r in pending if "AUTHORIZATION" in r["description"]]
    assert len(pending) > len(hold) == 1

    engine.clock.turn(days=1)
    run = await engine.sync(link, force=False)

    for before in pending:
        now = await engine.one("transactions", "id = $1", before["id"])
        if before["id"] == hold[0]["id"]:
            assert now["removed_at"] == engine.clock.at
        else:
            assert (now["status"], now["removed_at"]) == ("SETTLED", None)
            assert now["created_at"] == before["created_at"]
    assert run.transactions.removed == 1
    again = await engine.written(*DATA)
    await engine.sync(link, force=True)
    assert await engine.written(*DATA) == again


async def test_a_whole_week_of_days_leaves_what_a_fresh_link_would_find(engine: Engine) -> None:
    link, _ = await engine.linked()
    for _ in range(7):
        engine.clock.turn(days=1)
        assert (await engine.sync(link, force=False)).status is SyncStatus.SUCCEEDED

    again = await engine.sync(link, force=True)
    assert again.transactions.created == again.transactions.updated == 0
    pending = await engine.rows("transactions", "status = 'PENDING' AND removed_at IS NULL")
    assert {row["date"] for row in pending} == {date(2026, 11, 28)}
