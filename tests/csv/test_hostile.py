"""Files that nobody honest writes, and what banks write against the standard."""

import re
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.csv import is_csv, statement_of
from adapters.csv.cells import number_or_none
from adapters.csv.errors import Illegible
from domain.errors import ErrorCode, UnreadableFile
from domain.imports import FILE_BYTES_MAX
from domain.money import Currency
from tests.csv.samples import BROKERAGE, DEPOSIT, POSITIONS

HEADER = "Details,Posting Date,Description,Amount,Type,Balance,Check or Slip #\n"


def a_row(description: str = "SHOP", amount: str = "-1.00", day: str = "01/05/2026") -> str:
    return f"DEBIT,{day},{description},{amount},DEBIT_CARD,5.00,,\n"


def a_card(day: str, *numbers: int) -> bytes:
    header = "Card,Transaction Date,Post Date,Description,Category,Type,Amount,Memo\n"
    return (header + "".join(f"{n},{day},{day},X,,Sale,-1.00,\n" for n in numbers)).encode()


@pytest.mark.parametrize(
    ("said", "amount"),
    [
        ("$1,234.50", "1234.50"),
        ("-$1,234.50", "-1234.50"),
        ("($1,234.50)", "-1234.50"),
        ("1234.50-", "-1234.50"),
        ("+5", "5"),
        ("\u22125.00", "-5.00"),
        ("USD 5", "5"),
        (".5", "0.5"),
        ("1,23,456.78", "123456.78"),
        ("1 234.50", "1234.50"),
        ("- $ 5", "-5"),
        ("--", None),
        ("N/A", None),
        ("", None),
    ],
)
def test_a_number_is_read_as_it_is_written(said: str, amount: str | None) -> None:
    found = number_or_none(said, "the amount")
    assert (None if found is None else f"{found:f}") == amount


@pytest.mark.parametrize(
    "said",
    ["1.2.3", "1,2", "12,34", "1e5", "NaN", "inf", "(5", "--5", "- -5", "0x10", "=1+1", "9" * 40,
     "\u0661\u0662", "5%", "(-5))", "(-5)", "1 50", "1\ufeff2", "0,123", "5 6", "EUR 5", "\u20ac5"],
)  # fmt: skip
def test_what_is_no_number_is_kept_with_its_line(said: str) -> None:
    with pytest.raises(Illegible):
        number_or_none(said, "the amount", of=Currency("USD"))
    cell = f'"{said}"' if "," in said else said
    statement = statement_of((HEADER + a_row() + a_row(amount=cell)).encode(), "Chase1234.csv")
    [lost] = statement.unreadable
    assert (lost.line, len(statement.transactions)) == (3, 1)
    assert "the amount" in lost.reason
    assert "SHOP" in lost.raw


@pytest.mark.parametrize("day", ["02/30/2026", "2026-01-05", "1/5/26", "", "01/05/0026", "today"])
def test_what_is_no_day_is_kept_with_its_line(day: str) -> None:
    [lost] = statement_of((HEADER + a_row(day=day)).encode(), "Chase1234.csv").unreadable
    assert "the date" in lost.reason


@pytest.mark.parametrize(
    ("said", "of", "is_its"),
    [("$5", "CAD", True), ("$5", "MXN", True), ("$5", "EUR", False), ("5 EUR", "EUR", True),
     ("\u00a35", "GBP", True), ("\u00a35", "USD", False), ("\u00a55", "JPY", True),
     ("USD 5", "CAD", False), ("5", "CHF", True)],
)  # fmt: skip
def test_a_currency_beside_a_number_is_never_taken_for_another(
    said: str, of: str, is_its: bool
) -> None:
    if is_its:
        assert number_or_none(said, "the amount", of=Currency(of)) == 5
    else:
        with pytest.raises(Illegible, match=f"not in {of}"):
            number_or_none(said, "the amount", of=Currency(of))


def test_formulas_are_text_and_nothing_else() -> None:
    said = "=cmd|'/C calc'!A0"
    [row] = statement_of((HEADER + a_row(said)).encode(), "Chase1234.csv").transactions
    assert row.description == said


def test_quotes_newlines_commas_and_control_characters_stay_within_a_cell() -> None:
    text = HEADER + a_row('"A ""B"",\nC\x07D"') + a_row('JOE"S')
    first, second = statement_of(text.encode(), "Chase1234.csv").transactions
    assert first.description == 'A "B", C D'
    assert second.description == 'JOE"S'


def test_the_line_of_a_row_is_that_of_the_file_though_a_cell_has_several() -> None:
    text = HEADER + a_row('"A\nB\nC"') + a_row(amount="x")
    [lost] = statement_of(text.encode(), "Chase1234.csv").unreadable
    assert lost.line == 5


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_encoding_that_banks_use(encoding: str) -> None:
    text = (HEADER + a_row("CAFÉ")).replace("\n", "\r\n")
    assert is_csv(text.encode(encoding))
    [row] = statement_of(text.encode(encoding), "Chase1234.csv").transactions
    assert row.description == "CAFÉ"


def test_a_byte_order_mark_before_another_encoding_is_no_part_of_the_header() -> None:
    content = b"\xef\xbb\xbf" + (HEADER + a_row("CAFÉ")).encode("cp1252")
    [row] = statement_of(content, "Chase1234.csv").transactions
    assert row.description == "CAFÉ"


def test_a_quote_that_only_another_delimiter_leaves_open_is_none() -> None:
    text = (HEADER + a_row('SHOP|"X')).replace(",", ";").replace("|", ",")
    [row] = statement_of(text.encode(), "Chase1234.csv").transactions
    assert row.description == 'SHOP,"X'


@pytest.mark.parametrize(
    ("content", "reason", "line"),
    [
        (HEADER.encode() + b"a,b\0c\n", "NUL", 2),
        (HEADER.encode() + b'DEBIT,01/05/2026,"never closed' + b"x" * 200_000, "quote", 2),
        ((HEADER + a_row() + 'DEBIT,01/05/2026,A,-1,FEE,5,"\n' + a_row()).encode(), "quote", 3),
        (HEADER.encode() + b"," * 10_000, "columns", 2),
        (HEADER.encode() + b"," * 1_000_000, "columns", 2),
        (HEADER.encode() + b"\n" + b"x" * 1_000_000, "quote", 3),
        (a_card("01/05/2026", *range(1000, 1501)), "500 accounts", None),
        ((HEADER + a_row().replace("5.00", "") * 1_001).encode(), "1,000 rows are pending", None),
        (HEADER.encode(), "nothing below it", None),
        (b"x" * 5_000, "no columns", None),
        (b"\xff\xfe\x00\xd8\x00", "UTF-16", None),
        (HEADER.encode() + b"a,b,c\n" * 200_001, "rows", 200_001),
    ],
)
def test_what_is_out_of_bounds_is_unreadable_and_says_where(
    content: bytes, reason: str, line: int | None
) -> None:
    with pytest.raises(UnreadableFile, match=reason) as refused:
        statement_of(content, "Chase1234.csv")
    assert refused.value.line == line


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (BROKERAGE + ("a" + "X" * 8_000 + "\n") * 30, "Schwab.csv"),
        (BROKERAGE + ("a" + "." * 8_000 + "\n") * 30, "Schwab.csv"),
        (BROKERAGE * 500, "a" + "X" * 250 + ".csv"),
        (HEADER + a_row(amount='"' + "1,111" * 1_600 + 'x"') * 30, "Chase1234.csv"),
    ],
)
def test_no_title_name_or_figure_takes_longer_than_it_is_long(content: str, name: str) -> None:
    began = time.process_time()
    statement_of(content.encode(), name)
    assert time.process_time() - began < 1.5


def test_commas_take_no_memory() -> None:
    tracemalloc.start()
    with pytest.raises(UnreadableFile, match="columns"):
        statement_of(b",;" * (4 * 2**20), "x.csv")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80 * 2**20  # four bytes a character, and what it was decoded from


def test_a_file_over_the_limit_is_not_looked_at() -> None:
    with pytest.raises(UnreadableFile) as refused:
        statement_of(b"," * (FILE_BYTES_MAX + 1), "x.csv")
    assert refused.value.code is ErrorCode.FILE_TOO_LARGE


def test_a_cut_off_row_is_kept_and_a_footnote_is_none() -> None:
    text = HEADER + a_row() + "DEBIT,01/0"
    assert [u.line for u in statement_of(text.encode(), "Chase1234.csv").unreadable] == [3]
    text = HEADER + a_row() + "DEBIT"
    assert [u.line for u in statement_of(text.encode(), "Chase1234.csv").unreadable] == [3]
    text = HEADER + a_row() + "These figures are not an official record\n"
    assert not statement_of(text.encode(), "Chase1234.csv").unreadable


def test_a_cell_too_many_is_kept_and_commas_too_many_are_nothing() -> None:
    text = HEADER + a_row().replace(",,\n", ",,,,,\n") + a_row().replace(",,\n", ",,,x\n")
    statement = statement_of(text.encode(), "Chase1234.csv")
    assert len(statement.transactions) == 1
    assert "more cells" in statement.unreadable[0].reason


def test_the_oldest_first_is_recognised_by_its_days() -> None:
    lines = DEPOSIT.splitlines()
    turned = "\n".join([lines[0], *reversed(lines[1:])])
    straight = statement_of(DEPOSIT.encode(), "Chase1234.csv")
    other = statement_of(turned.encode(), "Chase1234.csv")
    assert other.accounts == straight.accounts
    assert {t.key for t in other.transactions} == {t.key for t in straight.transactions}


def test_other_formats_are_not_taken_for_tables() -> None:
    for content in (b"OFXHEADER:100\n<OFX>,,,", b"%PDF-1.7,,,", b'{"a": 1, "b": 2, "c": 3}',
                    b"PK\x03\x04,,,", b"<html>,,,</html>", b"one line of words",
                    b"Dear Ann,\nsee the sum, and pay.\nBob"):  # fmt: skip
        assert not is_csv(content)


def test_two_columns_are_a_table_that_is_not_known_and_the_known_ones_are_named() -> None:
    for text in ("Date,Amount\n2026-01-02,5.00\n", "Datum;Betrag\r\n02.01.2026;5,00\r\n"):
        assert is_csv(text.encode())
        with pytest.raises(UnreadableFile) as refused:
            statement_of(text.encode())
        assert ", ".join(re.split("[,;]", text.splitlines()[0])) in refused.value.message
        assert "known are: Chase, checking and savings; Chase, cards;" in refused.value.message
        assert refused.value.line == 1


def test_a_megabyte_is_read_in_a_moment() -> None:
    content = (HEADER + a_row("SHOP " + "X" * 45) * 10_000).encode()
    began = time.process_time()
    statement = statement_of(content, "Chase1234.csv")
    assert len(statement.transactions) == 10_000
    assert time.process_time() - began < 3


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([DEPOSIT, BROKERAGE, POSITIONS]),
    st.lists(st.tuples(st.integers(0, 900), st.binary(max_size=6)), max_size=4),
)
def test_no_bytes_are_more_than_a_refusal(text: str, changes: list[tuple[int, bytes]]) -> None:
    content = text.encode()
    for at, instead in changes:
        content = content[:at] + instead + content[at + len(instead) :]
    try:
        statement = statement_of(content, "Chase1234.csv")
    except UnreadableFile:
        return
    for lost in statement.unreadable:
        assert lost.reason
        assert lost.raw
