"""A log of events that is written at will, and what a fan-out says of it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from domain.errors import Unavailable
from domain.events import EventCategory, EventId, EventName
from domain.identity import SessionId, UserId, new_id
from domain.told import SecurityTold, Stretch, Told
from tests.builders import NOW


def an_event(seq: int, **said: Any) -> Told:
    values: dict[str, Any] = {
        "seq": seq,
        "id": EventId(new_id()),
        "at": NOW,
        "category": EventCategory.SECURITY,
        "name": EventName.SESSION_STARTED.value,
        "message": "Somebody has signed in as you.",
        "session_id": SessionId(new_id()),
        "detail": None,
    }
    return SecurityTold(**values | said)


class Log:
    """What `gateway.live.feed` reads from. `reads` are the places that were asked for, of each."""

    def __init__(self) -> None:
        self.events: dict[UserId, list[Told]] = defaultdict(list)
        self.reads: list[tuple[UserId, int]] = []
        self.looks = 0
        self.down = False

    def write(self, whose: UserId, *seqs: int) -> None:
        self.events[whose] += [an_event(seq) for seq in seqs]

    async def read(self, whose: UserId, place: int, limit: int) -> Stretch:
        self.reads.append((whose, place))
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("the database is away")
        later = [event for event in self.events[whose] if event.seq > place]
        page = later[:limit]
        return Stretch(
            events=page,
            seq=page[-1].seq if page else place,
            is_last=len(page) < limit,
        )

    async def latest(self, whose: Collection[UserId]) -> Mapping[UserId, int]:
        self.looks += 1
        if self.down:
            raise Unavailable("the database is away")
        return {id: self.events[id][-1].seq for id in whose if self.events[id]}


class Said:
    """`domain.ports.Fanout`, of which a test is all the others."""

    hears = True

    def __init__(self) -> None:
        self.said: asyncio.Queue[str | None] = asyncio.Queue()
        self.subscribed = 0

    async def publish(self, channel: str, payload: str) -> None:
        self.said.put_nowait(payload)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[AsyncIterator[str | None]]:
        self.subscribed += 1
        yield self._messages()

    async def _messages(self) -> AsyncIterator[str | None]:
        while True:
            yield await self.said.get()

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()
