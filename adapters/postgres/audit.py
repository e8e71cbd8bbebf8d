"""The audit log: writing rows, and what its sealer and whoever verifies it see of it, by doors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.tables import audit as t
from adapters.postgres.writing import ME, Writing
from domain.audit import COLUMNS, START, Attempt, AuditOutcome, Link, Row, canonical

# Of two outcomes of one attempt the first one stays. Where it is not committed yet, this waits.
WRITE = (
    insert(t.audit_log)
    .values(
        user_id=ME,
        **{
            name: bindparam(name, type_=t.audit_log.c[name].type)
            for name in (*COLUMNS, "mac")
            if name != "user_id"
        },
    )
    .on_conflict_do_nothing(index_elements=[t.audit_log.c.id])
)

ROW = ", ".join(("seq", "mac", *COLUMNS))
TIP = "SELECT tip, hash, is_signed, last_at, known_hash FROM audit_tip($1)"
UNSEALED = f"SELECT {ROW} FROM unsealed_audit($1, $2)"
SEAL = "SELECT seal_audit($1, $2, $3)"
LINKS = f"SELECT link, link_seq, hash, {ROW} FROM audit_links($1, $2)"
LOOSE = f"SELECT waits, {ROW} FROM audit_loose($1, $2)"
TWICE = "SELECT id, seq FROM audit_twice()"
HASHES = "SELECT link, seq, hash, id FROM audit_hashes($1)"
STATE = "SELECT unsealed_s, at, entries, intact, broken_id, mac FROM audit_state()"
REPORT = "SELECT report_audit($1, $2, $3, $4, $5)"


class AuditLog:
    """`mac` is what a row carries over its canonical form."""

    def __init__(self, mac: Callable[[bytes], bytes]) -> None:
        self._mac = mac

    async def write(
        self, db: Writing, attempt: Attempt, outcome: AuditOutcome, detail: str | None = None
    ) -> bool:
        """Under the identity of the transaction: who signs in is known only by then.

        False where the attempt has an outcome already. Whoever has no session did nothing
        themselves: someone without credentials did, the worker, or the shell.
        """
        actor = attempt.actor
        row = {
            "id": attempt.row_id(outcome),
            "user_id": db.user_id,
            "actor_id": None if actor.session_id is None else actor.user_id,
            "session_id": actor.session_id,
            "at": attempt.moment(outcome),
            "action": attempt.action,
            "outcome": outcome.value,
            "resource": attempt.resource,
            "ip_address": actor.ip_address,
            "trace_id": actor.trace_id,
            "detail": detail,
        }
        given = {name: value for name, value in row.items() if name != "user_id"}
        return await db.run(WRITE, **given, mac=self._mac(canonical(row))) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The end of the chain; `known_hash` is of the position that was asked for.

    `is_signed`: its last row has a MAC; None where the chain is empty.
    """

    position: int
    hash: bytes
    is_signed: bool | None
    last_at: datetime | None
    known_hash: bytes | None


async def tip(connection: Any, known: int) -> Tip | None:
    """None while somebody else seals; else nobody else does until this transaction ends."""
    row = await connection.fetchrow(TIP, known)
    if row is None:
        return None
    return Tip(
        position=row["tip"],
        hash=row["hash"] or START,
        is_signed=row["is_signed"] if row["tip"] else None,
        last_at=row["last_at"],
        known_hash=row["known_hash"],
    )


async def unsealed(connection: Any, *, unsigned: bool, most: int) -> Sequence[Any]:
    """Rows in the order of their numbers; with `unsigned`, only those that have no MAC."""
    rows: Sequence[Any] = await connection.fetch(UNSEALED, unsigned, most)
    return rows


async def seal(
    connection: Any, after: int, numbers: Sequence[int], hashes: Sequence[bytes]
) -> None:
    await connection.execute(SEAL, after, numbers, hashes)


async def links(connection: Any, begin: int, most: int) -> list[Link]:
    """The links from that position on, at most so many of them."""
    return [
        Link(
            position=row["link"],
            seq=row["link_seq"],
            hash=row["hash"],
            row=None if row["seq"] is None else row,
        )
        for row in await connection.fetch(LINKS, begin, most)
    ]


async def loose(connection: Any, begin: int, most: int) -> Sequence[Any]:
    """Rows from that number on that no link is about; `waits`: their sealing is to come."""
    rows: Sequence[Any] = await connection.fetch(LOOSE, begin, most)
    return rows


async def twice(connection: Any) -> Row | None:
    """The `id` that two rows have, and the `seq` of the later one."""
    row: Row | None = await connection.fetchrow(TWICE)
    return row


async def hashes(connection: Any, positions: Sequence[int]) -> Mapping[int, Row]:
    """Hash, number and id at each of these positions that the chain has."""
    return {row["link"]: row for row in await connection.fetch(HASHES, positions)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found when the log was last looked through."""

    at: datetime
    entries: int
    intact: bool
    broken_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`unsealed_s`: how long the oldest row waits; None where none does. `mac` is the report's."""

    unsealed_s: float | None
    report: Report | None
    mac: bytes | None


async def state(connection: Any) -> State:
    row = await connection.fetchrow(STATE)
    report = None
    if row["at"] is not None:
        report = Report(
            at=row["at"],
            entries=row["entries"],
            intact=row["intact"],
            broken_id=row["broken_id"],
        )
    return State(unsealed_s=row["unsealed_s"], report=report, mac=row["mac"])


async def save(connection: Any, report: Report, mac: bytes) -> None:
    said = (report.at, report.entries, report.intact, report.broken_id)
    await connection.execute(REPORT, *said, mac)
