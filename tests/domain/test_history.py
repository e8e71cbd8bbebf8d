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
    assert labels(span, Interval.MONTH) == (date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31))
    weeks = labels(span, Interval.WEEK)
    assert all(day.isoweekday() == 7 for day in weeks)
    assert (weeks[0], weeks[-1]) == (date(2026, 2, 1), date(2026, 3, 8))


@given(st.dates(date(1971, 1, 1), date(2039, 1, 1)))
def test_an_iso_week_is_labelled_by_its_last_day_in_years_of_53_weeks_too(day: date) -> None:
    span = span_of(day, day, today=TODAY, zone=UTC_ZONE)
    [sunday], [last] = labels(span, Interval.WEEK), labels(span, Interval.MONTH)
    assert (sunday.isocalendar()[:2], sunday.isoweekday()) == (day.isocalendar()[:2], 7)
    assert (last.year, last.month, (last + timedelta(days=1)).day) == (day.year, day.month, 1)


# Clocks that change at midnight or by half an hour, odd offsets, and days that were left out.
ZONES = (
    *("America/New_York", "America/Havana", "Africa/Cairo", "Australia/Lord_Howe"),
    *("Asia/Kathmandu", "Pacific/Apia", "Pacific/Kiritimati", "America/St_Johns", "UTC"),
)


@given(
    st.sampled_from(ZONES),
    st.dates(date(1990, 1, 1), date(2037, 1, 1)),
    st.lists(st.integers(-9 * 24 * 60, 9 * 24 * 60), max_size=6),  # minutes
    st.lists(st.integers(-3_000, 0), max_size=2),  # days
)
def test_a_day_has_the_last_value_of_its_own_local_hours(
    name: str, middle: date, near: list[int], far: list[int]
) -> None:
    zone = ZoneInfo(name)
    noon = datetime(middle.year, middle.month, middle.day, 12, tzinfo=UTC)
    times = {noon + timedelta(minutes=m) for m in near} | {noon + timedelta(days=d) for d in far}
    known = [seen(at, str(number)) for number, at in enumerate(sorted(times))]
    week = timedelta(days=7)
    span = span_of(middle - week, middle + week, today=date(2040, 1, 1), zone=zone)

    points = series(known, span, Interval.DAY, today=date(2040, 1, 1))

    days = [p.at.astimezone(zone).date() for p in points]
    assert days == sorted(set(days))  # no instant twice
    for day, point in zip(days, points, strict=True):
        past = [s for s in known if s.at.astimezone(zone).date() <= day]
        assert point.snapshot is past[-1]


def test_a_day_that_its_zone_left_out_has_no_point() -> None:
    """Samoa went from the 29th to the 31st of December 2011."""
    apia = ZoneInfo("Pacific/Apia")
    span = span_of(date(2011, 12, 29), date(2011, 12, 31), today=TODAY, zone=apia)
    assert [day.day for day in labels(span, Interval.DAY)] == [29, 31]
    assert labels(span, Interval.WEEK) == (date(2012, 1, 1),)


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
