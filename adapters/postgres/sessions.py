"""Sessions, and which generation of tokens is good."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select, text, update

from adapters.postgres.fanout import SESSION_ENDED, TOKENS_ROTATED, USER_CHANGED
from adapters.postgres.tables import identity as t
from adapters.postgres.writing import ME, Row, Values, Writing, among, locked
from domain.identity import SecurityConfig, Session, SessionId

SESSION = select(*t.sessions.c).where(t.sessions.c.user_id == ME)
ONE_SESSION = SESSION.where(t.sessions.c.id == bindparam("id"))
LIVE_SESSIONS = SESSION.where(
    t.sessions.c.ended_at.is_(None), t.sessions.c.expires_at > bindparam("at")
).order_by(t.sessions.c.last_used_at, t.sessions.c.id)
SAVE_SESSION = update(t.sessions).where(
    t.sessions.c.user_id == ME, t.sessions.c.id == bindparam("row_id")
)
END_SESSIONS = (
    update(t.sessions)
    .where(t.sessions.c.user_id == ME, among(t.sessions.c.id, "ids"))
    .values(ended_at=bindparam("at"))
)
TELL_CHANGED = text("SELECT pg_notify(:channel, :payload)")
TELL_ENDED = text("SELECT pg_notify(:channel, id::text) FROM unnest(CAST(:ids AS uuid[])) AS id")
NOTE_PROVIDER = text("""
UPDATE sessions SET providers_accessed = array_append(providers_accessed, CAST(:slug AS text))
WHERE user_id = :me AND id = :id AND NOT CAST(:slug AS text) = ANY (providers_accessed)""")
SPENT_AT = select(t.refresh_tokens.c.rotated_at).where(
    t.refresh_tokens.c.user_id == ME,
    t.refresh_tokens.c.session_id == bindparam("session"),
    t.refresh_tokens.c.digest == bindparam("digest"),
)
CONFIG = select(*(c for c in t.security_config.c if c.name != "one"))
ROTATE = text("""
SELECT global_token_version, grace_seconds, last_rotated_at, last_rotation_reason
FROM rotate_tokens(CAST(:reason AS text), CAST(:grace AS integer), CAST(:at AS timestamptz))""")
TELL_ROTATED = text("SELECT pg_notify(:channel, '')")


class Sessions:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def get(self, id: SessionId, *, lock: bool = False) -> Session | None:
        row = await self._db.row(locked(ONE_SESSION) if lock else ONE_SESSION, id=id)
        return None if row is None else session_of(row)

    async def live(self, at: datetime, *, lock: bool = False) -> Sequence[Session]:
        live = locked(LIVE_SESSIONS) if lock else LIVE_SESSIONS
        return [session_of(row) for row in await self._db.rows(live, at=at)]

    async def add(self, session: Session) -> None:
        await self._db.insert(t.sessions, [{"id": session.id, **_values(session)}])

    async def save(self, session: Session) -> None:
        await self._db.run_each(SAVE_SESSION, [{"row_id": session.id, **_values(session)}])

    async def renew(self, session: Session) -> None:
        await self.save(session)
        await self._db.run(TELL_CHANGED, channel=USER_CHANGED, payload=str(session.user_id))

    async def end(self, ids: Sequence[SessionId], at: datetime) -> None:
        if ids:
            await self._db.run(END_SESSIONS, ids=ids, at=at)
            await self._db.run(TELL_ENDED, channel=SESSION_ENDED, ids=ids)

    async def note_provider(self, id: SessionId, slug: str) -> None:
        await self._db.run(NOTE_PROVIDER, id=id, slug=slug)

    async def spend(self, id: SessionId, digest: bytes, at: datetime) -> None:
        row = {"session_id": id, "digest": digest, "rotated_at": at}
        await self._db.insert(t.refresh_tokens, [row])

    async def spent_at(self, id: SessionId, digest: bytes) -> datetime | None:
        row = await self._db.row(SPENT_AT, session=id, digest=digest)
        return None if row is None else row["rotated_at"]


class Rotation:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def get(self) -> SecurityConfig:
        rows = await self._db.rows(CONFIG)
        return SecurityConfig(**rows[0])

    async def rotate(self, *, reason: str, grace_s: int, at: datetime) -> SecurityConfig:
        rows = await self._db.rows(ROTATE, reason=reason, grace=grace_s, at=at)
        await self._db.run(TELL_ROTATED, channel=TOKENS_ROTATED)
        return SecurityConfig(**rows[0])


def session_of(row: Row) -> Session:
    return Session(
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
        location=row["location"],
        providers_accessed=tuple(row["providers_accessed"]),
        token_version=row["token_version"],
        generation=row["generation"],
    )


def _values(session: Session) -> Values:
    """All but the providers, which commands beside this one may note."""
    return {
        "created_at": session.created_at,
        "last_used_at": session.last_used_at,
        "expires_at": session.expires_at,
        "refresh_hash": session.refresh_hash,
        "is_cookie": session.is_cookie,
        "device": session.device,
        "ip_address": session.ip_address,
        "ended_at": session.ended_at,
        "location": session.location,
        "token_version": session.token_version,
        "generation": session.generation,
    }
