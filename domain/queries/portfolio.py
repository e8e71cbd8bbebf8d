"""Net worth, now and over time."""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from domain import portfolio
from domain.accounts import AccountId
from domain.errors import BadQuery
from domain.history import Interval, Span, labels, values_at
from domain.money import Currency, Money
from domain.portfolio import NetWorth, NetWorthPoint
from domain.queries.budget import Budget
from domain.queries.history import snapshots_in
from domain.queries.identity import today
from domain.rates import NO_RATES, Rates
from domain.storage.reads import OwnedReads


async def net_worth(reads: OwnedReads, into: Currency | None, at: datetime) -> NetWorth:
    """In the viewer's base currency by default, at the latest rates of their day."""
    accounts, currency = await reads.accounts(), await _into(reads, into)
    day = await today(reads, at)
    rates = await _rates(reads, {a.currency for a in portfolio.counted(accounts)}, currency, day)
    return portfolio.net_worth(accounts, into=currency, at=at, rates=rates, day=day)


async def net_worth_history(
    reads: OwnedReads,
    *,
    within: Span,
    interval: Interval,
    into: Currency | None,
    at: datetime,
    budget: Budget,
) -> list[NetWorthPoint]:
    """A point an interval up to today, labelled by the interval's last day.

    Today's values are the balances that the accounts have now, so that a span that reaches today
    ends with the net worth of now. Each day has its own rates.

    Raises:
        BadQuery: RAW.
        TooMuch: what the budget has left is not enough.
    """
    if interval is Interval.RAW:
        raise BadQuery("net worth has no RAW history: it adds up balances of different instants")
    currency = await _into(reads, into)
    day = await today(reads, at)
    days = _until(labels(within, interval), day) if within.since <= day else ()
    accounts = portfolio.counted(await reads.accounts())
    ends = [min(label, within.until) for label in days]
    values: dict[AccountId, list[Money | None]] = {}
    currencies: set[Currency] = set()
    async with budget.histories:
        budget.spend_points(len(days))
        known = await snapshots_in(reads, [a.id for a in accounts], within, budget)
        for account in accounts:
            snapshots = known.get(account.id, ())
            currencies.update(s.balance.currency for s in snapshots)
            found = values_at(snapshots, ends, within.zone)
            if days and ends[-1] >= day:
                found[-1] = account.balance
                currencies.add(account.currency)
            values[account.id] = found
            await asyncio.sleep(0)  # a long one takes milliseconds
        factors = await _factors(reads, currencies, currency, [min(e, day) for e in ends], budget)
    return portfolio.net_worth_points(accounts, days, values, into=currency, factors=factors)


async def _factors(
    reads: OwnedReads, currencies: set[Currency], into: Currency, days: list[date], budget: Budget
) -> dict[Currency, list[Decimal | None]]:
    """By which the values of each day are converted, but for those in `into` itself."""
    found: dict[Currency, list[Decimal | None]] = {}
    if not days:
        return found
    rates = await _rates(reads, currencies, into, days[-1], since=days[0])
    budget.spend_snapshots(sum(len(quoted) for quoted in rates.quotes.values()))
    for currency in currencies - {into}:
        found[currency] = rates.factors(currency, into, days)
        await asyncio.sleep(0)  # as long as an account's
    return found


async def _rates(
    reads: OwnedReads,
    currencies: set[Currency],
    into: Currency,
    until: date,
    *,
    since: date | None = None,
) -> Rates:
    """What is needed to convert them; nothing is read where there is nothing to convert."""
    if not currencies - {into}:
        return NO_RATES
    return await reads.rates(currencies | {into}, since=since or until, until=until)


async def _into(reads: OwnedReads, asked: Currency | None) -> Currency:
    return (await reads.viewer()).base_currency if asked is None else asked


def _until(days: Sequence[date], today: date) -> Sequence[date]:
    """Up to the label of the interval that today is in."""
    return days[: bisect_left(days, today) + 1]
