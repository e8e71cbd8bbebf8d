"""Jobs, enqueued in the transaction that causes them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.queries import Queries
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.postgres.connections import answered

SETTINGS = DBSettings(db_schema="jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`key`: of one name, user and key, one at a time waits or runs."""

    name: str
    user_id: UUID
    key: str
    payload: Mapping[str, str]

    @property
    def dedupe_key(self) -> str:
        return f"{self.name}:{self.user_id}:{self.key}"

    def body(self) -> bytes:
        """Whose identity it works in is told to every job."""
        return json.dumps({"user": str(self.user_id), **self.payload}).encode()


async def enqueue(db: AsyncConnection, jobs: Sequence[Job]) -> None:
    """Those that wait or run already are skipped: raising would abort the transaction.

    A transaction must have begun: SQLAlchemy sends BEGIN only with its own first statement, and
    what goes to the driver before that commits by itself.
    """
    if not jobs:
        return
    raw = (await db.get_raw_connection()).driver_connection
    if raw is None or not raw.is_in_transaction():
        raise RuntimeError("a job is enqueued inside a transaction")
    queue = Queries(
        AsyncpgDriver(raw), qbe=QueryBuilderEnvironment(SETTINGS), qbq=QueryQueueBuilder(SETTINGS)
    )
    with answered():
        await queue.enqueue(
            [job.name for job in jobs],
            [job.body() for job in jobs],
            [0] * len(jobs),
            dedupe_key=[job.dedupe_key for job in jobs],
            on_conflict="skip",
        )
