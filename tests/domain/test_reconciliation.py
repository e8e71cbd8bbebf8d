from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.accounts import MANUAL, Account, AccountType
from domain.holdings import Holding, HoldingId
from domain.identity import new_id
from domain.money import Money
from domain.reconciliation import (
    FINDINGS_MAX,
    POSITIONS_MAX,
    Balances,
    DayBalance,
    Finding,
    FindingCode,
    Reconciliation,
    reconcile,
)
from domain.securities import AssetType, Security, SecurityId
from tests.builders import NOW, TODAY, USD, an_account, money

NOTHING = Balances()
CODE = FindingCode


def invested(balance: str, cash: str | None, **said: Any) -> Account:
    held = None if cash is None else money(cash)
    values: dict[str, Any] = {"type": AccountType.BROKERAGE, "balance": money(balance)}
    return an_account(**values, cash_balance=held, **said)


def position(value: str, quantity: str = "10", price: str | None = None, **said: Any) -> Holding:
    of = said.pop("of", "USD")
    terms: dict[str, Any] = {
        "id": SecurityId(new_id()),
        "name": "Apple Inc.",
        "symbol": "AAPL",
        "asset_type": AssetType.EQUITY,
        "currency": USD,
    }
    return Holding(
        id=HoldingId(new_id()),
        account_id=an_account().id,
        security=Security(**terms | said),
        quantity=Decimal(quantity),
        market_value=money(value, of),
        market_price=None if price is None else money(price, of),
        as_of=NOW,
    )


def day(back: int, balance: str, *entered: str) -> DayBalance:
    """So many days ago; up to the end of which so much had been entered."""
    return DayBalance(
        day=TODAY - timedelta(days=back),
        balance=money(balance),
        entered=tuple(map(Decimal, entered)),
    )


def checked(*days: DayBalance, foreign: int = 0) -> Reconciliation:
    return reconcile(an_account(), [], Balances(days=days, foreign=foreign))


def only(found: Reconciliation) -> Finding:
    [finding] = found.findings
    assert not found.balanced
    assert found.checked_at == NOW
    return finding


def differs(finding: Finding) -> tuple[FindingCode, Money | None, Money | None, Money | None]:
    return finding.code, finding.expected, finding.actual, finding.difference


# ── nothing to compare ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "account",
    [
        an_account(),
        invested("100.00", None),
        an_account(type=AccountType.OTHER),
        an_account(provider_slug=MANUAL, type=AccountType.BROKERAGE, cash_balance=money("1.00")),
    ],
    ids=["no history", "cash is not told", "other", "manual"],
)
def test_where_nothing_can_be_compared_nothing_was_checked(account: Account) -> None:
    found = reconcile(account, [], NOTHING)

    assert found == Reconciliation()
    assert found.balanced


def test_one_statement_that_is_told_twice_is_not_compared_with_itself() -> None:
    assert checked(day(3, "500.00", "7.00"), day(3, "500.00", "7.00", "0", "7")).checked_at is None


# ── the value of a position ─────────────────────────────────────────────────


def test_a_position_is_worth_its_quantity_at_its_price() -> None:
    found = reconcile(invested("0", None), [position("1500.00", "10", "150.00")], NOTHING)

    assert found.balanced
    assert found.checked_at == NOW


def test_a_wrong_value_is_named_with_its_difference() -> None:
    wrong = position("1512.34", "10", "150.00")

    finding = only(reconcile(invested("0", None), [wrong], NOTHING))

    assert differs(finding) == (
        CODE.HOLDING_VALUE,
        money("1500.00"),
        money("1512.34"),
        money("12.34"),
    )
    assert "AAPL" in finding.message


@pytest.mark.parametrize(
    ("value", "quantity", "price", "terms"),
    [
        ("-4560.00", "-10", "4.56", {"asset_type": AssetType.OPTION, "multiplier": Decimal(100)}),
        ("9812.50", "10000", "98.125", {"asset_type": AssetType.FIXED_INCOME}),
        ("9812.50", "10", "981.25", {"asset_type": AssetType.FIXED_INCOME}),
        ("999.97", "100", "10.00", {}),  # a price of 9.9997 is told as 10.00
        ("617.27", "1.2345", "500.00", {}),  # of 1.23454 shares
        ("0.00", "0.000000000000000001", "61234.56", {"asset_type": AssetType.CRYPTOCURRENCY}),
        ("250.00", "2", "4500", {"asset_type": AssetType.FUTURE}),  # what was gained on it
    ],
    ids=[
        "a short option",
        "per cent of par",
        "a bond's price",
        "rounded",
        "a part",
        "crypto",
        "future",
    ],
)
def test_values_follow_the_terms_of_the_security_and_the_rounding_of_its_price(
    value: str, quantity: str, price: str, terms: dict[str, Any]
) -> None:
    assert reconcile(
        invested("0", None), [position(value, quantity, price, **terms)], NOTHING
    ).balanced


def test_what_a_hostile_file_claims_is_only_added_up() -> None:
    huge = position("5.00", "9" * 28, "9" * 28, multiplier=Decimal("9" * 28))

    assert reconcile(invested("6.00", "1.00"), [huge], NOTHING).balanced


@pytest.mark.parametrize("price", ["150", "150.0", "150.00", "150.0000"])
def test_a_price_is_not_taken_for_rounder_than_to_the_cent(price: str) -> None:
    wrong = position("1501.00", "10", price)

    assert not reconcile(invested("0", None), [wrong], NOTHING).balanced


@pytest.mark.parametrize("quantity", ["2", "2.0000", "1.9999"])
def test_a_quantity_is_not_taken_for_rounder_than_it_is(quantity: str) -> None:
    wrong = position("1000.10", quantity, "500.00")

    assert not reconcile(invested("0", None), [wrong], NOTHING).balanced


# ── positions and cash against the total ────────────────────────────────────


def test_cash_and_positions_come_to_the_reported_total() -> None:
    positions = [position("1500.00"), position("-200.00", "-1")]

    found = reconcile(invested("1200.00", "-100.00"), positions, NOTHING)

    assert found == Reconciliation(checked_at=NOW)


@pytest.mark.parametrize("off", ["0.01", "-0.01", "250.00"])
def test_a_total_that_is_off_is_found_to_the_cent(off: str) -> None:
    positions = [position("10.00") for _ in range(50)]
    total = money("600.00") + money(off)

    found = reconcile(invested(f"{total.amount}", "100.00"), positions, NOTHING)

    code, expected, actual, difference = differs(only(found))
    assert (code, expected, actual) == (CODE.POSITIONS_AND_CASH, money("600.00"), total)
    assert difference == money(off)


def test_a_total_of_other_days_than_its_positions_says_so() -> None:
    account = invested("1.00", "0.00", as_of=NOW + timedelta(days=1))

    [finding] = reconcile(account, [position("2.00")], NOTHING).findings

    assert "the total is of 2026-11-22, the positions of 2026-11-21" in finding.message


@pytest.mark.parametrize(
    ("total", "balanced"), [("1400.00", True), ("900.00", True), ("901", False)]
)
def test_a_money_market_fund_that_is_the_cash_too_counts_once(total: str, balanced: bool) -> None:
    sweep = position("500.00", asset_type=AssetType.CASH_EQUIVALENT)

    found = reconcile(invested(total, "500.00"), [position("400.00"), sweep], NOTHING)

    assert found.balanced is balanced


def test_values_told_in_parts_of_a_cent_may_be_rounded_for_the_total() -> None:
    positions = [position("10.123456"), position("20.006")]

    assert reconcile(invested("30.13", "0.00"), positions, NOTHING).balanced
    assert reconcile(invested("30.129456", "0.00"), positions, NOTHING).balanced
    assert not reconcile(invested("30.12", "0.00"), positions, NOTHING).balanced
    assert not reconcile(invested("30.14", "0.00"), positions, NOTHING).balanced


@pytest.mark.parametrize(
    ("total", "balanced"), [("30.00", True), ("30.01", False), ("29.99", False)]
)
def test_where_values_are_rounded_the_total_is_of_those(total: str, balanced: bool) -> None:
    """10.003 three times is 30.009, of which 30.00 is shown."""
    positions = [position("10.00", "1", "10.003") for _ in range(3)]

    assert reconcile(invested(total, "0.00"), positions, NOTHING).balanced is balanced


@pytest.mark.parametrize(("total", "balanced"), [("15.00", True), ("15.01", True), ("15.02", True)])
def test_who_cuts_values_off_cuts_the_total_off(total: str, balanced: bool) -> None:
    """5.006 three times is 15.018; each is told as 5.00."""
    positions = [position("5.00", "1", "5.006") for _ in range(3)]

    assert reconcile(invested(total, "0.00"), positions, NOTHING).balanced is balanced
    assert not reconcile(invested("15.03", "0.00"), positions, NOTHING).balanced


@pytest.mark.parametrize(
    "positions",
    [
        [position("10.00"), position("20.00", of="EUR")],
        [position("1.00")] * (POSITIONS_MAX + 1),
    ],
    ids=["two currencies", "too many"],
)
def test_what_cannot_be_added_up_is_not_called_balanced(positions: list[Holding]) -> None:
    finding = only(reconcile(invested("30.00", "0.00"), positions, NOTHING))

    assert differs(finding) == (CODE.NOT_COMPARABLE, None, None, None)


# ── transactions against balances ───────────────────────────────────────────


def test_a_balance_is_the_one_before_and_what_was_settled_since() -> None:
    found = checked(day(2, "100.00", "0"), day(1, "95.50", "-4.50"), day(0, "80.00", "-20.00"))

    assert found == Reconciliation(checked_at=NOW)


def test_a_missing_transaction_is_found_where_it_is_missing_and_once() -> None:
    """After it balances and transactions go on side by side."""
    found = checked(
        day(4, "100.00", "0"),
        day(3, "90.00", "-10.00"),
        day(2, "65.25", "-10.00"),
        day(1, "60.25", "-15.00"),
        day(0, "50.25", "-25.00"),
    )

    finding = only(found)
    assert differs(finding) == (
        CODE.TRANSACTIONS_AND_BALANCE,
        money("90.00"),
        money("65.25"),
        money("-24.75"),
    )
    assert finding.message == (
        "the balance of 2026-11-19 is not that of 2026-11-18 and what was settled since"
    )


def test_a_wrong_balance_that_the_next_takes_back_is_found_once() -> None:
    found = checked(
        day(3, "100.00", "0"), day(2, "90.00", "-10.00"), day(1, "80.01", "-20.00"),
        day(0, "70.00", "-30.00"),
    )  # fmt: skip

    assert differs(only(found))[1:] == (money("80.00"), money("80.01"), money("0.01"))


def test_a_wrong_balance_of_now_is_found() -> None:
    found = checked(day(1, "100.00", "0"), day(0, "91.00", "-10.00", "0", "-10.00"))

    assert differs(only(found))[1:] == (money("90.00"), money("91.00"), money("1.00"))


def test_several_errors_are_told_the_newest_first() -> None:
    found = checked(
        day(4, "100.00", "0"), day(3, "90.00", "0"), day(2, "90.00", "0"), day(1, "85.00", "0"),
        day(0, "85.00", "0"),
    )  # fmt: skip

    assert [f.difference for f in found.findings] == [money("-5.00"), money("-10.00")]


def test_no_more_findings_are_told_than_anyone_reads() -> None:
    days = [day(200 - n, f"{n * n}.00", "0") for n in range(150)]

    assert len(checked(*days).findings) == FINDINGS_MAX


@pytest.mark.parametrize("sums", [("0", "4.00", "0"), ("0", "0", "-6.00")])
def test_a_balance_of_an_instant_may_be_of_the_days_around_it(sums: tuple[str, ...]) -> None:
    """Midnight in UTC is another day at most banks, and some write a day late."""
    balance = {"4.00": "104.00", "-6.00": "94.00"}[next(s for s in sums if s != "0")]

    assert checked(day(5, "100.00", "0"), day(0, balance, *sums)).balanced
    assert not checked(day(5, "100.00", "0"), day(0, "101.00", *sums)).balanced


def test_transactions_in_another_currency_are_not_passed_over() -> None:
    found = checked(day(1, "100.00", "0"), day(0, "100.00", "0"), foreign=2)

    assert differs(only(found)) == (CODE.NOT_COMPARABLE, None, None, None)
    assert "2 transactions" in found.findings[0].message


def test_exact_sums_stay_exact() -> None:
    tiny = "0.000000000000000001"
    found = checked(day(1, "1e20", "0"), day(0, f"100000000000000000000{tiny[1:]}", "0"))

    assert only(found).difference == money(tiny)


def test_an_investment_accounts_balances_are_not_compared_with_its_transactions() -> None:
    known = Balances(days=[day(1, "1.00", "0"), day(0, "5.00", "0")])

    assert reconcile(invested("5.00", None), [], known).checked_at is None
