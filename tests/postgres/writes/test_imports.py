"""What an import changed is remembered exactly, so that it can be taken back."""

from dataclasses import replace

import asyncpg
import pytest

from adapters.postgres.store import PostgresStore
from domain.holdings import Holding
from domain.identity import Actor, new_id
from domain.imports import ImportFile
from domain.merging import Merge
from domain.securities import Security
from domain.storage.work import Change
from domain.sync import SyncRun, SyncTrigger
from domain.transactions import Transaction
from tests.builders import NOW, TODAY, a_run, money
from tests.postgres.writes.world import Owned, a_holding, a_transaction, owning


@pytest.fixture
async def owned(store: PostgresStore, alice: Actor) -> Owned:
    return await owning(store, alice)


@pytest.fixture
async def run(store: PostgresStore, alice: Actor, owned: Owned) -> SyncRun:
    run = a_run(user_id=alice.user_id, link_id=owned.link.id, trigger=SyncTrigger.IMPORT)
    async with store.begin(alice, None) as work:
        await work.runs.add(run)
    return run


async def test_a_file_comes_back_until_it_is_shredded(
    store: PostgresStore, alice: Actor, run: SyncRun
) -> None:
    file = ImportFile(
        id=new_id(),
        run_id=run.id,
        name="mai.qfx",
        digest=b"\x00digest",
        size=6,
        received_at=NOW,
        content=b"sealed",
    )
    async with store.begin(alice, None) as work:
        await work.imports.add(file)
        assert await work.imports.get(run.id) == file
        await work.imports.shred(run.id)
        assert await work.imports.get(run.id) == replace(file, content=None)


async def test_changes_hold_what_was_there_before_the_latest_first(
    store: PostgresStore, alice: Actor, owned: Owned, run: SyncRun
) -> None:
    async with store.begin(alice, None) as work:
        account = await work.accounts.get(owned.account.id)
        (holding,) = await work.holdings.of_accounts([account.id])
        stored = await work.transactions.stored(owned.link.id, [(account.id, "t1")], None)
        (transaction,) = stored.by_key.values()
    made = a_transaction(owned.account)
    accounts = Merge(updated=[replace(account, balance=money("1.00"))], before=[account])
    holdings: Merge[Holding] = Merge()
    holdings.lose(holding, replace(holding, is_active=False))
    transactions = Merge(
        created=[made], updated=[replace(transaction, notes="x")], before=[transaction]
    )
    securities: Merge[Security] = Merge(updated=[owned.security], before=[owned.security])

    async with store.begin(alice, None) as work:
        await work.accounts.write(accounts)
        await work.holdings.write(holdings)
        await work.transactions.write(transactions)
        await work.imports.remember(run.id, [securities, accounts])
        await work.imports.remember(run.id, [holdings, transactions])

    async with store.begin(alice, None) as work:
        changes = list(await work.imports.changes(run.id))
        versions = await work.imports.versions("transaction", [transaction.id, new_id()])
    assert changes == [
        Change(kind="transaction", id=transaction.id, before=transaction, version=2),
        Change(kind="transaction", id=made.id, before=None, version=2),
        Change(kind="holding", id=holding.id, before=holding, version=2),
        Change(kind="account", id=account.id, before=account, version=2),
    ]
    assert versions == {transaction.id: 2}


async def test_before_images_keep_every_digit_and_every_zone(
    store: PostgresStore, alice: Actor, owned: Owned, run: SyncRun, superuser: asyncpg.Connection
) -> None:
    full = a_transaction(
        owned.account,
        amount=money("-12345678901234567890.123456789012345678"),
        quantity=money("0.10").amount,
        security=owned.security,
        unit_price=money("1E-18"),
        commission=money("-0.00", "JPY"),
        settlement_date=TODAY,
        removed_at=NOW.replace(microsecond=123456),
        own_category="",
    )
    short = a_holding(owned.account, owned.security, quantity=money("-1").amount, cost_basis=None)
    async with store.begin(alice, None) as work:
        merge: Merge[Transaction | Holding] = Merge(updated=[full, short], before=[full, short])
        await work.imports.remember(run.id, [merge])
        changes = await work.imports.changes(run.id)
    assert [c.before for c in changes] == [short, full]
    before = changes[1].before
    assert isinstance(before, Transaction)
    assert str(before.quantity) == "0.10"
    assert "float" not in {
        type(v).__name__ for v in (before.amount.amount, before.quantity, before.unit_price)
    }


async def test_what_is_restored_is_as_it_was_and_forgotten_changes_are_gone(
    store: PostgresStore, alice: Actor, owned: Owned, run: SyncRun
) -> None:
    async with store.begin(alice, None) as work:
        before = await work.accounts.get(owned.account.id)
        merge = Merge(updated=[replace(before, name="x", mask="1234")], before=[before])
        await work.accounts.write(merge)
        await work.imports.remember(run.id, [merge])
    async with store.begin(alice, None) as work:
        (change,) = await work.imports.changes(run.id)
        await work.accounts.write(Merge(updated=[change.before]))  # type: ignore[list-item]
        await work.imports.forget(run.id)
        assert await work.imports.changes(run.id) == []
        assert replace(await work.accounts.get(before.id), data_version=1) == before


async def test_nothing_written_is_nothing_to_remember(
    store: PostgresStore, alice: Actor, run: SyncRun, superuser: asyncpg.Connection
) -> None:
    async with store.begin(alice, None) as work:
        await work.imports.remember(run.id, [Merge(unchanged=5)])
    assert await superuser.fetchval("SELECT count(*) FROM import_changes") == 0
    assert await superuser.fetchval("SELECT max(data_version) FROM users") == 1
