"""An account that appears at a link that is known already has a past, which is read too."""

from datetime import timedelta

from domain.errors import ProviderUnavailable
from domain.sync import SyncStatus
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import DATA, Engine

SAVINGS = checking(key="a2", number="000999", name="Savings")
OLD = spent("old", account_key="a2")


async def test_all_of_its_past_is_read_by_a_run_of_its_own_and_once(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking()), transactions(spent("t1"))]
    link, _ = await engine.linked(provider="scripted", login="ann")
    engine.clock.turn(days=60)
    scripted.script = [accounts(checking(), SAVINGS), transactions(spent("t1"))]
    await engine.sync(link, force=False)
    assert scripted.asked[-1].since is not None

    scripted.script = [accounts(SAVINGS, complete=False), transactions(OLD)]
    [more] = await engine.run_waiting()

    asked = scripted.asked[-1]
    assert (asked.account_keys, asked.since, asked.position) == (frozenset({"a2"}), None, None)
    assert (more.status, more.transactions.created) == (SyncStatus.SUCCEEDED, 1)
    assert await engine.count("transactions") == 2
    assert await engine.count("link_accounts", "NOT is_read") == 0
    scripted.script = [accounts(checking(), SAVINGS), transactions(spent("t1"), OLD)]
    before = await engine.written(*DATA, "link_accounts")
    engine.clock.turn(minutes=6)
    await engine.sync(link, force=False)
    assert await engine.run_waiting() == []
    assert (await engine.written(*DATA, "link_accounts"))["transactions"] == before["transactions"]


async def test_a_past_that_could_not_be_read_is_asked_for_after_the_next_sync(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking())]
    link, _ = await engine.linked(provider="scripted", login="ann")
    scripted.script = [accounts(checking(), SAVINGS)]
    engine.clock.turn(hours=1)
    await engine.sync(link, force=False)
    scripted.script = [ProviderUnavailable("down", provider="scripted")]
    [failed] = await engine.run_waiting()
    assert failed.status is SyncStatus.FAILED

    scripted.script = [accounts(checking(), SAVINGS)]
    engine.clock.turn(hours=1)
    await engine.sync(link, force=False)
    scripted.script = [accounts(SAVINGS, complete=False), transactions(OLD)]
    [more] = await engine.run_waiting()
    assert more.status is SyncStatus.SUCCEEDED
    assert more.queued_at - failed.queued_at == timedelta(hours=1)
    assert await engine.count("link_accounts", "NOT is_read") == 0


async def test_a_first_or_forced_sync_reads_everything_and_needs_no_second(
    engine: Engine, scripted: Scripted
) -> None:
    scripted.script = [accounts(checking())]
    link, _ = await engine.linked(provider="scripted", login="ann")
    assert await engine.run_waiting() == []
    scripted.script = [accounts(checking(), SAVINGS), transactions(OLD)]
    await engine.sync(link, force=True)
    assert await engine.run_waiting() == []
    assert await engine.count("link_accounts", "NOT is_read") == 0


async def test_a_settled_transaction_stands_when_its_pending_key_is_gone_upstream(
    engine: Engine, scripted: Scripted
) -> None:
    from domain.transactions import TransactionStatus

    pending = spent("p1", status=TransactionStatus.PENDING)
    scripted.script = [accounts(checking()), transactions(pending)]
    link, _ = await engine.linked(provider="scripted", login="ann")
    scripted.script = [accounts(checking()), transactions(spent("s1", replaces="p1"))]
    await engine.sync(link)
    scripted.script = [accounts(checking()), transactions(removed=[("a1", "p1")])]
    before = await engine.written(*DATA)
    assert (await engine.sync(link)).transactions.removed == 0
    assert await engine.written(*DATA) == before

    scripted.script = [accounts(checking()), transactions(removed=[("a1", "s1")])]
    assert (await engine.sync(link)).transactions.removed == 1
