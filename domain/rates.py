"""Exchange rates: what one unit of a currency was worth in another on a day.

What is published is how many units of each currency one euro was worth, once a business day (the
European Central Bank's reference rates); everything else follows from that. On a day without a
publication the last one counts, for GAP_MAX; a rate says which day it is really of. What has none
is missing, and never taken for one to one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import TypeAlias

from domain.money import Currency

EURO, DOLLAR = Currency("EUR"), Currency("USD")
ONE = Decimal(1)
FIRST_DAY = date(1999, 1, 4)
LEAP_MAX = 2

# Weekends, Easter and Christmas: the longest time without a publication was five days.
GAP_MAX = timedelta(days=7)
# How far the newest publication may lie behind and still be today's, where no newer one is loaded.
BEHIND_MAX = timedelta(days=92)
# Those of a day are out at about 16:00 in Frankfurt, and on no weekend.
PUBLISHED = timedelta(hours=15)

# A quotient is rounded once, half-even, to this many digits; what is quoted has seven at most.
DIGITS = 20
QUOTIENT = Context(
    prec=DIGITS, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow]
)


Quoted: TypeAlias = tuple[Decimal, str]  # units for one euro, and who published it


@dataclass(frozen=True, slots=True)
class Publication:
    """What one euro was worth on a day, in units of each currency that was quoted."""

    day: date
    per_euro: Mapping[Currency, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRate:
    """`rate` is units of `to` for one unit of `source_currency`, as of `date`."""

    source_currency: Currency
    to: Currency
    rate: Decimal
    date: date
    source: str


@dataclass(frozen=True, slots=True)
class Rates:
    """What is known of some currencies. `newest` is the day of the last publication of all, which
    tells a currency that is quoted no more from one that nobody has asked for lately."""

    quotes: Mapping[Currency, Mapping[date, Quoted]] = field(default_factory=dict)
    newest: date | None = None

    def rate(self, source: Currency, to: Currency, day: date) -> ExchangeRate | None:
        """The last of both that was published up to that day; None where it is missing.

        Missing are days before a currency's first quote, days more than GAP_MAX after its last
        one, and days more than BEHIND_MAX after the newest publication.
        """
        if source == to:
            return ExchangeRate(
                source_currency=source, to=to, rate=ONE, date=day, source="identity"
            )
        on = self._published(source, to, day)
        return None if on is None else self._of(source, to, on)

    def factors(self, source: Currency, to: Currency, days: Sequence[date]) -> list[Decimal | None]:
        """What amounts are multiplied by on each of the days, as `rate` says."""
        if source == to:
            return [ONE] * len(days)
        known: dict[date, Decimal] = {}
        found: list[Decimal | None] = []
        for day in days:
            on = self._published(source, to, day)
            if on is not None and on not in known:
                known[on] = self._of(source, to, on).rate
            found.append(None if on is None else known[on])
        return found

    def _published(self, source: Currency, to: Currency, day: date) -> date | None:
        """The last day up to this one on which both were."""
        if self.newest is None:
            return None
        last = min(day, self.newest)
        if day - last > BEHIND_MAX:
            return None
        both = [self.quotes.get(c, _NONE) for c in (source, to) if c != EURO]
        for back in range(GAP_MAX.days + 1):
            on = last - timedelta(days=back)
            if all(on in quoted for quoted in both):
                return on
        return None

    def _of(self, source: Currency, to: Currency, on: date) -> ExchangeRate:
        sold, bought = (self.quotes[c][on] if c != EURO else None for c in (source, to))
        rate = QUOTIENT.divide(
            ONE if bought is None else bought[0], ONE if sold is None else sold[0]
        )
        sources = dict.fromkeys(quoted[1] for quoted in (sold, bought) if quoted is not None)
        return ExchangeRate(
            source_currency=source, to=to, rate=rate, date=on, source=", ".join(sources)
        )


_NONE: Mapping[date, Quoted] = {}
NO_RATES = Rates()


def leaps(publications: Iterable[Publication], before: Rates) -> set[Currency]:
    """Those that became more than LEAP_MAX times as dear or as cheap from one quote to the next.

    No currency ever did: such an answer is of other rates, or wrong. `before` is what is known of
    the time before; quotes more than BEHIND_MAX apart are not compared.
    """
    last = {c: max((day, quote[0]) for day, quote in of.items()) for c, of in before.quotes.items()}
    found: set[Currency] = set()
    for publication in sorted(publications, key=lambda p: p.day):
        for currency, rate in publication.per_euro.items():
            day, known = last.get(currency, (publication.day, rate))
            near = abs(publication.day - day) <= BEHIND_MAX
            if near and not known / LEAP_MAX <= rate <= known * LEAP_MAX:
                found.add(currency)
            last[currency] = publication.day, rate
    return found


def expected(at: datetime) -> date:
    """The day of the newest publication that is out by then, but for holidays."""
    day = (at.astimezone(UTC) - PUBLISHED).date()
    return day - timedelta(days=max(day.isoweekday() - 5, 0))
