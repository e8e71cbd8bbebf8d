"""Which profile a file is of, and where its tables begin and end."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from adapters.csv.errors import CsvError
from adapters.csv.profiles import Profile
from adapters.csv.table import DELIMITERS, Line, lines_of

HEADER_LINES_MAX = 60  # before the first record
COLUMNS_MIN = 3
FOOTNOTE_WORDS_MIN = 3
TITLE_CHARS_MAX = 200
SHOWN_MAX = 200


@dataclass(slots=True)
class Table:
    """The rows below one header. `places` is where each of the profile's columns stands."""

    profile: Profile
    places: Mapping[str, int]
    width: int
    title: str = ""
    heading: str = ""  # of all that is in the file
    rows: list[Line] = field(default_factory=list)

    def cell(self, row: Line, column: str) -> str:
        """ "" where the layout, or this row, has no such column."""
        place = self.places.get(column)
        return row.cells[place] if place is not None and place < len(row.cells) else ""


class Layouts:
    """The profiles that there are."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self._profiles = profiles
        named = (p.names(column) for p in profiles for column in p.columns)
        self._names = frozenset(name.casefold() for names in named for name in names)

    def of(self, line: Line) -> tuple[Profile, Mapping[str, int]] | None:
        """The one of which this is the header, and where its columns stand: of those that fit the
        one with the most."""
        if sum(cell.casefold() in self._names for cell in line.cells if cell) < COLUMNS_MIN:
            return None
        header = {cell.casefold(): place for place, cell in reversed([*enumerate(line.cells)])}
        best: tuple[Profile, Mapping[str, int]] | None = None
        for profile in self._profiles:
            places = {
                column: header[name.casefold()]
                for column in profile.columns
                for name in reversed(profile.names(column))
                if name.casefold() in header
            }
            fits = profile.needed <= places.keys()
            if fits and (best is None or len(places) > len(best[1])):
                best = profile, places
        return best


def tables_of(text: str, profiles: Sequence[Profile]) -> list[Table]:
    """Raises CsvError where no layout is recognised, or nothing is in it."""
    layouts, seen, fault = Layouts(profiles), list[Line](), None
    for delimiter in (mark for mark in DELIMITERS if mark in text):
        try:
            head = list(islice(lines_of(text, delimiter), HEADER_LINES_MAX))
        except CsvError as error:  # of a delimiter that may be none; without all that it had read
            fault = fault or error.with_traceback(None)
            continue
        seen += head
        if any(layouts.of(line) for line in head):
            tables = [t for t in _tables(lines_of(text, delimiter), layouts) if t.rows]
            if not tables:
                raise CsvError("there is a header, and nothing below it")
            return tables
    raise fault or _unknown(seen, profiles)


def _tables(lines: Iterable[Line], layouts: Layouts) -> Iterator[Table]:
    table: Table | None = None
    before: list[str] = []
    heading = ""
    for line in lines:
        said = line.said
        if not said:
            continue
        if found := layouts.of(line):
            if table is not None:
                yield table
            profile, places = found
            title = _title(profile, before)
            heading = heading or next((b for b in before if _is_title(profile, b)), "")
            table = Table(profile, places, len(line.cells), title, heading)
            before = []
        elif len(said) == 1 and (table is None or _is_title(table.profile, said[0])):
            before.append(said[0])
        elif table is not None and not _is_footnote(said):
            table.rows.append(line)
    if table is not None:
        yield table


def _title(profile: Profile, before: Sequence[str]) -> str:
    """The line nearest to the header that is one."""
    return next((said for said in reversed(before) if _is_title(profile, said)), "")


def _is_title(profile: Profile, said: str) -> bool:
    if len(said) > TITLE_CHARS_MAX:
        return False
    return re.fullmatch(profile.title, said, re.IGNORECASE) is not None


def _is_footnote(said: Sequence[str]) -> bool:
    """A sentence, not a record that was cut off."""
    return len(said) == 1 and len(said[0].split()) >= FOOTNOTE_WORDS_MIN


def _unknown(lines: Sequence[Line], profiles: Sequence[Profile]) -> CsvError:
    known = "known are: " + "; ".join(profile.name for profile in profiles)
    lines = sorted(lines, key=lambda line: (-min(len(line.said), COLUMNS_MIN), line.number))
    header = next(iter(lines), None)
    if header is None or len(header.said) < 2:
        return CsvError(f"there are no columns in it; {known}")
    columns = ", ".join(header.said)[:SHOWN_MAX]
    what = f"no layout that is known here has these columns: {columns}; {known}"
    return CsvError(what, header.number)
