"""JSON in and out without a float: numbers become Decimal, exactly as they were written."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

SHOWN_CHARS_MAX = 40
DEPTH_MAX = 64  # of lists and objects in one another; providers need ten
EXPONENT_MAX = 9_999  # a number past it is none, and costs memory to be written out


class NotJson(ValueError):
    """The bytes are no JSON text, or not all of one."""


class NonFinite(str):
    """NaN or Infinity, which JSON does not have: its record is refused, not the whole answer."""

    __slots__ = ()


def decode(content: bytes) -> object:
    """Objects, lists, text, true, false, null, and Decimal for every number. Raises NotJson."""
    try:
        value = json.loads(
            content, parse_float=_number, parse_int=_number, parse_constant=NonFinite
        )
    except (ValueError, RecursionError) as fault:
        raise NotJson(f"not JSON: {type(fault).__name__}") from fault
    if _is_deep(value):
        raise NotJson(f"deeper than {DEPTH_MAX}")
    return value


def raw_text(value: object) -> str:
    """A decoded value as JSON text again, its numbers untouched; ASCII only."""
    if isinstance(value, NonFinite):
        return str(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{json.dumps(str(k))}: {raw_text(v)}" for k, v in value.items())
        return f"{{{inner}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(raw_text, value))}]"
    return json.dumps(value)


def shown(value: object) -> str:
    """A value's beginning, in printable ASCII, for a reason that its owner reads."""
    whole = raw_text(value) if isinstance(value, Decimal | NonFinite) else ascii(value)
    return whole if len(whole) <= SHOWN_CHARS_MAX else f"{whole[:SHOWN_CHARS_MAX]}..."


def _is_deep(value: object) -> bool:
    """Level by level: whoever reads it later may call itself for each level."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def _number(text: str) -> Decimal | NonFinite:
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent past what Decimal holds
        return NonFinite(text)
    return number if abs(number.adjusted()) <= EXPONENT_MAX else NonFinite(text)
