"""The one transaction that all reads of a snapshot share."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, TypeVar, cast

import asyncpg

from adapters import telemetry
from adapters.postgres.pool import AWAY, Connection, Pool, drop, first_words, lost
from adapters.postgres.summary import summary_of_sql
from domain.cancellation import to_its_end
from domain.errors import Unavailable
from domain.identity import UserId

T = TypeVar("T")

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT enter_reading('{viewer}')"
SAID = "data version "
CLOSE_S_MAX = 2.0
CANCELLED_S_MAX = 0.1
"""A cancel request that overtakes its statement is lost; asyncpg sends another where the next
command takes too long, and the connection is then given up."""


class Abandoned(Exception):
    """The operation is over; whoever still reads gets this, not a cancellation."""


class Statements:
    """One REPEATABLE READ READ ONLY transaction for one viewer, opened by the first statement.

    Statements take turns on its connection. Each runs to its end even if whoever asked for it is
    cancelled, since half a statement would abort the transaction under all others; one that fails
    fails the snapshot: Unavailable or Abandoned is what the others get.
    """

    def __init__(self, pool: Pool, viewer: UserId) -> None:
        self.statements = 0
        self._pool, self._viewer = pool, viewer
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._known: dict[str, asyncio.Task[Any]] = {}
        self._over: BaseException | None = None
        self._closing: asyncio.Task[None] | None = None
        self._version: int | None = None

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Raises Unavailable, Abandoned."""
        return await self._settled(self._start(self._fetch(sql, arguments)))

    async def entered(self) -> int | None:
        """The data version of this snapshot, as opening it says: no statement of its own.

        None where it said nothing, as of a user who is there no more. Raises Unavailable,
        Abandoned.
        """
        if self._version is None:
            await self._settled(self._start(self._open()))
        return self._version

    async def once(self, name: str, read: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `read` answers, which is asked for only once a snapshot."""
        task = self._known.get(name)
        if task is None:
            task = self._known[name] = self._start(read())
        return cast("T", await self._settled(task))

    async def close(self) -> None:
        """Cancel what runs, on the server too, and give the connection back; once is enough."""
        if self._closing is None:
            self._over = self._over or Abandoned("the operation is over")
            self._closing = asyncio.create_task(self._close())
        await to_its_end(self._closing)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _settled(self, task: asyncio.Task[T]) -> T:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # by close(), not the caller: loaders only pass Exceptions on
                raise Abandoned("the operation is over") from self._over
            task.add_done_callback(lambda t: t.cancelled() or t.exception())  # seen
            raise

    async def _fetch(self, sql: str, arguments: Sequence[object]) -> list[asyncpg.Record]:
        async with self._turn:
            self._refuse_if_over()
            try:
                connection = self._connection or await self._opened()
                self.statements += 1
                return await self._say(connection, sql, arguments)
            except Exception as error:
                self._over = self._over or error
                raise

    async def _open(self) -> None:
        async with self._turn:
            self._refuse_if_over()
            if self._connection is not None:
                return
            try:
                await self._opened()
            except Exception as error:
                self._over = self._over or error
                raise

    async def _opened(self) -> Connection:
        began = perf_counter()
        with telemetry.statement("BEGIN"):
            self._connection, _ = await first_words(self._pool, self._begin)
        if (tell := telemetry.telling.get()) is not None:
            tell(BEGIN, 1, perf_counter() - began)
        return self._connection

    async def _begin(self, connection: Connection) -> None:
        # asyncpg tells of a message before it says that the query is done: both by call_soon.
        connection.add_log_listener(self._hear)
        try:
            await connection.execute(BEGIN.format(viewer=self._viewer.hex))
        finally:
            connection.remove_log_listener(self._hear)

    def _hear(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        if message.message.startswith(SAID):
            self._version = int(message.message.removeprefix(SAID))

    async def _say(
        self, connection: Connection, sql: str, arguments: Sequence[object]
    ) -> list[asyncpg.Record]:
        watch, began = telemetry.watch, perf_counter()
        try:
            if watch is None:
                rows: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            else:
                with watch.statement(summary_of_sql(sql)):
                    rows = await connection.fetch(sql, *arguments)
        except Exception as error:
            if lost(connection, error):
                raise Unavailable("the database is away") from error
            raise
        if (tell := telemetry.telling.get()) is not None:
            tell(sql, len(rows), perf_counter() - began)
        return rows

    def _refuse_if_over(self) -> None:
        if isinstance(self._over, Unavailable):
            raise Unavailable(*self._over.args) from self._over
        if self._over:
            raise Abandoned("the operation is over") from self._over

    async def _close(self) -> None:
        patience_s = CANCELLED_S_MAX if self._running else CLOSE_S_MAX
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        try:
            # asyncpg first waits for the cancelled statement to end on the server.
            await connection.execute("ROLLBACK", timeout=patience_s)
        except (asyncpg.InterfaceError, *AWAY):
            drop(connection)
        except BaseException:
            drop(connection)
            raise
        finally:
            with suppress(asyncpg.InterfaceError, *AWAY):
                await self._pool.release(connection)
