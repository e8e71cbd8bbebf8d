import pytest

from domain.commands.links import Disconnect, disconnect
from domain.errors import Conflict, CredentialsRejected, InvalidInput
from domain.links import Link, LinkId
from domain.sync import SyncStatus
from domain.transactions import TransactionStatus
from tests.builders import money
from tests.engine.scripted import Script, Scripted, accounts, checking, spent, transactions
from tests.engine.world import DATA, Engine


async def cut(engine: Engine, link: Link, *, delete_data: bool = False) -> Link:
    return await disconnect(
        engine.app,
        Disconnect(actor=engine.actor, link_id=link.id, delete_data=delete_data, at=engine.clock()),
    )


async def test_the_same_login_twice_names_the_link_that_there_is(engine: Engine) -> None:
    link = await engine.connect(scenario="default", seed="s1")
    with pytest.raises(Conflict) as refused:
        await engine.connect(scenario="default", seed="s1")
    assert refused.value.existing == ("Link", link.id)
    other = await engine.connect(scenario="default", seed="s2")
    assert other.id != link.id
    assert await engine.count("links") == 2


async def test_credentials_that_the_provider_rejects_are_named_as_what_is_to_blame(
    engine: Engine, scripted: Scripted
) -> None:
    async def rejecting() -> None:
        raise CredentialsRejected("Scripted refused the credentials", provider="scripted")

    scripted.asked_to_connect = rejecting
    with pytest.raises(CredentialsRejected) as refused:
        await engine.connect(provider="scripted", login="ann")
    assert refused.value.field == ("input", "using", "credentials")
    assert await engine.count("links") == 0


async def test_connecting_queues_a_first_sync_that_a_request_joins(engine: Engine) -> None:
    link = await engine.connect()
    [queued] = await engine.rows("sync_runs")
    assert (queued["trigger"], queued["status"]) == ("CONNECT", "QUEUED")
    [joined] = await engine.request(link_id=link.id)
    assert joined.id == queued["id"]
    assert await engine.events() == ["link.connected"]


async def test_disconnecting_keeps_the_data_and_shreds_the_credentials(engine: Engine) -> None:
    link, _ = await engine.linked()
    assert await engine.count("credentials") == 1
    [waiting] = await engine.request(link_id=link.id, force=True)
    before = await engine.said(*DATA)

    gone = await cut(engine, link)

    assert gone.status.value == "DISCONNECTED"
    assert await engine.count("credentials") == 0
    assert await engine.said(*DATA) == before
    assert (await engine.one("sync_runs", "id = $1", waiting.id))["status"] == "CANCELLED"
    stored = await engine.link(link.id)
    assert (stored["login"], stored["next_sync_at"], stored["cursor"]) == (None, None, None)
    ran = await engine.run(waiting.id)  # its job comes later
    assert ran.status is SyncStatus.CANCELLED
    assert (await cut(engine, link)).status is gone.status


async def test_disconnecting_with_the_data_deletes_all_that_only_this_link_fed(
    engine: Engine,
) -> None:
    link, _ = await engine.linked()
    accounts_before = await engine.count("accounts")
    await cut(engine, link, delete_data=True)
    for table in ("accounts", "holdings", "transactions", "balance_snapshots", "link_accounts"):
        assert await engine.count(table) == 0, table
    assert await engine.count("tombstones", "kind = 'account'") == accounts_before
    assert await engine.count("transaction_keys") == 0


async def test_an_account_that_another_link_feeds_too_stays(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    first, _ = await engine.linked(provider="scripted", login="ann")
    second, _ = await engine.linked(provider="scripted", login="ann-again")
    assert await engine.count("accounts") == await engine.count("transactions") == 1

    await cut(engine, second, delete_data=True)

    account = await engine.one("accounts")
    assert account["link_id"] == first.id
    assert await engine.count("transactions") == 1


async def test_a_link_that_was_disconnected_feeds_nothing_any_more(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    first, _ = await engine.linked(provider="scripted", login="ann")
    await cut(engine, first)
    second, _ = await engine.linked(provider="scripted", login="ann")
    await cut(engine, second, delete_data=True)
    assert await engine.count("accounts") == await engine.count("transactions") == 0


async def test_a_relink_finds_its_accounts_and_transactions_again(engine: Engine) -> None:
    first, run = await engine.linked()
    ids = {t: {r["id"] for r in await engine.rows(t)} for t in ("accounts", "transactions")}
    snapshots = await engine.count("balance_snapshots")
    await cut(engine, first)
    engine.clock.turn(hours=1)

    second, again = await engine.linked()

    assert second.id != first.id
    for table, known in ids.items():
        assert {r["id"] for r in await engine.rows(table)} == known
    assert await engine.count("balance_snapshots") == snapshots
    assert again.transactions.created == again.holdings.created == 0
    assert again.transactions.unchanged == run.transactions.created
    assert {r["link_id"] for r in await engine.rows("accounts")} == {second.id}
    before = await engine.written(*DATA)
    await engine.sync(second)
    assert await engine.written(*DATA) == before


async def test_a_relink_of_a_provider_that_tells_no_numbers_knows_its_accounts(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking(number=None)), transactions(spent("t1"))]
    first, _ = await engine.linked(provider="scripted", login="ann")
    await cut(engine, first)
    await engine.linked(provider="scripted", login="ann")
    assert await engine.count("accounts") == await engine.count("transactions") == 1
    assert await engine.count("accounts", "sealed_number IS NOT NULL") == 0


async def test_the_live_link_that_answered_last_owns_the_balance(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking(balance=money("1.00"), as_of=engine.clock.at))]
    first, _ = await engine.linked(provider="scripted", login="ann")
    engine.clock.turn(hours=1)
    scripted.script = [accounts(checking(balance=money("2.00"), as_of=engine.clock.at))]
    second, _ = await engine.linked(provider="scripted", login="bob")
    account = await engine.one("accounts")
    assert (account["link_id"], account["balance"]) == (second.id, 2)
    assert first.id in {r["link_id"] for r in await engine.rows("link_accounts")}


async def test_an_account_that_one_of_two_links_loses_stays_active(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking())]
    await engine.linked(provider="scripted", login="ann")
    second, _ = await engine.linked(provider="scripted", login="bob")
    scripted.script = [accounts()]
    run = await engine.sync(second)
    assert run.accounts.removed == 0
    assert await engine.count("accounts", "is_active") == 1


async def test_mending_with_another_login_reads_that_login_from_its_beginning(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking(), position="p1")]
    link, _ = await engine.linked(provider="scripted", login="ann")
    await engine.connect(provider="scripted", link_id=link.id, login="bob")
    scripted.script = [accounts(checking(key="b1", number="777"), position="p2")]
    await engine.run_waiting()
    assert (scripted.asked[-1].position, scripted.asked[-1].since) == (None, None)
    assert scripted.asked[-1].credentials == {"login": "bob"}


async def test_mending_keeps_the_accounts_and_goes_on_from_the_last_sync(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking(), position="p1")]
    link, _ = await engine.linked(provider="scripted", login="ann", alias="Mine")
    await engine.connect(provider="scripted", link_id=link.id, login="ann")
    await engine.run_waiting()
    assert scripted.asked[-1].position == "p1"
    assert await engine.count("accounts") == 1
    assert (await engine.link(link.id))["alias"] == "Mine"


async def test_mending_stops_the_run_that_still_uses_the_old_credentials(
    engine: Engine, scripted: Scripted
) -> None:
    from domain.commands.leases import LeaseLost

    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    link = await engine.connect(provider="scripted", login="ann")
    [running] = await engine.rows("sync_runs")

    async def mend(number: int) -> None:
        if number == 1:
            scripted.before = None
            await engine.connect(provider="scripted", link_id=link.id, login="ann")

    scripted.before = mend
    with pytest.raises(LeaseLost):
        await engine.run(running["id"])
    assert (await engine.one("sync_runs", "id = $1", running["id"]))["status"] == "CANCELLED"
    [again] = await engine.run_waiting()
    assert again.status is SyncStatus.SUCCEEDED
    assert await engine.count("transactions") == 1


async def test_a_link_that_is_disconnected_while_it_is_mended_stays_so(
    engine: Engine, scripted: Scripted
) -> None:
    link, _ = await engine.linked(provider="scripted", login="ann")
    scripted.asked_to_connect = lambda: cut(engine, link, delete_data=True)
    with pytest.raises(Conflict, match="disconnected"):
        await engine.connect(provider="scripted", link_id=link.id, login="ann")
    assert (await engine.link(link.id))["status"] == "DISCONNECTED"
    assert await engine.count("credentials") == 0

    scripted.asked_to_connect = None
    again = await engine.connect(provider="scripted", link_id=link.id, login="ann")
    assert (again.id, again.status.value) == (link.id, "ACTIVE")


async def test_a_link_is_mended_only_at_its_own_provider(
    engine: Engine, scripted: Scripted
) -> None:
    link = await engine.connect(provider="scripted", login="ann")
    with pytest.raises(InvalidInput):
        await engine.connect(link_id=LinkId(link.id), scenario="default")


async def test_provider_ids_that_change_with_a_new_consent_are_the_same_accounts(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    link, _ = await engine.linked(provider="scripted", login="ann")
    await engine.connect(provider="scripted", link_id=link.id, login="ann")
    scripted.script = [
        accounts(checking(key="new-1")),
        transactions(spent("t1", account_key="new-1")),
    ]
    await engine.run_waiting()
    assert await engine.count("accounts", "is_active") == await engine.count("accounts") == 1
    assert await engine.count("transactions") == 1


async def test_two_pending_rows_that_look_alike_are_two(engine: Engine, scripted: Scripted) -> None:
    pending = TransactionStatus.PENDING
    scripted.script = [
        accounts(checking()),
        transactions(spent("p1", status=pending), spent("p2", status=pending)),
    ]
    link, _ = await engine.linked(provider="scripted", login="ann")
    scripted.script = [
        accounts(checking()),
        transactions(spent("s1", replaces="p1"), spent("s2", replaces="p2")),
    ]
    run = await engine.sync(link)
    assert (run.transactions.created, run.transactions.updated) == (0, 2)
    assert await engine.count("transactions", "status = 'SETTLED'") == 2


async def test_two_links_that_tell_one_transaction_differently_do_not_take_turns(
    engine: Engine, scripted: Scripted
) -> None:
    ann: Script = [accounts(checking()), transactions(spent("t1", description="COFFEE HOUSE"))]
    bob: Script = [
        accounts(checking()),
        transactions(spent("x9", description="Coffee", merchant="Coffee House")),
    ]
    scripted.script = ann
    first, _ = await engine.linked(provider="scripted", login="ann")
    scripted.script = bob
    second, run = await engine.linked(provider="scripted", login="bob")
    assert run.transactions.updated == 1  # it learns the merchant
    row = await engine.one("transactions")
    assert (row["description"], row["merchant"]) == ("COFFEE HOUSE", "Coffee House")

    scripted.script = ann
    await engine.sync(first)
    before = await engine.written("transactions")
    for script, link in ((bob, second), (ann, first), (bob, second)):
        scripted.script = script
        assert (await engine.sync(link)).transactions.updated == 0
    assert await engine.written("transactions") == before
