"""The doors: what is found before anyone is known, or for nobody in particular."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from adapters import telemetry
from adapters.postgres.identity import session_of, user_of
from adapters.postgres.pool import Connection, Pool, first_words
from adapters.postgres.summary import summary_of_sql
from domain.identity import Role, SessionId, UserId
from domain.links import LinkId
from domain.ports import KnownUser, LiveSession
from domain.sync import RunId

USER_BY_EMAIL = """
SELECT user_id, email, email_verified, password_hash, role, created_at, base_currency, time_zone,
    session_limit, token_version
FROM user_by_email($1)"""
SESSION = """
SELECT user_id, id, created_at, last_used_at, expires_at, refresh_hash, is_cookie, device,
    ip_address, ended_at, role, token_version
FROM """
SESSION_BY_HASH = SESSION + "session_by_hash($1)"
SESSION_BY_ID = SESSION + "session_by_id($1, $2)"
DUE_LINKS = "SELECT user_id, id FROM due_links($1, $2)"
STALLED_RUNS = "SELECT user_id, id FROM stalled_runs($1, $2)"


class PostgresDoors:
    """Raises Unavailable while the database is away."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def user_by_email(self, email: str) -> KnownUser | None:
        for row in await self._ask(USER_BY_EMAIL, email):
            return KnownUser(user=user_of(row), password_hash=row["password_hash"])
        return None

    async def session_by_hash(self, digest: bytes) -> LiveSession | None:
        return _live(await self._ask(SESSION_BY_HASH, digest))

    async def session_by_id(self, user_id: UserId, id: SessionId) -> LiveSession | None:
        return _live(await self._ask(SESSION_BY_ID, user_id, id))

    async def due_links(self, at: datetime, limit: int) -> Sequence[tuple[UserId, LinkId]]:
        rows = await self._ask(DUE_LINKS, at, limit)
        return [(UserId(row["user_id"]), LinkId(row["id"])) for row in rows]

    async def stalled_runs(self, before: datetime, limit: int) -> Sequence[tuple[UserId, RunId]]:
        rows = await self._ask(STALLED_RUNS, before, limit)
        return [(UserId(row["user_id"]), RunId(row["id"])) for row in rows]

    async def _ask(self, door: str, *given: object) -> Sequence[Any]:
        async def say(connection: Connection) -> Sequence[Any]:
            rows: Sequence[Any] = await connection.fetch(door, *given)
            return rows

        watch = telemetry.watch
        with nullcontext() if watch is None else watch.statement(summary_of_sql(door)):
            connection, rows = await first_words(self._pool, say)
        await self._pool.release(connection)
        return rows


def _live(rows: Sequence[Any]) -> LiveSession | None:
    for row in rows:
        return LiveSession(
            session=session_of(row), role=Role[row["role"]], token_version=row["token_version"]
        )
    return None
