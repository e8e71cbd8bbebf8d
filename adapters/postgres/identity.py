"""Users and their sessions."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, insert, select, text, update

from adapters.postgres import tables as t
from adapters.postgres.connections import refused_by
from adapters.postgres.fanout import SESSION_ENDED
from adapters.postgres.writing import ME, Row, Values, Writing, locked
from domain.errors import Conflict, NotFound
from domain.identity import Role, Session, SessionId, User
from domain.money import Currency

USER = select(*(c for c in t.users.c if c.name not in ("password_hash", "data_version"))).where(
    t.users.c.user_id == ME
)
SAVE_USER = update(t.users).where(t.users.c.user_id == ME)
SAVE_PASSWORD = text(
    "UPDATE users SET password_hash = :hash WHERE user_id = :me AND password_hash = :was"
)
SESSION = select(*t.sessions.c).where(t.sessions.c.user_id == ME)
ONE_SESSION = SESSION.where(t.sessions.c.id == bindparam("id"))
LIVE_SESSIONS = SESSION.where(
    t.sessions.c.ended_at.is_(None), t.sessions.c.expires_at > bindparam("at")
).order_by(t.sessions.c.last_used_at, t.sessions.c.id)
SAVE_SESSION = update(t.sessions).where(
    t.sessions.c.user_id == ME, t.sessions.c.id == bindparam("row_id")
)
SPENT_AT = select(t.refresh_tokens.c.rotated_at).where(
    t.refresh_tokens.c.user_id == ME,
    t.refresh_tokens.c.session_id == bindparam("session"),
    t.refresh_tokens.c.digest == bindparam("digest"),
)
TELL = text("SELECT pg_notify(:channel, :payload)")


class Users:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def get(self, *, lock: bool = False) -> User:
        row = await self._db.row(locked(USER) if lock else USER)
        if row is None:
            raise NotFound("no such user")
        return user_of(row)

    async def add(self, user: User, password_hash: str) -> None:
        row = {**_user_values(user), "created_at": user.created_at, "password_hash": password_hash}
        taken = Conflict("there is a user with this address", field=("input", "email"))
        with refused_by("ux_users_email", taken):
            # Not as whose identity we are here, so that nobody but they can add themselves.
            await self._db.run_each(insert(t.users), [{"user_id": user.id, **row}])

    async def save(self, user: User) -> None:
        await self._db.run_each(SAVE_USER, [_user_values(user)])

    async def save_password(self, password_hash: str, *, was: str) -> None:
        await self._db.run(SAVE_PASSWORD, hash=password_hash, was=was)


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
        await self._db.insert(t.sessions, [{"id": session.id, **_session_values(session)}])

    async def save(self, session: Session) -> None:
        """Every process is told as the end of a session commits."""
        await self._db.run_each(SAVE_SESSION, [{"row_id": session.id, **_session_values(session)}])
        if session.ended_at is not None:
            await self._db.run(TELL, channel=SESSION_ENDED, payload=str(session.id))

    async def spend(self, id: SessionId, digest: bytes, at: datetime) -> None:
        row = {"session_id": id, "digest": digest, "rotated_at": at}
        await self._db.insert(t.refresh_tokens, [row])

    async def spent_at(self, id: SessionId, digest: bytes) -> datetime | None:
        row = await self._db.row(SPENT_AT, session=id, digest=digest)
        return None if row is None else row["rotated_at"]


def user_of(row: Row) -> User:
    return User(
        id=row["user_id"],
        email=row["email"],
        email_verified=row["email_verified"],
        role=Role[row["role"]],
        created_at=row["created_at"],
        base_currency=Currency(row["base_currency"]),
        time_zone=row["time_zone"],
        session_limit=row["session_limit"],
        token_version=row["token_version"],
    )


def _user_values(user: User) -> Values:
    return {
        "email": user.email,
        "email_verified": user.email_verified,
        "role": user.role.name,
        "base_currency": user.base_currency,
        "time_zone": user.time_zone,
        "session_limit": user.session_limit,
        "token_version": user.token_version,
    }


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
    )


def _session_values(session: Session) -> Values:
    return {
        "created_at": session.created_at,
        "last_used_at": session.last_used_at,
        "expires_at": session.expires_at,
        "refresh_hash": session.refresh_hash,
        "is_cookie": session.is_cookie,
        "device": session.device,
        "ip_address": session.ip_address,
        "ended_at": session.ended_at,
    }
