"""Jobs, enqueued in the transaction that causes them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.queries import Queries
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters import telemetry
from adapters.postgres.connections import answered
from adapters.postgres.pool import Pool, answer

SETTINGS = DBSettings(db_schema="jobs")
WAITING = f"""
SELECT count(*), coalesce(extract(epoch FROM now() - min(execute_after)), 0) AS oldest_s
FROM jobs.{SETTINGS.queue_table} WHERE status = 'queued' AND execute_after <= now()"""
FORGET = f"""
WITH log AS (
    DELETE FROM jobs.{SETTINGS.queue_table_log} WHERE id IN (
        SELECT id FROM jobs.{SETTINGS.queue_table_log} WHERE created < $1 ORDER BY id LIMIT $2
    ) RETURNING 1
), statistics AS (
    DELETE FROM jobs.{SETTINGS.statistics_table} WHERE id IN (
        SELECT id FROM jobs.{SETTINGS.statistics_table} WHERE created < $1 ORDER BY id LIMIT $2
    ) RETURNING 1
)
SELECT greatest((SELECT count(*) FROM log), (SELECT count(*) FROM statistics)) AS count"""
# One that runs by now finds that its user is gone.
DELETE_JOBS = text(f"""
DELETE FROM jobs.{SETTINGS.queue_table}
WHERE split_part(dedupe_key, ':', 2) = CAST(CAST(:me AS uuid) AS text)""")

# Of jobs with the key of a run: which.
RUN_OF_JOB = "split_part(dedupe_key, ':', 4)"


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
    row = await answer(pool, lambda c: c.fetchrow(WAITING))
    return row["count"], float(row["oldest_s"])


async def forget_finished(pool: Pool, before: datetime, limit: int) -> int:
    """Delete what was noted of jobs before then, which pgqueuer never does: of each of its two
    tables at most `limit` rows; of which there were more, how many.

    Raises:
        Unavailable: the database is away.
    """
    row = await answer(pool, lambda c: c.fetchrow(FORGET, before, limit))
    return int(row["count"])


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
