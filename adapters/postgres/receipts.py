"""Which webhooks came, by what names each of them for ever."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import text

from adapters.postgres.writing import Writing
from domain.links import LinkId

ADD = text("""
INSERT INTO webhook_receipts (user_id, link_id, receipt, said, said_at, received_at)
VALUES (:me, :link, :receipt, :said, :said_at, :at)
ON CONFLICT DO NOTHING RETURNING receipt""")
LATEST = text("""
SELECT max(said_at) AS at FROM webhook_receipts
WHERE user_id = :me AND link_id = :link AND said = ANY (CAST(:said AS text[]))""")


class Receipts:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def add(
        self, link_id: LinkId, receipt: str, *, said: str, said_at: datetime, at: datetime
    ) -> bool:
        given = {"said": said, "said_at": said_at, "at": at}
        return bool(await self._db.rows(ADD, link=link_id, receipt=receipt, **given))

    async def latest(self, link_id: LinkId, said: Collection[str]) -> datetime | None:
        row = await self._db.row(LATEST, link=link_id, said=[*said])
        return None if row is None else row["at"]
