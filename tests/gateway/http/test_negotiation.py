import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.negotiation import EVENTS, LEGACY, RESPONSE, negotiate


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, LEGACY),
        ("", LEGACY),
        ("*/*", LEGACY),
        ("application/*", LEGACY),
        (LEGACY, LEGACY),
        (RESPONSE, RESPONSE),
        (f"{RESPONSE}, {LEGACY}", RESPONSE),
        (f"{LEGACY}, {RESPONSE}", RESPONSE),
        (f"{RESPONSE},{LEGACY};q=0.9", RESPONSE),
        (f"{RESPONSE};q=0.8,{LEGACY};q=0.9", LEGACY),
        (f"{RESPONSE}, */*", RESPONSE),
        (f"{LEGACY}, */*", LEGACY),
        (f"{LEGACY};q=0.5, */*;q=0.8", RESPONSE),
        (f"{LEGACY};q=0, */*", RESPONSE),
        (f"{RESPONSE};q=0, */*", LEGACY),
        (f"{LEGACY};q=0, application/*;q=0.5, */*", RESPONSE),
        ("APPLICATION/JSON ; Q=0.3", LEGACY),
        (f"{LEGACY};charset=utf-8", LEGACY),
        (f"multipart/mixed;deferSpec=20220824,{RESPONSE},{LEGACY};q=0.9", RESPONSE),
        ("text/html,application/xhtml+xml,*/*;q=0.8", LEGACY),
        ("text/html", None),
        ("text/event-stream", EVENTS),
        (f"{LEGACY};q=0", None),
        ("*/*;q=0", None),
        (f"{LEGACY};q=1.5", None),
        (f"{LEGACY};q=nan", None),
        (f"{LEGACY};q=", None),
        (f"{LEGACY};q=0.0001", None),
        (f"{LEGACY};q=0.001", LEGACY),
    ],
)
def test_the_best_fit_is_chosen(accept: str | None, chosen: str | None) -> None:
    assert negotiate(accept) == chosen


@given(st.text(alphabet='*/,;=q.019aplictonjsgrhe+- "', max_size=200))
def test_any_header_has_an_answer(accept: str) -> None:
    assert negotiate(accept) in (LEGACY, RESPONSE, None)


def test_a_hostile_header_takes_no_time() -> None:
    started = time.process_time()
    for accept in (
        "," * 8_192,
        ";" * 8_192,
        "q=0;" * 2_048,
        "*/*," * 2_048,
        f"{LEGACY};q=0." * 300,
    ):
        negotiate(accept)
    assert time.process_time() - started < 0.25
