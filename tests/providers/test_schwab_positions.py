"""What Schwab's accounts, positions and instruments mean: totals, cash, contracts."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from adapters.providers.kit import Malformed
from adapters.providers.schwab.accounts import Told, account_of, holding_of
from adapters.providers.schwab.instruments import security_of, shown_multiplier
from domain.money import Money
from domain.securities import AssetType, OptionSide, SecurityTerms
from domain.sync import ReceivedAccount, ReceivedHolding
from tests.builders import money
from tests.providers.conformance import AT
from tests.providers.schwab import as_it_comes
from tests.providers.simulators.schwab_books import (
    BOND,
    ESH25,
    FUND,
    SWEEP,
    equity,
    option,
    position,
)

WHEN = datetime(2025, 1, 14, 5, 15, 12, tzinfo=UTC)
CALL = option("MRVL", "250321", "C", 155)


def a_security(instrument: Mapping[str, Any]) -> SecurityTerms:
    return security_of(as_it_comes(instrument))


def a_holding(record: Mapping[str, Any]) -> ReceivedHolding:
    held = holding_of(as_it_comes(record), account="h", at=AT)
    assert held is not None
    return held


def an_account(*positions: Mapping[str, Any], **balances: str) -> ReceivedAccount:
    now = {name: Decimal(amount) for name, amount in balances.items()}
    record = {"accountNumber": "71234567", "positions": [*positions], "currentBalances": now}
    told = Told.of(as_it_comes({"securitiesAccount": record}))
    return account_of(told, key="h", nickname=None, at=AT)


# ── positions ───────────────────────────────────────────────────────────────


def test_a_price_follows_from_the_value_and_is_never_a_days_gain() -> None:
    held = a_holding(position(equity("XYZ"), "33", "150.3333", "7577.13"))
    assert held.market_price == money("229.61")
    assert held.quantity == 33
    assert held.cost_basis == Money(Decimal("150.3333") * 33, held.market_value.currency)

    held = a_holding(position(equity("XYZ"), "3", "30", "100.00"))
    assert held.market_price == money("33.3333333333")


def test_a_short_position_is_negative_throughout_also_where_its_value_is_not() -> None:
    held = a_holding(position(equity("GME"), "-20", "24.50", "-470.00"))
    assert (held.quantity, held.market_value, held.cost_basis) == (
        Decimal(-20),
        money("-470.00"),
        money("-490.00"),
    )
    unsigned = {**position(equity("GME"), "-20", "24.50", "-470.00"), "marketValue": Decimal(470)}
    assert a_holding(unsigned).market_value == money("-470")
    assert a_holding(unsigned).cost_basis == money("-490.00")
    wrong = {**position(equity("GME"), "20", "24.50", "470.00"), "marketValue": Decimal(-470)}
    with pytest.raises(Malformed, match="negative"):
        a_holding(wrong)


def test_a_contract_counts_for_what_is_in_it() -> None:
    held = a_holding(position(CALL, "-1", "2.0533", "-272.50", per=100))
    assert held.security.multiplier == 100
    assert held.market_price == money("2.725")
    assert held.cost_basis == money("-205.33")
    assert held.average_price == money("2.0533")

    future = a_holding(position(ESH25, "1", "21", "587.5", per=50))
    assert future.security.multiplier == 50
    assert future.market_price == money("11.75")
    assert future.cost_basis == money("1050")


def test_what_a_contract_cost_tells_what_is_in_it_where_nothing_else_does() -> None:
    silent = {k: v for k, v in ESH25.items() if k != "optionPremiumMultiplier"}
    assert a_holding(position(silent, "2", "21", "1175", per=50)).security.multiplier == 50
    told_wrong = {**CALL, "optionMultiplier": Decimal(10)}
    assert a_holding(position(told_wrong, "1", "2", "250", per=100)).security.multiplier == 100
    free = position(silent, "2", "0", "1175", per=50)
    assert a_holding(free).security.multiplier == 1  # nobody says
    assert a_holding(position(CALL, "2", "0", "25", per=100)).security.multiplier == 100

    assert shown_multiplier(Decimal(-206), Decimal(1), Decimal("2.06")) == 100
    assert shown_multiplier(Decimal("206.01"), Decimal(-1), Decimal("2.06")) == 100
    assert shown_multiplier(Decimal(150), Decimal(1), Decimal("100.4")) is None
    assert shown_multiplier(Decimal(0), Decimal(1), Decimal(2)) is None


def test_a_bond_is_priced_in_per_cent_of_par_and_a_fund_in_dollars() -> None:
    bond = a_holding(position(BOND, "10000", "98.5", "9712.50"))
    assert (bond.security.asset_type, bond.market_price) == (
        AssetType.FIXED_INCOME,
        money("97.125"),
    )
    whole = a_holding(position(BOND, "10", "985", "9712.50"))
    assert whole.market_price == money("971.25")
    fund = a_holding(position(FUND, "120.5", "70.11", "3374.00"))
    assert (fund.security.asset_type, fund.market_price) == (AssetType.ETF, money("28"))


def test_what_was_sold_today_is_no_holding_and_what_contradicts_itself_is_unreadable() -> None:
    nothing = position(equity("X"), "0", "1", "0")
    assert holding_of(as_it_comes(nothing), account="h", at=AT) is None
    with pytest.raises(Malformed, match="nothing"):
        a_holding(position(equity("X"), "0", "1", "5"))
    with pytest.raises(Malformed):
        a_holding(position(equity("X"), "9" * 27, "9" * 27, "5.0000000000000001"))


# ── instruments ─────────────────────────────────────────────────────────────


def test_an_options_terms_are_those_of_its_symbol_in_positions_and_trades_alike() -> None:
    traded = {**CALL, "strikePrice": 155, "expirationDate": "2025-03-21T04:00:00+0000"}
    held, sold = a_security(CALL), a_security(traded)
    assert held.identities == sold.identities
    assert held.option is not None
    assert (held.option.underlying, held.option.side) == ("MRVL", OptionSide.CALL)
    assert (held.option.strike, held.option.expires_on) == (money("155"), date(2025, 3, 21))
    half = a_security(
        {"assetType": "OPTION", "symbol": "F     260117P00012500", "description": "F"}
    )
    assert half.option is not None
    assert half.option.strike == money("12.5")


def test_an_option_on_a_future_is_one_contract_in_positions_and_trades() -> None:
    held = {k: v for k, v in ESH25.items() if k not in ("expirationDate", "strikePrice")}
    assert a_security(held).identities == a_security(ESH25).identities
    option = a_security(ESH25).option
    assert option is not None
    assert (option.underlying, option.expires_on) == ("/ESH25", date(2025, 3, 21))
    assert option.strike == money("5050")


def test_a_cusip_counts_only_with_its_check_digit() -> None:
    assert a_security(equity("AAPL", cusip="037833100")).cusip == "037833100"
    assert a_security(equity("AAPL", cusip="037833101")).cusip is None
    assert a_security(CALL).cusip is None


@pytest.mark.parametrize(
    ("kind", "type", "expected"),
    [
        ("EQUITY", "COMMON_STOCK", AssetType.EQUITY),
        ("MUTUAL_FUND", "NO_LOAD_TAXABLE", AssetType.MUTUAL_FUND),
        ("COLLECTIVE_INVESTMENT", "CLOSED_END_FUND", AssetType.MUTUAL_FUND),
        ("CASH_EQUIVALENT", "MONEY_MARKET_FUND", AssetType.CASH_EQUIVALENT),
        ("INDEX", "BROAD_BASED", AssetType.INDEX),
        ("FOREX", "STANDARD", AssetType.FOREX),
        ("FUTURE", "STANDARD", AssetType.FUTURE),
        ("SOMETHING_NEW", None, AssetType.OTHER),
    ],
)
def test_every_kind_of_instrument_is_one_of_ours(
    kind: str, type: str | None, expected: AssetType
) -> None:
    said = {"assetType": kind, "symbol": "X", **({} if type is None else {"type": type})}
    assert a_security(said).asset_type is expected


# ── accounts ────────────────────────────────────────────────────────────────


def test_what_was_borrowed_on_margin_counts_against_cash_once() -> None:
    stock = position(equity("X"), "10", "90", "1000")
    beside = an_account(
        stock, cashBalance="50", marginBalance="-400", shortBalance="0", liquidationValue="650"
    )
    assert (beside.balance, beside.cash) == (money("650"), money("-350"))
    within = an_account(stock, cashBalance="-400", marginBalance="-400", liquidationValue="600")
    assert within.cash == money("-400")
    alone = an_account(stock, marginBalance="-400", liquidationValue="600")
    assert alone.cash == money("-400")


def test_what_short_sales_brought_counts_as_cash_where_it_stands_beside_it() -> None:
    short = position(equity("X"), "-10", "90", "-1000")
    said = an_account(short, cashBalance="50", shortBalance="900", liquidationValue="-50")
    assert said.cash == money("950")


def test_a_sweep_that_is_in_cash_and_among_positions_is_told_as_it_is() -> None:
    sweep = position(SWEEP, "2500", "1", "2500")
    said = an_account(sweep, cashBalance="2500", liquidationValue="2500")
    assert (said.cash, said.balance) == (money("2500"), money("2500"))


@pytest.mark.parametrize(
    ("balances", "total", "cash"),
    [
        ({"totalCash": "5000.00", "cashAvailableForTrading": "4000.00"}, "6000.00", "5000.00"),
        ({"equity": "50000.00", "availableFunds": "10000.00"}, "50000.00", None),
        ({"buyingPower": "50000.00", "marginBalance": "0.00"}, None, None),
    ],
)
def test_without_the_live_total_the_descriptions_own_fields_tell_it(
    balances: dict[str, str], total: str | None, cash: str | None
) -> None:
    said = an_account(position(equity("X"), "1", "1", "1000.00"), **balances)
    assert said.balance == (None if total is None else money(total))
    assert said.cash == (None if cash is None else money(cash))


def test_an_account_without_a_nickname_shows_the_end_of_its_number() -> None:
    said = an_account(liquidationValue="1")
    assert "71234567" not in said.name
    assert said.name.endswith("4567")
    assert (said.number, said.mask) == ("71234567", "4567")


def test_a_total_that_takes_a_position_that_cannot_be_read_is_not_told() -> None:
    stock, odd = position(equity("X"), "1", "1", "1000.00"), position(equity("Y"), "1", "1", "500")
    assert an_account(stock, odd, totalCash="10.00").balance == money("1510.00")
    written = {**odd, "marketValue": "500.00"}
    assert an_account(stock, written, totalCash="10.00").balance == money("1510.00")
    odd["marketValue"] = "much"
    assert an_account(stock, odd, totalCash="10.00").balance is None
    assert an_account(stock, odd, equity="10.00").balance is None
    assert an_account(stock, odd, liquidationValue="10.00").balance == money("10.00")


def test_what_is_owned_and_owed_at_once_is_told_without_what_it_cost() -> None:
    boxed = {**position(equity("X"), "10", "90", "600"), "shortQuantity": Decimal(4)}
    held = a_holding(boxed)
    assert held.quantity == 6
    assert (held.market_value, held.market_price) == (money("600"), money("100"))
    assert (held.cost_basis, held.average_price) == (None, None)
