"""Telling every process at once, over LISTEN and NOTIFY."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from uuid import uuid4

import asyncpg
import structlog

from adapters.postgres.pool import AWAY, Connection, Pool, answer
from adapters.subscribers import Subscribers, Subscription, checked
from domain.cancellation import to_its_end
from domain.errors import Unavailable

# Said as the change commits.
SESSION_ENDED = "dashtam_session_ended"  # payload: its id
USER_CHANGED = "dashtam_user_changed"  # payload: whose id; of role and version by a trigger
TOKENS_ROTATED = "dashtam_tokens_rotated"

CONNECT_S_MAX = 5
CLOSE_S_MAX = 1.0
RETRY_S_FIRST, RETRY_S_MAX = 0.1, 5.0
SILENCE_S_MAX = 30  # a connection can break without a word, so it is asked
ANSWER_S_MAX = 5.0
PROBE = "dashtam_heard"
HEARD_S_MAX, DEAF_S = 2.0, 1.0  # for a word to arrive; from one that did not to the next
LOST = (*AWAY, asyncpg.InterfaceError)
# One that is being restored lets nobody in, for example.
NOT_NOW = (*LOST, asyncpg.PostgresError, Unavailable)
DEAF = (
    "nothing is heard over LISTEN, as through a pooler in transaction mode: what changes "
    "elsewhere counts here seconds later"
)
DEAF_MEND = "set the pooler's pool_mode to session, or leave it out"

log = structlog.get_logger("dashtam.fanout")


async def is_heard(
    connection: Any, say: Callable[[str, str], Awaitable[None]], within_s: float = HEARD_S_MAX
) -> bool:
    """Whether what is said arrives at `connection`, on which nobody speaks meanwhile.

    Not where it listens to another database, or through a pooler in transaction mode: LISTEN is
    taken there, by a connection that is anybody's a moment later.
    """
    word, arrived = uuid4().hex, asyncio.Event()

    def hear(_connection: Any, _pid: int, _channel: str, said: str) -> None:
        if said == word:
            arrived.set()

    await connection.add_listener(PROBE, hear)
    await say(PROBE, word)
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await arrived.wait()
    return arrived.is_set()


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    """Ended with a word, even where the end comes before it is there, as in a short command: of
    one that only goes away PostgreSQL logs that it was lost."""
    connecting = asyncio.ensure_future(asyncpg.connect(url, timeout=CONNECT_S_MAX))
    try:
        yield await asyncio.shield(connecting)
    finally:
        with suppress(*NOT_NOW):
            await to_its_end(_closed(connecting))


async def _closed(connecting: asyncio.Future[Any]) -> None:
    await (await connecting).close(timeout=CLOSE_S_MAX)


class PostgresFanout:
    """`domain.ports.Fanout`. Publishes through a pool; hears on a connection of its own, which is
    made again when lost, or when it turns out to hear nothing: subscribers then hear None each
    time, and look by themselves.
    """

    def __init__(self, pool: Pool, url: str, *, answer_s: float = ANSWER_S_MAX) -> None:
        self._pool, self._url, self._answer_s = pool, url, answer_s
        self._subscribers = Subscribers()
        self._connection: Any = None
        self._hears = self._is_deaf = False
        self._turn = asyncio.Lock()  # one statement at a time on the connection

    @property
    def hears(self) -> bool:
        """Whether what is published arrives now; where not, None is said once it does again."""
        return self._hears

    def warning(self) -> str | None:
        return f"{DEAF}; {DEAF_MEND}" if self._is_deaf else None

    async def publish(self, channel: str, payload: str) -> None:
        """To every subscriber of every process, this one's too; twice where an answer got lost.

        Raises:
            ValueError: over PAYLOAD_BYTES_MAX bytes, or no text of PostgreSQL's.
            Unavailable: the database is away.
        """
        checked(payload)

        async def say(connection: Connection) -> None:
            await connection.execute("SELECT pg_notify($1, $2)", channel, payload)

        await answer(self._pool, say)

    @asynccontextmanager
    async def subscribe(self, channel: str) -> AsyncIterator[Subscription]:
        """While the database is away, nothing is heard."""
        subscription = self._subscribers.add(channel)
        try:
            async with self._turn:
                if (connection := self._connection) is not None:
                    with self._or_anew(connection):
                        await self._listen(connection, channel)
                        if self._hears:
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
                async with _connected(self._url) as connection:
                    try:
                        connection.add_termination_listener(lambda _, lost=lost: lost.set())
                        async with self._turn:
                            self._connection = connection
                            hears = await self._try(connection, lost)
                            for channel in self._subscribers.channels:
                                await self._listen(connection, channel)
                        wait_s = DEAF_S if self._is_deaf else RETRY_S_FIRST
                        self._subscribers.all_may_have_missed()
                        self._hears = hears
                        if hears:
                            await self._until(lost)
                    finally:
                        self._connection, self._hears = None, False
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_S_MAX)

    async def _try(self, connection: Any, lost: asyncio.Event) -> bool:
        within_s = min(HEARD_S_MAX, self._answer_s)
        async with asyncio.timeout(within_s + self._answer_s):
            hears = await is_heard(connection, self.publish, within_s)
        was_deaf, self._is_deaf = self._is_deaf, not (hears or lost.is_set())
        if self._is_deaf and not was_deaf:
            log.warning("fanout.deaf", reason=DEAF)
        return hears

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
