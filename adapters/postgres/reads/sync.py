"""Runs of syncs and imports, and what they could not understand."""

from collections.abc import Sequence

import asyncpg

from adapters.postgres.reads.clauses import Clauses
from adapters.postgres.reads.statements import Statements
from domain.errors import ErrorCode
from domain.links import LinkId, SyncError
from domain.sync import (
    QuarantinedRow,
    RunId,
    SyncCounts,
    SyncRun,
    SyncScope,
    SyncStatus,
    SyncTrigger,
)

COLUMNS = """r.id, r.user_id, r.link_id, r.trigger, r.status, r.queued_at, r.scopes, r.since,
    r.until, r.force, r.account_keys, r.started_at, r.finished_at, r.step, r.progress,
    r.read_accounts, r.failed_accounts, r.error_code, r.error_message, r.error_retry_after_s,
    r.attempts, r.cursor, r.position, r.cancel_asked,
    r.accounts_created, r.accounts_updated, r.accounts_unchanged, r.accounts_removed,
    r.accounts_quarantined,
    r.holdings_created, r.holdings_updated, r.holdings_unchanged, r.holdings_removed,
    r.holdings_quarantined,
    r.transactions_created, r.transactions_updated, r.transactions_unchanged,
    r.transactions_removed, r.transactions_quarantined"""

# Ids are UUIDv7: the newest is the greatest.
PAGE = f"""
SELECT {COLUMNS} FROM sync_runs AS r WHERE r.user_id = $1{{where}} ORDER BY r.id DESC LIMIT $2"""
BY_ID = f"""
SELECT {COLUMNS} FROM sync_runs AS r
WHERE r.user_id = $1 AND r.id = ANY($2::uuid[]) ORDER BY r.id DESC"""
LAST = f"""
SELECT {COLUMNS} FROM unnest($2::uuid[]) AS parent (link_id) CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM sync_runs AS r
    WHERE r.user_id = $1 AND r.link_id = parent.link_id ORDER BY r.id DESC LIMIT 1
) AS r"""
QUARANTINE = """
SELECT q.id, q.run_id, q.kind, q.reason, q.raw, q.line, q.account_key
FROM unnest($2::uuid[]) AS parent (run_id) CROSS JOIN LATERAL (
    SELECT q.id, q.run_id, q.kind, q.reason, q.raw, q.line, q.account_key FROM quarantine AS q
    WHERE q.user_id = $1 AND q.run_id = parent.run_id ORDER BY q.id LIMIT $3
) AS q ORDER BY q.run_id, q.id"""

TRIGGERS = dict(SyncTrigger.__members__)
STATUSES = dict(SyncStatus.__members__)
SCOPES = dict(SyncScope.__members__)
CODES = dict(ErrorCode.__members__)


class SyncReads(Statements):
    async def runs_by_id(self, ids: Sequence[RunId]) -> list[SyncRun]:
        """The newest first."""
        if not ids:
            return []
        return [run_of(row) for row in await self.fetch(BY_ID, self._viewer, ids)]

    async def runs(
        self, link_id: LinkId | None, *, limit: int, after: RunId | None
    ) -> list[SyncRun]:
        asked = Clauses(self._viewer, limit)
        if link_id is not None:
            asked.add("r.link_id = {0}::uuid", link_id)
        if after is not None:
            asked.add("r.id < {0}::uuid", after)
        rows = await self.fetch(PAGE.format(where=asked), *asked.arguments)
        return [run_of(row) for row in rows]

    async def last_runs(self, links: Sequence[LinkId]) -> dict[LinkId, SyncRun]:
        if not links:
            return {}
        rows = await self.fetch(LAST, self._viewer, [*dict.fromkeys(links)])
        return {run.link_id: run for run in map(run_of, rows)}

    async def quarantine(
        self, runs: Sequence[RunId], *, limit: int
    ) -> dict[RunId, list[QuarantinedRow]]:
        """At most `limit` of each run, in the order in which they came."""
        if not runs:
            return {}
        found: dict[RunId, list[QuarantinedRow]] = {}
        for row in await self.fetch(QUARANTINE, self._viewer, [*dict.fromkeys(runs)], limit):
            quarantined = quarantined_of(row)
            found.setdefault(quarantined.run_id, []).append(quarantined)
        return found


def run_of(row: asyncpg.Record) -> SyncRun:
    (
        id,
        user_id,
        link_id,
        trigger,
        status,
        queued_at,
        scopes,
        since,
        until,
        force,
        account_keys,
        started_at,
        finished_at,
        step,
        progress,
        read_accounts,
        failed_accounts,
        error_code,
        error_message,
        error_retry_after_s,
        attempts,
        cursor,
        position,
        cancel_asked,
        *counts,
    ) = row
    return SyncRun(
        id=id,
        user_id=user_id,
        link_id=link_id,
        trigger=TRIGGERS[trigger],
        status=STATUSES[status],
        queued_at=queued_at,
        scopes=frozenset(SCOPES[name] for name in scopes),
        since=since,
        until=until,
        force=force,
        account_keys=None if account_keys is None else frozenset(account_keys),
        started_at=started_at,
        finished_at=finished_at,
        step=None if step is None else SCOPES[step],
        progress=progress,
        accounts=_counts_of(counts[0:5]),
        holdings=_counts_of(counts[5:10]),
        transactions=_counts_of(counts[10:15]),
        read_accounts=read_accounts,
        failed_accounts=failed_accounts,
        error=_error_of(error_code, error_message, error_retry_after_s),
        attempts=attempts,
        cursor=cursor,
        position=position,
        cancel_asked=cancel_asked,
    )


def quarantined_of(row: asyncpg.Record) -> QuarantinedRow:
    id, run_id, kind, reason, raw, line, account_key = row
    return QuarantinedRow(
        id=id,
        run_id=run_id,
        kind=SCOPES[kind],
        reason=reason,
        raw=raw,
        line=line,
        account_key=account_key,
    )


def _counts_of(five: Sequence[int]) -> SyncCounts:
    created, updated, unchanged, removed, quarantined = five
    return SyncCounts(
        created=created,
        updated=updated,
        unchanged=unchanged,
        removed=removed,
        quarantined=quarantined,
    )


def _error_of(code: str | None, message: str | None, retry_after_s: int | None) -> SyncError | None:
    if code is None:
        return None
    return SyncError(code=CODES[code], message=message or "", retry_after_s=retry_after_s)
