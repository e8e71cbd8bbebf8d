"""Telling every process at once, over LISTEN and NOTIFY."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import asyncpg

from adapters.postgres.pool import AWAY, Connection, Pool, first_words
from adapters.subscribers import Subscribers, Subscription, checked
from domain.cancellation import to_its_end

# Said as the change commits.
SESSION_ENDED = "dashtam_session_ended"  # payload: its id
USER_CHANGED = "dashtam_user_changed"  # payload: whose id; of role and version by a trigger
TOKENS_ROTATED = "dashtam_tokens_rotated"

CONNECT_S_MAX = 5
RETRY_S_FIRST, RETRY_S_MAX = 0.1, 5.0
SILENCE_S_MAX = 30  # a connection can break without a word, so it is asked
ANSWER_S_MAX = 5.0
LOST = (*AWAY, asyncpg.InterfaceError)
NOT_NOW = (*LOST, asyncpg.PostgresError)  # one that is being restored lets nobody in, for example


class PostgresFanout:
    """`domain.ports.Fanout`. Publishes through a pool; hears on a connection of its own, which is
    made again when lost.
    """

    def __init__(self, pool: Pool, url: str, *, answer_s: float = ANSWER_S_MAX) -> None:
        self._pool, self._url, self._answer_s = pool, url, answer_s
        self._subscribers = Subscribers()
        self._connection: Any = None
        self._hears = False
        self._turn = asyncio.Lock()  # one statement at a time on the connection

    @property
    def hears(self) -> bool:
        """Whether what is published arrives now; where not, None is said once it does again."""
        return self._hears

    async def publish(self, channel: str, payload: str) -> None:
        """To every subscriber of every process, this one's too; twice where an answer got lost.

        Raises:
            ValueError: over PAYLOAD_BYTES_MAX bytes, or no text of PostgreSQL's.
            Unavailable: the database is away.
        """
        checked(payload)

        async def say(connection: Connection) -> None:
            await connection.execute("SELECT pg_notify($1, $2)", channel, payload)

        connection, _ = await first_words(self._pool, say)
        await self._pool.release(connection)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Subscription]:
        """While the database is away, nothing is heard."""
        subscription = self._subscribers.add(channel)
        try:
            async with self._turn:
                if (connection := self._connection) is not None:
                    with self._or_anew(connection):
                        await self._listen(connection, channel)
                        subscription.hear(None)
            yield subscription
        finally:
            self._subscribers.remove(channel, subscription)
            await to_its_end(self._forget(channel))

    async def _forget(self, channel: str) -> None:
        async with self._turn:
            connection = self._connection
            if connection is not None and channel not in self._subscribers.channels:
                with self._or_anew(connection):
                    async with asyncio.timeout(self._answer_s):
                        await connection.remove_listener(channel, self._heard)

    @contextmanager
    def _or_anew(self, connection: Any) -> Iterator[None]:
        """A connection that takes no word is ended; on the next, `run` listens to all again."""
        try:
            yield
        except LOST:
            connection.terminate()

    async def run(self) -> None:
        """Keep the listening connection; for ever, as a task of whoever opened this."""
        wait_s = RETRY_S_FIRST
        while True:
            with suppress(*NOT_NOW):
                lost = asyncio.Event()
                connection = await asyncpg.connect(self._url, timeout=CONNECT_S_MAX)
                try:
                    connection.add_termination_listener(lambda _, lost=lost: lost.set())
                    async with self._turn:
                        self._connection = connection
                        for channel in self._subscribers.channels:
                            await self._listen(connection, channel)
                    wait_s = RETRY_S_FIRST
                    self._subscribers.all_may_have_missed()
                    self._hears = True
                    await self._until(lost)
                finally:
                    self._connection, self._hears = None, False
                    connection.terminate()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_S_MAX)

    async def _listen(self, connection: Any, channel: str) -> None:
        async with asyncio.timeout(self._answer_s):
            await connection.add_listener(channel, self._heard)

    def _heard(self, _connection: Any, _pid: int, channel: str, payload: str) -> None:
        self._subscribers.hear(channel, payload)

    async def _until(self, lost: asyncio.Event) -> None:
        while not lost.is_set():
            with suppress(TimeoutError):
                # `wait_for` of Python 3.11 forgets a cancellation that comes with the event.
                async with asyncio.timeout(SILENCE_S_MAX):
                    await lost.wait()
                return
            async with self._turn:
                await self._connection.execute("SELECT 1", timeout=self._answer_s)
