"""Mailed tokens, by their digest."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, delete, select, update

from adapters.postgres.tables import identity as t
from adapters.postgres.writing import ME, Row, Writing
from domain.identity import UserId
from domain.mail import EmailToken, Purpose

OWN = t.email_tokens.c.user_id == ME
BY_DIGEST = select(*t.email_tokens.c).where(OWN, t.email_tokens.c.digest == bindparam("digest"))
BY_ID = select(t.email_tokens.c.id).where(OWN, t.email_tokens.c.id == bindparam("id"))
USE = (
    update(t.email_tokens)
    .where(OWN, t.email_tokens.c.id == bindparam("token"))
    .values(used_at=bindparam("at"), password_hash=None)
)
FORGET = delete(t.email_tokens).where(
    OWN,
    t.email_tokens.c.purpose == bindparam("purpose"),
    t.email_tokens.c.id.is_distinct_from(bindparam("but", type_=t.email_tokens.c.id.type)),
)


class EmailTokens:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def by_digest(self, digest: bytes) -> EmailToken | None:
        row = await self._db.row(BY_DIGEST, digest=digest)
        return None if row is None else _token_of(row)

    async def has(self, id: UUID) -> bool:
        return await self._db.row(BY_ID, id=id) is not None

    async def add(self, token: EmailToken) -> None:
        row = {
            "id": token.id,
            "purpose": token.purpose.name,
            "digest": token.digest,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
            "used_at": token.used_at,
            "password_hash": token.password_hash,
        }
        await self._db.insert(t.email_tokens, [row])

    async def use(self, id: UUID, at: datetime) -> None:
        await self._db.run(USE, token=id, at=at)

    async def forget(self, purpose: Purpose, *, but: UUID | None = None) -> None:
        await self._db.run(FORGET, purpose=purpose.name, but=but)


def _token_of(row: Row) -> EmailToken:
    return EmailToken(
        user_id=UserId(row["user_id"]),
        id=row["id"],
        purpose=Purpose[row["purpose"]],
        digest=row["digest"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        used_at=row["used_at"],
        password_hash=row["password_hash"],
    )
