"""Net worth: what all accounts together are worth, and how that came about."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import TypeVar

from domain.accounts import Account, AccountGroup, AccountId
from domain.money import EXACT, Currency, Money, total
from domain.rates import NO_RATES, ONE, ExchangeRate, Rates

K = TypeVar("K")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTotal:
    group: AccountGroup
    total: Money
    account_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderTotal:
    provider_slug: str
    total: Money
    account_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetWorth:
    """total = assets + liabilities; liabilities are negative or zero.

    `unconverted` are the balances, by currency, for which no exchange rate is known: they are in
    no other figure but `by_currency`, which is each currency's own sum. `rates` are those by which
    the others were converted.
    """

    total: Money
    assets: Money
    liabilities: Money
    as_of: datetime
    by_group: Sequence[GroupTotal]
    by_provider: Sequence[ProviderTotal]
    by_currency: Sequence[Money]
    unconverted: Sequence[Money]
    rates: Sequence[ExchangeRate] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetWorthPoint:
    """What everything was worth at the end of the day `at`, by the rates of that day."""

    at: date
    total: Money
    assets: Money
    liabilities: Money
    by_group: Sequence[GroupTotal]
    unconverted: Sequence[Money] = ()


def counted(accounts: Iterable[Account]) -> list[Account]:
    """The accounts that count towards net worth."""
    return [a for a in accounts if a.is_active and a.included_in_net_worth]


def net_worth(
    accounts: Iterable[Account],
    *,
    into: Currency,
    at: datetime,
    rates: Rates = NO_RATES,
    day: date | None = None,
) -> NetWorth:
    """Split by the sign of each balance; each figure is rounded once, half-even, to minor units.

    Other currencies are converted at the rates of `day`, which is that of `at` by default.
    """
    counting = counted(accounts)
    used = _used(counting, into, rates, at.date() if day is None else day)
    factors = {into: ONE} | {rate.source_currency: rate.rate for rate in used}
    known = [
        (a, _times(a.balance, factors[a.currency], into)) for a in counting if a.currency in factors
    ]
    whole, assets, liabilities = _split((v.amount for _, v in known), into)
    by_currency = _by_currency(a.balance for a in counting)
    return NetWorth(
        total=whole,
        assets=assets,
        liabilities=liabilities,
        as_of=at,
        by_group=_by_group(known, into),
        by_provider=_by_provider(known, into),
        by_currency=by_currency,
        unconverted=[money for money in by_currency if money.currency not in factors],
        rates=used,
    )


def net_worth_points(
    accounts: Sequence[Account],
    days: Sequence[date],
    values: Mapping[AccountId, Sequence[Money | None]],
    *,
    into: Currency,
    factors: Mapping[Currency, Sequence[Decimal | None]] | None = None,
) -> list[NetWorthPoint]:
    """A point a day from the first day on which the value of anything was known.

    `values[account]` is aligned with `days`, and so are the factors by which those of other
    currencies are converted; one of a day without a factor is in `unconverted` of that day. An
    account that does not count today counts on no day, so that the last point is today's net
    worth.
    """
    counting = counted(accounts)
    points: list[NetWorthPoint] = []
    for index, day in enumerate(days):
        told = [(a, v) for a in counting if (v := values[a.id][index]) is not None]
        factor = {c: found for c, of in (factors or {}).items() if (found := of[index]) is not None}
        factor[into] = ONE
        known = [(a, _times(v, factor[v.currency], into)) for a, v in told if v.currency in factor]
        if not known and not points:
            continue
        whole, assets, liabilities = _split((v.amount for _, v in known), into)
        points.append(
            NetWorthPoint(
                at=day,
                total=whole,
                assets=assets,
                liabilities=liabilities,
                by_group=_by_group(known, into),
                unconverted=_by_currency(v for _, v in told if v.currency not in factor),
            )
        )
    return points


def _used(
    counting: Sequence[Account], into: Currency, rates: Rates, day: date
) -> list[ExchangeRate]:
    foreign = sorted({a.currency for a in counting} - {into})
    found = (rates.rate(currency, into, day) for currency in foreign)
    return [rate for rate in found if rate is not None]


def _times(value: Money, factor: Decimal, into: Currency) -> Money:
    return value if factor is ONE else Money(EXACT.multiply(value.amount, factor), into)


def _split(amounts: Iterable[Decimal], into: Currency) -> tuple[Money, Money, Money]:
    """All, what is owned and what is owed. The first two are rounded, and the third is what makes
    their sum true: at most a minor unit away from its own rounding, and never positive."""
    owned = owed = ZERO
    for amount in amounts:
        if amount > 0:
            owned = EXACT.add(owned, amount)
        else:
            owed = EXACT.add(owed, amount)
    whole, assets = Money(EXACT.add(owned, owed), into).rounded(), Money(owned, into).rounded()
    return whole, assets, whole - assets


def _by_group(known: Iterable[tuple[Account, Money]], into: Currency) -> list[GroupTotal]:
    found = _sums(known, attrgetter("group"), into)
    groups = [(g, *found[g]) for g in AccountGroup if g in found]
    return [GroupTotal(group=g, total=of, account_count=count) for g, of, count in groups]


def _by_provider(known: Iterable[tuple[Account, Money]], into: Currency) -> list[ProviderTotal]:
    found = _sums(known, attrgetter("provider_slug"), into)
    return [
        ProviderTotal(provider_slug=slug, total=found[slug][0], account_count=found[slug][1])
        for slug in sorted(found)
    ]


def _sums(
    known: Iterable[tuple[Account, Money]], key: Callable[[Account], K], into: Currency
) -> dict[K, tuple[Money, int]]:
    """Of the accounts of each key, what they come to and how many they are."""
    sums: dict[K, Decimal] = {}
    counts: Counter[K] = Counter()
    for account, value in known:
        of = key(account)
        sums[of] = EXACT.add(sums.get(of, ZERO), value.amount)
        counts[of] += 1
    return {of: (Money(sum_, into).rounded(), counts[of]) for of, sum_ in sums.items()}


def _by_currency(values: Iterable[Money]) -> list[Money]:
    found: dict[Currency, list[Money]] = defaultdict(list)
    for value in values:
        found[value.currency].append(value)
    return [total(of, c).rounded() for c, of in sorted(found.items())]
