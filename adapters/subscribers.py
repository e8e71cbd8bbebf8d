"""Who listens on which channel; for every way in which processes tell each other something."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

PAYLOAD_BYTES_MAX = 7_999  # PostgreSQL's own limit, kept by all, so that they can be exchanged
WAITING_MAX = 1_000  # messages of one subscriber; one who is slower misses some, and is told


class Subscription:
    """What is said on one channel, in order.

    None comes first, once all that follows will be heard, and again where something may have been
    missed, after the connection was lost or the subscriber fell behind: look at the tables then.
    """

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue(WAITING_MAX)

    def __aiter__(self) -> AsyncIterator[str | None]:
        return self

    async def __anext__(self) -> str | None:
        return await self._waiting.get()

    def hear(self, payload: str | None) -> None:
        if self._waiting.full():
            while not self._waiting.empty():
                self._waiting.get_nowait()
            payload = None
        self._waiting.put_nowait(payload)


class Subscribers:
    """Channels are few: names of ours, never one a user."""

    def __init__(self) -> None:
        self._by_channel: dict[str, set[Subscription]] = defaultdict(set)

    @property
    def channels(self) -> list[str]:
        return [*self._by_channel]

    def add(self, channel: str) -> Subscription:
        subscription = Subscription()
        self._by_channel[channel].add(subscription)
        return subscription

    def remove(self, channel: str, subscription: Subscription) -> None:
        self._by_channel[channel].discard(subscription)
        if not self._by_channel[channel]:
            del self._by_channel[channel]

    def hear(self, channel: str, payload: str | None) -> None:
        for subscription in [*self._by_channel.get(channel, ())]:
            subscription.hear(payload)

    def all_may_have_missed(self) -> None:
        for channel in self.channels:
            self.hear(channel, None)


def checked(payload: str) -> str:
    """What every way can carry: UTF-8 without NUL, PAYLOAD_BYTES_MAX at most. Raises ValueError."""
    if len(payload.encode()) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"over {PAYLOAD_BYTES_MAX} bytes")
    if "\0" in payload:
        raise ValueError("a NUL")
    return payload
