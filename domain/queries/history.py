"""Balance history: series of points, and the last one known."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from domain.accounts import AccountId
from domain.errors import BadQuery
from domain.history import (
    POINTS_MAX,
    BalancePoint,
    BalanceSnapshot,
    Interval,
    Span,
    series,
    span_of,
)
from domain.queries.budget import Budget
from domain.queries.identity import today
from domain.storage.reads import OwnedReads

_UTC = ZoneInfo("UTC")


async def span(reads: OwnedReads, since: date | None, until: date | None, at: datetime) -> Span:
    """Days of the viewer's time zone. Raises BadQuery as `span_of` does."""
    viewer = await reads.viewer()
    return span_of(since, until, today=await today(reads, at), zone=viewer.zone)


async def balance_history(
    reads: OwnedReads,
    accounts: Sequence[AccountId],
    *,
    within: Span,
    interval: Interval,
    at: datetime,
    budget: Budget,
) -> list[list[BalancePoint]]:
    """A series of each account, oldest first.

    Raises:
        BadQuery: over POINTS_MAX points in a series.
        TooMuch: what the budget has left is not enough.
    """
    async with budget.histories:
        day = await today(reads, at)
        known = await snapshots_in(reads, accounts, within, budget)
        found: dict[AccountId, list[BalancePoint]] = {}
        for id in accounts:
            if id not in found:
                found[id] = series(known.get(id, ()), within, interval, today=day)
                await asyncio.sleep(0)  # a long one takes milliseconds
            check_points(len(found[id]))
            budget.spend_points(len(found[id]))
        return [found[id] for id in accounts]


def check_points(count: int) -> None:
    """Raises BadQuery."""
    if count > POINTS_MAX:
        message = f"a history has at most {POINTS_MAX} points: ask for a shorter or coarser one"
        raise BadQuery(message)


async def latest_balances(
    reads: OwnedReads, accounts: Sequence[AccountId]
) -> list[BalancePoint | None]:
    """The newest snapshot of each, with its change to the one before."""
    asked = list(dict.fromkeys(accounts))
    rows = await reads.latest_snapshots(asked, count=2) if asked else ()
    by_account = _by_account(rows)
    found: dict[AccountId, BalancePoint] = {}
    for id, last in by_account.items():
        day = last[-1].at.astimezone(UTC).date()
        around = Span(since=day, until=day, zone=_UTC)
        found[id] = series(last, around, Interval.RAW, today=day)[-1]
    return [found.get(id) for id in accounts]


async def snapshots_in(
    reads: OwnedReads, accounts: Sequence[AccountId], within: Span, budget: Budget
) -> dict[AccountId, list[BalanceSnapshot]]:
    """Each account's in the span, oldest first, after its last one earlier.

    Raises TooMuch: more of them than the budget has left.
    """
    if not (asked := list(dict.fromkeys(accounts))):
        return {}
    rows = await reads.snapshots(
        asked, since=within.begins, before=within.ends, limit=budget.snapshots + 1
    )
    budget.spend_snapshots(len(rows))
    return _by_account(rows)


def _by_account(rows: Sequence[BalanceSnapshot]) -> dict[AccountId, list[BalanceSnapshot]]:
    found: dict[AccountId, list[BalanceSnapshot]] = defaultdict(list)
    for row in rows:
        found[row.account_id].append(row)
    return found
