"""The database: that it answers, is ours, is of this version, and that its work gets done."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from adapters.postgres.fanout import DEAF, DEAF_MEND
from adapters.postgres.pool import AWAY
from adapters.postgres.relay import KNOWN
from gateway.doctor import audit, keys
from gateway.doctor.finding import Finding
from gateway.migrate import (
    MAJOR_MIN,
    SESSION,
    MigrationError,
    behind,
    has_session,
    is_known,
)
from gateway.processes.starting import ROLE, not_the_runtime_role
from gateway.settings import Settings

CONNECT_S_MAX = 5.0
ANSWER_S_MAX = 10.0
SKEW_MAX = timedelta(seconds=5)
WAITING_MAX = timedelta(minutes=2)
DUE_MAX = timedelta(minutes=5)
COUNT_MAX = 100
OWNER = "dashtam_owner"
ENCODED = "@ : / ? # and % in a password are written %40 %3A %2F %3F %23 and %25"

QUEUE = """
SELECT count(*) FROM jobs.pgqueuer
WHERE status = 'queued' AND execute_after < now() - $1::interval
    OR status = 'picked' AND heartbeat < now() - $1::interval
"""
DUE = "SELECT count(*) FROM due_links(now() - $1::interval, $2)"
EVENTS = "SELECT count(*) FROM waiting_events($1, $2) WHERE at < now() - $3::interval"
BROKEN = """
SELECT count(DISTINCT job_id) FROM jobs.pgqueuer_log
WHERE status IN ('exception', 'failed') AND created > now() - interval '1 day'
"""


async def examined(settings: Settings, *, works: bool) -> AsyncIterator[Finding]:
    """`works`: a worker should be running."""
    assert settings.database_url is not None  # noqa: S101 - Settings.read has checked it
    try:
        connection = await asyncpg.connect(settings.database_url, timeout=CONNECT_S_MAX)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what there is to say
        yield unreachable(error)
        return
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            found = [finding async for finding in _looked(connection, settings, works=works)]
    except MigrationError as error:
        found = [Finding("database", str(error))]
    except (*AWAY, asyncpg.InterfaceError) as error:
        silent = "it does not answer: is it overloaded, or a pooler in front of it full?"
        away = f"it went away meanwhile ({type(error).__name__})"
        found = [Finding("database", silent if isinstance(error, TimeoutError) else away)]
    finally:
        connection.terminate()
    for finding in found:
        yield finding
    if settings.migrations_url not in {None, settings.database_url}:
        yield await _owner(str(settings.migrations_url))


def unreachable(error: Exception) -> Finding:
    """Why nobody can connect, in words that hold no password."""
    kind = type(error).__name__
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            mend = "it refuses the role or the password that DASHTAM_DATABASE_URL gives"
        case asyncpg.InvalidCatalogNameError():
            mend = "there is no database of that name: make it as the README says"
        case asyncpg.TooManyConnectionsError():
            mend = "it has no connection left: raise max_connections or lower DASHTAM_DB_*_POOL"
        case asyncpg.CannotConnectNowError():
            mend = "it is starting or stopping: look again in a moment"
        case socket.gaierror():
            mend = "no machine has the name that DASHTAM_DATABASE_URL gives; " + ENCODED
        case OSError() | asyncpg.PostgresConnectionError():
            mend = f"it cannot be reached ({kind}): is it running?"
        case _:
            mend = f"nobody can connect ({kind}): mend DASHTAM_DATABASE_URL"
    return Finding("database", mend)


async def _looked(connection: Any, settings: Settings, *, works: bool) -> AsyncIterator[Finding]:
    yield server_version(connection.get_server_version().major)
    if await has_session(connection, str(settings.database_url)):
        yield Finding("what other processes say is heard")
    else:
        yield Finding(DEAF, DEAF_MEND, stops=False)
    yield skew(await _ahead(connection))
    role = await connection.fetchrow(ROLE)
    mend = not_the_runtime_role(role)
    what = f"the role is {role['name']}" if mend else "the runtime role is bound by its policies"
    yield Finding(what, mend)
    if not role["reads"]:
        return
    try:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        revision = None
    if behind(revision):
        yield Finding("migrations", "run `dashtam migrate`")
        return
    if is_known(revision):
        yield Finding("migrations are complete")
    else:
        update = "this works, but update: a newer Dashtam has migrated the database"
        yield Finding(f"the database is at {revision}, unknown here", update, stops=False)
    fit = None if mend else await keys.fitting(connection, settings)
    if fit is not None:
        yield fit
    # By another keyring no checkpoint is signed.
    if not (mend or (fit and fit.is_bad)) and (kept := await audit.goes_on(connection, settings)):
        yield kept
    if works and mend is None:
        async for finding in _work(connection):
            yield finding


def server_version(major: int) -> Finding:
    mend = None if major >= MAJOR_MIN else f"PostgreSQL {MAJOR_MIN} or newer is needed: update it"
    return Finding(f"database answers: PostgreSQL {major}", mend)


async def _ahead(connection: Any) -> timedelta:
    """How far the database's clock is ahead of ours, at most half a round trip off."""
    before = datetime.now(UTC)
    theirs: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return theirs - (before + (datetime.now(UTC) - before) / 2)


def skew(ahead: timedelta) -> Finding:
    """Tokens and limits live for minutes: a clock that is off ends them early, or late."""
    seconds = abs(ahead.total_seconds())
    if abs(ahead) <= SKEW_MAX:
        return Finding("the clocks agree")
    word = "ahead of" if ahead > timedelta() else "behind"
    what = f"the database's clock is {seconds:.0f} s {word} this one"
    return Finding(what, "set both by NTP")


async def _work(connection: Any) -> AsyncIterator[Finding]:
    queued = await connection.fetchval(QUEUE, WAITING_MAX)
    due = await connection.fetchval(DUE, DUE_MAX, COUNT_MAX)
    async with connection.transaction():  # the door locks what it shows
        events = await connection.fetchval(EVENTS, [*KNOWN], COUNT_MAX, WAITING_MAX)
    late = [
        f"{count}{'+' if count == COUNT_MAX else ''} {what}"
        for count, what in (
            (queued, f"jobs wait for {WAITING_MAX.seconds // 60} minutes and more"),
            (due, f"links were due {DUE_MAX.seconds // 60} minutes ago"),
            (events, "events are not relayed"),
        )
        if count
    ]
    if late:
        mend = "start `dashtam worker`, or one more: any number of them may run"
        yield Finding(", ".join(late), mend)
    else:
        yield Finding("nothing waits for a worker")
    if broken := await connection.fetchval(BROKEN):
        yield Finding(
            f"{broken} jobs broke in the last day",
            "look for sync.bug in the worker's log, and report what it says",
            stops=False,
        )


async def _owner(url: str) -> Finding:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S_MAX)
    except Exception as error:  # noqa: BLE001 - as above
        said = unreachable(error).mend or ""
        mend = said.replace("DASHTAM_DATABASE_URL", "DASHTAM_MIGRATIONS_URL")
        return Finding("database, for migrations", mend)
    try:
        if not await has_session(connection, url):
            return Finding("migrations need a session of their own", SESSION)
        role = await connection.fetchrow(ROLE)
    except MigrationError as error:
        return Finding("database, for migrations", str(error))
    finally:
        connection.terminate()
    if role["name"] == OWNER and role["owns"]:
        return Finding("the owner can migrate")
    mend = f"DASHTAM_MIGRATIONS_URL must be {OWNER}'s, who owns the schema public"
    return Finding(f"migrations would run as {role['name']}", mend)
