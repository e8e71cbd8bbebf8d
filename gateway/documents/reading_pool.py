"""Texts that were not read before are read off the event loop, where nobody waits for them."""

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from gateway.operations.faults import Fault, overloaded

SHORT = 500
"""Characters. A thread that computes lets the loop have its turn every 5 ms; so many characters
take that long at most, and half a millisecond more in a thread."""
WAITING_MAX = 64  # texts that are read or wait for it; the longest take some 60 ms
WAIT_S_MAX = 5.0

T = TypeVar("T")


class ReadingPool(Generic[T]):
    """One thread: a second would only take the interpreter from the first. Who asks for what is
    being read waits for the same reading.

    Readings have their turns by whose they are, however many one of them sends (fair queueing;
    J. Nagle, RFC 970); and nobody may have more of them waiting than they leave room for, so that
    there is always some (dynamic thresholds; A. Choudhury and E. Hahne, 1998).
    """

    def __init__(self, *, waiting_max: int = WAITING_MAX, wait_s: float = WAIT_S_MAX) -> None:
        self._waiting_max, self._wait_s = waiting_max, wait_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="documents")
        self._reading: dict[Hashable, asyncio.Task[T]] = {}
        self._whose: dict[Hashable, Hashable] = {}
        self._turns: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def outcome(self, key: Hashable, read: Callable[[], T], whose: Hashable = None) -> T:
        """What `read` gives, or the reading that goes on of this key.

        Raises: Fault 503, where too many wait or it takes too long.
        """
        if key not in self._reading and not self._has_room(whose):
            raise overloaded("too many new documents at once", retry_after_s=1)
        try:
            async with asyncio.timeout(self._wait_s):
                return await asyncio.shield(self.reading(key, read, whose))
        except TimeoutError:
            message = "the document took too long to read"
            raise Fault(503, "TIMEOUT", message, {"retry-after": "1"}) from None

    def reading(
        self, key: Hashable, read: Callable[[], T], whose: Hashable = None
    ) -> asyncio.Task[T]:
        """The same, however many wait and however long it takes."""
        if (reading := self._reading.get(key)) is None:
            reading = self._reading[key] = asyncio.create_task(self._in_turn(read, whose))
            self._whose[key] = whose
            reading.add_done_callback(lambda _: (self._reading.pop(key), self._whose.pop(key)))
        return reading

    def _has_room(self, whose: Hashable) -> bool:
        own = sum(each == whose for each in self._whose.values())
        return own < self._waiting_max - len(self._whose)

    async def _in_turn(self, read: Callable[[], T], whose: Hashable) -> T:
        """Everybody has one at a time in the thread's own queue, which so goes round."""
        async with self._turns.setdefault(whose, asyncio.Lock()):
            return await asyncio.get_running_loop().run_in_executor(self._thread, read)
