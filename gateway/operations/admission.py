"""Who may run an operation now, who waits a moment for it, and who is told to come back later.

What a process does at once is limited by what it bears. Its event loop works on every operation in
pieces, and whoever is answered, be it with a refusal, waits for the pieces of all others; its reads
share the connections of one pool. So the limit shrinks by a part while the loop is late or nothing
is left in the pool, and grows by a part while there is need and neither is so. (To shrink by a part
of what it is, before there is damage, is what keeps it stable: D.-M. Chiu and R. Jain, "Analysis of
the Increase and Decrease Algorithms for Congestion Avoidance", 1989.) Operations that only wait,
for a provider or a password's hash, delay nobody and do not lower it.

Beyond the limit one waits, in a queue that is bounded by time, not by length (Little's law). One
that does not go away is no burst, and helps nobody (K. Nichols and V. Jacobson, "Controlling Queue
Delay", 2012): once it has stood for STANDING_S, who would wait longer than WAIT_S is refused at
once, before anything was done for them. Those in the queue have their turns by whose they are,
however many one of them sends (fair queueing; J. Nagle, RFC 970).
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic

from gateway.operations.faults import Fault, overloaded

RETRY_AFTER_S = 1
LOOK_S, LATE_S = 0.02, 0.01
SHRINK, SHRINK_MOST, GROW = 0.9, 0.5, 1.1
LEAST, FIRST = 4, 32  # operations at once: whatever is said, and before anything is
WAIT_S, BURST_S, STANDING_S = 0.5, 2.0, 1.0
WAIT_S_MAX = 4.0  # where it takes longer than was foreseen
TURN_S, SMOOTH = 0.01, 1 / 16  # between two places that become free: at first, and how it is learnt

Place = asyncio.Future[None]


class Admission:
    """Places for `most` operations, those who wait included; fewer run while that is too much.

    `has_room` says whether one more would find a free connection.
    """

    def __init__(self, most: int, *, has_room: Callable[[], bool] = lambda: True) -> None:
        self._most, self._has_room = most, has_room
        self._limit = float(min(most, FIRST))
        self._taken = self._waiting = 0
        self._queue: OrderedDict[Hashable, deque[Place]] = OrderedDict()
        self._queued_at = self._given_at = 0.0
        self._turn_s = TURN_S
        self._was_full = self._is_looking = False

    def check(self, whose: Hashable = None) -> None:
        """Whether there is a place, or soon will be; `whose` are those who share their turn, by
        what nobody makes up for free (`Authenticator.whose`), or it would be no fairness.

        Raises: Fault 503.
        """
        if not self.is_full:
            return
        if self._taken + self._waiting >= self._most or self._wait_s(whose) > self._wait_s_max():
            raise _refusal()

    @asynccontextmanager
    async def taken(self, whose: Hashable = None) -> AsyncIterator[None]:
        """A place of one's own, perhaps after a while. Raises: Fault 503."""
        self.check(whose)
        self._look()
        if self.is_full:
            await self._turn(whose)
        else:
            self._taken += 1
        try:
            yield
        finally:
            self._give_back()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """One's own place, to others, for as long as one only waits; it is back at once then."""
        self._give_back()
        try:
            yield
        finally:
            self._taken += 1

    @property
    def is_full(self) -> bool:
        return self._waiting > 0 or self._taken >= int(self._limit)

    def _wait_s(self, whose: Hashable) -> float:
        """Until their turn, as it goes now."""
        if not self._waiting:
            return 0.0
        own = self._queue.get(whose, ())
        others = len(self._queue) - (1 if own else 0)
        turn_s = max(self._turn_s, monotonic() - self._given_at)  # it may have come to a halt
        return (len(own) + 1) * (others + 1) * turn_s

    def _wait_s_max(self) -> float:
        return WAIT_S if monotonic() - self._queued_at > STANDING_S else BURST_S

    async def _turn(self, whose: Hashable) -> None:
        """Raises: Fault 503."""
        self._was_full = True
        if not self._waiting:
            self._queued_at = self._given_at = monotonic()
        place = asyncio.get_running_loop().create_future()
        self._queue.setdefault(whose, deque()).append(place)
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                await place
        except BaseException as end:
            self._leave(whose, place)
            if isinstance(end, TimeoutError):
                raise _refusal() from None
            raise

    def _leave(self, whose: Hashable, place: Place) -> None:
        if place.done() and not place.cancelled():
            self._give_back()  # it was given at the same moment
            return
        own = self._queue.get(whose)
        if own is not None and place in own:
            own.remove(place)
            self._waiting -= 1
            if not own:
                del self._queue[whose]

    def _give_back(self) -> None:
        self._taken -= 1
        self._hand_on()

    def _hand_on(self) -> None:
        """What is free, to those who wait, in turn."""
        while self._queue and self._taken < int(self._limit):
            whose, own = self._queue.popitem(last=False)
            place = own.popleft()
            self._waiting -= 1
            if own:
                self._queue[whose] = own
            if place.done():  # who waited has just left
                continue
            now = monotonic()
            self._turn_s += (now - self._given_at - self._turn_s) * SMOOTH
            self._given_at = now
            self._taken += 1
            place.set_result(None)

    def _look(self) -> None:
        """At the loop and the pool, for as long as there is anything under way."""
        if not self._is_looking:
            self._is_looking = True
            due = monotonic() + LOOK_S
            asyncio.get_running_loop().call_later(LOOK_S, self._looked, due)

    def _looked(self, due: float) -> None:
        self._is_looking = False
        late_s = monotonic() - due
        if late_s > LATE_S:  # the later, the more, since there is a look in each turn of the loop
            self._limit = min(self._limit, self._taken) * max(LATE_S / late_s, SHRINK_MOST)
        elif self._was_full and not self._has_room():
            self._limit *= SHRINK
        elif self._was_full:
            self._limit = max(self._limit * GROW, self._limit + 1)
        self._limit = min(max(self._limit, LEAST), self._most)
        self._was_full = self._waiting > 0
        self._hand_on()
        if self._taken:
            self._look()
        else:  # what it bore a while ago says nothing of what comes next
            self._limit = max(self._limit, min(FIRST, self._most))


def _refusal() -> Fault:
    return overloaded("too many operations at once", retry_after_s=RETRY_AFTER_S)
