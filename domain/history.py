"""Balance history: snapshots as they were seen, and series of points made from them."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import NewType
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.accounts import AccountId
from domain.errors import BadQuery
from domain.money import Money, percent

SnapshotId = NewType("SnapshotId", UUID)

YEARS_MAX = 10
POINTS_MAX = 10_000
DEFAULT_SPAN = timedelta(days=365)


class Interval(Enum):
    RAW = "RAW"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"


class SnapshotSource(Enum):
    ACCOUNT_SYNC = "ACCOUNT_SYNC"
    HOLDINGS_SYNC = "HOLDINGS_SYNC"
    FILE_IMPORT = "FILE_IMPORT"
    MANUAL = "MANUAL"
    BACKFILL = "BACKFILL"


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceSnapshot:
    """What an account was worth at an instant; a debt is negative."""

    id: SnapshotId
    account_id: AccountId
    at: datetime
    balance: Money
    source: SnapshotSource
    available_balance: Money | None = None
    holdings_value: Money | None = None
    cash_value: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancePoint:
    """One point of an account's series; `before` is the snapshot of the point before it."""

    at: datetime
    snapshot: BalanceSnapshot
    before: BalanceSnapshot | None = None

    @property
    def account_id(self) -> AccountId:
        return self.snapshot.account_id

    @property
    def balance(self) -> Money:
        return self.snapshot.balance

    @property
    def source(self) -> SnapshotSource:
        return self.snapshot.source

    @property
    def available_balance(self) -> Money | None:
        return self.snapshot.available_balance

    @property
    def holdings_value(self) -> Money | None:
        return self.snapshot.holdings_value

    @property
    def cash_value(self) -> Money | None:
        return self.snapshot.cash_value

    @property
    def change(self) -> Money | None:
        """None where nothing was known before, or in another currency."""
        if self.before is None or self.before.balance.currency != self.balance.currency:
            return None
        return self.balance - self.before.balance

    @property
    def change_percent(self) -> Decimal | None:
        """Of the balance before; None where that was zero."""
        if self.before is None or (change := self.change) is None:
            return None
        return percent(change.amount, self.before.balance.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Days, both inclusive, in the viewer's time zone."""

    since: date
    until: date
    zone: ZoneInfo

    @property
    def begins(self) -> datetime:
        return midnight(self.since, self.zone)

    @property
    def ends(self) -> datetime:
        """The first instant after the last day."""
        return midnight(self.until + timedelta(days=1), self.zone)


def span_of(since: date | None, until: date | None, *, today: date, zone: ZoneInfo) -> Span:
    """One year up to today by default. Raises BadQuery: reversed, or over YEARS_MAX years."""
    until = today if until is None else until
    if until.year < 1900 or (since is not None and since.year < 1900) or until.year > 9990:
        raise BadQuery("from and to lie after the year 1899 and before the year 9991")
    since = until - DEFAULT_SPAN if since is None else since
    if since > until:
        raise BadQuery("from is after to")
    if until - since > timedelta(days=366 * YEARS_MAX):
        raise BadQuery(f"a history is at most {YEARS_MAX} years long")
    return Span(since=since, until=until, zone=zone)


@lru_cache(maxsize=16)  # every account of a request has the same
def labels(span: Span, interval: Interval) -> tuple[date, ...]:
    """The day that labels each interval: itself, an ISO week's Sunday, a month's last day.

    A day that its zone left out, as Samoa did on moving over the date line, has no interval.
    """
    found: list[date] = []
    day = span.since
    while day <= span.until:
        label = _label(day, interval)
        following = label + timedelta(days=1)
        if day < label or midnight(day, span.zone) < midnight(following, span.zone):
            found.append(label)
        day = following
    return tuple(found)


def series(
    snapshots: Sequence[BalanceSnapshot], span: Span, interval: Interval, *, today: date
) -> list[BalancePoint]:
    """One account's points, oldest first; the last known value is carried forward.

    `snapshots` are the account's, oldest first, with the last one before the span where there is
    one. No point is made before the first snapshot or after `today`.
    """
    times = [s.at for s in snapshots]
    earlier = bisect_left(times, span.begins)
    before = snapshots[earlier - 1] if earlier else None
    if interval is Interval.RAW:
        inside = snapshots[earlier : bisect_left(times, span.ends)]
        return list(_points(((s.at, s) for s in inside), before))
    known: list[tuple[datetime, BalanceSnapshot]] = []
    current = _label(today, interval)
    for label in labels(span, interval):
        if current < label:
            break
        index = _last_on(times, min(label, span.until), span.zone)
        if index >= 0:
            known.append((midnight(label, span.zone), snapshots[index]))
    return list(_points(known, before))


def values_at(
    snapshots: Sequence[BalanceSnapshot], days: Sequence[date], zone: ZoneInfo
) -> list[Money | None]:
    """What the account was last known to be worth at the end of each day; None before the first."""
    times = [s.at for s in snapshots]
    found: list[Money | None] = []
    for day in days:
        index = _last_on(times, day, zone)
        found.append(snapshots[index].balance if index >= 0 else None)
    return found


def _points(
    known: Iterable[tuple[datetime, BalanceSnapshot]], before: BalanceSnapshot | None
) -> Iterator[BalancePoint]:
    for at, snapshot in known:
        yield BalancePoint(at=at, snapshot=snapshot, before=before)
        before = snapshot


def _label(day: date, interval: Interval) -> date:
    if interval is Interval.WEEK:
        return day + timedelta(days=7 - day.isoweekday())
    if interval is Interval.MONTH:
        following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        return following - timedelta(days=1)
    return day


def _last_on(times: Sequence[datetime], day: date, zone: ZoneInfo) -> int:
    """Which of them was the last one up to the end of a day; -1 where none was."""
    return bisect_left(times, midnight(day + timedelta(days=1), zone)) - 1


@lru_cache(maxsize=16_384)  # every account of every request has the same days
def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day in that zone, in UTC."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)
