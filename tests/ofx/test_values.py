from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from adapters.ofx.errors import Illegible
from adapters.ofx.values import decimal, moment


@pytest.mark.parametrize(
    ("written", "exactly"),
    [
        ("12.30", "12.30"),
        ("+00000000000115.8331", "115.8331"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("1,234.56", "1234.56"),
        ("1234,56", "1234.56"),
        ("1.234,56", "1234.56"),
        ("1.234,567", "1234.567"),
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1 234,56", "1234.56"),
        ("1\u00a0234,56", "1234.56"),
        ("1'234.56", "1234.56"),
        ("- 12.50", "-12.50"),
        ("0,234", "0.234"),
        ("12,3456", "12.3456"),
        ("1E-05", "0.00001"),
        ("-2.5e+3", "-2500"),
        ("1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"),
    ],
)
def test_a_number_is_read_exactly_whatever_marks_its_decimals(written: str, exactly: str) -> None:
    assert decimal(written) == Decimal(exactly)
    assert decimal(written).as_tuple() == Decimal(exactly).as_tuple()


@pytest.mark.parametrize(
    "written",
    [
        *("", "-", ".", ",", "-.", "NaN", "sNaN", "Infinity", "-inf", "1e999", "1E99", "1E-19"),
        *("$120", "12-", "(12)", "1_000", "0x10", "--1", "+-1", "1..2", "1,2,3", "1,23,456"),
        *(
            "1,234,56.7",
            "1.234.56",
            "1 2",
            "12 34",
            "one",
            "\uff11\uff12",
            "²",
            "٣",
            "1" * 39,
            "9" * 5000,
        ),
    ],
)
def test_what_is_no_plain_number_is_refused_and_never_zero(written: str) -> None:
    with pytest.raises(Illegible):
        decimal(written)


def test_one_comma_before_three_digits_is_ambiguous_and_so_refused() -> None:
    with pytest.raises(Illegible, match=r"could mean 1234 or 1\.234"):
        decimal("1,234")


@pytest.mark.parametrize(
    ("written", "day", "instant"),
    [
        ("20260105", date(2026, 1, 5), None),
        ("20260105[-5:EST]", date(2026, 1, 5), None),
        ("2026-01-05", date(2026, 1, 5), None),
        ("20260105120000", date(2026, 1, 5), datetime(2026, 1, 5, 12, tzinfo=UTC)),
        ("202601051201", date(2026, 1, 5), datetime(2026, 1, 5, 12, 1, tzinfo=UTC)),
        ("20260105120000[0:GMT]", date(2026, 1, 5), datetime(2026, 1, 5, 12, tzinfo=UTC)),
        ("20230909000000[+10:AEST]", date(2023, 9, 9), datetime(2023, 9, 8, 14, tzinfo=UTC)),
        ("20230909000000[10:AEST]", date(2023, 9, 9), datetime(2023, 9, 8, 14, tzinfo=UTC)),
        ("20230909000000[-5.30:IST]", date(2023, 9, 9), datetime(2023, 9, 9, 5, 30, tzinfo=UTC)),
        ("20230909000000[+5.5:IST]", date(2023, 9, 9), datetime(2023, 9, 8, 18, 30, tzinfo=UTC)),
        ("20230909000000[+5:45:NPT]", date(2023, 9, 9), datetime(2023, 9, 8, 18, 15, tzinfo=UTC)),
        ("20230909230000[-5:EST]", date(2023, 9, 9), datetime(2023, 9, 10, 4, tzinfo=UTC)),
        ("20091217162416.000[-:EST]", date(2009, 12, 17), datetime(2009, 12, 17, 21, 24, 16, tzinfo=UTC)),
        ("20180804093914:014", date(2018, 8, 4), datetime(2018, 8, 4, 9, 39, 14, 14000, tzinfo=UTC)),
        ("20240229000000.500[-8:PST", date(2024, 2, 29), datetime(2024, 2, 29, 8, 0, 0, 500000, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_the_banks_date_is_kept_as_written_and_the_instant_beside_it(
    written: str, day: date, instant: datetime | None
) -> None:
    found = moment(written)

    assert found is not None
    assert found.local_date == day
    assert found.instant == instant


@pytest.mark.parametrize("written", ["20110331240000", "20260105126000", "20260105120000[99:X]"])
def test_an_impossible_time_or_offset_leaves_the_date_and_no_instant(written: str) -> None:
    found = moment(written)

    assert found is not None
    assert found.local_date.isoformat().replace("-", "") == written[:8]
    assert found.instant is None


@pytest.mark.parametrize(
    "written",
    ["20120231", "201120000000", "2023090", "18991231", "22000101", "20230909abc", "tomorrow", "20230229"],
)  # fmt: skip
def test_what_is_no_day_of_the_calendar_is_refused(written: str) -> None:
    with pytest.raises(Illegible):
        moment(written)


def test_a_date_of_zeros_is_no_date() -> None:
    assert moment("00000000") is None
    assert moment("00010101000000") is None
