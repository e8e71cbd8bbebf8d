"""A run that was stopped midway is gone on with by the next one, where the provider can do that."""

from datetime import timedelta

from domain.commands.sync import CancelSync, cancel_sync
from domain.errors import ProviderUnavailable
from domain.sync import SyncStatus, SyncTrigger
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import Engine

SPENT = ProviderUnavailable("often enough", provider="scripted", retry_after_s=60, asked=False)
DOWN = ProviderUnavailable("down", provider="scripted")
TWO = (checking(), checking(key="a2", number="000999", name="Savings"))


async def test_what_stops_midway_is_gone_on_with_and_no_page_is_read_twice(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1")), SPENT]
    link, first = await engine.linked(provider="scripted", login="ann")
    began = engine.clock.at
    engine.clock.turn(hours=1)
    scripted.script[2:] = [transactions(spent("t2")), DOWN]
    second = await engine.sync(link, force=False)
    engine.clock.turn(hours=1)
    scripted.script[3:] = [transactions(spent("t3"), position="p1")]
    third = await engine.sync(link, force=False)

    assert [request.cursor for request in scripted.asked] == [None, "2", "3"]
    statuses = [run.status for run in (first, second, third)]
    assert statuses == [SyncStatus.FAILED, SyncStatus.FAILED, SyncStatus.SUCCEEDED]
    assert [run.transactions.received for run in (first, second, third)] == [1, 1, 1]
    assert [run.accounts.received for run in (first, second, third)] == [1, 0, 0]
    assert await engine.count("transactions") == 3
    now = await engine.link(link.id)
    assert (now["cursor"], now["consecutive_failures"]) == ("p1", 0)
    assert now["last_synced_at"] == began  # from when on nothing is known yet


async def test_what_came_meanwhile_is_read_by_a_run_after_it(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), SPENT]
    link, _ = await engine.linked(provider="scripted", login="ann")
    engine.clock.turn(days=20)
    scripted.script = [accounts(*TWO), transactions(spent("t1"), position="p1")]
    await engine.sync(link, force=False)
    assert await engine.count("accounts") == 1

    [after] = await engine.run_waiting()
    assert (after.trigger, after.status) == (SyncTrigger.SCHEDULE, SyncStatus.SUCCEEDED)
    request = scripted.asked[2]
    assert (request.cursor, request.position) == (None, "p1")
    assert request.since is not None
    assert request.since < (engine.clock.at - timedelta(days=20)).date()  # no gap
    assert await engine.count("accounts") == 2
    assert (await engine.link(link.id))["last_synced_at"] == engine.clock.at

    [past] = await engine.run_waiting()  # of the account that came meanwhile
    assert past.account_keys == frozenset({"a2"})
    assert await engine.run_waiting() == []


async def test_another_login_and_a_cancelled_run_begin_anew(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), SPENT]
    link, _ = await engine.linked(provider="scripted", login="ann")
    await engine.connect(provider="scripted", link_id=link.id, login="bob")
    await engine.run_waiting()
    assert [request.cursor for request in scripted.asked] == [None, None]

    await engine.connect(provider="scripted", link_id=link.id, login="bob")
    await engine.run_waiting()
    assert scripted.asked[-1].cursor == "1"

    [run] = await engine.request(link_id=link.id, force=True)
    await cancel_sync(engine.app, CancelSync(actor=engine.actor, run_id=run.id, at=engine.clock()))
    engine.clock.turn(minutes=6)
    await engine.sync(link, force=False)
    assert scripted.asked[-1].cursor is None


async def test_a_place_from_which_nothing_is_ever_read_is_given_up(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), DOWN]
    link, _ = await engine.linked(provider="scripted", login="ann")
    for _ in range(5):
        engine.clock.turn(hours=1)
        await engine.sync(link, force=False)
    assert [request.cursor for request in scripted.asked] == [None, "1", "1", "1", "1", None]


async def test_an_account_that_failed_before_the_stop_leaves_the_whole_partial(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(*TWO, failed={"a2": "down"}), SPENT]
    link, _ = await engine.linked(provider="scripted", login="ann")
    scripted.script[1:] = [transactions(spent("t1"), position="p1")]
    run = await engine.sync(link, force=False)
    assert run.status is SyncStatus.PARTIAL
    assert run.error is not None
    now = await engine.link(link.id)
    assert (now["cursor"], now["last_synced_at"]) == (None, None)


async def test_a_part_is_read_anew_where_nothing_comes_from_its_place(
    engine: Engine, scripted: Scripted
) -> None:
    healthy = [accounts(checking()), transactions(spent("t1"), position="p1")]
    scripted.script = [*healthy]
    link, _ = await engine.linked(provider="scripted", login="ann")
    account = await engine.one("accounts")
    for _ in range(3):
        scripted.script = [accounts(checking()), DOWN]
        [part] = await engine.request(account_id=account["id"], force=True)
        await engine.run(part.id)
        engine.clock.turn(hours=1)
        scripted.script = [*healthy]
        await engine.sync(link, force=False)  # so that the link never fails for good
    parts = [request.cursor for request in scripted.asked if request.account_keys]
    assert parts == [None, "1", None]


async def test_a_place_that_others_have_left_behind_is_none(
    engine: Engine, scripted: Scripted
) -> None:
    healthy = [accounts(checking()), transactions(spent("t1"), position="p1")]
    scripted.script = [*healthy]
    link, _ = await engine.linked(provider="scripted", login="ann")
    account = await engine.one("accounts")
    scripted.script = [accounts(checking()), SPENT]
    await engine.sync(account_id=account["id"])
    engine.clock.turn(days=60)
    scripted.script = [*healthy]
    await engine.sync(link, force=False)
    await engine.sync(account_id=account["id"])  # what came in these days is asked for again too
    assert scripted.asked[-1].cursor is None
