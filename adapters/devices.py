"""What a person calls the client that they signed in with."""

import asyncio
import re
from typing import Any

SAID_MAX = 512  # characters of what a client calls itself; those of browsers have about 120
SHOWN_MAX = 80
BROWSERS = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Firefox iOS": "Firefox",
    "Firefox Mobile": "Firefox",
    "Mobile Safari": "Safari",
    "Edge Mobile": "Edge",
}
SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS"}
UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


async def device_of(said: str | None) -> str | None:
    """Such as "Chrome on macOS", by its User-Agent; what is no browser's as it came, such as
    "curl/8.5.0", without control characters and shortened. None for nothing at all.

    In a thread: its first call reads a thousand patterns, which takes a fifth of a second.
    """
    said = " ".join(UNSHOWN.sub(" ", (said or "")[:SAID_MAX]).split())
    if not said:
        return None
    browser, system = await asyncio.to_thread(_families, said)
    if browser and system:
        shown = f"{BROWSERS.get(browser, browser)} on {SYSTEMS.get(system, system)}"
        return UNSHOWN.sub(" ", shown)[:SHOWN_MAX]
    return said if len(said) <= SHOWN_MAX else f"{said[: SHOWN_MAX - 1]}…"


def _families(said: str) -> tuple[str | None, str | None]:
    from ua_parser import parse_os, parse_user_agent  # noqa: PLC0415 - slow to import

    browser: Any = parse_user_agent(said)
    system: Any = parse_os(said)
    return (browser.family if browser else None), (system.family if system else None)
