"""What Schwab's activities mean: trades and their fees, income, transfers, days."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from adapters.providers.kit import Malformed
from adapters.providers.schwab.activities import TYPES, transactions_of
from domain.sync import ReceivedTransaction
from domain.transactions import TransactionStatus
from domain.transactions import TransactionSubtype as S
from domain.transactions import TransactionType as T
from tests.builders import money
from tests.providers.schwab import as_it_comes, some_books
from tests.providers.simulators import schwab_rules as rules
from tests.providers.simulators.schwab_books import (
    BOND,
    ESH25,
    FUND,
    USD,
    equity,
    fee,
    leg,
    option,
    paid,
)

WHEN = datetime(2025, 1, 14, 5, 15, 12, tzinfo=UTC)
CALL = option("MRVL", "250321", "C", 155)


def a_row(record: Mapping[str, Any]) -> ReceivedTransaction:
    [row] = some_rows(record)
    return row


def some_rows(record: Mapping[str, Any]) -> list[ReceivedTransaction]:
    return transactions_of(as_it_comes(record), account="h")


def amounts(row: ReceivedTransaction) -> tuple[object, ...]:
    """Paid, how many, and charged of that."""
    fees = row.commission.amount if row.commission else None
    return row.amount.amount, row.quantity, fees


# ── trades ──────────────────────────────────────────────────────────────────


def test_a_trade_has_its_fees_as_commission_also_those_that_are_not_said_to_be() -> None:
    row = a_row(
        some_books().trade(
            WHEN, ESH25, "1", "21", fee("COMMISSION", "2.25"), fee("FUTURES_EXCHANGE_FEE", "0.55"),
            fee(None, "0.02"), fee(None, "0"), per=50,
        )
    )  # fmt: skip
    assert amounts(row) == (Decimal("-1052.82"), 1, Decimal("-2.82"))
    assert row.unit_price == money("21")
    assert row.security is not None
    assert row.security.multiplier == 50
    assert row.date == date(2025, 1, 14)


@pytest.mark.parametrize(
    ("quantity", "effect", "said", "expected"),
    [
        ("10", "OPENING", {}, S.BUY),
        ("10", "CLOSING", {}, S.BUY_TO_COVER),
        ("10", "UNKNOWN", {"subAccount": "SHORT"}, S.BUY_TO_COVER),
        ("10", "AUTOMATIC", {}, S.BUY),
        ("-10", "CLOSING", {}, S.SELL),
        ("-10", "OPENING", {}, S.SHORT_SELL),
        ("-10", "UNKNOWN", {}, S.SELL),
        ("-10", "AUTOMATIC", {"subAccount": "SHORT"}, S.SHORT_SELL),
    ],
)
def test_what_a_trade_is_follows_from_its_quantity_and_effect(
    quantity: str, effect: str, said: dict[str, Any], expected: S
) -> None:
    entry = some_books().trade(WHEN, equity("X"), quantity, "5", effect=effect, **said)
    row = a_row(entry)
    assert row.subtype is expected
    assert (row.amount.amount < 0) == (Decimal(quantity) > 0)


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Option Expiration CALL MARVELL", S.OPTION_EXPIRATION),
        ("Assigned CALL MARVELL", S.OPTION_ASSIGNMENT),
        ("Exercised CALL MARVELL", S.OPTION_EXERCISE),
        ("STOCK SPLIT", S.SPLIT),
        ("ACATS TRANSFER", S.DEPOSIT),
        (None, S.DEPOSIT),
    ],
)
def test_securities_that_come_unpaid_say_why(description: str | None, expected: S) -> None:
    entry = some_books().enter(
        "RECEIVE_AND_DELIVER", WHEN, "0", leg(CALL, "1", "0", cost="0"), description=description
    )
    row = a_row(entry)
    assert (row.subtype, row.quantity, row.amount) == (expected, Decimal(1), money("0"))
    assert row.security is not None


def test_an_option_that_is_taken_away_at_its_end_has_expired() -> None:
    late = datetime(2025, 3, 21, 22, tzinfo=UTC)
    item = leg(CALL, "-1", "0", cost="0", effect="CLOSING")
    assert a_row(some_books().enter("RECEIVE_AND_DELIVER", late, "0", item)).subtype is (
        S.OPTION_EXPIRATION
    )
    assert a_row(some_books().enter("RECEIVE_AND_DELIVER", WHEN, "0", item)).subtype is (
        S.WITHDRAWAL
    )


def test_of_several_instruments_each_is_a_row_and_the_fees_are_of_the_first() -> None:
    old, new = equity("OLD"), equity("NEW")
    entry = some_books().enter(
        "RECEIVE_AND_DELIVER", WHEN, "-1.00", fee("MISCELLANEOUS_FEE", "11.00"),
        leg(old, "-10", "0", cost="0"), leg(new, "5", "0", cost="10.00"), description="MERGER",
    )  # fmt: skip
    first, second = some_rows(entry)
    assert (first.key, second.key) == (str(entry["activityId"]), f"{entry['activityId']}/2")
    assert amounts(first) == (Decimal("-11.00"), -10, Decimal("-11.00"))
    assert amounts(second) == (Decimal("10.00"), 5, None)
    entry["netAmount"] = Decimal("-2.00")
    with pytest.raises(Malformed, match="come to"):
        some_rows(entry)


def test_a_trade_without_its_items_is_read_from_its_description() -> None:
    said = {"type": "TRADE", "activityId": Decimal(1), "tradeDate": "2024-01-15T15:30:00.000Z"}
    said |= {"description": "BOUGHT 10 AAPL @ 145.32", "netAmount": Decimal("-1453.20")}
    row = a_row({**said, "transferItems": []})
    assert (row.subtype, row.quantity, row.unit_price) == (S.BUY, Decimal(10), money("145.32"))
    with pytest.raises(Malformed, match="what was traded"):
        a_row({**said, "description": "AAPL"})


def test_money_that_goes_the_wrong_way_for_a_trade_is_unreadable() -> None:
    entry = some_books().trade(WHEN, CALL, "-1", "2.06", per=100)
    entry["netAmount"] = Decimal("-1215.95")
    with pytest.raises(Malformed, match="sold is negative"):
        a_row(entry)


# ── everything else ─────────────────────────────────────────────────────────


def test_all_fifteen_types_are_asked_for_and_known() -> None:
    assert sorted(TYPES) == sorted(rules.TYPES)


@pytest.mark.parametrize(
    ("type", "net", "description", "expected"),
    [
        ("ACH_RECEIPT", "500", "MoneyLink Deposit", S.ACH_IN),
        ("ACH_RECEIPT", "-500", "Returned", S.ACH_OUT),
        ("ACH_DISBURSEMENT", "-500", None, S.ACH_OUT),
        ("ELECTRONIC_FUND", "500", None, S.ACH_IN),
        ("ELECTRONIC_FUND", "-500", None, S.ACH_OUT),
        ("CASH_RECEIPT", "500", "Deposit", S.DEPOSIT),
        ("CASH_DISBURSEMENT", "-500", None, S.WITHDRAWAL),
        ("CASH_DISBURSEMENT", "-15", "WIRE FEE", S.ACCOUNT_FEE),
        ("WIRE_IN", "500", None, S.WIRE_IN),
        ("WIRE_OUT", "-500", None, S.WIRE_OUT),
        ("JOURNAL", "-500", "Journal To Account ...122", S.JOURNAL),
        ("JOURNAL", "-9", "ADVISER FEE", S.ACCOUNT_FEE),
        ("MONEY_MARKET", "-500", None, S.INTERNAL),
        ("MEMORANDUM", "0", None, S.OTHER),
        ("MARGIN_CALL", "0", None, S.OTHER),
        ("SMA_ADJUSTMENT", "0", None, S.OTHER),
        ("SOMETHING_NEW", "5", None, S.OTHER),
        ("DIVIDEND_OR_INTEREST", "7", "Qualified Dividend APPLE INC", S.DIVIDEND),
        ("DIVIDEND_OR_INTEREST", "7", "APPLE INC", S.DIVIDEND),
        ("DIVIDEND_OR_INTEREST", "7", "SCHWAB1 INT 05/30-06/26", S.INTEREST),
        ("DIVIDEND_OR_INTEREST", "7", "Credit Interest", S.INTEREST),
        ("DIVIDEND_OR_INTEREST", "7", None, S.INTEREST),
        ("DIVIDEND_OR_INTEREST", "7", "Long Term Cap Gain VTI", S.CAPITAL_GAIN),
        ("DIVIDEND_OR_INTEREST", "-7", "MARGIN INTEREST CHARGED", S.MARGIN_INTEREST),
        ("DIVIDEND_OR_INTEREST", "-7", "INTEREST 01/01-01/31", S.MARGIN_INTEREST),
        ("DIVIDEND_OR_INTEREST", "-7", "NRA Tax Adj", S.TAX),
        ("DIVIDEND_OR_INTEREST", "-7", "Foreign Tax Paid", S.TAX),
        ("DIVIDEND_OR_INTEREST", "-7", "ADR Mgmt Fee", S.ACCOUNT_FEE),
    ],
)
def test_every_type_has_its_subtype(
    type: str, net: str, description: str | None, expected: S
) -> None:
    entry = some_books().enter(type, WHEN, net, paid(net), description=description)
    row = a_row(entry)
    assert (row.subtype, row.amount, row.quantity) == (expected, money(net), None)
    assert row.description
    if expected.type is T.FEE:
        assert row.amount.amount < 0


def test_income_is_of_its_security_and_moves_none_but_where_it_is_reinvested() -> None:
    item = {"instrument": FUND, "amount": Decimal(120), "cost": Decimal("12.50"), "price": 0}
    entry = some_books().enter("DIVIDEND_OR_INTEREST", WHEN, "12.50", item, description="VG INT TM")
    row = a_row(entry)
    assert (row.subtype, row.quantity) == (S.DIVIDEND, None)
    assert row.security is not None
    assert row.security.symbol == "SCHD"
    entry["description"] = "Reinvest Dividend"  # the money; its shares are bought by another
    assert (a_row(entry).subtype, a_row(entry).quantity) == (S.REINVESTMENT, None)
    bought = {**item, "amount": Decimal("0.45"), "cost": Decimal("-12.50")}
    entry = some_books().enter(
        "DIVIDEND_OR_INTEREST", WHEN, "-12.50", bought, description="Reinvest Shares"
    )
    assert (a_row(entry).subtype, a_row(entry).quantity) == (S.REINVESTMENT, Decimal("0.45"))
    coupon = {"instrument": BOND, "amount": 0, "cost": Decimal("12.50")}
    entry = some_books().enter("DIVIDEND_OR_INTEREST", WHEN, "12.50", coupon)
    assert a_row(entry).subtype is S.INTEREST


def test_the_money_that_a_trade_is_paid_with_is_no_fee() -> None:
    cash = {"instrument": USD, "amount": Decimal(-1000), "cost": Decimal(-1000)}
    bought = leg(equity("X"), "10", "100", cost="-1000", effect="OPENING")
    entry = some_books().enter("TRADE", WHEN, "-1001.00", fee("COMMISSION", "1.00"), cash, bought)
    assert amounts(a_row(entry)) == (Decimal("-1001.00"), 10, Decimal("-1.00"))


def test_what_is_nothing_but_a_fee_is_a_fee() -> None:
    entry = some_books().enter("JOURNAL", WHEN, "-5.00", fee("MISCELLANEOUS_FEE", "5.00"))
    row = a_row(entry)
    assert (row.subtype, amounts(row)) == (S.ACCOUNT_FEE, (Decimal("-5.00"), None, None))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("VALID", TransactionStatus.SETTLED),
        ("PENDING", TransactionStatus.PENDING),
        ("INVALID", TransactionStatus.CANCELLED),
        ("UNKNOWN", TransactionStatus.SETTLED),
        (None, TransactionStatus.SETTLED),
    ],
)
def test_every_status_is_one_of_ours(said: str | None, expected: TransactionStatus) -> None:
    entry = some_books().enter("JOURNAL", WHEN, "1", paid("1"))
    entry["status"] = said
    assert a_row(entry).status is expected


@pytest.mark.parametrize(
    "said",
    [
        "2025-01-14T05:15:12+0000",
        "2025-01-15T01:30:00.000Z",  # in the evening there
        "2025-01-14T05:00:00+0000",  # midnight there
        "2025-01-14T00:00:00.000Z",  # no time at all
        "2025-01-14T23:30:00",  # without a zone
        "2025-01-14",
    ],
)
def test_a_day_is_that_of_new_york(said: str) -> None:
    entry = some_books().enter("JOURNAL", WHEN, "1", paid("1"))
    entry |= {"tradeDate": said, "settlementDate": said}
    assert (a_row(entry).date, a_row(entry).settlement_date) == (WHEN.date(), WHEN.date())


@pytest.mark.parametrize(("said", "day"), [("T03:59:59Z", 1), ("T04:00:00Z", 2)])
def test_in_summer_it_begins_an_hour_earlier(said: str, day: int) -> None:
    entry = some_books().enter("JOURNAL", WHEN, "1", paid("1"))
    assert a_row(entry | {"tradeDate": f"2025-07-02{said}"}).date == date(2025, 7, day)


def test_zero_is_a_number_and_so_an_id() -> None:
    entry = some_books().enter("JOURNAL", WHEN, "0", {"instrument": USD, "amount": 0, "cost": 0})
    entry["activityId"] = Decimal(0)
    assert (a_row(entry).key, a_row(entry).amount) == ("0", money("0"))


def test_without_a_day_an_id_or_an_amount_it_is_unreadable() -> None:
    good = some_books().enter("JOURNAL", WHEN, "1", paid("1"))
    for name in ("activityId", "netAmount", "type"):
        with pytest.raises(Malformed):
            a_row({k: v for k, v in good.items() if k != name})
    with pytest.raises(Malformed, match="tradeDate"):
        a_row({k: v for k, v in good.items() if k not in ("tradeDate", "time")})
