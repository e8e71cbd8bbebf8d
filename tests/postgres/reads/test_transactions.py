"""Transactions: what one is, filters, and whose they are."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest

from adapters.postgres.pool import Pool
from adapters.postgres.snapshot import Snapshot
from domain.accounts import AccountId
from domain.identity import new_id
from domain.links import LinkId
from domain.money import Currency, Money
from domain.securities import AssetType, Security
from domain.transactions import (
    Transaction,
    TransactionFilter,
    TransactionId,
    TransactionOrder,
    TransactionStatus,
    TransactionSubtype,
    TransactionType,
)
from tests.postgres.reads.rows import DAY, NOON, Owner, Recorded

ALL = TransactionFilter()
NEWEST = TransactionOrder.DATE_DESC
Filter = TransactionFilter


@pytest.fixture
def found(reads: Recorded) -> Callable[[TransactionFilter], Awaitable[set[TransactionId]]]:
    """What a filter finds, which every way to ask agrees on."""

    async def find(filter: TransactionFilter) -> set[TransactionId]:
        accounts = [account.id for account in await reads.accounts()]
        page = await reads.transactions(filter, NEWEST, limit=100, after=None)
        by_amount = TransactionOrder.AMOUNT_ASC
        same = await reads.transactions(filter, by_amount, limit=100, after=None)
        pages = await reads.transactions_of(accounts, filter, NEWEST, limit=100, after=None)
        counts = await reads.count_transactions_of(accounts, filter)
        assert len(page) == len(same) == len(pages) == sum(counts.values())
        assert len(page) == await reads.count_transactions(filter)
        ids = {t.id for t in page}
        assert ids == {t.id for t in same} == {t.id for t in pages}
        return ids

    return find


Found = Callable[[TransactionFilter], Awaitable[set[TransactionId]]]


async def test_a_transaction_comes_whole(owner: Owner, reads: Recorded) -> None:
    account, security = await owner.account(), await owner.security()
    id = await owner.transaction(
        account,
        subtype="SELL",
        type="TRADE",
        status="PENDING",
        amount=Decimal("1234567890123456.780"),
        currency="JPY",
        description="Sold 2 AAPL",
        merchant="Exchange",
        provider_category="Trades",
        own_category="Mine",
        notes="At last",
        date=date(2026, 2, 28),
        settlement_date=date(2026, 3, 3),
        security_id=security,
        quantity=Decimal("-2.50"),
        unit_price=Decimal("100.0"),
        price_currency="USD",
        commission=Decimal("-0.99"),
        commission_currency="EUR",
        removed_at=NOON,
        created_at=NOON - timedelta(days=1),
        updated_at=NOON + timedelta(days=1),
        data_version=8,
    )

    (transaction,) = await reads.transactions_by_id([id])

    usd = Currency("USD")
    assert transaction == Transaction(
        id=id,
        account_id=account,
        subtype=TransactionSubtype.SELL,
        status=TransactionStatus.PENDING,
        amount=Money(Decimal("1234567890123456.780"), Currency("JPY")),
        description="Sold 2 AAPL",
        date=date(2026, 2, 28),
        created_at=NOON - timedelta(days=1),
        updated_at=NOON + timedelta(days=1),
        merchant="Exchange",
        provider_category="Trades",
        own_category="Mine",
        notes="At last",
        settlement_date=date(2026, 3, 3),
        security=Security(
            id=security, name="Apple", symbol="AAPL", asset_type=AssetType.EQUITY, currency=usd
        ),
        quantity=Decimal("-2.50"),
        unit_price=Money(Decimal("100.0"), usd),
        commission=Money(Decimal("-0.99"), Currency("EUR")),
        removed_at=NOON,
        data_version=8,
    )
    assert str(transaction.amount.amount) == "1234567890123456.780"


async def test_what_a_transaction_has_not_is_none(owner: Owner, reads: Recorded) -> None:
    id = await owner.transaction(await owner.account())
    (t,) = await reads.transactions_by_id([id])
    assert (t.security, t.quantity, t.unit_price, t.commission, t.removed_at) == (None,) * 5
    assert (t.merchant, t.category, t.notes, t.settlement_date) == (None,) * 4
    assert await reads.transactions_by_id([]) == []


async def test_all_of_them_but_the_removed_ones(owner: Owner, found: Found) -> None:
    account = await owner.account()
    kept, gone = await owner.transaction(account), await owner.transaction(account, removed_at=NOON)
    assert await found(ALL) == {kept}
    assert await found(Filter(include_removed=True)) == {kept, gone}


async def test_accounts_and_links_that_feed_them_restrict(owner: Owner, found: Found) -> None:
    link, other, idle = await owner.link(), await owner.link(), await owner.link()
    a = await owner.account(fed_by=(link,))
    b = await owner.account(fed_by=(link, other))
    c = await owner.account()
    ta, tb, tc = [await owner.transaction(account) for account in (a, b, c)]

    assert await found(Filter(account_ids=(a, c))) == {ta, tc}
    assert await found(Filter(account_ids=(a, a))) == {ta}
    assert await found(Filter(link_ids=(link,))) == {ta, tb}
    assert await found(Filter(link_ids=(link, other))) == {ta, tb}
    assert await found(Filter(link_ids=(other,))) == {tb}
    assert await found(Filter(link_ids=(idle,))) == set()
    assert await found(Filter(link_ids=(link,), account_ids=(b, c))) == {tb}


async def test_an_account_that_a_link_knows_by_two_keys_is_read_once(
    owner: Owner, found: Found
) -> None:
    link = await owner.link()
    account = await owner.account(fed_by=(link,))
    await owner.put("link_accounts", link_id=link, key="second", account_id=account)
    id = await owner.transaction(account)
    assert await found(Filter(link_ids=(link,))) == {id}


async def test_kinds_restrict(owner: Owner, found: Found) -> None:
    account = await owner.account()
    buy = await owner.transaction(account, subtype="BUY", type="TRADE", status="PENDING")
    fee = await owner.transaction(account, subtype="TAX", type="FEE")

    assert await found(Filter(types=(TransactionType.TRADE, TransactionType.OTHER))) == {buy}
    assert await found(Filter(subtypes=(TransactionSubtype.TAX,))) == {fee}
    assert await found(Filter(statuses=(TransactionStatus.PENDING,))) == {buy}
    assert await found(Filter(statuses=tuple(TransactionStatus))) == {buy, fee}
    assert (
        await found(Filter(types=(TransactionType.TRADE,), statuses=(TransactionStatus.SETTLED,)))
        == set()
    )


async def test_the_owners_category_goes_before_the_providers(owner: Owner, found: Found) -> None:
    account = await owner.account()
    theirs = await owner.transaction(account, provider_category="Food")
    mine = await owner.transaction(account, provider_category="Food", own_category="Fun")
    none = await owner.transaction(account, provider_category="Food", own_category="")
    bare = await owner.transaction(account)

    assert await found(Filter(categories=("Food",))) == {theirs}
    assert await found(Filter(categories=("Fun", "Food"))) == {theirs, mine}
    assert await found(Filter(categories=("food", ""))) == set()
    assert await found(ALL) == {theirs, mine, none, bare}


async def test_days_are_inclusive(owner: Owner, found: Found) -> None:
    account = await owner.account()
    days = [DAY + timedelta(days=n) for n in range(4)]
    ids = [await owner.transaction(account, date=day) for day in days]

    assert await found(Filter(since=days[1])) == set(ids[1:])
    assert await found(Filter(until=days[1])) == set(ids[:2])
    assert await found(Filter(since=days[1], until=days[2])) == set(ids[1:3])
    assert await found(Filter(since=days[2], until=days[1])) == set()


async def test_amounts_are_compared_signed_and_to_the_last_digit(
    owner: Owner, found: Found
) -> None:
    account = await owner.account()
    # The first three are one and the same as a double.
    amounts = [Decimal("90071992547409920.1"), Decimal("90071992547409920.2")]
    amounts += [Decimal("90071992547409920.3"), Decimal("-5.00"), Decimal("-0.01"), Decimal(0)]
    one, two, three, low, cent, zero = [
        await owner.transaction(account, amount=amount, currency="JPY" if amount else "USD")
        for amount in amounts
    ]

    assert await found(Filter(min_amount=amounts[1])) == {two, three}
    assert await found(Filter(max_amount=amounts[1])) == {one, two, low, cent, zero}
    assert await found(Filter(min_amount=amounts[1], max_amount=amounts[1])) == {two}
    assert await found(Filter(min_amount=Decimal(-5), max_amount=Decimal("-0.01"))) == {low, cent}
    assert await found(Filter(max_amount=Decimal("-5.01"))) == set()
    assert await found(Filter(min_amount=Decimal("0.00"), max_amount=Decimal(0))) == {zero}


async def test_a_symbol_is_compared_whole_in_either_case(owner: Owner, found: Found) -> None:
    account = await owner.account()
    apple = await owner.security(symbol="AAPL")
    coin = await owner.security(symbol="btc", name="Bitcoin")
    a = await owner.transaction(account, security_id=apple)
    b = await owner.transaction(account, security_id=coin)
    await owner.transaction(account)

    assert await found(Filter(symbol="aapl")) == {a}
    assert await found(Filter(symbol="BTC")) == {b}
    assert await found(Filter(symbol="AAP")) == set()
    assert await found(Filter(symbol="%")) == set()


async def test_words_are_searched_in_description_and_merchant(owner: Owner, found: Found) -> None:
    account = await owner.account()
    a = await owner.transaction(account, description="Café Müller, Köln")
    b = await owner.transaction(account, description="x", merchant="MÜLLER & Sons")
    c = await owner.transaction(account, description=r"50% off_all \o/")
    d = await owner.transaction(account, description="500 offxall /o/")

    assert await found(Filter(search="müller")) == {a, b}
    assert await found(Filter(search="CAFÉ")) == {a}
    assert await found(Filter(search="50%")) == {c}
    assert await found(Filter(search="f_a")) == {c}
    assert await found(Filter(search="\\")) == {c}
    assert await found(Filter(search="off")) == {c, d}
    assert await found(Filter(search="'; --")) == set()
    assert await found(Filter(search="")) == {a, b, c, d}


async def test_all_filters_together_are_one_statement(owner: Owner, reads: Recorded) -> None:
    link = await owner.link()
    account = await owner.account(fed_by=(link,))
    security = await owner.security()
    id = await owner.transaction(account, security_id=security, provider_category="Food")
    filter = Filter(
        account_ids=(account,),
        link_ids=(link,),
        types=(TransactionType.PAYMENT,),
        subtypes=(TransactionSubtype.PURCHASE,),
        statuses=(TransactionStatus.SETTLED,),
        categories=("Food",),
        since=DAY,
        until=DAY,
        symbol="AAPL",
        search="groc",
        min_amount=Decimal(-1),
        max_amount=Decimal(-1),
        include_removed=True,
    )
    for order in TransactionOrder:
        (t,) = await reads.transactions(filter, order, limit=2, after=None)
        assert t.id == id
        (t,) = await reads.transactions_of([account], filter, order, limit=2, after=None)
        assert t.id == id
    assert await reads.count_transactions(filter) == 1
    assert await reads.count_transactions_of([account], filter) == {account: 1}
    assert reads.statements == 10


@pytest.mark.parametrize(
    "filter",
    [
        Filter(account_ids=()),
        Filter(link_ids=()),
        Filter(types=()),
        Filter(subtypes=()),
        Filter(statuses=()),
        Filter(categories=()),
    ],
)
async def test_an_empty_choice_finds_nothing_and_asks_nobody(
    reads: Recorded, filter: TransactionFilter
) -> None:
    account = AccountId(new_id())
    assert await reads.transactions(filter, NEWEST, limit=9, after=None) == []
    assert await reads.transactions_of([account], filter, NEWEST, limit=9, after=None) == []
    assert await reads.count_transactions(filter) == 0
    assert await reads.count_transactions_of([account], filter) == {}
    assert await reads.transactions_of([], ALL, NEWEST, limit=9, after=None) == []
    assert reads.statements == 0


async def test_the_text_of_a_statement_depends_on_what_restricts_not_on_values(
    owner: Owner, reads: Recorded
) -> None:
    for count in (1, 3):
        accounts = tuple(AccountId(new_id()) for _ in range(count))
        filter = Filter(account_ids=accounts, search=f"s{count}", min_amount=Decimal(count))
        await reads.transactions(filter, NEWEST, limit=count, after=None)
    (first, _), (second, _) = reads.sent
    assert first == second
    assert "*" not in first


async def test_transactions_of_one_security_share_it(owner: Owner, reads: Recorded) -> None:
    account, security = await owner.account(), await owner.security()
    ids = [await owner.transaction(account, security_id=security) for _ in range(2)]
    first, second = await reads.transactions_by_id(ids)
    assert first.security is second.security


async def test_a_stranger_finds_no_transactions(
    an_owner: Callable[[], Awaitable[Owner]], pool: Pool
) -> None:
    alice, bob = await an_owner(), await an_owner()
    link: LinkId = await alice.link()
    account = await alice.account(fed_by=(link,))
    id = await alice.transaction(account)
    reads = Snapshot(pool, bob.id)

    for filter in (ALL, Filter(account_ids=(account,)), Filter(link_ids=(link,))):
        assert await reads.transactions(filter, NEWEST, limit=9, after=None) == []
        assert await reads.transactions_of([account], filter, NEWEST, limit=9, after=None) == []
        assert await reads.count_transactions(filter) == 0
        assert await reads.count_transactions_of([account], filter) == {}
    assert await reads.transactions_by_id([id]) == []
    await reads.close()
