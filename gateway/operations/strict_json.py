"""JSON as RFC 8259 means it, so that what is read is what every other reader would read."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

NESTING_MAX = 64
VALUES_MAX = 10_000  # a megabyte may hold 500,000, which take 0.7 s to read and to coerce
INTEGER_DIGITS_MAX = 20  # a 64-bit integer and its sign
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class NotJson(ValueError):
    """Not UTF-8, not JSON, JSON on which two readers could differ, or too much of it; its words
    are what can be said of a body."""

    def __init__(self, why: str = "is not strict JSON in UTF-8") -> None:
        super().__init__(why)


class NotText(ValueError):
    """A string that holds NUL or half of a surrogate pair."""


def loads(raw: bytes | str) -> Any:
    """Read one JSON value.

    Refused are NaN and Infinity, a key twice in one object, integers past 64 bits, numbers past
    a double, more than 64 levels or 10,000 values, a byte-order mark.

    Raises: NotJson, NotText.
    """
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
    except ValueError:
        raise NotJson from None
    if _marks(text) > VALUES_MAX and _marks(_outside_strings(text)) > VALUES_MAX:
        raise NotJson(f"has more than {VALUES_MAX:,} values, each empty list or object for two")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_once_each,
            parse_constant=_no_number,
            parse_int=_int64,
            parse_float=_finite,
        )
    except (ValueError, RecursionError):
        raise NotJson from None
    # Both are rare, and cheap to rule out before anything is walked in Python.
    if text.count("[") + text.count("{") > NESTING_MAX:
        _shallow(value)
    if "\\u" in text:
        _storable(value)
    return value


def storable(text: str) -> bool:
    """Whether PostgreSQL can keep it (no NUL) and UTF-8 can carry it (no lone surrogate)."""
    return UNSTORABLE.search(text) is None


def _marks(text: str) -> int:
    """Of JSON without its strings one a value, but for the outermost, and two where it is an empty
    list or object."""
    return text.count(",") + text.count("[") + text.count("{")


def _outside_strings(text: str) -> str:
    return "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJson
    return found


def _no_number(_: str) -> Any:
    raise NotJson


def _int64(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS_MAX or not -(2**63) <= (value := int(digits)) < 2**63:
        raise NotJson
    return value


def _finite(digits: str) -> float:
    # No money is read here: amounts travel as strings.
    if not math.isfinite(value := float(digits)):
        raise NotJson
    return value


def _shallow(value: Any) -> None:
    level = [value]
    for _ in range(NESTING_MAX):
        level = [i for outer in level for i in _inside(outer) if isinstance(i, dict | list)]
    if level:
        raise NotJson(f"is nested deeper than {NESTING_MAX}")


def _storable(value: Any) -> None:
    level = [value]
    while level:
        for item in level:
            if isinstance(item, str) and not storable(item):
                raise NotText
            if isinstance(item, dict) and not all(map(storable, item)):
                raise NotText
        level = [inner for outer in level for inner in _inside(outer)]


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
