"""The audit log: the viewer's own part of it, and through a door all of it."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from adapters.postgres.reads.clauses import Clauses
from adapters.postgres.reads.statements import Statements
from domain.audit import AuditEntry, AuditOutcome
from domain.identity import SessionId, UserId

# What was written before entries had an id goes by its number.
NUMBERS = 2**63
ID = "coalesce(a.id, lpad(to_hex(a.seq), 32, '0')::uuid)"
COLUMNS = f"""{ID} AS id, a.user_id, a.actor_id, a.session_id, a.at, a.action, a.outcome,
    a.resource, a.ip_address, a.trace_id, a.detail"""

# By their number, in which they were written: an attempt and its outcome may have one time.
ACTIVITY = f"""
SELECT {COLUMNS} FROM audit_log AS a WHERE a.user_id = $1{{where}} ORDER BY a.seq DESC LIMIT $2"""
BEFORE = "a.seq < (SELECT b.seq FROM audit_log AS b WHERE b.user_id = $1 AND b.id = {0}::uuid)"
BY_ID = f"""
SELECT {COLUMNS} FROM audit_log AS a
WHERE a.user_id = $1 AND (a.id = ANY($2::uuid[]) OR a.id IS NULL AND a.seq = ANY($3::bigint[]))"""
SEQ = "SELECT audit_seq($1::uuid) AS seq"
ENTRIES = f"""
SELECT {COLUMNS} FROM audit_entries($1::uuid, $2::text, $3::bigint, $4::integer) AS a
ORDER BY a.seq DESC"""

OUTCOMES = dict(AuditOutcome.__members__)


class AuditReads(Statements):
    async def activity(self, *, limit: int, after: UUID | None) -> list[AuditEntry]:
        asked = Clauses(self._viewer, limit)
        if after is not None and after.int < NUMBERS:
            asked.add("a.seq < {0}::bigint", after.int)
        elif after is not None:
            asked.add(BEFORE, after)
        rows = await self.fetch(ACTIVITY.format(where=asked), *asked.arguments)
        return [entry_of(row) for row in rows]

    async def activity_by_id(self, ids: Sequence[UUID]) -> list[AuditEntry]:
        numbers = [id.int for id in ids if id.int < NUMBERS]
        return [entry_of(row) for row in await self.fetch(BY_ID, self._viewer, ids, numbers)]

    async def audit(
        self, user_id: UserId | None, action: str | None, *, limit: int, after: UUID | None
    ) -> list[AuditEntry]:
        before: int | None = NUMBERS - 1
        if after is not None and after.int < NUMBERS:
            before = after.int
        elif after is not None:
            [found] = await self.fetch(SEQ, after)
            before = found["seq"]
        if before is None:  # of an entry that is not there
            return []
        rows = await self.fetch(ENTRIES, user_id, action, before, limit)
        return [entry_of(row) for row in rows]


def entry_of(row: asyncpg.Record) -> AuditEntry:
    id, user_id, actor, session, at, action, outcome, resource, ip_address, trace, detail = row
    return AuditEntry(
        id=id,
        user_id=UserId(user_id),
        actor_id=None if actor is None else UserId(actor),
        session_id=None if session is None else SessionId(session),
        at=at,
        action=action,
        outcome=OUTCOMES[outcome],
        resource=resource,
        ip_address=ip_address,
        trace_id=trace,
        detail=detail,
    )
