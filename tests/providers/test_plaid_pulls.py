"""What a pull of Plaid tells, and the next one, against a server that speaks its API."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.accounts import AccountType as A
from domain.errors import (
    ProviderUnavailable,
)
from domain.identity import new_id
from domain.securities import AssetType
from domain.sync import Page, QuarantinedRow, RunId, SyncScope
from domain.transactions import TransactionStatus
from domain.transactions import TransactionSubtype as S
from tests.providers.conformance import AT, pulled
from tests.providers.fakes import Clock
from tests.providers.plaid import (
    BROKERAGE,
    CARD,
    CHECK,
    WEBHOOK,
    a_provider,
    held,
    pages_of,
    position,
    rows,
)
from tests.providers.simulators.plaid import PlaidServer
from tests.providers.simulators.plaid_books import (
    Item,
    a_holding,
    a_security,
    a_transaction,
    an_account,
    an_investment,
    household,
)
from tests.providers.test_plaid_conformance import a_request


@pytest.fixture
def sim() -> PlaidServer:
    return PlaidServer(now=lambda: AT, page_max=10)


@pytest.fixture
def item(sim: PlaidServer) -> Item:
    return household(sim.item())


# ── what a pull tells ───────────────────────────────────────────────────────


async def test_accounts_have_our_kinds_and_signs(sim: PlaidServer, item: Item) -> None:
    first, *_ = await pages_of(sim, item)
    told = {a.key: a for a in first.accounts}
    assert first.accounts_complete
    check, card, brokerage, home = (told[key] for key in (CHECK, CARD, BROKERAGE, "acc-home-8888"))
    assert [a.type for a in told.values()] == [A.CHECKING, A.CREDIT_CARD, A.BROKERAGE, A.MORTGAGE]
    balances = [a.balance.amount for a in told.values() if a.balance]
    assert balances == [Decimal(x) for x in ("110.25", "-410", "21610.01", "-56302.06")]
    assert check.available_balance is not None
    assert check.available_balance.amount == 100
    assert card.credit_limit is not None
    assert card.credit_limit.amount == 2000
    assert brokerage.cash is not None
    assert brokerage.cash.amount == Decimal("0.01")
    assert (home.number, home.mask, check.mask) == ("3120194154", "8888", "0000")
    assert {a.as_of for a in told.values()} == {datetime(2026, 3, 17, 9, tzinfo=UTC)}


async def test_a_number_that_is_only_its_end_names_no_account(sim: PlaidServer, item: Item) -> None:
    item.mortgages = [{"account_id": "acc-home-8888", "account_number": "****4154"}]
    first, *_ = await pages_of(sim, item)
    assert [a.number for a in first.accounts] == [None] * 4


async def test_positions_are_in_contracts_and_par_and_cash_is_none(
    sim: PlaidServer, item: Item
) -> None:
    positions = held(await pages_of(sim, item))
    assert "USD" not in positions
    call, bill = positions["NFLX270115C00355000"], positions["Treasury Bill"]
    assert call.quantity == call.security.multiplier == 100
    assert call.security.option is not None
    assert call.security.option.strike.amount == 355
    assert bill.market_price is not None
    assert bill.quantity == 1000
    assert bill.market_price.amount == Decimal("94.808")
    assert positions["SPAXX"].security.asset_type is AssetType.CASH_EQUIVALENT
    assert positions["BTC"].security.asset_type is AssetType.CRYPTOCURRENCY
    assert positions["ACHN"].security.isin == "US00448Q2012"
    parts = sum(h.market_value.amount for h in positions.values()) + Decimal("0.01")
    assert parts == Decimal("21610.01")  # the reported total


async def test_a_price_that_was_rounded_gives_way_to_the_value(
    sim: PlaidServer, item: Item
) -> None:
    item.securities = [a_security("s", "Fund", "mutual fund", "FND")]
    item.holdings = [
        a_holding(BROKERAGE, "s", 1234.567, 27.53, 33990.12),
        a_holding(BROKERAGE, "s", -10, 5, 50, cost_basis=40),  # a short position
    ]
    pages = await pages_of(sim, item, scopes=frozenset({SyncScope.HOLDINGS}))
    long, short = (h for page in pages for h in page.holdings)
    assert long.market_price is not None
    assert long.security.value(long.quantity, long.market_price).rounded() == long.market_value
    assert short.cost_basis is not None
    assert [short.market_value.amount, short.cost_basis.amount] == [-50, -40]


async def test_rows_have_our_signs_words_and_days(sim: PlaidServer, item: Item) -> None:
    found = rows(await pages_of(sim, item))
    assert (found["t1"].amount.amount, found["t1"].merchant) == (Decimal("-1.1"), "Walmart")
    assert found["t1"].category == "General merchandise: superstores"
    assert (found["t29"].subtype, found["t29"].amount.amount) == (S.DEPOSIT, 1500)
    assert found["p30"].status is TransactionStatus.PENDING
    assert found["p30"].date == date(2026, 3, 15)
    buy, dividend, fee, sell = (found[f"i{n}"] for n in (1, 2, 3, 4))
    assert (buy.subtype, buy.quantity, buy.amount.amount) == (S.BUY, 100, -2118)
    assert buy.commission is not None
    assert buy.commission.amount == -8
    assert (dividend.subtype, dividend.quantity, dividend.unit_price) == (S.DIVIDEND, None, None)
    assert (fee.subtype, fee.amount.amount, fee.commission) == (
        S.ACCOUNT_FEE,
        Decimal("-7.99"),
        None,
    )
    assert (sell.subtype, sell.quantity) == (S.SELL, -10)


@pytest.mark.parametrize(
    ("said", "amount", "means"),
    [
        ({"check_number": "103"}, 20, S.CHECK),
        ({"transaction_code": "atm"}, 40, S.WITHDRAWAL),
        ({"transaction_code": "standing order"}, 40, S.BILL_PAYMENT),
        ({"category": ("BANK_FEES", "BANK_FEES_ATM_FEES")}, 3, S.ACCOUNT_FEE),
        ({"category": ("BANK_FEES", "BANK_FEES_ATM_FEES")}, -3, S.REFUND),
        ({"category": ("BANK_FEES", "BANK_FEES_ATM_FEES")}, 0, S.ACCOUNT_FEE),
        ({"category": ("TRANSFER_OUT", "TRANSFER_OUT_ACCOUNT_TRANSFER")}, 9, S.INTERNAL),
        ({"category": ("TRANSFER_OUT", "TRANSFER_OUT_WITHDRAWAL")}, 9, S.WITHDRAWAL),
        ({"category": ("RENT_AND_UTILITIES", "RENT_AND_UTILITIES_RENT")}, 900, S.BILL_PAYMENT),
        ({"personal_finance_category": None}, 9, S.WITHDRAWAL),
        ({"personal_finance_category": None, "merchant_name": "Shop"}, 9, S.PURCHASE),
    ],
)
async def test_what_a_row_is_is_told_in_several_ways(
    sim: PlaidServer, item: Item, said: dict[str, Any], amount: float, means: S
) -> None:
    item.log.clear()
    item.enter(a_transaction("t", CHECK, amount, "2026-03-02", **said))
    assert rows(await pages_of(sim, item))["t"].subtype is means


async def test_what_is_called_a_purchase_and_moved_nothing_is_told_as_it_was(
    sim: PlaidServer, item: Item
) -> None:
    item.invested = [
        an_investment("odd", BROKERAGE, "buy", "buy", -5, "2026-03-02"),
        an_investment("gone", BROKERAGE, "cancel", "buy", 0, "2026-03-02"),
        an_investment("soon", BROKERAGE, "cash", "pending credit", -5, "2026-03-02"),
    ]
    found = rows(await pages_of(sim, item))
    assert found["odd"].subtype is S.OTHER
    assert found["gone"].status is TransactionStatus.CANCELLED
    assert (found["soon"].status, found["soon"].subtype) == (TransactionStatus.PENDING, S.DEPOSIT)


async def test_what_could_not_be_read_is_read_again_by_itself(sim: PlaidServer, item: Item) -> None:
    item.accounts[0]["balances"]["current"] = "lots"
    item.enter(a_transaction("t99", CARD, "some", "2026-03-02"))  # type: ignore[arg-type]
    item.holdings[1]["quantity"] = "many"
    item.invested[0]["fees"] = "few"
    pages = await pages_of(sim, item)
    mended = {"lots": "5", "some": "6", "many": "100", "few": "8"}
    odd = [u for page in pages for u in page.unreadable if any(w in u.raw for w in mended)]
    assert len(odd) == 4
    found = []
    for row in odd:
        raw = row.raw
        for word, number in mended.items():
            raw = raw.replace(f'"{word}"', number)
        kept = QuarantinedRow(id=new_id(), run_id=RunId(new_id()), kind=row.scope, raw=raw,
                              reason=row.reason)  # fmt: skip
        assert a_provider(sim).replay([replace(kept, raw=row.raw)]) == {}
        [page] = a_provider(sim).replay([kept]).values()
        found += [*page.accounts, *page.holdings, *page.transactions]
    assert len(found) == 4
    # Rows of the account that could not be read wait with it.
    assert sum(row.account_key == CHECK for page in pages for row in page.unreadable) > 10


# ── from pull to pull ───────────────────────────────────────────────────────


async def test_the_next_pull_tells_only_what_is_new(sim: PlaidServer, item: Item) -> None:
    begun = position(await pages_of(sim, item))
    again = await pages_of(sim, item, position=begun, since=date(2026, 3, 3))
    assert set(rows(again)) == {"i4"}  # within the overlap: it has no cursor of its own
    item.enter(a_transaction("t3", CHECK, 99, "2026-02-03"))  # long before
    item.enter(a_transaction("t31", CARD, 28.34, "2026-03-16", pending_transaction_id="p30"))
    item.remove("p30")
    later = await pages_of(sim, item, position=position(again), since=date(2026, 3, 10))
    found = rows(later)
    assert set(found) == {"t3", "t31"}
    assert found["t31"].replaces == "p30"
    assert [gone for page in later for gone in page.removed] == [(CARD, "p30")]
    assert position(later) != begun


async def test_an_account_in_miles_is_kept_apart_and_fails_no_pull(
    sim: PlaidServer, item: Item
) -> None:
    miles = an_account("acc-mile", "Miles", "other", None, 10, currency=None, coin="MILES")
    item.accounts.append(miles)
    item.enter(a_transaction("m1", "acc-mile", 5, "2026-03-02"))
    pages = await pages_of(sim, item)
    kept = [u.account_key for page in pages for u in page.unreadable]
    assert kept == ["acc-mile", "acc-mile"]  # the account and its row
    assert not any(page.failed for page in pages)
    later = await pages_of(sim, item, position=position(pages), since=date(2026, 3, 10))
    assert [u.account_key for page in later for u in page.unreadable] == ["acc-mile"]


async def test_an_account_whose_currency_is_not_told_is_asked_for_again(
    sim: PlaidServer, item: Item
) -> None:
    item.accounts[1]["balances"]["iso_currency_code"] = None
    pages = await pages_of(sim, item)
    failed = {key for page in pages for key in page.failed}
    assert failed == {CARD}  # so that its rows are told once more, when it can be read


async def test_a_list_that_changes_while_it_is_read_is_told_once_and_whole(
    sim: PlaidServer, item: Item
) -> None:
    def settles() -> None:
        item.enter(a_transaction("t31", CARD, 28.34, "2026-03-16", pending_transaction_id="p30"))
        item.remove("p30")

    sim.meanwhile = [lambda: None, settles]
    pages = await pages_of(sim, item)
    keys = [t.key for page in pages for t in page.transactions]
    assert len(keys) == len(set(keys)) == 34
    assert "p30" not in keys  # nobody was told that it ever was
    assert len(sim.asked("/transactions/sync")) == 3 + 3
    again = await pages_of(sim, item, position=position(pages), since=date(2026, 3, 10))
    assert rows(again) == {}


async def test_a_killed_pull_of_a_list_that_changed_begins_it_anew(
    sim: PlaidServer, item: Item
) -> None:
    pages = await pages_of(sim, item)
    item.enter(a_transaction("t31", CARD, 5, "2026-03-16"))
    rest = await pages_of(sim, item, cursor=pages[2].cursor)  # after the first page of updates
    assert {"t1", "t31"} <= set(rows(rest))
    assert rest[-1].progress == 1


async def test_a_list_of_everything_names_all_that_is_pending(sim: PlaidServer, item: Item) -> None:
    item.enter(a_transaction("t31", CARD, 28.34, "2026-03-16", pending_transaction_id="p29"))
    pages = await pages_of(sim, item)
    updates = [page for page in pages if page.step is SyncScope.TRANSACTIONS]
    # What settles further on in the same list is not given up before that.
    assert updates[0].pending == {CHECK: [], CARD: ["p30", "p29"], "acc-home-8888": []}
    assert not any(page.pending for page in updates[1:])
    item.enter(a_transaction("p31", CARD, 3, "2026-03-16", pending=True))
    later = await pages_of(sim, item, position=position(pages), since=date(2026, 3, 3))
    assert not any(page.pending for page in later)
    item.update_status = "INITIAL_UPDATE_COMPLETE"
    assert not any(page.pending for page in await pages_of(sim, item))


async def test_an_investment_that_goes_while_they_are_read_hides_no_other(
    sim: PlaidServer, item: Item
) -> None:
    sim.page_max = 1
    newest, *others = sorted(item.invested, key=lambda row: row["date"], reverse=True)
    found: list[Page] = []
    async for page in a_provider(sim).pull(a_request(sim, item)):
        found.append(page)
        if newest["investment_transaction_id"] in rows([page]):
            item.invested.remove(newest)
    assert {row["investment_transaction_id"] for row in others} <= set(rows(found))
    assert found[-1].progress == 1


async def test_a_list_that_never_rests_is_given_up(sim: PlaidServer, item: Item) -> None:
    sim.meanwhile = [
        lambda n=n: item.enter(a_transaction(f"x{n}", CARD, 5, "2026-03-16")) for n in range(20)
    ]
    with pytest.raises(ProviderUnavailable, match="faster than it can be read"):
        await pages_of(sim, item)


@pytest.mark.parametrize("tells", [True, False])
async def test_an_item_that_is_not_ready_is_waited_for_or_tells(
    sim: PlaidServer, item: Item, tells: bool
) -> None:
    item.update_status = "NOT_READY"
    item.webhook = WEBHOOK if tells else None
    clock = Clock()
    provider = a_provider(sim, clock=clock, public_url="https://money.example.com")
    if not tells:
        with pytest.raises(ProviderUnavailable, match="not ready"):
            await pulled(provider, a_request(sim, item))
        assert clock.slept == [2, 5, 10, 15]
        return
    pages = await pulled(provider, a_request(sim, item))
    assert clock.slept == []
    assert set(rows(pages)) == {"i1", "i2", "i3", "i4"}
    item.update_status = "HISTORICAL_UPDATE_COMPLETE"
    later = await pages_of(sim, item, position=position(pages), since=date(2026, 3, 3))
    assert len(rows(later)) == 30 + 1  # nothing of the past is left out


async def test_a_product_that_an_item_lacks_is_not_asked_for(sim: PlaidServer, item: Item) -> None:
    item.products = ["transactions"]
    pages = await pages_of(sim, item)
    assert len(rows(pages)) == 30
    assert not sim.asked("/investments/*") + sim.asked("/liabilities/get")
    assert pages[0].accounts_complete


@pytest.mark.parametrize(
    "code",
    [
        "PRODUCTS_NOT_SUPPORTED",
        "PRODUCT_NOT_READY",
        "ADDITIONAL_CONSENT_REQUIRED",
        "NO_INVESTMENT_ACCOUNTS",
    ],
)
async def test_a_product_that_is_not_given_is_no_failure(
    sim: PlaidServer, item: Item, code: str
) -> None:
    item.lacks = dict.fromkeys(
        ("/investments/holdings/get", "/investments/transactions/get", "/liabilities/get"), code
    )
    pages = await pages_of(sim, item)
    assert len(rows(pages)) == 30
    assert not any(page.holdings or page.holdings_complete for page in pages)
    item.lacks.clear()  # once it is given, all of the past is read
    later = await pages_of(sim, item, position=position(pages), since=date(2026, 3, 10))
    assert set(rows(later)) == {"i1", "i2", "i3", "i4"}


async def test_a_long_list_waits_for_its_turn_within_a_minute(sim: PlaidServer, item: Item) -> None:
    item.log.clear()
    sim.page_max = 1
    item.enter(*(a_transaction(f"t{n}", CARD, 1, "2026-03-01") for n in range(60)))
    clock = Clock()
    pages = await pulled(a_provider(sim, clock=clock), a_request(sim, item))
    assert len(rows(pages)) == 60 + 4
    assert 0 < sum(clock.slept) <= 61
