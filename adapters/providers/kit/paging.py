"""Bounds on how much is asked for: windows of days, and pages of a list."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import TypeVar

from adapters.providers.kit.names import named
from domain.errors import ProviderUnavailable

T = TypeVar("T")

FOURTH = Decimal("0.0001")
PAGES_MAX = 1_000  # a list that needs more is a bug at one end
ENDLESS_RETRY_AFTER_S = 3_600


def progress(share: Decimal) -> Decimal:
    """As a page tells it: to four places, and never more than is read."""
    return share.quantize(FOURTH, rounding=ROUND_DOWN)


def windows(since: date, until: date, days_max: int) -> Iterator[tuple[date, date]]:
    """The days from `since` to `until`, both inclusive, oldest first, in parts of `days_max`."""
    if days_max < 1:
        raise ValueError("a window has at least one day")
    begins = since
    while begins <= until:
        ends = min(begins + timedelta(days=days_max - 1), until)
        yield begins, ends
        begins = ends + timedelta(days=1)


async def pages(
    provider: str,
    fetch: Callable[[str | None], Awaitable[tuple[T, str | None]]],
    *,
    cursor: str | None = None,
    pages_max: int = PAGES_MAX,
) -> AsyncIterator[T]:
    """Every page that `fetch(cursor)` gives, until it gives no next cursor.

    Raises ProviderUnavailable where the provider repeats a cursor or does not come to an end.
    """
    seen: set[str | None] = {cursor}
    for _ in range(pages_max):
        page, cursor = await fetch(cursor)
        yield page
        if cursor is None:
            return
        if cursor in seen:
            break
        seen.add(cursor)
    raise ProviderUnavailable(
        f"{named(provider)} does not come to the end of a list",
        provider=provider,
        retry_after_s=ENDLESS_RETRY_AFTER_S,
    )
