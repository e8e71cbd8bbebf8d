from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.rates import shipped
from domain.money import EXACT, Currency
from domain.rates import (
    BEHIND_MAX,
    DIGITS,
    EURO,
    GAP_MAX,
    NO_RATES,
    Publication,
    Rates,
    expected,
    leaps,
)
from tests.builders import EUR, USD
from tests.rates.publications import rates_of

GBP, JPY, BTC = Currency("GBP"), Currency("JPY"), Currency("BTC")
FRIDAY = date(2026, 10, 30)
HALF_A_DIGIT = Decimal(1).scaleb(1 - DIGITS)

per_euro = st.decimals("0.0001", "2000000", places=6).filter(bool)
codes = st.sampled_from([EUR, USD, GBP, JPY])


def published(day: date = FRIDAY, **rates: str) -> Publication:
    return Publication(day, {Currency(code): Decimal(text) for code, text in rates.items()})


@st.composite
def known(draw: st.DrawFn) -> Rates:
    quoted = {c: draw(per_euro) for c in (USD, GBP, JPY)}
    return rates_of([Publication(FRIDAY, quoted)], "ECB")


def of(rates: Rates, source: Currency, to: Currency, day: date = FRIDAY) -> Decimal:
    rate = rates.rate(source, to, day)
    assert rate is not None
    return rate.rate


@given(known(), codes)
def test_a_currency_is_worth_itself(rates: Rates, one: Currency) -> None:
    assert of(rates, one, one) == 1


@given(known(), codes, codes)
def test_there_and_back_again_is_one_but_for_the_last_digit(
    rates: Rates, one: Currency, other: Currency
) -> None:
    product = EXACT.multiply(of(rates, one, other), of(rates, other, one))
    assert abs(product - 1) <= 2 * HALF_A_DIGIT


@given(known(), codes, codes, codes)
def test_by_way_of_a_third_it_is_the_same_but_for_the_last_digit(
    rates: Rates, one: Currency, via: Currency, other: Currency
) -> None:
    assume(len({one, via, other}) == 3)
    around = EXACT.multiply(of(rates, one, via), of(rates, via, other))
    assert abs(EXACT.divide(around, of(rates, one, other)) - 1) <= 3 * HALF_A_DIGIT


def test_a_quote_is_taken_as_it_is_and_the_others_follow_from_it() -> None:
    rates = rates_of([published(USD="1.1172", GBP="0.8338")], "ECB")
    assert of(rates, EUR, USD) == Decimal("1.1172")
    assert of(rates, USD, EUR) == Decimal("0.89509488005728607232")
    assert of(rates, GBP, USD) == Decimal("1.3398896617893979372")
    assert len(of(rates, USD, GBP).as_tuple().digits) == DIGITS


@pytest.mark.parametrize("days", range(8))
def test_a_day_without_a_publication_has_the_last_one_and_says_so(days: int) -> None:
    later = [published(FRIDAY + timedelta(days=30), USD="9")]
    rates = rates_of([published(USD="1.1172"), *later], "ECB")
    rate = rates.rate(EUR, USD, FRIDAY + timedelta(days=days))
    assert rate is not None
    assert (rate.rate, rate.date, rate.source) == (Decimal("1.1172"), FRIDAY, "ECB")


def test_after_a_week_without_a_publication_it_is_missing() -> None:
    later = [published(FRIDAY + timedelta(days=30), USD="9")]
    rates = rates_of([published(USD="1.1172"), *later], "ECB")
    assert rates.rate(EUR, USD, FRIDAY + GAP_MAX + timedelta(days=1)) is None


def test_what_is_newer_than_the_newest_publication_has_that_for_a_quarter() -> None:
    rates = rates_of([published(USD="1.1172")], "ECB")
    rate = rates.rate(USD, EUR, FRIDAY + BEHIND_MAX)
    assert rate is not None
    assert rate.date == FRIDAY
    assert rates.rate(USD, EUR, FRIDAY + BEHIND_MAX + timedelta(days=1)) is None


def test_a_currency_that_is_quoted_no_more_is_missing_though_others_are() -> None:
    rates = rates_of([published(USD="1.1", HRK="7.5"), published(date(2027, 1, 4), USD="1")], "ECB")
    kuna = Currency("HRK")
    assert rates.rate(kuna, USD, FRIDAY + GAP_MAX) is not None
    assert rates.rate(kuna, USD, date(2027, 1, 4)) is None
    assert rates.rate(kuna, EUR, date(2027, 1, 4)) is None


def test_a_cross_rate_is_of_one_day_on_which_both_were_quoted() -> None:
    thursday = FRIDAY - timedelta(days=1)
    rates = rates_of([published(thursday, USD="1.1", GBP="0.8"), published(USD="1.2")], "ECB")
    rate = rates.rate(GBP, USD, FRIDAY)
    assert rate is not None
    assert (rate.date, rate.rate) == (thursday, Decimal("1.375"))


def test_before_the_first_quote_and_without_any_it_is_missing_and_never_one() -> None:
    rates = rates_of([published(USD="1.1172")], "ECB")
    for source, to, day in [
        (USD, EUR, FRIDAY - timedelta(days=1)),
        (USD, EUR, date(1998, 12, 31)),
        (BTC, USD, FRIDAY),
        (USD, GBP, FRIDAY),
        (EUR, Currency("XXX"), FRIDAY),
    ]:
        assert rates.rate(source, to, day) is None
    assert NO_RATES.rate(EUR, USD, FRIDAY) is None


@given(known(), st.lists(st.integers(-3, 100), max_size=12))
def test_the_factors_of_days_are_the_rates_of_each(rates: Rates, offsets: list[int]) -> None:
    days = [FRIDAY + timedelta(days=n) for n in offsets]
    found = rates.factors(GBP, USD, days)
    assert found == [(r := rates.rate(GBP, USD, day)) and r.rate for day in days]


def test_two_sources_are_both_named() -> None:
    quotes = {USD: {FRIDAY: (Decimal(2), "ECB")}, GBP: {FRIDAY: (Decimal(1), "rates.example.com")}}
    rate = Rates(quotes, FRIDAY).rate(USD, GBP, FRIDAY)
    assert rate is not None
    assert rate.source == "ECB, rates.example.com"


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 11, 20, 14, 59, tzinfo=UTC), date(2026, 11, 19)),
        (datetime(2026, 11, 20, 15, tzinfo=UTC), date(2026, 11, 20)),
        (datetime(2026, 11, 22, 23, tzinfo=UTC), date(2026, 11, 20)),
        (datetime(2026, 11, 23, 9, tzinfo=UTC), date(2026, 11, 20)),
    ],
)
def test_rates_are_out_in_the_afternoon_of_business_days(at: datetime, day: date) -> None:
    assert expected(at) == day


def test_in_27_years_no_currency_has_leapt_and_what_has_is_found() -> None:
    some = list(shipped(lambda day: day.year in (1999, 2001, 2008, 2015, 2022)))
    assert len(some) > 1_200
    assert leaps(some, NO_RATES) == set()
    newest = max(p.day for p in some)
    turned = Publication(newest + timedelta(days=1), {USD: Decimal("0.4"), GBP: Decimal("0.88")})
    assert leaps([turned], rates_of(some, "ECB")) == {USD}
    assert leaps([*some, turned], NO_RATES) == {USD}


def test_every_day_since_1999_has_a_rate_in_what_is_shipped() -> None:
    days = sorted(p.day for p in shipped(lambda _: True))
    assert (days[0], days[-1] >= date(2026, 10, 30)) == (date(1999, 1, 4), True)
    assert max(b - a for a, b in pairwise(days)) < GAP_MAX
    assert EURO == EUR
