"""Holdings, and pages of them."""

import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from adapters.postgres.pool import Pool
from adapters.postgres.snapshot import Snapshot
from domain.accounts import AccountId
from domain.holdings import Holding, HoldingFilter, HoldingId, HoldingKey
from domain.identity import new_id
from domain.money import Currency, Money
from domain.securities import AssetType, Security
from tests.postgres.reads.rows import NOON, Owner, Recorded

ALL = HoldingFilter()
USD, GBP = Currency("USD"), Currency("GBP")


async def ids(found: Any) -> list[Any]:
    return [row.id for row in await found]


async def test_a_holding_comes_whole_with_its_security(owner: Owner, reads: Recorded) -> None:
    account, security = await owner.account(), await owner.security()
    id = await owner.holding(
        account,
        security,
        is_short=True,
        quantity=Decimal("-0.00000001"),
        market_value=Decimal("-12.50"),
        market_price=Decimal("1.250"),
        price_currency="GBP",
        average_price=Decimal("1.10"),
        cost_basis=Decimal("-11.00"),
        cost_currency="USD",
        is_active=False,
        data_version=3,
    )

    (holding,) = await reads.holdings_by_id([id])

    assert holding == Holding(
        id=id,
        account_id=account,
        security=Security(
            id=security, name="Apple", symbol="AAPL", asset_type=AssetType.EQUITY, currency=USD
        ),
        quantity=Decimal("-0.00000001"),
        market_value=Money(Decimal("-12.50"), USD),
        as_of=NOON,
        market_price=Money(Decimal("1.250"), GBP),
        average_price=Money(Decimal("1.10"), GBP),
        cost_basis=Money(Decimal("-11.00"), USD),
        is_active=False,
        data_version=3,
    )
    assert await reads.holdings_by_id([]) == []


async def test_what_is_unknown_of_a_holding_is_none(owner: Owner, reads: Recorded) -> None:
    id = await owner.holding(await owner.account(), await owner.security())
    (holding,) = await reads.holdings_by_id([id])
    assert (holding.market_price, holding.average_price, holding.cost_basis) == (None, None, None)


async def test_holdings_are_filtered(owner: Owner, reads: Recorded) -> None:
    one, two = await owner.account(), await owner.account()
    apple = await owner.security()
    fund = await owner.security(name="Fund", symbol="Vti", asset_type="ETF")
    a = await owner.holding(one, apple)
    b = await owner.holding(two, apple)
    c = await owner.holding(two, fund)
    closed = await owner.holding(one, fund, is_active=False)

    async def found(filter: HoldingFilter) -> set[HoldingId]:
        page = await reads.holdings(filter, limit=10, after=None)
        assert await reads.count_holdings(filter) == len(page)
        by_account = await reads.holdings_of([one, two], filter, limit=10, after=None)
        assert {h.id for h in by_account} == {h.id for h in page}
        counts = await reads.count_holdings_of([one, two], filter)
        assert sum(counts.values()) == len(page)
        return {h.id for h in page}

    assert await found(ALL) == {a, b, c}
    assert await found(HoldingFilter(include_closed=True)) == {a, b, c, closed}
    assert await found(HoldingFilter(account_ids=(two,))) == {b, c}
    assert await found(HoldingFilter(account_ids=(two, two))) == {b, c}
    assert await found(HoldingFilter(asset_types=(AssetType.ETF, AssetType.INDEX))) == {c}
    assert await found(HoldingFilter(symbol="aapl")) == {a, b}
    assert await found(HoldingFilter(symbol="VTI", include_closed=True)) == {c, closed}
    assert await found(HoldingFilter(symbol="AAP")) == set()
    assert await found(HoldingFilter(symbol="Fund")) == set()
    before = reads.statements
    assert await found(HoldingFilter(account_ids=())) == set()
    assert await found(HoldingFilter(asset_types=())) == set()
    assert reads.statements == before


async def test_counts_name_only_accounts_that_hold_something(owner: Owner, reads: Recorded) -> None:
    one, two, security = await owner.account(), await owner.account(), await owner.security()
    await owner.holding(one, security)
    await owner.holding(one, security, is_short=True)
    assert await reads.count_holdings_of([one, two, AccountId(new_id())], ALL) == {one: 2}
    assert await reads.count_holdings_of([], ALL) == {}


async def test_pages_of_holdings_are_a_sorted_list_cut_up(owner: Owner, reads: Recorded) -> None:
    some = random.Random(7)
    accounts = [await owner.account() for _ in range(3)]
    securities = [
        await owner.security(name=name, symbol=symbol)
        for name, symbol in [
            ("b", None),
            ("x", "b"),
            ("x", "B"),
            ("Ä", None),
            ("_", "_"),
            ("c", "a"),
        ]
    ]
    for account in accounts:
        for security in some.sample(securities, 5):
            await owner.holding(account, security)
            await owner.holding(account, security, is_short=True)

    def key(holding: Holding) -> HoldingKey:
        return HoldingKey(holding.security.symbol or holding.security.name, holding.id)

    def sorted_of(found: list[Holding]) -> list[HoldingId]:
        return [h.id for h in sorted(found, key=lambda h: (key(h).symbol, h.id))]

    everything = await reads.holdings(ALL, limit=1000, after=None)
    assert len(everything) == 30
    for limit in (1, 4, 30):
        walked: list[Holding] = []
        while page := await reads.holdings(
            ALL, limit=limit, after=key(walked[-1]) if walked else None
        ):
            assert len(page) <= limit
            walked += page
        assert [h.id for h in walked] == sorted_of(everything)

    first = await reads.holdings_of(accounts, ALL, limit=4, after=None)
    for account in accounts:
        own = sorted_of([h for h in everything if h.account_id == account])
        assert [h.id for h in first if h.account_id == account] == own[:4]
        last = next(h for h in everything if h.id == own[3])
        rest = await reads.holdings_of([account], ALL, limit=100, after=key(last))
        assert [h.id for h in rest] == own[4:]


async def test_an_account_that_is_named_twice_has_one_page(owner: Owner, reads: Recorded) -> None:
    account, security = await owner.account(), await owner.security()
    id = await owner.holding(account, security)
    assert await ids(reads.holdings_of([account, account], ALL, limit=9, after=None)) == [id]
    assert await reads.holdings_of([], ALL, limit=9, after=None) == []


async def test_pages_of_many_accounts_are_one_statement(owner: Owner, reads: Recorded) -> None:
    accounts = [await owner.account() for _ in range(4)]
    await reads.holdings_of(accounts, ALL, limit=9, after=HoldingKey("A", new_id()))
    assert reads.statements == 1


async def test_a_stranger_holds_nothing_of_it(
    an_owner: Callable[[], Awaitable[Owner]], pool: Pool
) -> None:
    alice, bob = await an_owner(), await an_owner()
    account = await alice.account()
    id = await alice.holding(account, await alice.security())
    reads = Snapshot(pool, bob.id)

    assert await reads.holdings_by_id([id]) == []
    assert await reads.holdings(HoldingFilter(account_ids=(account,)), limit=9, after=None) == []
    assert await reads.holdings_of([account], ALL, limit=9, after=None) == []
    assert await reads.count_holdings(HoldingFilter(account_ids=(account,))) == 0
    assert await reads.count_holdings_of([account], ALL) == {}
    await reads.close()
