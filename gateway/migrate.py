"""Bringing the database to this version's tables, and telling whether it is there."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from adapters.postgres.fanout import is_heard
from adapters.postgres.pool import FORGETS, FORGOTTEN
from gateway.documents import builtin

if TYPE_CHECKING:  # slow to import, and needed only where a migration is missing
    from alembic.config import Config
    from sqlalchemy import Connection
    from sqlalchemy.exc import DBAPIError

SCRIPTS = Path(__file__).parents[1] / "migrations"
LOCK = 4_714_390_226_581  # of our own, for pg_advisory_lock
LOCK_WAIT_S_MAX = 120
CONNECT_S_MAX = 10
MAJOR_MIN = 15
PREPARED = "SELECT 1"
SESSION = "set DASHTAM_MIGRATIONS_URL to PostgreSQL itself, or the pooler's pool_mode to session"

# Alembic's context is one a process.
_turn = threading.Lock()


class MigrationError(Exception):
    """The database cannot be migrated; the message says what to do."""


async def migrate(owner_url: str) -> tuple[str | None, str]:
    """Run every migration that is missing, and publish the built-in documents; give the revision
    before (None: empty) and after.

    A repeat changes nothing, and of two at once the second waits. What runs is not cancelled with
    the caller: each migration commits as a whole.

    Raises:
        MigrationError: the database is away, of a newer version, or not ours to change.
    """
    return await asyncio.to_thread(_in_turn, owner_url)


migrated = migrate


async def pending(url: str) -> bool:
    """Whether migrations are missing; the runtime role may ask too.

    A database of a newer version has all of ours: an older process may still serve it.

    Raises:
        MigrationError: the database is away.
    """
    return behind(await _revision(url))


async def is_current(url: str) -> bool:
    """Whether the database is of exactly this version. Raises MigrationError: it is away."""
    return await _revision(url) == _head()


def behind(revision: str | None) -> bool:
    """Whether a database at this revision lacks migrations of ours."""
    return revision is None or (revision in _revisions() and revision != _head())


def is_known(revision: str | None) -> bool:
    """Whether this version has made, or could make, a database at this revision."""
    return revision in _revisions()


async def _revision(url: str) -> str | None:
    async with _connected(url) as connection:
        try:
            found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
        except asyncpg.UndefinedTableError:
            return None
    return found


def _in_turn(owner_url: str) -> tuple[str | None, str]:
    with _turn:
        return asyncio.run(_migrate(owner_url))


async def _migrate(owner_url: str) -> tuple[str | None, str]:
    from sqlalchemy import NullPool  # noqa: PLC0415 - slow to import
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - same
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415 - same

    async with _connected(owner_url) as connection:
        await _check(connection)
        if not await has_session(connection, owner_url):
            raise MigrationError(f"Migrations need a session of their own: {SESSION}.")
        engine = create_async_engine(
            "postgresql+asyncpg://", async_creator=lambda: _given(connection), poolclass=NullPool
        )
        try:
            await _lock(connection)
            async with engine.connect() as db:
                done = await db.run_sync(_upgrade)
        except DBAPIError as error:
            raise MigrationError(_sentence(error)) from error
    async with _connected(owner_url) as connection:
        await builtin.publish(connection)
    return done


def _upgrade(db: "Connection") -> tuple[str | None, str]:
    from alembic import command  # noqa: PLC0415 - slow to import
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - same

    before = MigrationContext.configure(db).get_current_revision()
    db.rollback()  # it has looked; each migration begins its own transaction
    if before is not None and before not in _revisions():
        raise MigrationError(
            f"The database was made by a newer Dashtam: revision {before} is unknown here. "
            "Start that version, or one that is newer still."
        )
    if before != _head():
        config = _config()
        config.attributes["connection"] = db
        command.upgrade(config, "head")
    return before, _head()


async def _check(connection: Any) -> None:
    """That this role and this server will do, in words that the operator can act on."""
    if connection.get_server_version().major < MAJOR_MIN:
        raise MigrationError(f"PostgreSQL {MAJOR_MIN} or newer is needed.")
    role, absent, may_create = await connection.fetchrow(
        """
        SELECT current_user, (
            SELECT string_agg(wanted, ' and ')
            FROM unnest(ARRAY['dashtam_owner', 'dashtam_app', 'dashtam_doors']) AS wanted
            WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
        ), has_schema_privilege('public', 'CREATE')
        """
    )
    if absent:
        raise MigrationError(
            f"The role {absent} is missing: make the roles as the README says, then migrate."
        )
    if role != "dashtam_owner" or not may_create:
        raise MigrationError(
            f"Migrations run as dashtam_owner, who owns the schema public; this is {role}: set "
            "DASHTAM_MIGRATIONS_URL to the owner's URL, or ALTER SCHEMA public OWNER TO "
            "dashtam_owner."
        )


async def has_session(connection: Any, url: str) -> bool:
    """Whether what `connection` sets and locks stays with it, as not behind every pooler.

    Raises:
        MigrationError: the database is away, or not even statements stay.
    """
    async with _connected(url) as other:

        async def say(channel: str, word: str) -> None:
            await other.execute("SELECT pg_notify($1, $2)", channel, word)

        heard = await is_heard(connection, say)
        await connection.fetchval(PREPARED)
        async with other.transaction():  # has the server's connection, where that is anybody's
            await connection.fetchval(PREPARED)
        return heard


async def _lock(connection: Any) -> None:
    """One at a time on this database; the lock goes with the connection."""
    for _ in range(LOCK_WAIT_S_MAX * 10):
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            return
        await asyncio.sleep(0.1)
    raise MigrationError("Another migration is still running: wait for it, then try again.")


async def _given(connection: Any) -> Any:
    return connection


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S_MAX)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationError(f"The database cannot be reached: {error or 'no answer'}.") from error
    try:
        yield connection
    except FORGOTTEN as error:
        raise MigrationError(f"The URL leads to a pooler: {FORGETS}.") from error
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError) as error:
        raise MigrationError(f"The database went away: {error or 'no answer'}.") from error
    finally:
        if not connection.is_closed():
            await connection.close()


def _sentence(error: "DBAPIError") -> str:
    said = str(error.orig).rpartition(": ")[2].strip()
    if getattr(error.orig, "sqlstate", None) == asyncpg.LockNotAvailableError.sqlstate:
        return "A table is in use by something that does not end: try again in a moment."
    return f"The migration stopped and changed nothing more: {said}."


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - slow to import

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


@cache
def _revisions() -> tuple[str, ...]:
    """Oldest first. A file is named for its revision, and they are numbered in order."""
    files = (SCRIPTS / "versions").glob("[0-9]*.py")
    return tuple(sorted(file.name.partition("_")[0] for file in files))


def _head() -> str:
    return _revisions()[-1]
