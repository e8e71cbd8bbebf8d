"""A file as rows of cells (RFC 4180), within bounds.

What banks write that the standard has not: a byte order mark, cp1252, semicolons or tabs, quotes
inside of a cell, commas after the last one, lines before the header and after the last record.
Whatever a cell begins with, it is text: nothing of it is ever computed.
"""

import csv
import io
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from adapters.csv.errors import CsvError

BYTES_MAX = 10 * 1024 * 1024
ROWS_MAX = 200_000
COLUMNS_MAX = 200
CELL_CHARS_MAX = 8_192
LINE_CHARS_MAX = 256 * 1024  # before it is made cells of: ten million commas would be 80 MB
HEAD_BYTES = 64 * 1024
DELIMITERS = ",;\t"
END = "\0"  # a line that no text has, by which it is seen that the last quote was closed
UNCLOSED = "a quote is not closed, or a cell is too long"

_SIGNATURES = (
    b"%PDF",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\xd0\xcf\x11\xe0",
    b"{",
    b"[",
    b"<",
    b"!Type:",
)


@dataclass(frozen=True, slots=True)
class Line:
    """A row; `number` is that of the line of the file on which it begins."""

    number: int
    cells: tuple[str, ...]

    @property
    def said(self) -> list[str]:
        return [cell for cell in self.cells if cell]


def seems_a_table(raw: bytes) -> bool:
    """Whether its beginning is text in columns, and no other format."""
    head = raw[:HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(_SIGNATURES) or b"<OFX" in head.upper() or b"OFXHEADER" in head.upper():
        return False
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    lines = [line for line in head.splitlines()[:50] if line.strip()]
    marks = [mark.encode() for mark in DELIMITERS]
    if any(line.count(mark) >= 2 for line in lines for mark in marks):
        return True
    # Two columns are a table where every line has them: a sentence has a comma now and then.
    return len(lines) > 1 and any(all(mark in line for line in lines) for mark in marks)


def text_of(raw: bytes) -> str:
    """Decoded: UTF-16 by its byte order mark, else UTF-8 if it fits, else cp1252; a mark of UTF-8
    decides nothing, since some write it before cp1252. Raises CsvError."""
    if len(raw) > BYTES_MAX:
        raise CsvError(f"the file has {len(raw):,} bytes; at most {BYTES_MAX:,} are read")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = raw.decode("utf-16")
        except UnicodeDecodeError:
            raise CsvError("the file begins as UTF-16 and cannot be read as such") from None
    else:
        bare = raw.removeprefix(BOM_UTF8)
        try:
            text = bare.decode()
        except UnicodeDecodeError:
            # The bytes that cp1252 leaves open become U+FFFD: visible, and never in a figure.
            text = bare.decode("cp1252", "replace")
    if (nul := text.find("\0")) >= 0:
        raise CsvError("the file contains NUL characters", text.count("\n", 0, nul) + 1)
    return text


def lines_of(text: str, delimiter: str) -> Iterator[Line]:
    """Each row, its cells without the blanks around them. Raises CsvError where it is out of
    bounds."""
    reader = csv.reader(_short(io.StringIO(text, newline="")), delimiter=delimiter)
    number, count = 1, 0
    while True:
        try:
            cells = next(reader)
        except csv.Error:
            raise CsvError(UNCLOSED, number) from None
        if cells == [END]:
            return
        count += 1
        if count > ROWS_MAX:
            raise CsvError(f"more than {ROWS_MAX:,} rows", number)
        if len(cells) > COLUMNS_MAX:
            raise CsvError(f"more than {COLUMNS_MAX} columns", number)
        if any(len(cell) > CELL_CHARS_MAX or cell.endswith(END) for cell in cells):
            raise CsvError(UNCLOSED, number)
        yield Line(number, tuple(_trimmed(cell) for cell in cells))
        number = reader.line_num + 1


def _short(lines: Iterable[str]) -> Iterator[str]:
    """Each line, none too long, and END."""
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_CHARS_MAX:
            raise CsvError(
                f"a line of {len(line):,} characters: a quote is not closed, or there are more than"
                f" {COLUMNS_MAX} columns",
                number,
            )
        yield line
    yield END


def _trimmed(cell: str) -> str:
    """One line, without control characters."""
    if not cell.isprintable():
        cell = "".join(c if c.isprintable() else " " for c in cell)
    return " ".join(cell.split())
