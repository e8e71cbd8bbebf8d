"""Time, waiting and chance, as one record that tests replace."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import SystemRandom


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """`random` gives 0 <= x < 1; `monotonic` and `sleep` are in seconds."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = _now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = SystemRandom().random


class Deadline:
    """How long a pull may take, over all its calls and waits."""

    def __init__(self, seconds: float, timing: Timing) -> None:
        self._monotonic = timing.monotonic
        self._ends = timing.monotonic() + seconds

    @property
    def left_s(self) -> float:
        return max(self._ends - self._monotonic(), 0.0)


def back_off_s(attempt: int, *, first_s: float, max_s: float, timing: Timing) -> float:
    """Capped and exponential, with full jitter; `attempt` counts from 1.

    See "Exponential Backoff And Jitter" in the AWS Architecture Blog.
    """
    return timing.random() * min(first_s * 2.0 ** (attempt - 1), max_s)


def retry_after_s(header: str | None, timing: Timing) -> float | None:
    """Seconds from a Retry-After header (RFC 9110, 10.2.3); None where it says nothing usable."""
    if header is None:
        return None
    said = header.strip()
    if said.isascii() and said.isdigit() and len(said) <= 9:
        return float(said)
    try:
        when = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - timing.now()).total_seconds(), 0.0)
