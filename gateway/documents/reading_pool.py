"""Texts that were not read before are read off the event loop, where nobody waits for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from gateway.operations.faults import Fault, overloaded

SHORT = 500
"""Characters. A thread that computes lets the loop have its turn every 5 ms; so many characters
take that long at most, and half a millisecond more in a thread."""
WAITING_MAX = 64  # texts that are read or wait for it; the longest take some 60 ms
WAIT_S_MAX = 5.0

T = TypeVar("T")


class ReadingPool(Generic[T]):
    """One thread: a second would only take the interpreter from the first. Who asks for what is
    being read waits for the same reading."""

    def __init__(self, *, waiting_max: int = WAITING_MAX, wait_s: float = WAIT_S_MAX) -> None:
        self._waiting_max, self._wait_s = waiting_max, wait_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="documents")
        self._reading: dict[str, asyncio.Future[T]] = {}

    async def outcome(self, key: str, read: Callable[[], T]) -> T:
        """What `read` gives, or the reading that goes on of this key.

        Raises: Fault 503, where too many wait or it takes too long.
        """
        reading = self._reading.get(key)
        if reading is None:
            if len(self._reading) >= self._waiting_max:
                raise overloaded("too many new documents at once", retry_after_s=1)
            reading = asyncio.get_running_loop().run_in_executor(self._thread, read)
            self._reading[key] = reading
            reading.add_done_callback(lambda _: self._reading.pop(key, None))
        try:
            async with asyncio.timeout(self._wait_s):
                return await asyncio.shield(reading)
        except TimeoutError:
            message = "the document took too long to read"
            raise Fault(503, "TIMEOUT", message, {"retry-after": "1"}) from None
