from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts import AccountId
from domain.errors import BadQuery
from domain.history import (
    BalanceSnapshot,
    Interval,
    SnapshotId,
    SnapshotSource,
    labels,
    series,
    span_of,
)
from domain.identity import new_id
from tests.builders import money

ACCOUNT = AccountId(new_id())
UTC_ZONE = ZoneInfo("UTC")
TODAY = date(2026, 11, 21)


def seen(at: datetime, balance: str) -> BalanceSnapshot:
    return BalanceSnapshot(
        id=SnapshotId(new_id()),
        account_id=ACCOUNT,
        at=at,
        balance=money(balance),
        source=SnapshotSource.ACCOUNT_SYNC,
    )


def instant(day: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def test_the_last_known_value_is_carried_forward() -> None:
    span = span_of(date(2026, 11, 1), date(2026, 11, 5), today=TODAY, zone=UTC_ZONE)
    points = series(
        [seen(instant(2), "10"), seen(instant(4), "15")], span, Interval.DAY, today=TODAY
    )
    assert [f"{p.at.day}: {p.balance.amount}" for p in points] == [
        "2: 10",
        "3: 10",
        "4: 15",
        "5: 15",
    ]
    assert [p.change and p.change.amount for p in points] == [None, 0, 5, 0]


def test_a_value_from_before_the_span_begins_it() -> None:
    span = span_of(date(2026, 11, 3), date(2026, 11, 3), today=TODAY, zone=UTC_ZONE)
    [point] = series(
        [seen(instant(1), "10"), seen(instant(3), "12")], span, Interval.DAY, today=TODAY
    )
    assert point.change == money("2")
    assert str(point.change_percent) == "20.00"


def test_days_are_the_viewers() -> None:
    late = seen(instant(2, 23, 30), "10")
    tokyo = span_of(date(2026, 11, 1), date(2026, 11, 3), today=TODAY, zone=ZoneInfo("Asia/Tokyo"))
    points = series([late], tokyo, Interval.DAY, today=TODAY)
    assert len(points) == 1
    assert points[0].at.astimezone(ZoneInfo("Asia/Tokyo")).date() == date(2026, 11, 3)


def test_nothing_is_known_of_tomorrow() -> None:
    span = span_of(TODAY, TODAY + timedelta(days=9), today=TODAY, zone=UTC_ZONE)
    assert len(series([seen(instant(1), "10")], span, Interval.DAY, today=TODAY)) == 1


def test_weeks_are_labelled_by_their_sunday_and_months_by_their_last_day() -> None:
    span = span_of(date(2026, 1, 28), date(2026, 3, 2), today=TODAY, zone=UTC_ZONE)
    assert labels(span, Interval.MONTH) == [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31)]
    weeks = labels(span, Interval.WEEK)
    assert all(day.isoweekday() == 7 for day in weeks)
    assert (weeks[0], weeks[-1]) == (date(2026, 2, 1), date(2026, 3, 8))


def test_raw_gives_what_was_stored() -> None:
    both = [seen(instant(2, 1), "10"), seen(instant(2, 2), "11"), seen(instant(9), "12")]
    span = span_of(date(2026, 11, 2), date(2026, 11, 3), today=TODAY, zone=UTC_ZONE)
    assert [p.at for p in series(both, span, Interval.RAW, today=TODAY)] == [both[0].at, both[1].at]


@pytest.mark.parametrize(
    ("since", "until", "why"),
    [
        (date(2026, 2, 2), date(2026, 2, 1), "from is after to"),
        (date(2010, 1, 1), date(2026, 1, 1), "at most 10 years"),
        (date(1, 1, 1), None, "after the year 1899"),
        (None, date(9999, 12, 31), "before the year 9991"),
    ],
)
def test_impossible_spans_are_refused(since: date | None, until: date | None, why: str) -> None:
    with pytest.raises(BadQuery, match=why):
        span_of(since, until, today=TODAY, zone=UTC_ZONE)


@given(
    st.lists(st.tuples(st.integers(0, 59), st.integers(-9999, 9999)), unique_by=lambda t: t[0]),
    st.sampled_from(["UTC", "America/New_York", "Pacific/Kiritimati", "Asia/Kolkata"]),
    st.sampled_from([Interval.DAY, Interval.WEEK, Interval.MONTH]),
)
def test_changes_add_up_to_the_last_value(
    known: list[tuple[int, int]], zone: str, interval: Interval
) -> None:
    snapshots = [seen(instant(1) - timedelta(days=60 - d), str(v)) for d, v in sorted(known)]
    span = span_of(date(2026, 8, 1), TODAY, today=TODAY, zone=ZoneInfo(zone))
    points = series(snapshots, span, interval, today=TODAY)
    assert bool(points) == bool(snapshots)
    if points:
        moved = [p.change for p in points[1:] if p.change]
        assert (
            sum((m.amount for m in moved), points[0].balance.amount) == snapshots[-1].balance.amount
        )
