"""What administrators look at: people, by doors that give nothing else of them, and the queue."""

from collections.abc import Sequence

import asyncpg

from adapters.postgres.jobs import SETTINGS
from adapters.postgres.reads.identity import ROLES
from adapters.postgres.reads.statements import Statements
from domain.identity import Person, UserId
from domain.jobs import JobsStatus

COLUMNS = "user_id, email, email_verified, role, created_at, last_sign_in_at"
PEOPLE = f"SELECT {COLUMNS} FROM people($1, $2, $3) ORDER BY email"
PEOPLE_BY_ID = f"SELECT {COLUMNS} FROM people_by_id($1)"
JOBS = f"""
SELECT count(*) FILTER (WHERE status = 'queued') AS queued,
    count(*) FILTER (WHERE status = 'picked') AS running,
    now() - min(execute_after) FILTER (WHERE status = 'queued' AND execute_after <= now())
        AS oldest_queued,
    coalesce(bool_or(status = 'picked' AND heartbeat > now() - interval '30 s'), false)
        AS has_worker,
    (
        SELECT count(*) FROM jobs.{SETTINGS.queue_table_log}
        WHERE status IN ('exception', 'failed') AND created > now() - interval '1 day'
    ) AS failed_last_day
FROM jobs.{SETTINGS.queue_table}"""


class AdministrationReads(Statements):
    async def people(self, sought: str | None, *, limit: int, after: str | None) -> list[Person]:
        rows = await self.fetch(PEOPLE, sought, after, limit)
        return [_person(row) for row in rows]

    async def people_by_id(self, ids: Sequence[UserId]) -> list[Person]:
        rows = await self.fetch(PEOPLE_BY_ID, list(ids))
        return [_person(row) for row in rows]

    async def jobs(self) -> JobsStatus:
        [row] = await self.fetch(JOBS)
        return JobsStatus(**row)


def _person(row: asyncpg.Record) -> Person:
    return Person(
        id=UserId(row["user_id"]),
        email=row["email"],
        email_verified=row["email_verified"],
        role=ROLES[row["role"]],
        created_at=row["created_at"],
        last_sign_in_at=row["last_sign_in_at"],
    )
