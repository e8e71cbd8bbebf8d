"""The forms of the European Central Bank, and what is none of them."""

from datetime import date
from decimal import Decimal

import pytest

from adapters.rates import BYTES_MAX, NotRates, published, shipped
from domain.money import Currency
from tests.rates.ecb import as_csv, as_xml, zipped

TODAY = date(2026, 11, 22)
FRIDAY = date(2026, 11, 20)
DAYS = {
    FRIDAY: {"USD": "1.1172", "JPY": "175.68", "IDR": "20275.17"},
    date(2026, 11, 19): {"USD": "1.1180", "JPY": "175.02"},
}
OF_A_DAY = b"Date, USD, JPY, ISK, \n20 November 2026, 1.1172, 175.68, 136.00, \n"


@pytest.mark.parametrize("content", [as_xml(DAYS), as_csv(DAYS), zipped(as_csv(DAYS))])
def test_each_form_says_the_same_of_each_day(content: bytes) -> None:
    found = published(content, today=TODAY)
    assert [(p.day, {c: str(r) for c, r in p.per_euro.items()}) for p in found] == sorted(
        DAYS.items()
    )


def test_the_file_of_one_day_writes_its_date_in_words() -> None:
    [publication] = published(OF_A_DAY, today=TODAY)
    assert publication.day == FRIDAY
    assert publication.per_euro[Currency("ISK")] == Decimal("136.00")


def test_of_what_is_shipped_only_the_days_that_lack_are_read() -> None:
    days = [p.day for p in shipped(lambda day: day >= date(2026, 10, 26))]
    assert days == [date(2026, 10, d) for d in (30, 29, 28, 27, 26)]
    [first] = shipped(lambda day: day == date(1999, 1, 4))
    assert first.per_euro[Currency("USD")] == Decimal("1.1789")
    assert first.per_euro[Currency("EEK")] == Decimal("15.6466")
    assert "HRK" not in first.per_euro


@pytest.mark.parametrize(
    "content",
    [b"<a>" * 100_000, b"<Cube>" + b"<Cube time='2026-11-20'/>" * 100_000 + b"</Cube>"],
)
def test_what_is_deep_or_long_is_not_read_to_its_end(content: bytes) -> None:
    with pytest.raises(NotRates, match="too deep, or of too many days"):
        published(content, today=TODAY)


XML, CSV = as_xml(DAYS), as_csv(DAYS)
BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><body>Service unavailable</body></html>",
        b'{"base": "EUR", "rates": {"USD": 1.1172}}',
        XML.replace(b"?>", b"?>" + BOMB),
        XML.replace(b"1.1172", b"&lol;"),
        XML.replace(b"<Cube>", b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><Cube>'),
        XML[: len(XML) // 2],
        XML[:-3],
        XML.replace(b"1.1172", b"NaN"),
        XML.replace(b"1.1172", b"-1.1172"),
        XML.replace(b"1.1172", b"0.0000"),
        XML.replace(b"1.1172", b"1e3"),
        XML.replace(b"1.1172", b"9" * 30),
        XML.replace(b"1.1172", b"1.\xd9\xa1"),  # a digit, of another script
        XML.replace(b"USD", b"usd"),
        XML.replace(b"JPY", b"USD"),
        XML.replace(b"JPY", b"EUR"),
        XML.replace(b"USD", b"GBP"),
        XML.replace(b"2026-11-20", b"2026-11-31"),
        XML.replace(b"2026-11-20", b"2026-11-23"),
        XML.replace(b"2026-11-19", b"1998-12-31"),
        XML.replace(b"2026-11-19", b"2026-11-20"),
        XML.replace(b"time=", b"day="),
        CSV.replace(b"1.1172,", b""),
        CSV.replace(b"1.1172", b"one"),
        CSV.replace(b"Date", b"Day"),
        CSV.replace(b"2026-11-20", b"yesterday"),
        CSV.replace(b"2026-11-20", b"20 Nov 2026"),
        CSV.replace(b"1.1172", b'"1.1172'),
        CSV.replace(b"1.1172", b"N/A"),
        CSV.splitlines(keepends=True)[0],
        CSV[: CSV.rindex(b"175.02")],
        zipped(CSV)[:-20],
        zipped(CSV)[:40] + b"\0" * 10 + zipped(CSV)[50:],
        zipped(b"0" * (BYTES_MAX + 1)),
        zipped(b"hello"),
        b"<" + b" " * BYTES_MAX,
    ],
)
def test_anything_else_is_refused_as_a_whole(content: bytes) -> None:
    with pytest.raises(NotRates):
        published(content, today=TODAY)
