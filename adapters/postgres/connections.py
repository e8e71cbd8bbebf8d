"""Opening the write engine, and telling a database that is away from one that says no."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from adapters.postgres.pool import AWAY
from domain.errors import Conflict, Unavailable

CONNECT_S_MAX = 5
POOL_WAIT_S_MAX = 5
STATEMENT_S_MAX = 30

# Beyond what pool.py knows: the driver's own words for a connection that broke under it, a lock
# that was not to be had, and a failover that left us on a replica.
LOST = (
    *AWAY,
    asyncpg.InterfaceError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
)


def open_engine(url: str, size: int, *, wait_s_max: float = POOL_WAIT_S_MAX) -> AsyncEngine:
    """An engine of at most `size` connections; `url` as asyncpg reads it (several hosts too).

    Nothing is connected yet. A statement takes at most STATEMENT_S_MAX, waiting for a row included.
    """

    async def connect() -> Any:
        try:
            return await asyncpg.connect(
                url, timeout=CONNECT_S_MAX, command_timeout=STATEMENT_S_MAX
            )
        except LOST as error:
            raise Unavailable("the database cannot be reached") from error

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait_s_max,
    )


@contextmanager
def answered() -> Iterator[None]:
    """Around words to the database: Unavailable where it is away or too busy to answer."""
    try:
        yield
    except PoolExhausted as error:
        raise Unavailable("the database is busy") from error
    except LOST as error:
        raise Unavailable("the database is away") from error
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(_cause(error), LOST):
            raise Unavailable("the database is away") from error
        raise


@contextmanager
def refused_by(constraint: str, refusal: Conflict) -> Iterator[None]:
    """Around a write: what breaks this unique constraint is refused."""
    try:
        yield
    except DBAPIError as error:
        cause = _cause(error)
        if isinstance(cause, asyncpg.UniqueViolationError) and cause.constraint_name == constraint:
            raise refusal from error
        raise


def _cause(error: DBAPIError) -> BaseException | None:
    """What asyncpg itself said, below the two layers of SQLAlchemy's."""
    return error.orig.__cause__ if error.orig else None
