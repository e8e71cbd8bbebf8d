from decimal import Decimal
from fractions import Fraction

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.currencies import CRYPTO, ISO_4217
from domain.money import (
    MixedCurrencies,
    Money,
    currency,
    exact_sum,
    minor_digits,
    percent,
    storable,
    total,
)
from tests.builders import EUR, JPY, USD, money

cents = st.integers(-(10**15), 10**15).map(lambda n: Decimal(n).scaleb(-2))
amounts = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=8
)


def test_the_currency_table_is_that_of_the_standard() -> None:
    standard = {c.code: c.exponent for c in iso4217.Currency if c.code not in ("XXX", "XTS")}
    assert standard == ISO_4217


def test_no_crypto_code_is_taken_for_a_currency() -> None:
    assert not set(CRYPTO) & set(ISO_4217)


@pytest.mark.parametrize("code", ["usd", "US", "MILES", "", "USD ", "U$D", "XTS"])
def test_what_is_no_currency_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="not an ISO 4217 or crypto asset code"):
        currency(code)


def test_minor_units_are_the_currencys_own() -> None:
    assert [minor_digits(currency(c)) for c in ("USD", "JPY", "BHD", "BTC", "XAU")] == [
        2,
        0,
        3,
        8,
        2,
    ]


@given(amounts, amounts)
def test_adding_and_taking_away_loses_nothing(a: Decimal, b: Decimal) -> None:
    assert Money(a, USD) + Money(b, USD) - Money(b, USD) == Money(a, USD)


long_amounts = st.builds(
    lambda whole, part, sign: Decimal(f"{sign}{whole}.{part:028}"),
    st.integers(1, 10**28 - 1),
    st.integers(0, 10**28 - 1),
    st.sampled_from(["", "-"]),
)


@given(long_amounts)
def test_an_amount_of_up_to_56_digits_loses_none_of_them(amount: Decimal) -> None:
    written = f"{amount:f}"
    turned = written.removeprefix("-") if amount < 0 else f"-{written}"
    assert f"{(-Money(amount, USD)).amount:f}" == turned
    assert f"{abs(Money(amount, USD)).amount:f}" == written.removeprefix("-")
    assert exact_sum([amount, Decimal(1), -Decimal(1)]) == amount


@given(st.integers(10**28, 10**30 - 1), st.lists(st.integers(1, 10**40), min_size=1, max_size=9))
def test_allocation_of_very_much_loses_nothing(cents: int, weights: list[int]) -> None:
    amount = Money(Decimal(f"{cents}e-2"), USD)
    assert total(amount.allocate([*map(Decimal, weights)]), USD) == amount


def test_nothing_owed_is_no_negative_zero() -> None:
    assert f"{(-money('0.00')).amount:f}" == "0.00"


def test_currencies_are_never_mixed() -> None:
    with pytest.raises(MixedCurrencies):
        money("1", "USD") + money("1", "EUR")
    with pytest.raises(MixedCurrencies):
        total([money("1", "EUR")], USD)


@given(cents, st.lists(st.integers(0, 10**9).map(Decimal), min_size=1, max_size=30))
def test_allocation_gives_everything_and_nothing_more(
    amount: Decimal, weights: list[Decimal]
) -> None:
    if not any(weights):
        with pytest.raises(ValueError, match="not all zero"):
            Money(amount, USD).allocate(weights)
        return
    parts = Money(amount, USD).allocate(weights)
    assert total(parts, USD) == Money(amount, USD)
    assert all(p.rounded() == p for p in parts)
    exact = [amount * w / sum(weights) for w in weights]
    assert all(abs(p.amount - e) < Decimal("0.01") for p, e in zip(parts, exact, strict=True))


def test_allocation_refuses_what_it_could_only_round() -> None:
    with pytest.raises(ValueError, match="without loss"):
        money("0.005").allocate([Decimal(1), Decimal(1)])


def test_rounding_is_half_even_to_the_minor_unit() -> None:
    assert money("0.125").rounded() == money("0.12")
    assert money("0.135").rounded() == money("0.14")
    assert Money(Decimal("2.5"), JPY).rounded() == Money(Decimal(2), JPY)
    assert Money(Decimal("-0.125"), EUR).rounded() == Money(Decimal("-0.12"), EUR)
    assert money("1.23456", "XAU").rounded() == money("1.23456", "XAU")  # there is no unit
    assert money("1.2345", "KWD").rounded() == money("1.234", "KWD")
    assert money("0.000000025", "BTC").rounded() == money("0.00000002", "BTC")


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-Infinity", "1e400000", "1e-29", "1" * 29])
def test_what_cannot_be_carried_exactly_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"finite|digits"):
        storable(Decimal(bad))


@pytest.mark.parametrize("good", ["0", "-0.0000000000000000000000000001", "9" * 28, "1e27"])
def test_what_can_be_carried_exactly_is_kept_as_it_is(good: str) -> None:
    assert storable(Decimal(good)) == Decimal(good)


def test_a_percentage_has_two_places_and_a_zero_base_has_none() -> None:
    assert percent(Decimal(1), Decimal(3)) == Decimal("33.33")
    assert percent(Decimal(-1), Decimal(-3)) == Decimal("-33.33")
    assert percent(Decimal(1), Decimal(0)) is None
    assert percent(Decimal(1), Decimal("-0.00")) is None
    assert percent(Decimal(-15), Decimal(-10)) == Decimal("-150.00")  # a debt that grew


@given(long_amounts, long_amounts)
def test_nothing_that_can_be_stored_is_rounded_or_too_long_on_its_way(
    a: Decimal, b: Decimal
) -> None:
    assert Fraction(Money(a, USD).times(b).amount) == Fraction(a) * Fraction(b)
    of = percent(a, b.scaleb(-28))
    assert of is not None
    assert abs(Fraction(of) - 100 * Fraction(a) / abs(Fraction(b.scaleb(-28)))) <= Fraction(1, 200)
