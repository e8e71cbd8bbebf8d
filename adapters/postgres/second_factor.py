"""The secret and the recovery codes of a user's second factor."""

from collections.abc import Callable, Sequence

from sqlalchemy import select, text

from adapters.postgres.tables import identity as t
from adapters.postgres.writing import ME, Writing
from domain.identity import TotpSecret

SECRET = select(*t.totp_secrets.c).where(t.totp_secrets.c.user_id == ME)
NEXT_VERSION = text("""
INSERT INTO totp_secrets (user_id, version) VALUES (:me, 1)
ON CONFLICT (user_id) DO UPDATE SET version = totp_secrets.version + 1, last_step = NULL
RETURNING version""")
SEAL = text("UPDATE totp_secrets SET sealed = :sealed WHERE user_id = :me")
USE_STEP = text("UPDATE totp_secrets SET last_step = :step WHERE user_id = :me")
FORGET_SECRET = text("UPDATE totp_secrets SET sealed = NULL, last_step = NULL WHERE user_id = :me")
SPEND_CODE = text("DELETE FROM recovery_codes WHERE user_id = :me AND digest = :digest")
FORGET_CODES = text("DELETE FROM recovery_codes WHERE user_id = :me")


class SecondFactors:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def secret(self) -> TotpSecret | None:
        row = await self._db.row(SECRET)
        if row is None or row["sealed"] is None:
            return None
        return TotpSecret(sealed=row["sealed"], version=row["version"], last_step=row["last_step"])

    async def save_secret(self, seal: Callable[[int], bytes]) -> None:
        [row] = await self._db.rows(NEXT_VERSION)
        await self._db.run(SEAL, sealed=seal(row["version"]))

    async def use_step(self, step: int) -> None:
        await self._db.run(USE_STEP, step=step)

    async def replace_codes(self, digests: Sequence[bytes]) -> None:
        await self._db.run(FORGET_CODES)
        await self._db.insert(t.recovery_codes, [{"digest": digest} for digest in digests])

    async def spend_code(self, digest: bytes) -> bool:
        return await self._db.run(SPEND_CODE, digest=digest) == 1

    async def forget(self) -> None:
        await self._db.run(FORGET_SECRET)
        await self._db.run(FORGET_CODES)
