"""What a person calls the client that they signed in with."""

import time

import pytest

from adapters.devices import SHOWN_MAX, device_of

MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"{MAC}/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36", "Chrome on macOS"),
        (f"{MAC}/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15", "Safari on macOS"),
        (f"{PHONE} (KHTML, like Gecko) CriOS/130.0.6723.90 Mobile Safari/604.1", "Chrome on iOS"),
        (
            f"{PHONE} (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            "Safari on iOS",
        ),
        (
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
            "Firefox on Ubuntu",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 Chrome/130.0.0.0 Edg/130.0.0.0",
            "Edge on Windows",
        ),
        ("curl/8.5.0", "curl/8.5.0"),
        ("  python-httpx2/2.1\t", "python-httpx2/2.1"),
        ("okhttp/4.12.0", "okhttp/4.12.0"),
        ("a\x00b\x1b[31m\r\nc\u202ed", "a b [31m c d"),
        ("", None),
        ("\x00 \x7f", None),
        (None, None),
    ],
)
async def test_a_browser_has_a_name_and_anything_else_is_shown_as_it_came(
    said: str | None, shown: str | None
) -> None:
    assert await device_of(said) == shown


async def test_whatever_a_client_says_costs_nothing_and_is_short() -> None:
    await device_of("warm")
    for part in ("A", "Mozilla/5.0 (", ";", "Android;", "1.", "Chrome/", "a;b/", "\u202e", "ü "):
        began = time.perf_counter()
        shown = await device_of(part * 10_240)
        assert time.perf_counter() - began < 0.2  # 0.01 where nothing else runs
        assert shown is None or (len(shown) <= SHOWN_MAX and shown.isprintable())
