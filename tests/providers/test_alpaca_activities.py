"""What each type of activity at Alpaca is in our terms."""

from datetime import date
from decimal import Decimal

import pytest

from adapters.providers.alpaca.activities import FILL, KINDS, activity_of
from adapters.providers.alpaca.symbols import pair_of, security_of
from adapters.providers.kit import Malformed
from domain.money import Currency
from domain.securities import AssetType, OptionSide
from domain.sync import ReceivedTransaction
from domain.transactions import TransactionStatus
from domain.transactions import TransactionSubtype as S
from domain.transactions import TransactionType as T
from tests.providers.simulators import alpaca_rules as rules

USD = Currency("USD")


def entry(kind: str, net: str | None = "1.02", **said: str | None) -> ReceivedTransaction:
    record = {
        "activity_type": kind,
        "id": "20190801011955195::5f596936-6f23-4cef-bdf1-3806aae57dbf",
        "date": "2019-08-01",
        "net_amount": net,
        "currency": "USD",
        **said,
    }
    return activity_of(record, "a")


def fill(**said: str) -> ReceivedTransaction:
    record = {
        "activity_type": "FILL",
        "id": "20220202135509981::2d7be4ff-d1f3-43e9-856a-0f5cf5c5088e",
        "transaction_time": "2022-02-02T18:55:09.981482Z",
        "type": "fill",
        "price": "174.78",
        "qty": "2",
        "side": "buy",
        "symbol": "AAPL",
        "currency": "USD",
        **said,
    }
    return activity_of(record, "a")


def test_every_type_is_known() -> None:
    assert {*rules.ACTIVITY_TYPES, *rules.OF_ITS_CLIENT} <= {FILL, *KINDS}
    assert len({*rules.OF_ITS_CLIENT}) == 37


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("net", ["12.34", "-12.34"])
def test_every_type_keeps_its_amount_and_has_a_sign_that_fits(kind: str, net: str) -> None:
    row = entry(kind, net, symbol="T")

    assert row.amount.amount == Decimal(net)
    assert row.description
    assert row.date == date(2019, 8, 1)
    if row.subtype.type is T.FEE:
        assert row.amount.amount < 0
    if row.subtype in (S.DEPOSIT, S.REFUND, S.INTEREST):
        assert row.amount.amount > 0


@pytest.mark.parametrize(
    ("kind", "net", "subtype"),
    [
        ("CSD", "100", S.DEPOSIT),
        ("CSW", "-100", S.WITHDRAWAL),
        ("CSD", "-100", S.WITHDRAWAL),  # a deposit that bounced
        ("ACATC", "100", S.DEPOSIT),
        ("TRANS", "-100", S.WITHDRAWAL),
        ("DIV", "1.02", S.DIVIDEND),
        ("DIV", "-1.02", S.DIVIDEND),  # taken back, or owed on what is held short
        ("DIVTXEX", "1", S.DIVIDEND),
        ("DIVROC", "1", S.DIVIDEND),
        ("DIVCGL", "1", S.CAPITAL_GAIN),
        ("DIVCGS", "1", S.CAPITAL_GAIN),
        ("DIVNRA", "-0.3", S.TAX),
        ("DIVNRA", "0.3", S.REFUND),
        ("DIVFT", "-0.3", S.TAX),
        ("DIVTW", "-0.3", S.TAX),
        ("INTNRA", "-0.3", S.TAX),
        ("INTTW", "-0.3", S.TAX),
        ("DIVFEE", "-0.3", S.ACCOUNT_FEE),
        ("INT", "1.5", S.INTEREST),
        ("INT", "-1.5", S.MARGIN_INTEREST),
        ("FEE", "-0.02", S.ACCOUNT_FEE),
        ("FEE", "0", S.ACCOUNT_FEE),
        ("PTC", "-5", S.ACCOUNT_FEE),
        ("PTR", "5", S.REFUND),
        ("CFEE", "-0.25", S.COMMISSION),
        ("JNLC", "10", S.JOURNAL),
        ("JNLC", "-10", S.JOURNAL),
        ("SWP", "-10", S.INTERNAL),
        ("MISC", "10", S.OTHER),
    ],
)
def test_money_tells_which_of_a_types_two_sides_it_is(kind: str, net: str, subtype: S) -> None:
    assert entry(kind, net).subtype is subtype


@pytest.mark.parametrize(
    ("kind", "net", "units", "subtype"),
    [
        ("ACATS", "0", "4", S.DEPOSIT),
        ("ACATS", "0", "-4", S.WITHDRAWAL),
        ("JNLS", "0", "0.00911", S.JOURNAL),
        ("SSP", "0", "30", S.SPLIT),
        ("SPLIT", "0", "-10", S.SPLIT),
        ("SSO", "0", "3", S.OTHER),
        ("OPASN", "0", "2", S.OPTION_ASSIGNMENT),
        ("OPXRC", "0", "-2", S.OPTION_EXERCISE),
        ("OPEXC", "0", "-2", S.OPTION_EXERCISE),
        ("OPEXP", "0", "-2", S.OPTION_EXPIRATION),
        ("OPTRD", "-30000", "200", S.BUY),
        ("OPTRD", "30000", "-200", S.SELL),
        ("OPTRD", "30000", "200", S.OTHER),
        ("EXTRD", "-10", "1", S.BUY),
        ("MA", "500", "-10", S.OTHER),
    ],
)
def test_units_that_come_and_go_are_counted(kind: str, net: str, units: str, subtype: S) -> None:
    row = entry(kind, net, qty=units, symbol="AAPL", price="150")

    assert row.subtype is subtype
    assert row.quantity == Decimal(units)
    assert row.unit_price is not None


def test_what_a_dividend_is_paid_on_did_not_move() -> None:
    row = entry("DIV", symbol="T", qty="2", per_share_amount="0.51", cusip="00206R102")

    assert row.quantity is None
    assert row.security is not None
    assert (row.security.symbol, row.security.cusip) == ("T", "00206R102")
    assert row.description == "Dividend, T"
    assert entry("DIV", "0", symbol="T", qty="2").quantity == 2  # paid in shares


def test_a_type_that_nobody_knows_is_other_with_its_words() -> None:
    row = entry("ZAP", "-3", description="Zapping", symbol="T")
    assert (row.subtype, row.amount.amount) == (S.OTHER, Decimal(-3))
    assert row.description == "ZAP: Zapping, T"
    assert entry("ZAP", "-3").description == "ZAP"


def test_a_fee_of_coins_is_in_coins() -> None:
    row = entry("CFEE", "0", symbol="ETHUSD", qty="-0.000195", price="1884.5")

    assert (row.amount.amount, row.amount.currency) == (Decimal("-0.000195"), "ETH")
    assert row.subtype is S.COMMISSION
    assert row.quantity is None  # it went once, as in a fill what was paid in coins
    assert fill(symbol="ETH/BTC", qty="2", price="0.05").amount.currency == "BTC"
    assert row.security is not None
    assert row.security.asset_type is AssetType.CRYPTOCURRENCY
    back = entry("CFEE", "0", symbol="ETH/USD", qty="0.000195")
    assert (back.subtype, back.amount.amount) == (S.REFUND, Decimal("0.000195"))
    unknown = entry("CFEE", "0", symbol="HYPE/USD", qty="-0.5")
    assert (unknown.amount.amount, unknown.quantity) == (Decimal(0), Decimal("-0.5"))
    assert unknown.amount.currency == "USD"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (None, TransactionStatus.SETTLED),
        ("executed", TransactionStatus.SETTLED),
        ("correct", TransactionStatus.SETTLED),
        ("canceled", TransactionStatus.CANCELLED),
    ],
)
def test_a_status_is_one_of_three(said: str | None, status: TransactionStatus) -> None:
    assert entry("CSD", status=said).status is status
    with pytest.raises(Malformed, match="status is none"):
        entry("CSD", status="queued")


def test_a_day_is_taken_as_it_is_written() -> None:
    assert entry("CSD", date="2026-01-01T00:00:00Z").date == date(2026, 1, 1)
    with pytest.raises(Malformed, match="date"):
        entry("CSD", date=None)


def test_an_amount_in_another_currency_is_in_that() -> None:
    assert entry("FXTRD", "-5", currency="EUR").amount.currency == "EUR"


def test_neither_money_nor_units_is_nothing_that_can_be_read() -> None:
    with pytest.raises(Malformed, match="net_amount is missing"):
        entry("CSD", None)
    assert entry("ACATS", None, qty="1", symbol="T").amount.amount == 0


# ── fills ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("side", "subtype", "amount", "quantity", "words"),
    [
        ("buy", S.BUY, "-349.56", 2, "Bought 2 AAPL at 174.78"),
        ("sell", S.SELL, "349.56", -2, "Sold 2 AAPL at 174.78"),
        ("sell_short", S.SHORT_SELL, "349.56", -2, "Sold short 2 AAPL at 174.78"),
        ("buy_to_cover", S.BUY_TO_COVER, "-349.56", 2, "Bought to cover 2 AAPL at 174.78"),
    ],
)
def test_a_fill_is_worth_its_quantity_at_its_price(
    side: str, subtype: S, amount: str, quantity: int, words: str
) -> None:
    row = fill(side=side)

    assert (row.subtype, row.amount.amount) == (subtype, Decimal(amount))
    assert row.quantity == quantity
    assert row.description == words
    assert row.status is TransactionStatus.SETTLED
    with pytest.raises(Malformed, match="side is none"):
        fill(side="swap")


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2022-02-02T18:55:09.981482Z", date(2022, 2, 2)),
        ("2022-02-03T04:59:59.999999Z", date(2022, 2, 2)),  # 23:59 in New York
        ("2022-02-03T05:00:00Z", date(2022, 2, 3)),
        ("2022-07-01T03:59:59.337711497Z", date(2022, 6, 30)),  # in summer, in nanoseconds
        ("2022-07-01T04:00:00Z", date(2022, 7, 1)),
    ],
)
def test_a_fill_is_of_new_yorks_day(at: str, day: date) -> None:
    assert fill(transaction_time=at).date == day


def test_an_options_fill_is_a_hundred_times_its_price() -> None:
    row = fill(symbol="AAPL230721P00150000", qty="3", price="1.255")

    assert row.amount.amount == Decimal("-376.50")
    assert row.security is not None
    assert row.security.name == "AAPL 2023-07-21 150 Put"
    assert row.security.option is not None
    assert row.security.option.side is OptionSide.PUT
    with pytest.raises(Malformed, match="no day of the calendar"):
        fill(symbol="AAPL230231P00150000")


def test_a_coins_fill_keeps_every_digit_and_is_booked_in_cents() -> None:
    row = fill(symbol="BTC/USD", qty="0.123456789012345678", price="50000.123456789")
    assert f"{row.quantity:f}" == "0.123456789012345678"
    assert row.amount.amount == Decimal("-6172.85")
    assert row.unit_price is not None
    assert row.unit_price.amount == Decimal("50000.123456789")


def test_a_coin_for_a_coin_is_paid_in_that() -> None:
    row = fill(symbol="ETH/BTC", qty="2", price="0.05", side="sell")
    assert (row.amount.amount, row.amount.currency) == (Decimal("0.10000000"), "BTC")
    assert row.security == security_of("ETHUSD", USD)
    with pytest.raises(Malformed, match="quoted in what we do not know"):
        fill(symbol="ETH/ZAP")


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [
        ("BTC/USD", ("BTC", "USD")),
        ("BTCUSD", ("BTC", "USD")),
        ("BTCUSDT", ("BTC", "USDT")),
        ("ETHBTC", ("ETH", "BTC")),
        ("GOOGL", None),
        ("BRK.B", None),
        ("XYZUSD", None),
    ],
)
def test_pairs_of_coins_are_told_from_shares(symbol: str, pair: tuple[str, str] | None) -> None:
    assert pair_of(symbol) == pair


def test_what_an_asset_class_says_goes_before_what_a_symbol_looks_like() -> None:
    assert security_of("HYPEUSD", USD, asset_class="crypto").asset_type is AssetType.CRYPTOCURRENCY
    assert security_of("BTCUSD", USD, asset_class="us_equity").asset_type is AssetType.EQUITY
    assert security_of("ZAP", USD, asset_class="us_zap").asset_type is AssetType.OTHER
    assert security_of("ODD", USD, asset_class="us_option").multiplier == 100
