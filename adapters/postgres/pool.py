"""The pool that reads come from, and how it behaves while the server is away.

Identity is transaction-local (`enter`), so a connection that is given back has nothing to forget.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from adapters import telemetry
from domain.errors import Unavailable

T = TypeVar("T")
Connection: TypeAlias = PoolConnectionProxy
Pool: TypeAlias = asyncpg.Pool

FIRST_WORDS_S_MAX = 3.0  # to get a connection and an answer on it
CONNECT_S_MAX = 3.0

# What the same request may survive later: the server is gone, going or coming, out of a resource,
# or changed under a prepared statement. TimeoutError is an OSError.
AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,  # a replica that had to go on
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
    asyncpg.InternalClientError,  # spoken to after the server's last word, which nobody had read
    OSError,
)

# Of a pooler between here and the server, which mixes up whose statements are whose.
FORGOTTEN = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)
FORGETS = (
    "set its max_prepared_statements (of PgBouncer, from 1.21 on) to 200, or its pool_mode to "
    "session"
)


async def open_pool(
    dsn: str, size: int, *, lending: Callable[[Connection], Awaitable[None]] | None = None
) -> Pool:
    """`size` connections, opened now; `lending` is awaited with each before it is lent.

    Raises Unavailable while the server cannot be reached.
    """
    try:
        return await asyncpg.create_pool(
            dsn,
            min_size=size,
            max_size=size,
            init=_warm,
            reset=_as_it_is,
            setup=lending,
            timeout=CONNECT_S_MAX,
            max_cached_statement_lifetime=0,  # they are a hundred at most, and the same for ever
        )
    except AWAY as error:
        raise Unavailable("the database is away") from error


async def first_words(
    pool: Pool, say: Callable[[Connection], Awaitable[T]]
) -> tuple[Connection, T]:
    """A connection, which is then the caller's to release, and what it answered to `say`.

    A connection that the server ended while it was idle shows only when it is spoken on, and the
    pool does not look before it lends: `say` is said again once for each, so it must bear that.

    Raises:
        Unavailable: the server cannot be reached, or no connection was free in time.
    """
    gone: BaseException | None = None
    try:
        async with asyncio.timeout(FIRST_WORDS_S_MAX):
            for _ in range(pool.get_max_size() + 1):
                connection = await _acquired(pool)
                try:
                    return connection, await say(connection)
                except BaseException as error:
                    is_lost = lost(connection, error)
                    drop(connection)  # what was half said on it, nobody knows
                    if not is_lost:
                        raise
                    gone = error
    except AWAY as error:
        raise Unavailable("the database is away") from error
    raise Unavailable("the database is away") from gone


async def answer(pool: Pool, say: Callable[[Connection], Awaitable[T]]) -> T:
    """What is answered to `say`, on a connection that is given back. Raises as `first_words`."""
    connection, answered = await first_words(pool, say)
    await pool.release(connection)
    return answered


def lost(connection: Connection, error: BaseException) -> bool:
    """Whether `error` says that the server is away, or only that we used it wrongly."""
    if isinstance(error, asyncpg.InterfaceError):
        try:
            return bool(connection.is_closed())
        except asyncpg.InterfaceError:  # the pool took it back when it broke
            return True
    return isinstance(error, AWAY)


def drop(connection: Connection) -> None:
    """End a connection without a word; the pool makes another in its place."""
    with suppress(asyncpg.InterfaceError):  # the pool took it back when it broke
        connection.terminate()


async def _acquired(pool: Pool) -> Connection:
    try:
        with telemetry.waiting("read"):
            return await pool.acquire()
    except asyncpg.InterfaceError as error:
        raise Unavailable("the database is being closed") from error


async def _warm(connection: Any) -> None:
    """asyncpg looks up array types in the catalogue on first use: not inside a snapshot.

    And what waits for a lock ends soon after we gave it up: the server has but so many connections.
    """
    await connection.fetch("SELECT $1::uuid[], $2::text[]", [], [])
    with suppress(asyncpg.InvalidParameterValueError):  # a server on Windows cannot look
        await connection.execute("SET client_connection_check_interval = '1s'")


async def _as_it_is(_: Any) -> None:
    """Instead of the statements by which asyncpg resets a session."""
