"""Scalars take what they print, and nothing else, as a literal and as a variable."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from graphql import GraphQLError, GraphQLScalarType, parse, parse_value, validate

from schema.schema import schema
from tests.schema.builders import a_transaction, an_account, money
from tests.schema.world import World


def scalar(name: str) -> GraphQLScalarType:
    found = schema.type_map[name]
    assert isinstance(found, GraphQLScalarType)
    return found


def literal(name: str, text: str) -> Any:
    return scalar(name).parse_literal(parse_value(text))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("Decimal", "0", Decimal(0)),
        ("Decimal", "-1234.50", Decimal("-1234.50")),
        ("Decimal", "9" * 28 + "." + "9" * 28, Decimal("9" * 28 + "." + "9" * 28)),
        ("Date", "2024-02-29", date(2024, 2, 29)),
        ("DateTime", "2026-11-21T20:59:00Z", datetime(2026, 11, 21, 20, 59, tzinfo=UTC)),
        (
            "DateTime",
            "2026-11-21T20:59:00.5+05:30",
            datetime(2026, 11, 21, 15, 29, 0, 500_000, tzinfo=UTC),
        ),
        ("Currency", "USD", "USD"),
        ("Currency", "BTC", "BTC"),
    ],
)
def test_a_scalar_takes_its_form(name: str, text: str, value: object) -> None:
    assert scalar(name).parse_value(text) == value
    assert literal(name, f'"{text}"') == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("Decimal", v) for v in (1, 1.5, True, None, "", "NaN", "Infinity", "1e5", "1E-8", "+1")),
        *(
            ("Decimal", v)
            for v in ("01", "1.", ".5", " 1", "1\n", "\u0661", "1_000", "0x1", "1" * 29)
        ),
        *(("Decimal", v) for v in ("0." + "1" * 29, ["1"], Decimal(1))),
        *(("Date", v) for v in ("2026-02-30", "20261121", "2026-11-21T00:00:00Z", "2026-W01-1")),
        *(("Date", v) for v in (0, "2026-1-1", "0000-01-01", date(2026, 1, 1))),
        *(("DateTime", v) for v in ("2026-11-21T20:59:00", "2026-11-21", "2026-11-21 20:59:00Z")),
        *(("DateTime", v) for v in ("2026-11-21T24:00:00Z", "2026-11-21T20:59:60Z", 0)),
        *(("DateTime", v) for v in ("0001-01-01T00:00:00+01:00", "2026-11-21T20:59:00+25:00")),
        *(("Currency", v) for v in ("usd", "US", "XYZ", "", "USDUSDUSDUSDUSD", 840)),
        *(("Upload", v) for v in (None, "text", b"bytes", 1, {"filename": "x"})),
    ],
)
def test_a_scalar_refuses_everything_else(name: str, value: object) -> None:
    with pytest.raises(GraphQLError):
        scalar(name).parse_value(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Decimal", "1"),
        ("Decimal", "1.5"),
        ("Decimal", "1e5"),
        ("Decimal", "true"),
        ("Decimal", "[1]"),
        ("Date", "20261121"),
        ("Currency", "USD"),
        ("Upload", '"text"'),
    ],
)
def test_a_literal_of_another_kind_is_refused(name: str, text: str) -> None:
    with pytest.raises(GraphQLError):
        literal(name, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("-0.00"), "0.00"),
        (Decimal("10.00"), "10.00"),
        (Decimal("12345678901234567890.123456789"), "12345678901234567890.123456789"),
    ],
)
def test_a_decimal_is_printed_exactly_and_without_an_exponent(value: Decimal, text: str) -> None:
    assert scalar("Decimal").serialize(value) == text


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), Decimal("sNaN")])
def test_what_is_no_number_is_not_printed(value: Decimal) -> None:
    with pytest.raises(ValueError, match="finite"):
        scalar("Decimal").serialize(value)


def test_an_instant_is_printed_in_utc() -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=2)))

    assert scalar("DateTime").serialize(noon) == "2026-11-21T10:00:00Z"
    with pytest.raises(ValueError, match="zone"):
        scalar("DateTime").serialize(datetime(2026, 11, 21))  # noqa: DTZ001


async def test_an_integer_is_no_decimal_in_an_operation(world: World) -> None:
    document = (
        "query ($least: Decimal) { transactions(filter: {minAmount: $least}) { totalCount } }"
    )
    account = an_account()
    world.hers.accounts.append(account)
    world.hers.transactions.append(a_transaction(account, amount=money("-0.30")))

    refused = await world.ask(document, {"least": -1})
    taken = await world.get(document, {"least": "-0.30"})

    assert refused.data is None
    assert "1234.56" in refused.errors[0]["message"]
    assert taken["transactions"]["totalCount"] == 1


def test_a_literal_that_is_not_taken_is_pointed_at() -> None:
    [error] = validate(schema, parse('{\n  netWorth(currency: "usd") { asOf }\n}'))

    assert error.message == 'expected a string such as "USD"'
    assert error.locations == [(2, 22)]
