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

from adapters import telemetry
from adapters.postgres.connections import answered
from adapters.postgres.pool import Pool, first_words

SETTINGS = DBSettings(db_schema="jobs")
WAITING = f"""
SELECT count(*), coalesce(extract(epoch FROM now() - min(execute_after)), 0) AS oldest_s
FROM jobs.{SETTINGS.queue_table} WHERE status = 'queued' AND execute_after <= now()"""


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


async def waiting(pool: Pool) -> tuple[int, float]:
    """How many jobs may begin, and for how many seconds the oldest could have.

    Raises:
        Unavailable: the database is away.
    """
    connection, row = await first_words(pool, lambda c: c.fetchrow(WAITING))
    await pool.release(connection)
    return row["count"], float(row["oldest_s"])


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
    watch = telemetry.watch
    carried = None if watch is None else watch.carried()
    with answered():
        await queue.enqueue(
            [job.name for job in jobs],
            [job.body() for job in jobs],
            [0] * len(jobs),
            dedupe_key=[job.dedupe_key for job in jobs],
            headers=None if carried is None else [dict(carried) for _ in jobs],
            on_conflict="skip",
        )
