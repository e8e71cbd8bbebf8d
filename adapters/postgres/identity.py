"""Users."""

from sqlalchemy import delete, insert, select, text, update

from adapters.postgres.connections import refused_by
from adapters.postgres.jobs import DELETE_JOBS
from adapters.postgres.tables import identity as t
from adapters.postgres.writing import ME, Row, Values, Writing, locked
from domain.errors import Conflict, NotFound
from domain.identity import Role, User
from domain.money import Currency

USER = select(*(c for c in t.users.c if c.name not in ("password_hash", "data_version"))).where(
    t.users.c.user_id == ME
)
SAVE_USER = update(t.users).where(t.users.c.user_id == ME)
SAVE_PASSWORD = text(
    "UPDATE users SET password_hash = :hash WHERE user_id = :me AND password_hash = :was"
)
PASSWORD_HASH = select(t.users.c.password_hash).where(t.users.c.user_id == ME)
REPLACE_PASSWORD = text("""
UPDATE users SET password_hash = :hash, password_changed_at = clock_timestamp()
WHERE user_id = :me""")
DELETE_USER = delete(t.users).where(t.users.c.user_id == ME)
ADMINISTRATORS_BESIDES = text("SELECT administrators_besides(:me) AS count")


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

    async def password_hash(self) -> str:
        row = await self._db.row(PASSWORD_HASH)
        if row is None:
            raise NotFound("no such user")
        return str(row["password_hash"])

    async def replace_password(self, password_hash: str) -> None:
        await self._db.run(REPLACE_PASSWORD, hash=password_hash)

    async def is_last_administrator(self) -> bool:
        row = await self._db.row(ADMINISTRATORS_BESIDES)
        return row is None or row["count"] == 0

    async def save_password(self, password_hash: str, *, was: str) -> None:
        await self._db.run(SAVE_PASSWORD, hash=password_hash, was=was)

    async def delete(self) -> None:
        await self._db.run(DELETE_JOBS)
        await self._db.run(DELETE_USER)


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
        totp_enabled=row["totp_enabled"],
        token_version=row["token_version"],
        last_sign_in_at=row["last_sign_in_at"],
        password_changed_at=row["password_changed_at"],
    )


def _user_values(user: User) -> Values:
    return {
        "email": user.email,
        "email_verified": user.email_verified,
        "role": user.role.name,
        "base_currency": user.base_currency,
        "time_zone": user.time_zone,
        "session_limit": user.session_limit,
        "totp_enabled": user.totp_enabled,
        "token_version": user.token_version,
        "last_sign_in_at": user.last_sign_in_at,
    }
