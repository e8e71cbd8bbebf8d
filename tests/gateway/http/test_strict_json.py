import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.operations.strict_json import (
    NESTING_MAX,
    VALUES_MAX,
    NotJson,
    NotText,
    loads,
    storable,
)

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | INT64 | FLOATS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(VALUES)
def test_what_is_json_is_read_as_it_was_written(value: Any) -> None:
    for raw in (json.dumps(value).encode(), json.dumps(value, ensure_ascii=False).encode()):
        assert loads(raw) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        read = loads(raw)
    except (NotJson, NotText) as refused:
        read = str(refused)
    assert read is None or isinstance(read, dict | list | str | int | float | bool)


@given(st.text(alphabet='{}[]",:0129.eE-+ \\u\0trfalsn', max_size=60))
def test_what_is_read_is_what_the_standard_library_reads(text: str) -> None:
    try:
        value = loads(text)
    except (NotJson, NotText):
        return
    assert value == json.loads(text)
    assert not (isinstance(value, float) and math.isinf(value))


def test_nesting_is_read_up_to_its_limit() -> None:
    assert loads("[" * NESTING_MAX + "]" * NESTING_MAX)
    with pytest.raises(NotJson):
        loads("[" * (NESTING_MAX + 1) + "]" * (NESTING_MAX + 1))


def test_many_siblings_are_not_nesting() -> None:
    assert loads("[" + ",".join(["[1]"] * 500) + "]")


@pytest.mark.parametrize("item", ["1", "null", '""', "[0]", '{"a": 1}', r'"\\\",[{"'])
def test_values_are_read_up_to_their_limit(item: str) -> None:
    """And what is written inside of strings is none."""
    each = 1 if item[0] not in "[{" else 2
    assert loads(f"[{', '.join([item] * (VALUES_MAX // each - 1))}]")
    with pytest.raises(NotJson, match="10,000 values"):
        loads(f"[{', '.join([item] * (VALUES_MAX // each + 1))}]")


def test_a_long_text_is_one_value() -> None:
    assert loads(json.dumps(text := '[{,"\\' * 50_000)) == text


def test_the_ends_of_64_bits_are_read_and_what_lies_past_them_is_not() -> None:
    assert loads("[-9223372036854775808, 9223372036854775807]") == [-(2**63), 2**63 - 1]
    for past in ("-9223372036854775809", "9223372036854775808"):
        with pytest.raises(NotJson):
            loads(past)


@pytest.mark.parametrize(
    "text", [r'"\u0000"', r'["\ud800"]', r'{"\udfff": 1}', r'{"a": ["\udc00\ud800"]}']
)
def test_text_that_nothing_can_keep_is_refused(text: str) -> None:
    with pytest.raises(NotText):
        loads(text)


@given(st.text(st.characters(exclude_categories=[])))
def test_storable_text_is_what_utf8_carries_and_has_no_nul(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        assert not storable(text)
    else:
        assert storable(text) == ("\0" not in text)
