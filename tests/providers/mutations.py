"""Answers that no honest provider would give, made of its own good ones; always the same ones."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TypeAlias, TypeVar

from adapters.providers import kit
from adapters.providers.kit.decoding import NonFinite, decode, raw_text

T = TypeVar("T")
Steps: TypeAlias = tuple[str | int, ...]

ELEMENTS_MAX = 3  # of each list that are changed

RAW = NonFinite  # which goes out as it is written
MISSING = object()
DEEP = RAW("[" * 70 + "]" * 70)

INSTEAD: dict[str, object] = {
    "missing": MISSING,
    "null": None,
    "true": True,
    "nothing": "",
    "a word": "x",
    "a long text": "x" * 5_000,
    "control characters": RAW(r'"a\u0000\u001f\u007f\ud800b"'),
    "markup": "<script>alert(1)</script>{{7*7}}",
    "zero": RAW("0"),
    "a negative": RAW("-1"),
    "a fraction": RAW("0.1234567890123456789012345678901234567890"),
    "a long number": RAW("9" * 60),
    "a number of text": "12,34",
    "NaN": RAW("NaN"),
    "infinity": RAW("-Infinity"),
    "a huge exponent": RAW("1e999999"),
    "a huger exponent": RAW("1e999999999999"),
    "a tiny exponent": RAW("1e-999999"),
    "a day that is none": "2026-02-30",
    "the first day": "0001-01-01T00:00:00+14:00",
    "the last day": "9999-12-31T23:59:59-14:00",
    "an epoch too late": RAW("253402300800000"),
    "an epoch too early": RAW("-99999999999"),
    "a list": [],
    "an object": {},
    "a list in a list": [[]],
    "a deep list": DEEP,
}
OF_LISTS: dict[str, object] = {
    "a list of null": [None],
    "a list of numbers": [RAW("5")],
    "a list of text": ["x"],
    "a list of lists": [[{}]],
    "a list of nothing": [{}],
}
WHOLE: dict[str, bytes] = {
    "nothing at all": b"",
    "null for an answer": b"null",
    "true for an answer": b"true",
    "a number for an answer": b"5",
    "a text for an answer": b'"x"',
    "a list for an answer": b"[]",
    "a list of null for an answer": b"[null]",
    "an object for an answer": b"{}",
    "an error of another API": b'{"error": {"code": 5, "message": ["x"]}}',
    "a page": b"<html><body>Just a moment...</body></html>",
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "a hundred thousand brackets": b"[" * 100_000,
    "deep objects": b'{"a":' * 500 + b"1" + b"}" * 500,
    "NaN for an answer": b"NaN",
}


@dataclass(frozen=True, slots=True)
class Hostility:
    """One answer changed in one place. `kind` is what two changes have in common that find nothing
    out beyond each other; `repeats`: a row may come twice, and be told once."""

    name: str
    kind: str
    content: Callable[[], bytes]
    is_whole: bool = False
    repeats: bool = False


def mutations(good: bytes) -> Iterator[Hostility]:
    """Every one of a good answer, the same each time."""
    whole = {f"cut at {part}/4": good[: len(good) * part // 4] for part in (1, 2, 3)}
    whole |= {"something after it": good + b" x", "twice": good + good, **WHOLE}
    for name, content in whole.items():
        yield Hostility(name, name, partial(bytes, content), is_whole=True)
    answer = decode(good)
    for steps, value in _nodes(answer):
        where = "".join(f".{step}" for step in steps)
        alike = "".join(".*" if isinstance(step, int) else f".{step}" for step in steps)
        instead = {**INSTEAD}
        if isinstance(value, list):
            instead |= OF_LISTS
            instead |= {"twice": [*value, *value[:1]], "and null": [*value, None]}
        for name, other in instead.items():
            yield Hostility(
                f"{where}: {name}",
                f"{alike}: {name}",
                partial(_written, answer, steps, other),
                repeats=name == "twice",
            )


def chosen(found: Sequence[T], of: Callable[[T], Hostility], most: int) -> list[T]:
    """At most so many, and one of a kind, the same each time: a third of them of whole answers."""
    kinds: dict[str, T] = {}
    for each in found:
        kinds.setdefault(of(each).kind, each)
    fields = [each for each in kinds.values() if not of(each).is_whole]
    whole = [each for each in found if of(each).is_whole]
    dice = Random(1_933)
    whole = dice.sample(whole, min(len(whole), most // 3))
    return whole + dice.sample(fields, min(len(fields), most - len(whole)))


def _nodes(value: object, steps: Steps = ()) -> Iterator[tuple[Steps, object]]:
    """Everything below the whole; of a long list the first few and the last."""
    if steps:
        yield steps, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _nodes(inner, (*steps, name))
    elif isinstance(value, list):
        last = len(value) - 1
        for n, inner in enumerate(value):
            if n < ELEMENTS_MAX - 1 or n == last:
                yield from _nodes(inner, (*steps, n))


def _written(good: object, steps: Steps, instead: object) -> bytes:
    return raw_text(_changed(good, steps, instead)).encode()


def _changed(value: object, steps: Steps, instead: object) -> object:
    if not steps:
        return instead
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        changed = {**value, step: _changed(value[step], rest, instead)}
        if changed[step] is MISSING:
            del changed[step]
        return changed
    if not isinstance(value, list) or not isinstance(step, int):
        raise TypeError(f"there is no {step} in {kit.raw_text(value)}")
    inner = _changed(value[step], rest, instead)
    return [*value[:step], *([] if inner is MISSING else [inner]), *value[step + 1 :]]
