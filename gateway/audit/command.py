"""`dashtam audit verify`."""

import asyncio
from collections.abc import Callable
from time import monotonic

import asyncpg

from adapters.postgres.pool import AWAY
from adapters.security.audit import AuditKeys
from adapters.security.keyring import Keyring, KeyringError
from domain.errors import Unavailable
from gateway.audit.checkpoints import Checkpoints
from gateway.audit.verifying import Verdict, verified
from gateway.settings import Settings, SettingsError

SAY_EVERY_S = 2.0
CONNECT_S_MAX = 5.0

Say = Callable[[str], None]


async def verify(settings: Settings, say: Say) -> tuple[str, bool]:
    """What was found, as one sentence, and whether the log is intact, which nobody can tell of one
    without checkpoints; `say` is told how far it is, and what limits the answer.

    Raises:
        SettingsError: no database, no keys, or checkpoints that cannot be read.
        Unavailable: the database cannot be reached.
    """
    if settings.database_url is None or settings.keyring is None:
        raise SettingsError("There is no database: set DASHTAM_DATABASE_URL, or use `dashtam up`.")
    try:
        keys = AuditKeys(Keyring.load(settings.keyring))
    except KeyringError as error:
        raise SettingsError(str(error)) from error
    checkpoints = Checkpoints(settings.checkpoints, keys)
    try:
        connection = await asyncpg.connect(settings.database_url, timeout=CONNECT_S_MAX)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable("the database cannot be reached") from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            verdict = await verified(connection, keys, checkpoints, _progress(say))
    except asyncpg.UndefinedFunctionError:
        raise SettingsError("The database is of another version: run `dashtam migrate`.") from None
    except (asyncpg.InterfaceError, *AWAY) as error:
        raise Unavailable("the database went away") from error
    finally:
        await asyncio.shield(connection.close())
    if verdict.torn:
        say(f"{verdict.torn} lines of checkpoints were cut short, and say nothing.")
    if verdict.flaw is None and verdict.entries and not verdict.checkpoints:
        return _unvouched(verdict, checkpoints), False
    return _sentence(verdict), verdict.flaw is None


def _progress(say: Say) -> Callable[[int], None]:
    last = monotonic()

    def progress(count: int) -> None:
        nonlocal last
        if monotonic() - last >= SAY_EVERY_S:
            last = monotonic()
            say(f"{count:,} entries so far")

    return progress


def _unvouched(verdict: Verdict, checkpoints: Checkpoints) -> str:
    return (
        f"NOT VOUCHED FOR: {verdict.entries:,} entries agree with one another, but there are no "
        f"checkpoints in {checkpoints.folder}: without them nobody can tell whether the end of the "
        "log was cut off, or all of it made anew. Set DASHTAM_AUDIT_CHECKPOINTS as the worker has "
        "it; after a restore, a worker writes the first one with the next entry."
    )


def _sentence(verdict: Verdict) -> str:
    if (flaw := verdict.flaw) is None:
        waiting = f", {verdict.waiting:,} wait to be sealed" if verdict.waiting else ""
        agree = f"; {verdict.checkpoints:,} checkpoints agree" if verdict.checkpoints else ""
        last = f", the last of {verdict.last_at:%Y-%m-%d %H:%M:%S} UTC" if verdict.last_at else ""
        return f"intact: {verdict.entries:,} entries in the chain{waiting}{agree}{last}"
    where = [
        f"{name} {value}"
        for name, value in (("position", flaw.position), ("seq", flaw.seq), ("id", flaw.id))
        if value is not None
    ]
    place = f" at {', '.join(where)}" if where else ""
    return f"NOT INTACT{place}: {flaw.what}"
