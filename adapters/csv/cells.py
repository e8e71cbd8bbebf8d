"""Numbers and days as banks write them."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from adapters.csv.errors import Illegible
from domain import money
from domain.money import Currency

YEAR_MIN, YEAR_MAX = 1900, 2199
SHOWN_MAX = 40

NOTHING = frozenset({"", "-", "--", "n/a", "not available", "incomplete", "unavailable"})

_MINUS = str.maketrans({"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{NO-BREAK SPACE}": " "})
_SYMBOLS = re.compile(r"[$\N{EURO SIGN}\N{POUND SIGN}\N{YEN SIGN}]|\b[A-Z]{3}\b")
_BESIDE = re.compile(r"(?<![0-9])\s|\s(?![0-9])")  # a blank that is not between two digits
# Whose sign it is; the dollars are many, and what they are called ends alike.
_OF_SIGN = {
    "$": r"..D|MXN|ARS|CLP|COP|UYU|DOP|BRL",
    "\N{EURO SIGN}": r"EUR",
    "\N{POUND SIGN}": r"GBP|GIP|FKP|SHP|EGP|LBP|SYP",
    "\N{YEN SIGN}": r"JPY|CNY",
}
_FIGURE = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]*)?")
_WRITTEN = {"%Y": r"(?P<Y>[0-9]{4})", "%m": r"(?P<m>[0-9]{1,2})", "%d": r"(?P<d>[0-9]{1,2})"}
# Where it is written, it is this hour that the exchange is in.
_CLOCK = re.compile(
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::[0-9]{2})?\s*(?P<half>[AP]M)?", re.IGNORECASE
)
_EASTERN = ZoneInfo("America/New_York")


def number_or_none(
    cell: str, name: str, *, point: str = ".", of: Currency | None = None
) -> Decimal | None:
    """Exact; negative by a minus before or after it, or in parentheses. Raises Illegible, also
    where a currency is written beside it that is not the one it is `of`."""
    if cell.casefold() in NOTHING:
        return None
    for said in _SYMBOLS.findall(cell):
        if of is not None and not re.fullmatch(_OF_SIGN.get(said, said), of):
            raise Illegible(f"{name} is not in {of}: {shown(cell)}")
    bare = _BESIDE.sub("", _SYMBOLS.sub("", cell.translate(_MINUS)))
    inside = bare[1:-1] if bare.startswith("(") and bare.endswith(")") else None
    figure = bare if inside is None else inside
    is_negative = inside is not None
    for sign in "-+":
        if figure.startswith(sign) or (figure.endswith(sign) and sign == "-"):
            is_double = inside is not None or figure.count(sign) > 1
            is_negative = sign == "-"
            figure = "?" if is_double else figure.strip(sign)
            break
    if point == ",":
        figure = figure.replace(".", "'").replace(",", ".").replace("'", ",")
    figure = figure.replace(" ", ",")
    if _GROUPED.fullmatch(figure):
        figure = figure.replace(",", "")
    if not _FIGURE.fullmatch(figure):
        raise Illegible(f"{name} is not a number: {shown(cell)}")
    try:
        found = money.storable(Decimal(figure))
    except ValueError as fault:
        raise Illegible(f"{name}: {fault}: {shown(cell)}") from None
    return money.EXACT.minus(found) if is_negative else found


def number(cell: str, name: str, *, point: str = ".", of: Currency | None = None) -> Decimal:
    found = number_or_none(cell, name, point=point, of=of)
    if found is None:
        raise Illegible(f"{name} is missing")
    return found


def days(cell: str, name: str, written: str) -> tuple[date, date | None]:
    """The day that a row is of; with "01/06/2026 as of 01/05/2026" that it was booked on the first,
    that one second. Raises Illegible."""
    first, as_of, second = cell.partition(" as of ")
    booked = day(first, name, written)
    return (day(second, name, written), booked) if as_of else (booked, None)


def day(cell: str, name: str, written: str) -> date:
    found = _pattern(written).fullmatch(cell.strip())
    if found is None:
        raise Illegible(f"{name} is not a day: {shown(cell)}")
    return _calendar(found, name, cell)


@lru_cache(maxsize=64)
def _pattern(written: str) -> re.Pattern[str]:
    pattern = re.escape(written)
    for token, part in _WRITTEN.items():
        pattern = pattern.replace(re.escape(token), part)
    return re.compile(pattern)


def instant_in(said: str) -> datetime | None:
    """The time in a title, such as "12:33 PM ET, 2025/05/04"; None where there is no day in it."""
    for pattern in (
        r"(?P<Y>[0-9]{4})[/-](?P<m>[0-9]{1,2})[/-](?P<d>[0-9]{1,2})",
        r"(?P<m>[0-9]{1,2})/(?P<d>[0-9]{1,2})/(?P<Y>[0-9]{4})",
    ):
        if (found := re.search(pattern, said)) is None:
            continue
        try:
            on = _calendar(found, "the title", said)
        except Illegible:
            return None
        hour, minute = _clock(said)
        zone = _EASTERN if "ET" in said.split() or " ET," in said else UTC
        return datetime(on.year, on.month, on.day, hour, minute, tzinfo=zone).astimezone(UTC)
    return None


def shown(cell: str) -> str:
    return repr(cell) if len(cell) <= SHOWN_MAX else f"{cell[:SHOWN_MAX]!r}..."


def _calendar(found: re.Match[str], name: str, cell: str) -> date:
    try:
        on = date(int(found["Y"]), int(found["m"]), int(found["d"]))
    except ValueError:
        raise Illegible(f"{name} is not a day of the calendar: {shown(cell)}") from None
    if not YEAR_MIN <= on.year <= YEAR_MAX:
        raise Illegible(f"{name} is not between {YEAR_MIN} and {YEAR_MAX}: {shown(cell)}")
    return on


def _clock(said: str) -> tuple[int, int]:
    found = _CLOCK.search(said)
    if found is None:
        return 0, 0
    hour, minute = int(found["hour"]), int(found["minute"])
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].upper() == "PM" else 0)
    return (hour, minute) if hour < 24 and minute < 60 else (0, 0)
