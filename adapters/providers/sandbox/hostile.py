"""The scenario `hostile`: the default one, with everything in it that real feeds have spoilt."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import msgspec

Row = dict[str, object]

# What JSON does not have, or our encoder would not write, goes out as it stands.
NAN, INFINITY = msgspec.Raw(b"NaN"), msgspec.Raw(b"-Infinity")
LONE_SURROGATE = msgspec.Raw(b'"CAFE \\ud83d CENTRAL"')
ENDLESS = msgspec.Raw(b"1e999999999999999999999")

SPOILT_ACCOUNTS, SPOILT_BALANCES, SPOILT_HOLDINGS, SPOILT_TRANSACTIONS = 3, 2, 3, 18
SENT_TWICE, ODD_BUT_READABLE = 2, 3


def spoil(
    accounts: list[object],
    balances: list[object],
    holdings: Mapping[str, list[object]],
    transactions: Mapping[str, list[object]],
    day: date,
) -> None:
    """Adds what cannot be read, what is sent twice, and what is odd but can be read."""
    accounts += _accounts(day)
    balances += [
        _balance(day, balance=NAN),
        _balance(day, day=f"{day.year}-13-01"),
    ]
    held = holdings["brokerage"]
    held += [
        {**_like(held[0]), "quantity": "NaN"},
        {**_like(held[0]), "value": INFINITY},
        {**_like(held[0]), "security": {"name": "Mystery", "kind": "tulip", "currency": "USD"}},
    ]
    rows = transactions["checking"]
    rows += [rows[0], rows[-1]]
    rows += _odd(day)
    rows += _unreadable(day)


def _accounts(day: date) -> list[object]:
    as_of = f"{day.isoformat()}T00:00:00+00:00"
    miles: Row = {
        "object": "account",
        "id": "miles",
        "institution": "Sandbox Financial",
        "name": "Frequent Flyer",
        "kind": "savings",
        "number": "88120045",
        "currency": "MILES",
        "owed": False,
        "balance": 48_210,
        "as_of": as_of,
    }
    broken = {**miles, "id": "broken", "currency": "USD", "balance": "twelve"}
    undated = {**miles, "id": "undated", "currency": "USD", "as_of": "the day before"}
    return [miles, broken, undated]


def _balance(today: date, **spoilt: object) -> Row:
    sound: Row = {
        "object": "balance",
        "account_id": "checking",
        "currency": "USD",
        "day": today.isoformat(),
        "owed": False,
        "balance": Decimal("1.00"),
    }
    return {**sound, **spoilt}


def _row(day: date, id: object, **other: object) -> Row:
    sound: Row = {
        "object": "transaction",
        "id": id,
        "account_id": "checking",
        "type": "purchase",
        "status": "settled",
        "date": day.isoformat(),
        "amount": Decimal("-1.00"),
        "currency": "USD",
        "description": "SPOILT",
        "settles_on": day.isoformat(),
    }
    return {**sound, **other}


def _odd(day: date) -> list[object]:
    return [
        _row(day, "odd-1", description="LINE ONE\r\nLINE TWO\x07\x1b[31m", amount=Decimal(0)),
        _row(day, "odd-2", description=LONE_SURROGATE, amount="0.00"),
        _row(day, "odd-3", description="NUL\x00INSIDE", amount=Decimal("0E-2")),
    ]


def _unreadable(day: date) -> list[object]:
    return [
        _row(day, "bad-1", amount="12,34.5x"),
        _row(day, "bad-2", amount=NAN),
        _row(day, "bad-3", amount=INFINITY),
        _row(day, "bad-4", amount="NaN"),
        _row(day, "bad-5", amount=Decimal("1E+40")),
        _row(day, "bad-6", amount=ENDLESS),
        _row(day, "bad-7", amount=True),
        _row(day, "bad-8", amount=None),
        _row(day, "bad-9", amount=Decimal("0." + "3" * 40)),
        _row(day, "bad-10", date=f"{day.year}-02-30"),
        _row(day, "bad-11", date="yesterday"),
        _row(day, "bad-12", date="9999-12-31"),
        _row(day, "bad-13", type="teleport"),
        _row(day, "bad-14", currency="MILES"),
        _row(day, "bad\x00-15"),
        _row(day, None),
        "garbage",
        None,
    ]


def _like(row: object) -> Row:
    if not isinstance(row, dict):
        raise TypeError("a holding is an object")
    return row
