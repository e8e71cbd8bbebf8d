"""Telling every process at once, over LISTEN and NOTIFY."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from adapters.postgres.pool import AWAY, Connection, Pool, first_words

SESSION_ENDED = "dashtam_session_ended"  # payload: its id; said as the change commits
RELAYED = "dashtam_relayed"  # payload: one event of the outbox, as JSON

PAYLOAD_BYTES_MAX = 7_999  # PostgreSQL's own limit
WAITING_MAX = 1_000  # messages of one subscriber; one who is slower misses some, and is told
CONNECT_S_MAX = 5
RETRY_S_FIRST, RETRY_S_MAX = 0.1, 5.0
SILENCE_S_MAX = 30  # a connection can break without a word, so it is asked
LOST = (*AWAY, asyncpg.InterfaceError)


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


class PostgresFanout:
    """Publishes through a pool; hears on a connection of its own, which is made again when lost.

    Channels are few: names of ours, never one a user.
    """

    def __init__(self, pool: Pool, url: str) -> None:
        self._pool, self._url = pool, url
        self._subscribers: dict[str, set[Subscription]] = defaultdict(set)
        self._connection: Any = None
        self._hears = False
        self._turn = asyncio.Lock()

    @property
    def hears(self) -> bool:
        """Whether what is published arrives now; where not, None is said once it does again."""
        return self._hears

    async def publish(self, channel: str, payload: str) -> None:
        """To every subscriber of every process, this one's too; twice where an answer got lost.

        Raises:
            ValueError: over PAYLOAD_BYTES_MAX bytes.
            Unavailable: the database is away.
        """
        if len(payload.encode()) > PAYLOAD_BYTES_MAX:
            raise ValueError(f"over {PAYLOAD_BYTES_MAX} bytes")

        async def say(connection: Connection) -> None:
            await connection.execute("SELECT pg_notify($1, $2)", channel, payload)

        connection, _ = await first_words(self._pool, say)
        await self._pool.release(connection)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Subscription]:
        """While the database is away, nothing is heard."""
        subscription = Subscription()
        self._subscribers[channel].add(subscription)
        try:
            async with self._turn:
                if self._connection is not None:
                    with suppress(*LOST):  # then `run` listens again
                        await self._listen(channel)
                        subscription.hear(None)
            yield subscription
        finally:
            self._subscribers[channel].discard(subscription)

    async def run(self) -> None:
        """Keep the listening connection; for ever, as a task of whoever opened this."""
        wait_s = RETRY_S_FIRST
        while True:
            with suppress(*LOST):
                lost = asyncio.Event()
                connection = await asyncpg.connect(self._url, timeout=CONNECT_S_MAX)
                try:
                    connection.add_termination_listener(lambda _, lost=lost: lost.set())
                    async with self._turn:
                        self._connection = connection
                        for channel in [*self._subscribers]:
                            await self._listen(channel)
                    wait_s = RETRY_S_FIRST
                    self._all_may_have_missed()
                    self._hears = True
                    await _until(lost, connection)
                finally:
                    self._connection, self._hears = None, False
                    connection.terminate()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_S_MAX)

    async def _listen(self, channel: str) -> None:
        await self._connection.add_listener(channel, self._heard)

    def _heard(self, _connection: Any, _pid: int, channel: str, payload: str) -> None:
        for subscription in [*self._subscribers[channel]]:
            subscription.hear(payload)

    def _all_may_have_missed(self) -> None:
        for subscriptions in self._subscribers.values():
            for subscription in subscriptions:
                subscription.hear(None)


async def _until(lost: asyncio.Event, connection: Any) -> None:
    while not lost.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(lost.wait(), SILENCE_S_MAX)
            return
        await connection.execute("SELECT 1", timeout=CONNECT_S_MAX)
