from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.accounts import NAME_MAX, account_name, nickname, stated_at, stated_balance
from domain.errors import InvalidInput
from domain.money import Currency
from domain.transactions import CATEGORY_MAX, NOTES_MAX, notes, own_category
from tests.builders import NOW

BALANCE = ("input", "balance")


@pytest.mark.parametrize(
    ("said", "of"),
    [
        ("0", "USD"),
        ("-384000.00", "USD"),
        ("120.5000", "USD"),
        ("999999999999999.99", "USD"),
        ("-1", "JPY"),
        ("1.234", "BHD"),
        ("0.000000000000000001", "ETH"),
        ("1e2", "JPY"),
        ("31.1034768", "XAU"),  # ounces of gold have no smallest unit
    ],
)
def test_a_balance_is_taken_as_it_is_said(said: str, of: str) -> None:
    stated = stated_balance(Decimal(said), Currency(of))

    assert (str(stated.amount), stated.currency) == (str(Decimal(said)), of)


@pytest.mark.parametrize(
    ("said", "of"),
    [
        ("0.001", "USD"),
        ("-0.5", "JPY"),
        ("0.123456789", "BTC"),
        ("123456789012345.00000000000001", "USD"),
        ("1000000000000000", "USD"),
        ("-1e15", "USD"),
        ("1e999", "USD"),
        ("NaN", "USD"),
        ("sNaN", "USD"),
        ("-Infinity", "USD"),
    ],
)
def test_no_part_of_a_minor_unit_and_nothing_absurd_is_a_balance(said: str, of: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        stated_balance(Decimal(said), Currency(of))

    assert refused.value.field == BALANCE


def test_a_balance_is_of_now_or_of_the_past() -> None:
    assert stated_at(None, now=NOW) == NOW
    assert stated_at(NOW - timedelta(days=9), now=NOW) == NOW - timedelta(days=9)
    assert stated_at(NOW + timedelta(minutes=4), now=NOW) == NOW  # a clock that is ahead
    assert stated_at(datetime(1900, 1, 1, tzinfo=UTC), now=NOW).year == 1900


@pytest.mark.parametrize(
    "said", [NOW + timedelta(minutes=6), datetime(1899, 12, 31, 23, 59, tzinfo=UTC)]
)
def test_a_balance_is_not_of_the_future_nor_of_another_century(said: datetime) -> None:
    with pytest.raises(InvalidInput) as refused:
        stated_at(said, now=NOW)

    assert refused.value.field == ("input", "at")


def test_names_are_trimmed_and_bounded() -> None:
    assert account_name("  House \n") == "House"
    assert nickname("\N{NO-BREAK SPACE}Rainy day ") == "Rainy day"
    assert nickname(None) is None
    assert len(account_name("x" * NAME_MAX)) == NAME_MAX


@pytest.mark.parametrize("said", ["", "  \t\n", "x" * (NAME_MAX + 1)], ids=len)
def test_a_name_is_neither_empty_nor_endless(said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        account_name(said)
    assert refused.value.field == ("input", "name")
    with pytest.raises(InvalidInput) as refused:
        nickname(said)
    assert refused.value.field == ("input", "nickname")


def test_a_category_may_be_given_denied_or_left_to_the_provider() -> None:
    assert own_category(" Food ") == "Food"
    assert own_category(" ") == ""
    assert own_category(None) is None


def test_empty_notes_are_none() -> None:
    assert notes(" with Ann \n") == "with Ann"
    assert notes(" ") is None
    assert notes(None) is None


def test_what_is_said_of_a_transaction_is_bounded() -> None:
    with pytest.raises(InvalidInput) as refused:
        own_category("x" * (CATEGORY_MAX + 1))
    assert refused.value.field == ("input", "category")
    with pytest.raises(InvalidInput) as refused:
        notes("x" * (NOTES_MAX + 1))
    assert refused.value.field == ("input", "notes")
