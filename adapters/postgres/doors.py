"""The doors: what is found before anyone is known, or for nobody in particular."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from time import perf_counter
from typing import Any

from adapters import telemetry
from adapters.postgres.identity import user_of
from adapters.postgres.jobs import RUN_OF_JOB, SETTINGS
from adapters.postgres.pool import Connection, Pool, answer
from adapters.postgres.summary import summary_of_sql
from domain.authorizations import GRACE, LIFETIME, Begun
from domain.identity import Role, SecurityConfig, Session, SessionId, UserId
from domain.links import EXPIRY_MARKS, LinkId
from domain.storage.doors import KnownUser, LiveSession
from domain.sync import RunId

STALLED_MAX = 10_000  # that are looked at for a job
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
AUTHORIZATION = "SELECT provider_slug, return_to, is_own FROM authorization_by_state($1, $2, $3)"
LAPSED_AUTHORIZATIONS = "SELECT user_id FROM lapsed_authorizations($1, $2, $3)"
EXPIRING_LINKS = "SELECT user_id, id FROM expiring_links($1, $2, $3)"
LINKS_BY_UPSTREAM = "SELECT user_id, id FROM links_by_upstream($1)"
CLEAR_RECEIPTS = "SELECT clear_webhook_receipts($1, $2) AS count"
CLEAR_IDEMPOTENCY_KEYS = "SELECT clear_idempotency_keys($1, $2) AS count"
LATEST_EVENTS = "SELECT user_id, seq FROM latest_events($1)"
FORGET_EVENTS = "SELECT forget_events($1) AS count"
# A backlog is none of those: its jobs wait.
STALLED_RUNS = f"""
SELECT s.user_id, s.id FROM stalled_runs($1, {STALLED_MAX}) s WHERE NOT EXISTS (
    SELECT FROM jobs.{SETTINGS.queue_table} WHERE {RUN_OF_JOB} = s.id::text
) LIMIT $2"""


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

    async def authorization_by_state(
        self, digest: bytes, session_id: SessionId | None, at: datetime
    ) -> Begun | None:
        for row in await self._ask(AUTHORIZATION, digest, session_id, at):
            return Begun(
                provider_slug=row["provider_slug"],
                return_to=row["return_to"],
                is_own=row["is_own"],
            )
        return None

    async def lapsed_authorizations(self, at: datetime, limit: int) -> Sequence[UserId]:
        rows = await self._ask(LAPSED_AUTHORIZATIONS, at, at - LIFETIME - GRACE, limit)
        return [UserId(row["user_id"]) for row in rows]

    async def latest_events(self, whose: Collection[UserId]) -> Mapping[UserId, int]:
        rows = await self._ask(LATEST_EVENTS, [*whose])
        return {UserId(row["user_id"]): int(row["seq"]) for row in rows}

    async def forget_events(self, limit: int) -> int:
        [row] = await self._ask(FORGET_EVENTS, limit)
        return int(row["count"])

    async def due_links(self, at: datetime, limit: int) -> Sequence[tuple[UserId, LinkId]]:
        rows = await self._ask(DUE_LINKS, at, limit)
        return [(UserId(row["user_id"]), LinkId(row["id"])) for row in rows]

    async def expiring_links(self, at: datetime, limit: int) -> Sequence[tuple[UserId, LinkId]]:
        rows = await self._ask(EXPIRING_LINKS, at, max(EXPIRY_MARKS), limit)
        return [(UserId(row["user_id"]), LinkId(row["id"])) for row in rows]

    async def links_by_upstream(self, upstream: str) -> Sequence[tuple[UserId, LinkId]]:
        rows = await self._ask(LINKS_BY_UPSTREAM, upstream)
        return [(UserId(row["user_id"]), LinkId(row["id"])) for row in rows]

    async def clear_webhook_receipts(self, before: datetime, limit: int) -> int:
        [row] = await self._ask(CLEAR_RECEIPTS, before, limit)
        return int(row["count"])

    async def clear_idempotency_keys(self, before: datetime, limit: int) -> int:
        [row] = await self._ask(CLEAR_IDEMPOTENCY_KEYS, before, limit)
        return int(row["count"])

    async def stalled_runs(self, before: datetime, limit: int) -> Sequence[tuple[UserId, RunId]]:
        rows = await self._ask(STALLED_RUNS, before, limit)
        return [(UserId(row["user_id"]), RunId(row["id"])) for row in rows]

    async def _ask(self, door: str, *given: object) -> Sequence[Any]:
        async def say(connection: Connection) -> Sequence[Any]:
            rows: Sequence[Any] = await connection.fetch(door, *given)
            return rows

        watch, began = telemetry.watch, perf_counter()
        with nullcontext() if watch is None else watch.statement(summary_of_sql(door)):
            rows = await answer(self._pool, say)
        if (tell := telemetry.telling.get()) is not None:
            tell(door, len(rows), perf_counter() - began)
        return rows


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
