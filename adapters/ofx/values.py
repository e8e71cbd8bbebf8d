"""How OFX writes numbers and dates, and how banks really do."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from adapters.ofx.errors import Illegible

DIGITS_MAX = 38
EXPONENT_MAX = 18
SHOWN_CHARS_MAX = 40
YEAR_MIN, YEAR_MAX = 1900, 2199

_PLAIN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_SCIENTIFIC = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))[eE]([+-]?[0-9]{1,2})")
_SIGNED = re.compile(r"([+-]?)\s*(.*)", re.DOTALL)
_SPACES = " \t\u00a0\u2009\u202f'"
_GROUPED = re.compile(r"[0-9]{1,3}(?:([.,S])[0-9]{3})(?:\1[0-9]{3})*")
_DATE = re.compile(
    r"([0-9]{4})([-/]?)([0-9]{2})\2([0-9]{2})"
    r"(?:[T ]?([0-9]{2}):?([0-9]{2})(?::?([0-9]{2}))?(?:[.:,]([0-9]{1,9}))?Z?)?"
    r"\s*(?:\[([^\]]*)\]?)?"
)
_ZONE = re.compile(
    r"(?:GMT|UTC)?\s*([+-]?)\s*([0-9]{1,2})?(?:[.:]([0-9]{1,2}))?(?::?\s*([A-Za-z].*)?)?"
)
# Where a bank leaves the hours out, as in [-:EST]; other names are ambiguous around the world.
_ZONE_HOURS = {
    "GMT": 0, "UTC": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5,
    "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
# Minutes are written [-5.30] by some and [-3.5] by others; no zone lies elsewhere.
_ZONE_MINUTES = {"0": 0, "00": 0, "15": 15, "25": 15, "3": 30, "30": 30, "5": 30, "50": 30,
                 "45": 45, "75": 45}  # fmt: skip
_ABSENT_DATES = ("00000000", "00010101")  # how some programs write "no date"


@dataclass(frozen=True, slots=True)
class OfxDate:
    """A moment as the bank wrote it.

    `local_date` is the calendar date of the text itself and is never moved by a time zone.
    `instant` is aware UTC; None if no time was given or its offset cannot be understood. A time
    without an offset is UTC (OFX 1.6 §3.2.8.2).
    """

    local_date: date
    instant: datetime | None = None


def decimal(text: str) -> Decimal:
    """A number, exactly and with the sign as written.

    Point or comma may mark the decimals (OFX allows both) and the other, or blanks, may group
    thousands. One comma before exactly three digits (`1,234`) could mean either, so it is refused.

    Raises:
        Illegible: not a finite number, ambiguous, or with more than 38 digits.
    """
    if len(text) > 4 * DIGITS_MAX:
        raise Illegible(f"{_shown(text)} is too long for a number")
    plain = text if _PLAIN.fullmatch(text) else _plain(text)
    value = Decimal(plain)
    if len(value.as_tuple().digits) > DIGITS_MAX:
        raise Illegible(f"{_shown(text)} has more than {DIGITS_MAX} digits")
    return value


def _plain(text: str) -> str:
    if scientific := _SCIENTIFIC.fullmatch(text):
        if abs(int(scientific[2])) > EXPONENT_MAX:
            raise Illegible(f"{_shown(text)} has an absurd exponent")
        return format(Decimal(text), "f")
    signed = _SIGNED.fullmatch(text.strip())
    sign, digits = signed.groups() if signed else ("", text)
    digits = "".join("S" if character in _SPACES else character for character in digits)
    whole, fraction = _split(digits, text)
    if not whole.isdigit():
        if not _GROUPED.fullmatch(whole):
            raise Illegible(f"{_shown(text)} is not a number")
        whole = re.sub("[.,S]", "", whole)
    plain = f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
    if not _PLAIN.fullmatch(plain):
        raise Illegible(f"{_shown(text)} is not a number")
    return plain


def _split(digits: str, text: str) -> tuple[str, str]:
    """Whole part, perhaps grouped, and decimals."""
    comma, point = digits.count(","), digits.count(".")
    if comma and point:
        mark = "," if digits.rfind(",") > digits.rfind(".") else "."
        if digits.count(mark) > 1:
            raise Illegible(f"{_shown(text)} is not a number")
    elif comma + point == 1:
        mark = "," if comma else "."
        whole, fraction = digits.split(mark)
        grouping_is_possible = whole.isdigit() and len(whole) <= 3 and not whole.startswith("0")
        if mark == "," and len(fraction) == 3 and grouping_is_possible:
            raise Illegible(f"{_shown(text)} could mean {whole}{fraction} or {whole}.{fraction}")
    else:
        return digits, ""
    whole, fraction = digits.split(mark)
    return (whole or "0" if fraction else whole), fraction


@lru_cache(maxsize=4096)  # the records of a day share their text
def moment(text: str) -> OfxDate | None:
    """A date; None for the all-zero dates that some programs write for "none".

    Raises:
        Illegible: no calendar date between 1900 and 2199.
    """
    found = _DATE.fullmatch(text.strip())
    if found is None:
        raise Illegible(f"{_shown(text)} is not a date")
    year, _, month, day, hour, minute, second, fraction, zone = found.groups()
    if year + month + day in _ABSENT_DATES:
        return None
    if not YEAR_MIN <= int(year) <= YEAR_MAX:
        raise Illegible(f"{_shown(text)} is not a date between {YEAR_MIN} and {YEAR_MAX}")
    try:
        local_date = date(int(year), int(month), int(day))
    except ValueError:
        raise Illegible(f"{_shown(text)} is not a date of the calendar") from None
    offset = _offset(zone)
    if hour is None or offset is None:
        return OfxDate(local_date)
    try:
        clock = datetime(
            local_date.year, local_date.month, local_date.day,
            int(hour), int(minute), int(second or 0), int((fraction or "0")[:6].ljust(6, "0")),
            tzinfo=UTC,
        )  # fmt: skip
    except ValueError:  # 24:00:00 and the like: the date stands, the instant is unknown
        return OfxDate(local_date)
    return OfxDate(local_date, clock - offset)


def _offset(zone: str | None) -> timedelta | None:
    """Hours east of UTC; None where the text does not say."""
    if zone is None:
        return timedelta()
    found = _ZONE.fullmatch(zone.strip())
    if found is None:
        return None
    sign, hours, minutes, name = found.groups()
    if hours is None:
        named = _ZONE_HOURS.get((name or "").strip().upper())
        return None if named is None or minutes else timedelta(hours=named)
    extra = _ZONE_MINUTES.get(minutes or "0")
    if extra is None or int(hours) > 14:
        return None
    offset = timedelta(hours=int(hours), minutes=extra)
    return -offset if sign == "-" else offset


def _shown(text: str) -> str:
    short = text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}…"
    return repr(short)
