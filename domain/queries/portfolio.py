"""Net worth, now and over time."""

import asyncio
from datetime import date, datetime

from domain import portfolio
from domain.accounts import AccountId
from domain.errors import BadQuery
from domain.history import Interval, Span, labels, values_at
from domain.money import Currency, Money
from domain.portfolio import NetWorth, NetWorthPoint
from domain.queries.budget import Budget
from domain.queries.history import snapshots_in
from domain.queries.identity import today
from domain.storage.reads import OwnedReads


async def net_worth(reads: OwnedReads, into: Currency | None, at: datetime) -> NetWorth:
    """In the viewer's base currency by default."""
    return portfolio.net_worth(await reads.accounts(), into=await _into(reads, into), at=at)


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
    ends with the net worth of now.

    Raises:
        BadQuery: RAW.
        TooMuch: what the budget has left is not enough.
    """
    if interval is Interval.RAW:
        raise BadQuery("net worth has no RAW history: it adds up balances of different instants")
    currency = await _into(reads, into)
    day = await today(reads, at)
    days = _until(labels(within, interval), day) if within.since <= day else []
    accounts = [a for a in portfolio.counted(await reads.accounts()) if a.currency == currency]
    ends = [min(label, within.until) for label in days]
    values: dict[AccountId, list[Money | None]] = {}
    async with budget.histories:
        budget.spend_points(len(days))
        known = await snapshots_in(reads, [a.id for a in accounts], within, budget)
        for account in accounts:
            found = values_at(known.get(account.id, ()), ends, within.zone)
            if days and ends[-1] >= day:
                found[-1] = account.balance
            values[account.id] = found
            await asyncio.sleep(0)  # a long one takes milliseconds
    return portfolio.net_worth_points(accounts, days, values, into=currency)


async def _into(reads: OwnedReads, asked: Currency | None) -> Currency:
    return (await reads.viewer()).base_currency if asked is None else asked


def _until(days: list[date], today: date) -> list[date]:
    """Up to the label of the interval that today is in."""
    kept = [day for day in days if day < today]
    return days[: len(kept) + 1]
