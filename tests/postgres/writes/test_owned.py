"""Accounts and what is in them come back exactly."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import asyncpg
import pytest

from adapters.postgres.store import PostgresStore
from domain.errors import NotFound
from domain.identity import Actor
from domain.merging import Merge
from domain.money import Money
from domain.securities import AssetType, OptionSide, OptionTerms
from domain.transactions import TransactionSubtype
from tests.builders import NOW, TODAY, USD, a_link, an_account, money
from tests.postgres.writes.world import (
    a_holding,
    a_security,
    a_transaction,
    naming,
    owning,
)

# ── accounts ──────────────────────────────────────────────────────────────────


async def test_an_account_is_found_by_id_key_and_fingerprint(
    store: PostgresStore, alice: Actor
) -> None:
    link = a_link(user_id=alice.user_id)
    account = an_account(
        link_id=link.id,
        link_ids=(link.id,),
        nickname="rainy days",
        available_balance=money("90.00"),
        credit_limit=money("-5"),
    )
    async with store.begin(alice, None) as work:
        await work.links.add(link)
        await work.accounts.write(Merge(created=[account]))
        await work.accounts.name(link.id, {"k1": account.id, "k2": account.id})
        await work.accounts.identify({account.id: ("f1", b"sealed")})

    stored = replace(account, data_version=1)
    async with store.begin(alice, None) as work:
        assert await work.accounts.get(account.id, lock=True) == stored
        assert await work.accounts.by_id([account.id]) == [stored]
        assert await work.accounts.by_key(link.id) == {"k1": stored, "k2": stored}
        assert await work.accounts.by_fingerprint(["f1", "f2"]) == {"f1": stored}
        with pytest.raises(NotFound):
            await work.accounts.get(an_account().id)


async def test_a_sync_and_the_owner_write_one_account_at_once_and_both_words_stay(
    store: PostgresStore, alice: Actor
) -> None:
    owned = await owning(store, alice)
    async with store.begin(alice, None) as work:
        read = await work.accounts.get(owned.account.id)
    synced = replace(read, balance=money("7.00"))
    renamed = replace(read, nickname="mine")

    for now in (renamed, synced):
        async with store.begin(alice, None) as work:
            await work.accounts.write(Merge(updated=[now], before=[read]))

    async with store.begin(alice, None) as work:
        account = await work.accounts.get(read.id)
    assert (account.nickname, account.balance) == ("mine", money("7.00"))


async def test_amounts_of_one_account_in_two_currencies_are_not_stored(
    store: PostgresStore, alice: Actor
) -> None:
    account = an_account(available_balance=money("1", "EUR"))
    with pytest.raises(ValueError, match="EUR where the amounts beside it are in USD"):
        async with store.begin(alice, None) as work:
            await work.accounts.write(Merge(created=[account]))


async def test_an_unlinked_account_goes_to_the_other_link_that_feeds_it(
    store: PostgresStore, alice: Actor
) -> None:
    owned = await owning(store, alice)
    other = a_link(user_id=alice.user_id)
    async with store.begin(alice, None) as work:
        await work.links.add(other)
        await work.accounts.name(other.id, {"b1": owned.account.id})
    async with store.begin(alice, None) as work:
        both = await work.accounts.get(owned.account.id)
        await work.accounts.unlink(owned.link.id)
        one = await work.accounts.get(owned.account.id)
        await work.accounts.unlink(other.id)
        none = await work.accounts.get(owned.account.id)

    assert (both.link_id, set(both.link_ids)) == (owned.link.id, {owned.link.id, other.id})
    assert (one.link_id, one.link_ids) == (other.id, (other.id,))
    assert (none.link_id, none.link_ids) == (None, ())
    assert both.data_version < one.data_version  # its links are a part of it


async def test_a_deleted_account_takes_everything_along_and_leaves_tombstones(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    owned = await owning(store, alice)
    async with store.begin(alice, None) as work:
        assert await work.accounts.emptied([owned.account.id]) == set()
        await work.accounts.delete([owned.account.id])

    graves = await superuser.fetch("SELECT kind, id FROM tombstones ORDER BY kind")
    assert [(g["kind"], g["id"]) for g in graves] == [
        ("account", owned.account.id),
        ("holding", owned.holding.id),
        ("transaction", owned.transaction.id),
    ]
    for table in ("accounts", "holdings", "transactions", "transaction_keys", "link_accounts"):
        assert await superuser.fetchval(f"SELECT count(*) FROM {table}") == 0
    assert await superuser.fetchval("SELECT count(*) FROM securities") == 1


async def test_an_account_without_anything_in_it_is_emptied(
    store: PostgresStore, alice: Actor
) -> None:
    account = an_account()
    async with store.begin(alice, None) as work:
        await work.accounts.write(Merge(created=[account]))
        assert await work.accounts.emptied([account.id, an_account().id]) == {account.id}


# ── securities, holdings, transactions ────────────────────────────────────────


async def test_an_option_comes_back_with_its_terms(store: PostgresStore, alice: Actor) -> None:
    option = a_security(
        asset_type=AssetType.OPTION,
        multiplier=Decimal(100),
        cusip="037833100",
        figi="BBG000B9XRY4",
        key="p1",
        option=OptionTerms(
            underlying="AAPL",
            side=OptionSide.PUT,
            strike=money("150.50"),
            expires_on=date(2027, 1, 15),
        ),
    )
    learned = replace(option, isin=None, symbol="AAPL 270115P150.5")
    async with store.begin(alice, None) as work:
        await work.securities.write(Merge(created=[option]))
        assert await work.securities.all() == [option]
        await work.securities.write(Merge(updated=[learned], before=[option]))
        assert await work.securities.all() == [learned]


async def test_a_holding_comes_back_exactly(store: PostgresStore, alice: Actor) -> None:
    owned = await owning(store, alice)
    short = a_holding(
        owned.account,
        owned.security,
        quantity=Decimal(-3),
        market_value=money("-450.75"),
        market_price=None,
        average_price=None,
        cost_basis=None,
    )
    async with store.begin(alice, None) as work:
        await work.holdings.write(Merge(created=[short]))
        stored = await work.holdings.of_accounts([owned.account.id])
        assert list(stored) == [
            replace(owned.holding, data_version=1),
            replace(short, data_version=2),
        ]
        await work.holdings.delete([short.id])
        assert len(await work.holdings.of_accounts([owned.account.id])) == 1


async def test_a_transaction_comes_back_exactly(store: PostgresStore, alice: Actor) -> None:
    owned = await owning(store, alice)
    trade = a_transaction(
        owned.account,
        subtype=TransactionSubtype.SELL,
        security=owned.security,
        quantity=Decimal("-0.00000001"),
        unit_price=money("123456789012345678.123456789"),
        commission=money("-1.00", "EUR"),
        amount=Money(Decimal("9999999999999999999999999999.9999999999999999999999999999"), USD),
        merchant="m",
        provider_category="p",
        own_category="",
        notes="n",
        settlement_date=TODAY,
        removed_at=NOW,
    )
    async with store.begin(alice, None) as work:
        await work.transactions.write(Merge(created=[trade]))
        await work.transactions.name(owned.link.id, naming(trade, "t2"))
        key = (owned.account.id, "t2")
        stored = await work.transactions.stored(owned.link.id, [key], None)
    assert stored.by_key == {key: replace(trade, data_version=2)}
    assert stored.others == ()


async def test_the_type_of_a_transaction_follows_its_subtype(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    owned = await owning(store, alice)
    dividend = replace(owned.transaction, subtype=TransactionSubtype.DIVIDEND)
    async with store.begin(alice, None) as work:
        await work.transactions.write(Merge(updated=[dividend], before=[owned.transaction]))
    assert await superuser.fetchval("SELECT type FROM transactions") == "INCOME"


async def test_another_link_finds_what_was_given_on_these_days_and_it_has_not_named(
    store: PostgresStore, alice: Actor
) -> None:
    owned = await owning(store, alice)
    other = a_link(user_id=alice.user_id)
    earlier = a_transaction(owned.account, date=TODAY - timedelta(days=9))
    removed = a_transaction(owned.account, removed_at=NOW)
    async with store.begin(alice, None) as work:
        await work.links.add(other)
        await work.transactions.write(Merge(created=[earlier, removed]))
    days, key = (TODAY, TODAY), (owned.account.id, "x1")

    async with store.begin(alice, None) as work:
        found = await work.transactions.stored(other.id, [key], days)
        assert found.by_key == {}
        assert [t.id for t in found.others] == [owned.transaction.id]

        await work.transactions.name(other.id, naming(owned.transaction, "x1"))
        known = await work.transactions.stored(other.id, [key], days)
        assert [t.id for t in known.by_key.values()] == [owned.transaction.id]
        assert list(known.others) == []
        again = await work.transactions.stored(other.id, [key, (key[0], "x2")], days)
        assert list(again.others) == []

        ids = [owned.transaction.id, earlier.id]
        named = await work.transactions.named_by_others(other.id, ids)
        assert {id: list(links) for id, links in named.items()} == {
            owned.transaction.id: [owned.link.id]
        }
        back = await work.transactions.named_by_others(owned.link.id, ids)
        assert back.keys() == {ids[0]}


async def test_a_key_can_come_to_mean_another_transaction(
    store: PostgresStore, alice: Actor
) -> None:
    owned = await owning(store, alice)
    second = a_transaction(owned.account)
    key = (owned.account.id, "t1")
    async with store.begin(alice, None) as work:
        await work.transactions.write(Merge(created=[second]))
        await work.transactions.name(owned.link.id, naming(second, "t1"))
        stored = await work.transactions.stored(owned.link.id, [key], None)
        assert stored.by_key[key].id == second.id
        await work.transactions.delete([second.id])
        assert (await work.transactions.stored(owned.link.id, [key], None)).by_key == {}
