"""Requests that may be repeated, by the digest of the key that their client gave them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from adapters.postgres.writing import Writing
from domain.errors import Conflict
from domain.idempotency import KEPT, LEASE, IdempotencyKey, IdempotencyRecord

# Anew, or after one that is over, or whose holder died before it had done anything.
TAKE = text("""
INSERT INTO idempotency_keys AS k (user_id, id, fingerprint, claim, claimed_until, created_at)
SELECT user_id, :id, :fingerprint, :holder, :until, :at FROM users WHERE user_id = :me
ON CONFLICT (user_id, id) DO UPDATE SET fingerprint = EXCLUDED.fingerprint, claim = EXCLUDED.claim,
    claimed_until = EXCLUDED.claimed_until, created_at = EXCLUDED.created_at,
    done_at = NULL, answered_at = NULL, sealed = NULL
WHERE k.created_at <= :over OR (
    k.fingerprint = EXCLUDED.fingerprint AND k.done_at IS NULL AND k.claimed_until <= :at)
RETURNING id""")
KNOWN = text("""
SELECT fingerprint, claimed_until, done_at, answered_at, sealed FROM idempotency_keys
WHERE user_id = :me AND id = :id""")
OWN = "WHERE user_id = :me AND id = :id AND claim = :holder"
MARK = text(f"UPDATE idempotency_keys SET done_at = coalesce(done_at, clock_timestamp()) {OWN}")
ANSWER = text(f"""
UPDATE idempotency_keys SET sealed = :sealed, answered_at = :at, done_at = coalesce(done_at, :at)
{OWN} AND (done_at IS NOT NULL OR NOT :if_done)""")
FORGET = text(f"DELETE FROM idempotency_keys {OWN} AND done_at IS NULL")
END = text(f"UPDATE idempotency_keys SET claimed_until = :at {OWN} AND answered_at IS NULL")


class IdempotencyKeys:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def take(self, key: IdempotencyKey, fingerprint: bytes, at: datetime) -> bool:
        times = {"at": at, "until": at + LEASE, "over": at - KEPT}
        given = {"id": key.id, "holder": key.holder, "fingerprint": fingerprint}
        return bool(await self._db.rows(TAKE, **given, **times))

    async def known(self, id: UUID) -> IdempotencyRecord | None:
        row = await self._db.row(KNOWN, id=id)
        if row is None:
            return None
        return IdempotencyRecord(
            fingerprint=row["fingerprint"],
            until=row["claimed_until"],
            is_done=row["done_at"] is not None,
            is_answered=row["answered_at"] is not None,
            sealed=row["sealed"],
        )

    async def answer(
        self, key: IdempotencyKey, sealed: bytes | None, at: datetime, *, if_done: bool
    ) -> bool:
        given = {"id": key.id, "holder": key.holder, "if_done": if_done}
        return bool(await self._db.run(ANSWER, sealed=sealed, at=at, **given))

    async def give_up(self, key: IdempotencyKey, at: datetime) -> None:
        given = {"id": key.id, "holder": key.holder}
        if not await self._db.run(FORGET, **given):
            await self._db.run(END, at=at, **given)


async def mark(db: Writing, key: IdempotencyKey) -> None:
    """That something of it commits now. Raises Conflict."""
    if not await db.run(MARK, id=key.id, holder=key.holder):
        raise Conflict("this request took too long, and a repeat of it has taken over")
