"""Balance history: series of points, and the last one known."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
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
from domain.queries.identity import today
from domain.storage import Reads

LISTS_POINTS_MAX = 100_000  # of all lists that one field of an operation makes
SNAPSHOTS_MAX = 200_000  # read for one field of an operation
_UTC = ZoneInfo("UTC")


async def span(reads: Reads, since: date | None, until: date | None, at: datetime) -> Span:
    """Days of the viewer's time zone. Raises BadQuery as `span_of` does."""
    viewer = await reads.viewer()
    return span_of(since, until, today=await today(reads, at), zone=viewer.zone)


async def balance_history(
    reads: Reads,
    accounts: Sequence[AccountId],
    *,
    within: Span,
    interval: Interval,
    at: datetime,
    points_max: int = LISTS_POINTS_MAX,
) -> list[list[BalancePoint]]:
    """A series of each account, oldest first.

    Raises BadQuery: over POINTS_MAX points in a series, or `points_max` in all of them.
    """
    day = await today(reads, at)
    known = await snapshots_in(reads, accounts, within)
    found: dict[AccountId, list[BalancePoint]] = {}
    count = 0
    for id in dict.fromkeys(accounts):
        found[id] = points = series(known.get(id, ()), within, interval, today=day)
        count += len(points)
        if len(points) > POINTS_MAX or count > points_max:
            most = min(POINTS_MAX, points_max)
            raise BadQuery(f"a history has at most {most} points: ask for a shorter or coarser one")
    return [found[id] for id in accounts]


async def latest_balances(reads: Reads, accounts: Sequence[AccountId]) -> list[BalancePoint | None]:
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
    reads: Reads, accounts: Sequence[AccountId], within: Span
) -> dict[AccountId, list[BalanceSnapshot]]:
    """Each account's in the span, oldest first, after its last one earlier.

    Raises BadQuery: over SNAPSHOTS_MAX of them.
    """
    if not (asked := list(dict.fromkeys(accounts))):
        return {}
    rows = await reads.snapshots(
        asked, since=within.begins, before=within.ends, limit=SNAPSHOTS_MAX + 1
    )
    if len(rows) > SNAPSHOTS_MAX:
        years = (within.until - within.since) / timedelta(days=365)
        raise BadQuery(f"{years:.1f} years of so many accounts are too much: ask for less")
    return _by_account(rows)


def _by_account(rows: Sequence[BalanceSnapshot]) -> dict[AccountId, list[BalanceSnapshot]]:
    found: dict[AccountId, list[BalanceSnapshot]] = defaultdict(list)
    for row in rows:
        found[row.account_id].append(row)
    return found
