"""Sync runs, and the rows of theirs that could not be read."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update

from adapters.postgres.tables import sync as t
from adapters.postgres.writing import ME, Row, Values, Writing, locked
from domain.errors import ErrorCode, NotFound
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

RUN = select(*(c for c in t.sync_runs.c if c.name != "touched_at")).where(
    t.sync_runs.c.user_id == ME
)
ONE = RUN.where(t.sync_runs.c.id == bindparam("id"))
ACTIVE = RUN.where(
    t.sync_runs.c.link_id == bindparam("link"),
    # As the index says it: with parameters in their place it would not be used.
    text("status IN ('QUEUED', 'RUNNING')"),
)
LAST_ALIKE = (
    RUN.where(
        t.sync_runs.c.link_id == bindparam("link"),
        text("status NOT IN ('QUEUED', 'RUNNING')"),
        t.sync_runs.c.scopes == bindparam("scopes"),
        *(
            t.sync_runs.c[name].is_not_distinct_from(bindparam(name))
            for name in ("since", "until", "account_keys")
        ),
    )
    .order_by(t.sync_runs.c.id.desc())
    .limit(1)
)
FORGET_PLACES = text("""
UPDATE sync_runs SET cursor = NULL WHERE user_id = :me AND link_id = :link
AND cursor IS NOT NULL AND status NOT IN ('QUEUED', 'RUNNING')""")
LAST_USER_FINISH = text("""
SELECT max(finished_at) AS at FROM sync_runs
WHERE user_id = :me AND link_id = :link AND trigger = 'USER'""")
SAVE = (
    update(t.sync_runs)
    .where(t.sync_runs.c.user_id == ME, t.sync_runs.c.id == bindparam("row_id"))
    .values(touched_at=func.clock_timestamp())
)
QUARANTINED = (
    select(*t.quarantine.c)
    .where(t.quarantine.c.user_id == ME, t.quarantine.c.run_id == bindparam("run"))
    .order_by(t.quarantine.c.id)
)
RELEASE = text("DELETE FROM quarantine WHERE user_id = :me AND id = ANY (CAST(:ids AS uuid[]))")
FORGET = text("""
DELETE FROM quarantine WHERE user_id = :me AND run_id IN (
    SELECT id FROM sync_runs WHERE user_id = :me AND link_id = :link)""")
KINDS = ("created", "updated", "unchanged", "removed", "quarantined")


class Runs:
    def __init__(self, db: Writing) -> None:
        self._db = db
        self.moved: set[RunId] = set()

    async def get(self, id: RunId, *, lock: bool = False) -> SyncRun:
        row = await self._db.row(locked(ONE) if lock else ONE, id=id)
        if row is None:
            raise NotFound("no such sync")
        return _run(row)

    async def active(self, link_id: LinkId) -> SyncRun | None:
        row = await self._db.row(ACTIVE, link=link_id)
        return None if row is None else _run(row)

    async def last_alike(self, run: SyncRun) -> SyncRun | None:
        values = _values(run)
        asked = {name: values[name] for name in ("scopes", "since", "until", "account_keys")}
        row = await self._db.row(LAST_ALIKE, link=run.link_id, **asked)
        return None if row is None else _run(row)

    async def forget_places(self, link_id: LinkId) -> None:
        await self._db.run(FORGET_PLACES, link=link_id)

    async def last_user_finish(self, link_id: LinkId) -> datetime | None:
        row = await self._db.row(LAST_USER_FINISH, link=link_id)
        return row["at"] if row else None

    async def add(self, run: SyncRun) -> None:
        row = {"id": run.id, **_values(run), "touched_at": run.queued_at}
        await self._db.insert(t.sync_runs, [row])
        self.moved.add(run.id)

    async def save(self, run: SyncRun) -> None:
        await self._db.run_each(SAVE, [{"row_id": run.id, **_values(run)}])
        self.moved.add(run.id)

    async def quarantine(self, rows: Sequence[QuarantinedRow]) -> None:
        await self._db.insert(t.quarantine, [_quarantine_values(row) for row in rows])

    async def quarantined(self, id: RunId) -> Sequence[QuarantinedRow]:
        return [_quarantined(row) for row in await self._db.rows(QUARANTINED, run=id)]

    async def release(self, ids: Sequence[UUID]) -> None:
        await self._db.run(RELEASE, ids=ids)

    async def forget_quarantine(self, link_id: LinkId) -> None:
        await self._db.run(FORGET, link=link_id)


def _run(row: Row) -> SyncRun:
    error = None
    if row["error_code"] is not None:
        error = SyncError(
            code=ErrorCode[row["error_code"]],
            message=row["error_message"],
            retry_after_s=row["error_retry_after_s"],
        )
    return SyncRun(
        id=row["id"],
        user_id=row["user_id"],
        link_id=row["link_id"],
        trigger=SyncTrigger[row["trigger"]],
        status=SyncStatus[row["status"]],
        queued_at=row["queued_at"],
        scopes=frozenset(SyncScope[s] for s in row["scopes"]),
        since=row["since"],
        until=row["until"],
        force=row["force"],
        account_keys=None if row["account_keys"] is None else frozenset(row["account_keys"]),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        step=SyncScope[row["step"]] if row["step"] else None,
        progress=row["progress"],
        accounts=_counts(row, "accounts"),
        holdings=_counts(row, "holdings"),
        transactions=_counts(row, "transactions"),
        read_accounts=row["read_accounts"],
        failed_accounts=row["failed_accounts"],
        error=error,
        attempts=row["attempts"],
        cursor=row["cursor"],
        position=row["position"],
        cancel_asked=row["cancel_asked"],
    )


def _counts(row: Row, of: str) -> SyncCounts:
    return SyncCounts(**{kind: row[f"{of}_{kind}"] for kind in KINDS})


def _values(run: SyncRun) -> Values:
    counts = {"accounts": run.accounts, "holdings": run.holdings, "transactions": run.transactions}
    return {
        "link_id": run.link_id,
        "trigger": run.trigger.name,
        "status": run.status.name,
        "queued_at": run.queued_at,
        "scopes": sorted(s.name for s in run.scopes),
        "since": run.since,
        "until": run.until,
        "force": run.force,
        "account_keys": None if run.account_keys is None else sorted(run.account_keys),
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "step": run.step.name if run.step else None,
        "progress": run.progress,
        **{f"{of}_{kind}": getattr(c, kind) for of, c in counts.items() for kind in KINDS},
        "read_accounts": run.read_accounts,
        "failed_accounts": run.failed_accounts,
        "error_code": run.error.code.name if run.error else None,
        "error_message": run.error.message if run.error else None,
        "error_retry_after_s": run.error.retry_after_s if run.error else None,
        "attempts": run.attempts,
        "cursor": run.cursor,
        "position": run.position,
        "cancel_asked": run.cancel_asked,
    }


def _quarantined(row: Row) -> QuarantinedRow:
    return QuarantinedRow(
        id=row["id"],
        run_id=row["run_id"],
        kind=SyncScope[row["kind"]],
        reason=row["reason"],
        raw=row["raw"],
        line=row["line"],
        account_key=row["account_key"],
    )


def _quarantine_values(row: QuarantinedRow) -> Values:
    return {
        "id": row.id,
        "run_id": row.run_id,
        "kind": row.kind.name,
        "reason": _storable(row.reason),
        "raw": _storable(row.raw),
        "line": row.line,
        "account_key": row.account_key,
    }


def _storable(text: str) -> str:
    """What PostgreSQL has no text for (NUL, half of a surrogate pair) is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
