"""The doors: what is found before anyone is known, or for nobody in particular."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from adapters import telemetry
from adapters.postgres.identity import user_of
from adapters.postgres.pool import Connection, Pool, answer
from adapters.postgres.summary import summary_of_sql
from domain.identity import Role, SecurityConfig, Session, SessionId, UserId
from domain.links import LinkId
from domain.ports import KnownUser, LiveSession
from domain.sync import RunId

USER_BY_EMAIL = """
SELECT user_id, email, email_verified, password_hash, role, created_at, base_currency, time_zone,
    session_limit, token_version, totp_enabled, last_sign_in_at, password_changed_at
FROM user_by_email($1)"""
SESSION = """
SELECT user_id, id, created_at, last_used_at, expires_at, refresh_hash, is_cookie, device,
    ip_address, ended_at, role, token_version, session_version, generation, global_token_version,
    grace_seconds, last_rotated_at
FROM """
SESSION_BY_HASH = SESSION + "session_by_hash($1)"
SESSION_BY_ID = SESSION + "session_by_id($1, $2)"
OWNER_OF_MAILED = "SELECT user_id, role FROM user_by_email_token($1)"
CLEAR_EMAIL_TOKENS = "SELECT clear_email_tokens($1, $2) AS count"
FORGET_UNVERIFIED = "SELECT forget_unverified($1, $2) AS count"
DUE_LINKS = "SELECT user_id, id FROM due_links($1, $2)"
FORGET_SESSIONS = "SELECT forget_sessions($1) AS count"
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

    async def user_by_email_token(self, digest: bytes) -> tuple[UserId, Role] | None:
        for row in await self._ask(OWNER_OF_MAILED, digest):
            return UserId(row["user_id"]), Role[row["role"]]
        return None

    async def clear_email_tokens(self, before: datetime, limit: int) -> int:
        [row] = await self._ask(CLEAR_EMAIL_TOKENS, before, limit)
        return int(row["count"])

    async def forget_unverified(self, before: datetime, limit: int) -> int:
        [row] = await self._ask(FORGET_UNVERIFIED, before, limit)
        return int(row["count"])

    async def forget_sessions(self, limit: int) -> int:
        [row] = await self._ask(FORGET_SESSIONS, limit)
        return int(row["count"])

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
            return await answer(self._pool, say)


def _live(rows: Sequence[Any]) -> LiveSession | None:
    for row in rows:
        session = Session(
            id=row["id"],
            user_id=row["user_id"],
            created_at=row["created_at"],
            last_used_at=row["last_used_at"],
            expires_at=row["expires_at"],
            refresh_hash=row["refresh_hash"],
            is_cookie=row["is_cookie"],
            device=row["device"],
            ip_address=row["ip_address"],
            ended_at=row["ended_at"],
            token_version=row["session_version"],
            generation=row["generation"],
        )
        config = SecurityConfig(
            global_token_version=row["global_token_version"],
            grace_seconds=row["grace_seconds"],
            last_rotated_at=row["last_rotated_at"],
        )
        role, version = Role[row["role"]], row["token_version"]
        return LiveSession(session=session, role=role, token_version=version, config=config)
    return None
