"""Net worth: what all accounts together are worth, and how that came about."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from domain.accounts import Account, AccountGroup, AccountId
from domain.money import Currency, Money, total, zero


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
class ExchangeRate:
    """`rate` is units of `to` for one unit of `source_currency`."""

    source_currency: Currency
    to: Currency
    rate: Decimal
    date: date
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetWorth:
    """total = assets + liabilities; liabilities are negative or zero.

    `unconverted` are the balances, by currency, for which no exchange rate is known: they are in
    no other figure but `by_currency`, which is each currency's own sum.
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
    """What everything was worth at the end of the day `at`."""

    at: date
    total: Money
    assets: Money
    liabilities: Money
    by_group: Sequence[GroupTotal]


def counted(accounts: Iterable[Account]) -> list[Account]:
    """The accounts that count towards net worth."""
    return [a for a in accounts if a.is_active and a.included_in_net_worth]


def net_worth(accounts: Iterable[Account], *, into: Currency, at: datetime) -> NetWorth:
    """Split by the sign of each balance; rounded once, half-even, to minor units, at the end."""
    counting = counted(accounts)
    inside = [a for a in counting if a.currency == into]
    assets, liabilities = _split([a.balance for a in inside], into)
    providers: dict[str, list[Account]] = defaultdict(list)
    currencies: dict[Currency, list[Money]] = defaultdict(list)
    for account in counting:
        currencies[account.currency].append(account.balance)
    for account in inside:
        providers[account.provider_slug].append(account)
    sums = {c: total(amounts, c).rounded() for c, amounts in sorted(currencies.items())}
    return NetWorth(
        total=assets + liabilities,
        assets=assets,
        liabilities=liabilities,
        as_of=at,
        by_group=_by_group([(a, a.balance) for a in inside], into),
        by_provider=[
            ProviderTotal(
                provider_slug=slug,
                total=total((a.balance for a in of), into).rounded(),
                account_count=len(of),
            )
            for slug, of in sorted(providers.items())
        ],
        by_currency=list(sums.values()),
        unconverted=[amount for c, amount in sums.items() if c != into],
    )


def net_worth_points(
    accounts: Sequence[Account],
    days: Sequence[date],
    values: Mapping[AccountId, Sequence[Money | None]],
    *,
    into: Currency,
) -> list[NetWorthPoint]:
    """A point a day from the first day on which anything was known.

    `values[account]` is aligned with `days`; one in another currency, which the account had once,
    is unknown. An account that does not count today counts on no day, so that the last point is
    today's net worth.
    """
    counting = [a for a in counted(accounts) if a.currency == into]
    points: list[NetWorthPoint] = []
    for index, day in enumerate(days):
        told = ((a, values[a.id][index]) for a in counting)
        known = [(a, v) for a, v in told if v is not None and v.currency == into]
        if not known and not points:
            continue
        assets, liabilities = _split([v for _, v in known], into)
        points.append(
            NetWorthPoint(
                at=day,
                total=assets + liabilities,
                assets=assets,
                liabilities=liabilities,
                by_group=_by_group(known, into),
            )
        )
    return points


def _split(balances: Sequence[Money], into: Currency) -> tuple[Money, Money]:
    assets = total((b for b in balances if b.amount > 0), into).rounded()
    return assets, total((b for b in balances if b.amount < 0), into).rounded()


def _by_group(known: Iterable[tuple[Account, Money]], into: Currency) -> list[GroupTotal]:
    sums: dict[AccountGroup, Money] = {}
    counts: dict[AccountGroup, int] = defaultdict(int)
    for account, value in known:
        sums[account.group] = sums.get(account.group, zero(into)) + value
        counts[account.group] += 1
    return [
        GroupTotal(group=g, total=sums[g].rounded(), account_count=counts[g])
        for g in AccountGroup
        if g in sums
    ]
