"""Where in a file something is, so that it can be pointed at."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Counted from one; in a manifest, `within` says where in the text that begins at the line."""

    file: str
    line: int = 0
    column: int = 0
    within: str = ""

    def __str__(self) -> str:
        parts = [self.file, *(str(number) for number in (self.line, self.column) if number)]
        return ":".join(parts) + (f" ({self.within})" if self.within else "")


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of a document's text, from `line` on, that stand in a file from `at` on."""

    line: int
    at: Place


class Said(str):
    """A string of a JSON file, and the line that it is in."""

    __slots__ = ("line",)
    line: int


class Pairs(list[tuple[Said, Any]]):
    """An object of JSON, with a name twice where it has it twice."""

    __slots__ = ()

    def get(self, name: str) -> Any:
        return next((value for key, value in self if key == name), None)


def located(text: str) -> Any:
    """What the JSON says, its objects as Pairs and its strings as Said. Raises: ValueError."""
    value = json.loads(text, object_pairs_hook=Pairs, parse_constant=_no_number)
    return _located(value, _lines(text))


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _lines(text: str) -> Iterator[int]:
    """Of each string, in the order of the file: in JSON a quote begins nothing else."""
    line, seen = 1, 0
    for found in STRING.finditer(text):
        line += text.count("\n", seen, found.start())
        seen = found.start()
        yield line


def _located(value: Any, lines: Iterator[int]) -> Any:
    if isinstance(value, str):
        said = Said(value)
        said.line = next(lines)
        return said
    if isinstance(value, Pairs):
        return Pairs([(_located(k, lines), _located(v, lines)) for k, v in value])
    if isinstance(value, list):
        return [_located(each, lines) for each in value]
    return value
