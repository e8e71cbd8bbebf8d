from datetime import date, timedelta
from typing import Any

import pytest

from domain.commands.sync import CancelSync, ScheduleSync, cancel_sync, schedule_sync
from domain.errors import Conflict, ErrorCode, InvalidInput, NotFound, RateLimited
from domain.identity import Actor, Role, UserId, new_id
from domain.links import LinkId
from domain.secret import Secret
from domain.sync import RunId, SyncRun, SyncScope, SyncStatus, SyncTrigger
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import Engine


async def cancel(engine: Engine, run: SyncRun) -> SyncRun:
    cmd = CancelSync(actor=engine.actor, run_id=run.id, at=engine.clock())
    return await cancel_sync(engine.app, cmd)


async def schedule(engine: Engine, link_id: LinkId) -> SyncRun | None:
    cmd = ScheduleSync(actor=engine.actor, link_id=link_id, at=engine.clock())
    return await schedule_sync(engine.app, cmd)


async def test_five_minutes_pass_between_the_syncs_that_a_user_asks_for(engine: Engine) -> None:
    link, _ = await engine.linked(scenario="empty")
    first = await engine.sync(link, force=False)  # the one of connecting does not count
    assert first.trigger is SyncTrigger.USER

    engine.clock.turn(minutes=4)
    with pytest.raises(RateLimited) as refused:
        await engine.request(link_id=link.id)
    assert refused.value.code is ErrorCode.SYNC_TOO_SOON
    assert 0 < refused.value.retry_after_s <= 61
    with pytest.raises(RateLimited):
        await engine.request()
    assert await engine.request(link_id=link.id, force=True)
    await engine.run_waiting()
    engine.clock.turn(minutes=5)
    assert await engine.request(link_id=link.id)


async def test_without_ids_every_link_that_can_be_pulled_is_synced(engine: Engine) -> None:
    first, _ = await engine.linked(scenario="empty", seed="s1")
    await engine.linked(scenario="empty", seed="s2")
    await engine.sync(first, force=False)
    runs = await engine.request()  # the first was synced a moment ago
    assert [run.link_id for run in runs] != [first.id]
    assert len(runs) == 1
    await engine.run_waiting()
    assert len(await engine.request(force=True)) == 2


async def test_a_second_request_joins_the_run_that_is_under_way(engine: Engine) -> None:
    link, _ = await engine.linked(scenario="empty")
    [first] = await engine.request(link_id=link.id)
    [second] = await engine.request(link_id=link.id, force=True)
    assert first.id == second.id
    assert await engine.count("jobs.pgqueuer") == 2  # of connecting, and of this


async def test_what_cannot_be_asked_is_refused_by_name(engine: Engine) -> None:
    link, _ = await engine.linked(scenario="empty")
    wrong: list[dict[str, Any]] = [
        {"link_id": link.id, "account_id": new_id()},
        {"scopes": frozenset()},
        {"since": date(2026, 2, 1), "until": date(2026, 1, 1)},
    ]
    for said in wrong:
        with pytest.raises(InvalidInput):
            await engine.request(**said)
    with pytest.raises(NotFound):
        await engine.request(link_id=LinkId(new_id()))
    with pytest.raises(NotFound):
        await engine.request(account_id=new_id())


async def test_a_stranger_cannot_sync_another_ones_link(engine: Engine) -> None:
    from domain.commands.people import CreateUser, actor_to_be, create_user
    from domain.commands.sync import RequestSync, request_sync

    link, _ = await engine.linked(scenario="empty")
    bob = await create_user(
        engine.app,
        CreateUser(
            actor=actor_to_be(Role.USER),
            email="bob@example.com",
            password=Secret("correct-horse-battery-staple"),
            role=Role.USER,
            at=engine.clock(),
        ),
    )
    cmd = RequestSync(
        actor=Actor(user_id=UserId(bob.id), role=Role.USER),
        link_id=link.id,
        account_id=None,
        scopes=None,
        since=None,
        until=None,
        force=True,
        at=engine.clock(),
    )
    with pytest.raises(NotFound):
        await request_sync(engine.app, cmd)


async def test_an_account_alone_is_read_alone_and_the_others_stay(engine: Engine) -> None:
    link, _ = await engine.linked()
    card = await engine.one("accounts", "type = 'CREDIT_CARD'")
    synced_at = (await engine.link(link.id))["last_synced_at"]
    engine.clock.turn(days=1)

    run = await engine.sync(account_id=card["id"])

    assert run.status is SyncStatus.SUCCEEDED
    assert run.accounts.received == 1
    assert run.transactions.received > 100
    assert await engine.count("accounts", "is_active") == 6
    now = await engine.link(link.id)
    assert now["last_synced_at"] == synced_at  # the others have not been read since


async def test_an_incremental_pull_reads_two_weeks_again_and_a_forced_one_everything(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking(), position="p1")]
    link, _ = await engine.linked(provider="scripted", login="ann")
    synced = engine.clock.at
    engine.clock.turn(days=2)
    await engine.sync(link, force=False)
    asked = scripted.asked[-1]
    assert (asked.since, asked.position) == ((synced - timedelta(days=14)).date(), "p1")
    await engine.sync(link, force=True)
    asked = scripted.asked[-1]
    assert (asked.since, asked.position) == (None, None)
    only = frozenset({SyncScope.ACCOUNTS})
    await engine.sync(link, scopes=only, since=date(2026, 11, 1), until=date(2026, 11, 2))
    asked = scripted.asked[-1]
    assert (asked.scopes, asked.since, asked.until) == (only, date(2026, 11, 1), date(2026, 11, 2))


# ── the clock ───────────────────────────────────────────────────────────────


async def test_a_link_is_due_after_its_interval_and_then_queued_once(engine: Engine) -> None:
    link, _ = await engine.linked(scenario="empty")
    assert await engine.app.doors.due_links(engine.clock(), 10) == []
    assert await schedule(engine, link.id) is None
    engine.clock.turn(hours=7)  # six, and the chance that spreads them
    assert await engine.app.doors.due_links(engine.clock(), 10) == [(engine.actor.user_id, link.id)]

    run = await schedule(engine, link.id)

    assert run is not None
    assert run.trigger is SyncTrigger.SCHEDULE
    assert await engine.app.doors.due_links(engine.clock(), 10) == []
    assert await schedule(engine, link.id) is None


async def test_a_scheduled_run_that_is_cancelled_leaves_the_link_due_again(
    engine: Engine,
) -> None:
    link, _ = await engine.linked(scenario="empty")
    engine.clock.turn(hours=7)
    run = await schedule(engine, link.id)
    assert run is not None
    await cancel(engine, run)
    engine.clock.turn(hours=7)
    assert await engine.app.doors.due_links(engine.clock(), 10) != []


async def test_a_first_sync_that_is_cancelled_leaves_the_link_due(engine: Engine) -> None:
    await engine.connect(scenario="empty")
    [row] = await engine.rows("sync_runs")
    cmd = CancelSync(actor=engine.actor, run_id=RunId(row["id"]), at=engine.clock())
    await cancel_sync(engine.app, cmd)
    engine.clock.turn(hours=7)
    assert len(await engine.app.doors.due_links(engine.clock(), 10)) == 1


async def test_a_link_that_waits_for_its_owner_is_never_due(engine: Engine) -> None:
    link, _ = await engine.linked(scenario="expired")
    engine.clock.turn(days=30)
    assert await engine.app.doors.due_links(engine.clock(), 10) == []
    assert await schedule(engine, link.id) is None


# ── cancelling ──────────────────────────────────────────────────────────────


async def test_a_queued_run_is_cancelled_at_once_and_its_job_does_nothing(
    engine: Engine,
) -> None:
    await engine.connect()
    [row] = await engine.rows("sync_runs")
    cmd = CancelSync(actor=engine.actor, run_id=RunId(row["id"]), at=engine.clock())
    assert (await cancel_sync(engine.app, cmd)).status is SyncStatus.CANCELLED
    assert (await engine.run(row["id"])).status is SyncStatus.CANCELLED
    assert await engine.count("accounts") == 0


async def test_a_running_run_is_cancelled_after_the_page_it_stores(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1")), transactions(spent("t2"))]
    await engine.connect(provider="scripted", login="ann")
    [row] = await engine.rows("sync_runs")

    async def stop(number: int) -> None:
        if number == 1:
            asked = await cancel(engine, await engine_run(engine, row["id"]))
            assert (asked.status, asked.cancel_asked) == (SyncStatus.RUNNING, True)

    scripted.before = stop
    run = await engine.run(row["id"])

    assert run.status is SyncStatus.CANCELLED
    assert run.finished_at is not None
    assert await engine.count("accounts") == 1
    assert await engine.count("transactions") == 0
    link = await engine.one("links")
    assert (link["lease_holder"], link["status"]) == (None, "ACTIVE")
    assert (await cancel(engine, run)).status is SyncStatus.CANCELLED


async def test_a_run_whose_worker_died_is_cancelled_by_the_one_that_takes_it_up(
    engine: Engine, scripted: Scripted
) -> None:
    class Died(BaseException): ...

    scripted.script = [accounts(checking()), Died()]  # type: ignore[list-item]
    await engine.connect(provider="scripted", login="ann")
    [row] = await engine.rows("sync_runs")

    async def die(number: int) -> None:
        if number == 1:
            raise Died

    scripted.before = die
    with pytest.raises(Died):
        await engine.run(row["id"])
    await cancel(engine, await engine_run(engine, row["id"]))
    engine.clock.turn(minutes=2)
    scripted.before, calls = None, len(scripted.asked)
    assert (await engine.run(row["id"])).status is SyncStatus.CANCELLED
    assert len(scripted.asked) == calls


async def engine_run(engine: Engine, id: object) -> SyncRun:
    reads = engine.wired.snapshot(engine.actor)
    try:
        [run] = await reads.runs_by_id([RunId(id)])  # type: ignore[arg-type]
    finally:
        await reads.close()
    return run


async def test_only_a_link_that_can_be_pulled_is_synced_by_name(engine: Engine) -> None:
    from tests.ofx.samples import CHASE_CARD

    run = await engine.imported(CHASE_CARD.encode("cp1252"))
    with pytest.raises(Conflict) as refused:
        await engine.request(link_id=run.link_id)
    assert refused.value.code is ErrorCode.LINK_NOT_ACTIVE
    account = await engine.one("accounts")
    with pytest.raises(Conflict):
        await engine.request(account_id=account["id"])
    assert await engine.request() == []
