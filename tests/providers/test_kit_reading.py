"""Lists come to an end, and records are read exactly or kept."""

from datetime import date
from decimal import Decimal

import pytest

from adapters.providers import kit
from domain.errors import (
    ProviderUnavailable,
)
from domain.sync import SyncScope


def test_windows_cover_every_day_once() -> None:
    parts = list(kit.windows(date(2026, 1, 1), date(2026, 3, 5), 30))

    assert parts == [
        (date(2026, 1, 1), date(2026, 1, 30)),
        (date(2026, 1, 31), date(2026, 3, 1)),
        (date(2026, 3, 2), date(2026, 3, 5)),
    ]
    assert list(kit.windows(date(2026, 1, 2), date(2026, 1, 1), 30)) == []
    with pytest.raises(ValueError, match="one day"):
        list(kit.windows(date(2026, 1, 1), date(2026, 1, 1), 0))


@pytest.mark.parametrize("following", ["same", "new"])
async def test_a_list_without_an_end_is_refused(following: str) -> None:
    calls = 0

    async def fetch(cursor: str | None) -> tuple[int, str | None]:
        nonlocal calls
        calls += 1
        return calls, "same" if following == "same" else str(calls)

    with pytest.raises(ProviderUnavailable):
        _ = [page async for page in kit.pages("acme", fetch, pages_max=5)]
    assert calls == (2 if following == "same" else 5)


def record(text: str) -> kit.Record:
    return kit.as_record(kit.decode(text.encode()), "the record")


@pytest.mark.parametrize(
    "text",
    ["NaN", "-Infinity", '"NaN"', '"1,000"', '"0x10"', "true", "{}", "1e40", '"1e999"', '""', "null",
     "1e9999999999999999999", f'"{"9" * 29}"', "0." + "1" * 29],
)  # fmt: skip
def test_what_is_no_storable_number_is_malformed(text: str) -> None:
    with pytest.raises(kit.Malformed, match="amount"):
        kit.decimal(record(f'{{"amount": {text}}}'), "amount")


@pytest.mark.parametrize(
    ("text", "number"), [("0.10", "0.10"), ('" -7.5 "', "-7.5"), ("1e3", "1E+3"), ('"+.5"', "0.5")]
)
def test_numbers_and_texts_of_numbers_are_read(text: str, number: str) -> None:
    found = kit.decimal(record(f'{{"amount": {text}}}'), "amount")
    assert str(found) == number


@pytest.mark.parametrize("text", ["2026-02-29", "20260201", "2026-2-1", "1066-10-14", "today"])
def test_what_is_no_date_is_malformed(text: str) -> None:
    with pytest.raises(kit.Malformed, match="on"):
        kit.day(record(f'{{"on": "{text}"}}'), "on")


@pytest.mark.parametrize("text", ["2026-02-01T10:00:00", "0001-01-01T00:00:00+14:00", "noon"])
def test_an_instant_needs_its_offset(text: str) -> None:
    with pytest.raises(kit.Malformed, match="at"):
        kit.instant(record(f'{{"at": "{text}"}}'), "at")


@pytest.mark.parametrize("text", ['"MILES"', '"https://x.invalid/miles"', "5", "null"])
def test_what_is_no_currency_is_malformed(text: str) -> None:
    with pytest.raises(kit.Malformed, match="unit"):
        kit.currency_of(record(f'{{"unit": {text}}}'), "unit")


def test_an_id_stays_as_it_came_and_a_number_may_be_one() -> None:
    assert kit.key(record('{"id": 12345678901234567890}'), "id") == "12345678901234567890"
    assert kit.key(record('{"id": " A/b "}'), "id") == " A/b "
    for text in ('""', "null", "1.5", "NaN", r'"a\u0000"', f'"{"x" * 256}"', "[]"):
        with pytest.raises(kit.Malformed):
            kit.key(record(f'{{"id": {text}}}'), "id")


def test_a_row_that_cannot_be_read_is_kept_as_it_came() -> None:
    rows = kit.decode(b'[{"id": "1", "n": 1.10}, {"id": "2", "n": NaN, "s": "\\u0000"}, 5]')
    assert isinstance(rows, list)
    found, kept = kit.read_rows(
        rows,
        lambda r: kit.decimal(r, "n"),
        scope=SyncScope.TRANSACTIONS,
        account=lambda r: kit.text_or_none(r, "id"),
    )

    assert found == [Decimal("1.10")]
    assert [(u.raw, u.reason, u.account_key) for u in kept] == [
        ('{"id": "2", "n": NaN, "s": "\\u0000"}', "n is not a number: NaN", "2"),
        ("5", "the record is not an object: 5", None),
    ]


def test_of_an_account_number_only_the_end_is_kept() -> None:
    rows = kit.decode(b'[{"id": "1", "number": "12-345678"}, {"id": "2", "number": 123456789}]')
    assert isinstance(rows, list)

    def read(row: kit.Record) -> None:
        kit.text(row, "number")
        kit.text(row, "name")

    _, kept = kit.read_rows(rows, read, scope=SyncScope.ACCOUNTS, number="number")

    dots = r"\u00b7" * 4
    assert [u.raw for u in kept] == [
        f'{{"id": "1", "number": "{dots}5678"}}',
        f'{{"id": "2", "number": "{dots}6789"}}',
    ]
    assert kept[0].reason == "name is missing"
    assert kept[1].reason.endswith("6789")
    assert "12345" not in kept[1].reason


def test_a_number_is_masked_however_deep_it_stands() -> None:
    rows = kit.decode(b'[{"inner": [{"number": "12345678", "n": 1.10}], "name": "12345678"}]')
    assert isinstance(rows, list)
    _, [kept] = kit.read_rows(
        rows, lambda row: kit.text(row, "inner"), scope=SyncScope.ACCOUNTS, number="number"
    )
    assert kept.raw.startswith(r'{"inner": [{"number": "\u00b7\u00b7\u00b7\u00b75678", "n": 1.10}]')
    assert "12345678" not in kept.reason
    assert kit.unread("12345678", "x", scope=SyncScope.ACCOUNTS, number="number").raw


def test_a_text_goes_out_as_it_came_in_with_its_numbers_untouched() -> None:
    text = '{"a": [1.10, 1E+5, -0.00, true, null], "b": {"c": "caf\\u00e9"}, "d": -Infinity}'
    assert kit.raw_text(kit.decode(text.encode())) == text


@pytest.mark.parametrize("content", [b"", b"{", b"<html>", b"\xff\xfe", b'{"a": 1} x', b"[" * 9999])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(kit.NotJson):
        kit.decode(content)
