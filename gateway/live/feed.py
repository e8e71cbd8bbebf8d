"""Events as they happen: read from the table once for all who follow one person in this process.

One subscription to the fan-out a process, however many follow. What is said there is a hint, and
nothing of it is shown: it only says in whose rows there is something new. Since a hint can be lost,
or nobody be there to give one, everyone's last event is looked at now and then as well, by a single
statement for all who are followed.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from uuid import UUID

import structlog

from adapters.postgres.pool import Pool
from adapters.postgres.snapshot import Snapshot
from domain.errors import RateLimited, Unavailable
from domain.identity import UserId
from domain.ports import RELAYED, Fanout
from domain.storage.doors import Doors
from domain.told import Stretch, Told

PAGE = 100
BEHIND_MAX = 1_000  # events that one may be behind of those who are not
SLOW_S_MAX = 10.0  # over one event, for one who is so far behind
LOOK_EVERY_S = 5.0
AGAIN_S = 0.25  # until a database that is away is asked once more
READING_MAX = 2  # connections of the pool that all of this takes at once

ReadEvents = Callable[[UserId, int, int], Awaitable[Stretch]]
"""Of whom, after which place, how many at most. Raises Unavailable."""
LatestEvents = Callable[[Collection[UserId]], Awaitable[Mapping[UserId, int]]]
"""The place of each one's last event. Raises Unavailable."""

log = structlog.get_logger("dashtam.feed")


def feed_of(pool: Pool, doors: Doors, fanout: Fanout) -> "EventFeed":
    async def read(user_id: UserId, place: int, limit: int) -> Stretch:
        reads = Snapshot(pool, user_id)
        try:
            return await reads.events(place, limit=limit)
        finally:
            await reads.close()

    return EventFeed(fanout, read, doors.latest_events)


class EventFeed:
    """`domain.ports.Feed`."""

    def __init__(
        self,
        fanout: Fanout,
        read: ReadEvents,
        latest: LatestEvents,
        *,
        slow_s: float = SLOW_S_MAX,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._fanout, self._read, self._latest = fanout, read, latest
        self._slow_s, self._look_every_s = slow_s, look_every_s
        self._tails: dict[UserId, Tail] = {}
        self._places = asyncio.Semaphore(READING_MAX)
        self._look = asyncio.Event()

    @contextmanager
    def follow(self, user_id: UserId, place: int) -> Iterator["Follower"]:
        if (tail := self._tails.get(user_id)) is None:
            tail = self._tails[user_id] = Tail(self._reading(user_id), place)
            tail.wake()  # something may have come before there was anyone to hear of it
        follower = Follower(tail, place, self._slow_s)
        tail.followers.add(follower)
        try:
            yield follower
        finally:
            tail.followers.discard(follower)
            if not tail.followers:
                tail.end()
                del self._tails[user_id]

    @property
    def followed(self) -> int:
        """How many follow somebody."""
        return sum(len(tail.followers) for tail in self._tails.values())

    def _reading(self, user_id: UserId) -> "Callable[[int], Awaitable[Stretch]]":
        async def read(place: int) -> Stretch:
            async with self._places:
                return await self._read(user_id, place, PAGE)

        return read

    # ── hearing, and looking all the same ───────────────────────────────────

    async def run(self) -> None:
        """For ever, as a task of whoever opened this."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear())
            tasks.create_task(self._look_now_and_then())

    async def _hear(self) -> None:
        async with self._fanout.subscribe(RELAYED) as said:
            async for text in said:
                if text is None:  # something may have been missed
                    self._look.set()
                elif self._tails:
                    self._hint(text)

    def _hint(self, text: str) -> None:
        try:
            said = json.loads(text)
            whose, place = UserId(UUID(said["user"])), int(said["seq"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # said by nobody of ours
        self._wake({whose: place})

    async def _look_now_and_then(self) -> None:
        while True:
            with suppress(TimeoutError):
                # `wait_for` of Python 3.11 forgets a cancellation that comes with the event.
                async with asyncio.timeout(self._look_every_s):
                    await self._look.wait()
            self._look.clear()
            try:
                if self._tails:
                    self._wake(await self._latest([*self._tails]))
            except Unavailable as error:
                log.warning("feed.database_away", exc_info=error)
            except Exception:
                log.exception("feed.bug")

    def _wake(self, places: Mapping[UserId, int]) -> None:
        for whose, place in places.items():
            if (tail := self._tails.get(whose)) is not None and tail.place < place:
                tail.wake()


class Tail:
    """The last events of one person, as many as somebody who follows has not taken yet.

    `kept` are all that there are after `since`, up to `place`. They are counted from when the tail
    began: `gone` is how many are kept no longer.
    """

    def __init__(self, read: Callable[[int], Awaitable[Stretch]], place: int) -> None:
        self.read = read
        self.since = self.place = place
        self.kept: deque[Told] = deque()
        self.gone = 0
        self.followers: set[Follower] = set()
        self.moved = asyncio.Event()
        self._is_wanted = False
        self._reading: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Read what is new: once, for all that is said of it while that goes on."""
        self._is_wanted = True
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())

    def end(self) -> None:
        if self._reading is not None:
            self._reading.cancel()

    def count_to(self, place: int) -> int:
        """How many have been, up to that place, which is not before `since`."""
        return self.gone + sum(event.seq <= place for event in self.kept)

    def at(self, count: int) -> Told | None:
        at = count - self.gone
        return self.kept[at] if at < len(self.kept) else None

    def forget(self) -> None:
        """What everybody has taken who takes from here; the others find it in the table."""
        taken = [f.taken for f in self.followers if f.taken is not None]
        self._forget(min(taken, default=self.gone + len(self.kept)))

    def _forget(self, count: int) -> None:
        while self.gone < count and self.kept:
            self.since = self.kept.popleft().seq
            self.gone += 1

    async def _read(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            try:
                found = await self.read(self.place)
            except Unavailable:
                self._is_wanted = True
                await asyncio.sleep(AGAIN_S)
            except Exception:
                log.exception("feed.bug")  # the next look tries again
                return
            else:
                self._add(found)

    def _add(self, found: Stretch) -> None:
        self.kept.extend(found.events)
        self.place = found.seq
        self._is_wanted |= not found.is_last
        self._forget(self.gone + len(self.kept) - BEHIND_MAX)
        # Everyone who waits goes on now, and nobody who comes later does.
        self.moved.set()
        self.moved.clear()


class Follower:
    """One who follows, and no more than a place: who is slow holds nothing back, and costs nothing.

    It goes through the table in pages until it has come to where the tail begins, and takes from
    the tail from then on.
    """

    def __init__(self, tail: Tail, place: int, slow_s: float) -> None:
        self.taken: int | None = None  # of the tail, once it takes from there
        self._tail, self._place, self._slow_s = tail, place, slow_s
        self._page: deque[Told] = deque()
        self._given_at = self._now()

    def __aiter__(self) -> "Follower":
        return self

    async def __anext__(self) -> Told:
        slow = self._now() - self._given_at > self._slow_s
        event = None
        while event is None:
            if self._page:
                event = self._page.popleft()
            elif self.taken is not None:
                event = await self._next(slow=slow)
            elif self._place >= self._tail.since:
                self.taken = self._tail.count_to(self._place)
            else:
                await self._turn()
        self._given_at = self._now()
        return event

    async def _next(self, *, slow: bool) -> Told | None:
        """Of the tail, waiting for it."""
        tail = self._tail
        if self.taken is None or self.taken < tail.gone:  # they are kept no longer
            if slow:
                raise RateLimited(
                    "you take too long over each event: go on after the last one's cursor",
                    retry_after_s=1,
                )
            self.taken = None  # but for so many at once, that is nobody's fault
            return None
        event = tail.at(self.taken)
        if event is None:
            tail.forget()
            await tail.moved.wait()
            return None
        self.taken += 1
        if event.seq <= self._place:  # it was in the table already when the tail was not so far
            return None
        self._place = event.seq
        return event

    async def _turn(self) -> None:
        """The next page; what there was before it was asked for is in it, if it is the last one."""
        known = self._tail.place
        try:
            found = await self._tail.read(self._place)
        except Unavailable:
            await asyncio.sleep(AGAIN_S)
            return
        self._page.extend(found.events)
        self._place = max(found.seq, known) if found.is_last else found.seq

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
