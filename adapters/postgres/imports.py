"""Imported files, and what each import changed, so that it can be taken back."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Date, DateTime, Numeric, Table, Uuid, bindparam, select, text

from adapters.postgres.accounts import account_of, account_values
from adapters.postgres.holdings import holding_of, holding_values
from adapters.postgres.securities import securities_by_id
from adapters.postgres.tables import imports as t
from adapters.postgres.tables.accounts import accounts
from adapters.postgres.tables.holdings import holdings
from adapters.postgres.tables.transactions import transactions
from adapters.postgres.transactions import transaction_of, transaction_values
from adapters.postgres.writing import ME, Values, Writing, among
from domain.accounts import Account
from domain.holdings import Holding
from domain.imports import ImportFile
from domain.links import LinkId
from domain.merging import Merge
from domain.securities import Security
from domain.storage.work import Change
from domain.sync import RunId
from domain.transactions import Transaction

Entity = Account | Holding | Transaction

FILE = select(*t.import_files.c).where(
    t.import_files.c.user_id == ME, t.import_files.c.run_id == bindparam("run")
)
SHRED = text("UPDATE import_files SET sealed_content = NULL WHERE user_id = :me AND run_id = :run")
CHANGES = (
    select(*t.import_changes.c)
    .where(t.import_changes.c.user_id == ME, t.import_changes.c.run_id == bindparam("run"))
    .order_by(t.import_changes.c.seq.desc())
)
FORGET = text("DELETE FROM import_changes WHERE user_id = :me AND run_id = :run")
FORGET_ALL = text("""
DELETE FROM import_changes WHERE user_id = :me AND run_id IN (
    SELECT id FROM sync_runs WHERE user_id = :me AND link_id = :link)""")
# What this import did to a row becomes what the next import of the same row did, unless that was
# of the very same file. Rows of both tables are taken out and put back in their place, since nobody
# may change them.
HAND_OVER = text("""
WITH again AS (
    SELECT other.run_id FROM import_files this
    JOIN import_files other ON other.user_id = this.user_id AND other.digest = this.digest
    WHERE this.user_id = :me AND this.run_id = :run AND other.run_id <> :run
), mine AS (
    SELECT run_id, seq, kind, row_id, before, min(seq) FILTER (WHERE run_id = :run)
        OVER (PARTITION BY kind, row_id) AS first
    FROM import_changes WHERE user_id = :me AND run_id NOT IN (SELECT run_id FROM again)
), next AS (
    SELECT run_id, seq, min(seq) FILTER (WHERE run_id <> :run AND seq > first)
            OVER (PARTITION BY kind, row_id) AS next,
        (array_agg(before) FILTER (WHERE seq = first) OVER (PARTITION BY kind, row_id))[1] AS before
    FROM mine WHERE first IS NOT NULL
), heirs AS (
    SELECT run_id, seq, before FROM next WHERE seq = next
), taken AS (
    DELETE FROM import_changes c USING heirs
    WHERE c.user_id = :me AND c.run_id = heirs.run_id AND c.seq = heirs.seq
    RETURNING c.run_id, c.seq, c.kind, c.row_id, heirs.before, c.version
)
INSERT INTO import_changes (user_id, run_id, seq, kind, row_id, before, version)
OVERRIDING SYSTEM VALUE SELECT :me, taken.* FROM taken
RETURNING kind, row_id, run_id""")
HAND_OVER_SNAPSHOTS = text("""
WITH taken AS (
    DELETE FROM balance_snapshots s
    USING unnest(CAST(:accounts AS uuid[]), CAST(:heirs AS uuid[])) AS heir (account_id, run_id)
    WHERE s.user_id = :me AND s.run_id = :run AND s.account_id = heir.account_id AND NOT EXISTS (
        SELECT FROM balance_snapshots own WHERE own.user_id = :me AND own.run_id = heir.run_id
            AND own.account_id = heir.account_id)
    RETURNING s.user_id, s.account_id, s.at, s.id, s.balance, s.currency, s.available_balance,
        s.holdings_value, s.cash_value, s.source, heir.run_id
)
INSERT INTO balance_snapshots (user_id, account_id, at, id, balance, currency, available_balance,
    holdings_value, cash_value, source, run_id) SELECT taken.* FROM taken""")
RESTORED = text("""
WITH taken AS (
    DELETE FROM import_changes c
    USING unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS was (id, version)
    WHERE c.user_id = :me AND c.row_id = was.id AND c.version = was.version
    RETURNING c.user_id, c.run_id, c.seq, c.kind, c.row_id, c.before
)
INSERT INTO import_changes (user_id, run_id, seq, kind, row_id, before, version)
OVERRIDING SYSTEM VALUE SELECT taken.*, CAST(:version AS bigint) FROM taken""")
# But for what another import of the same link told too. OFFSET keeps the planner at one look into
# an index for each row, whatever it thinks of tables that have just been filled.
UNNAME = """
WITH mine AS (
    SELECT row_id FROM import_changes WHERE user_id = :me AND run_id = :run
    EXCEPT SELECT c.row_id FROM import_changes AS c
    JOIN sync_runs AS r ON r.user_id = c.user_id AND r.id = c.run_id
    WHERE c.user_id = :me AND c.run_id <> :run AND r.link_id = :link
)
DELETE FROM {names} WHERE ctid = ANY (ARRAY (
    SELECT named.ctid FROM mine CROSS JOIN LATERAL (
        SELECT n.ctid FROM {names} AS n
        WHERE n.user_id = :me AND n.{row} = mine.row_id AND n.link_id = :link OFFSET 0
    ) AS named))"""
UNNAME_TRANSACTIONS = text(UNNAME.format(names="transaction_keys", row="transaction_id"))
UNNAME_ACCOUNTS = text(UNNAME.format(names="link_accounts", row="account_id"))
CONFIRMED: Values = {}  # instead of what was there before
NOT_KEPT_ONCE: Values = {"cash_balance": None}  # columns of accounts that older images lack
TABLES = {"account": accounts, "holding": holdings, "transaction": transactions}
VERSIONS = {
    kind: select(table.c.id, table.c.data_version).where(
        table.c.user_id == ME, among(table.c.id, "ids")
    )
    for kind, table in TABLES.items()
}


class Imports:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def add(self, file: ImportFile) -> None:
        row = {
            "id": file.id,
            "run_id": file.run_id,
            "name": file.name,
            "digest": file.digest,
            "size": file.size,
            "received_at": file.received_at,
            "sealed_content": file.content,
        }
        await self._db.insert(t.import_files, [row])

    async def get(self, run_id: RunId) -> ImportFile | None:
        row = await self._db.row(FILE, run=run_id)
        if row is None:
            return None
        return ImportFile(
            id=row["id"],
            run_id=row["run_id"],
            name=row["name"],
            digest=row["digest"],
            size=row["size"],
            received_at=row["received_at"],
            content=row["sealed_content"],
        )

    async def shred(self, run_id: RunId) -> None:
        await self._db.run(SHRED, run=run_id)

    async def remember(self, run_id: RunId, merges: Sequence[Merge[Any]]) -> None:
        """Securities are left out: one that nothing names any more harms nobody."""
        rows: list[Values] = []
        for merge in merges:
            written = [row for row in merge.written if not isinstance(row, Security)]
            before = {row.id: row for row in merge.before}
            rows += [
                {
                    "run_id": run_id,
                    "kind": _kind(row),
                    "row_id": row.id,
                    "before": CONFIRMED,
                    "version": row.data_version,
                }
                for row in merge.confirmed
                if not isinstance(row, Security)
            ]
            for row in written:
                was = before.get(row.id)
                rows.append(
                    {
                        "run_id": run_id,
                        "kind": _kind(row),
                        "row_id": row.id,
                        "before": None if was is None else _image(was),
                        "version": await self._db.version(),
                    }
                )
        await self._db.insert(t.import_changes, rows)

    async def changes(self, run_id: RunId) -> Sequence[Change]:
        rows = await self._db.rows(CHANGES, run=run_id)
        images = [_row(TABLES[r["kind"]], r["before"]) if r["before"] else None for r in rows]
        named = (image.get("security_id") for image in images if image)
        securities = await securities_by_id(self._db, (id for id in named if id is not None))
        return [
            Change(
                kind=row["kind"],
                id=row["row_id"],
                before=_entity(row["kind"], image, securities) if image else None,
                version=row["version"],
                confirmed=row["before"] == CONFIRMED,
            )
            for row, image in zip(rows, images, strict=True)
        ]

    async def hand_over(self, run_id: RunId) -> set[UUID]:
        rows = await self._db.rows(HAND_OVER, run=run_id)
        heirs = {row["row_id"]: row["run_id"] for row in rows if row["kind"] == "account"}
        await self._db.run(
            HAND_OVER_SNAPSHOTS, run=run_id, accounts=list(heirs), heirs=list(heirs.values())
        )
        return {row["row_id"] for row in rows}

    async def unname(self, run_id: RunId, link_id: LinkId) -> None:
        await self._db.run(UNNAME_TRANSACTIONS, run=run_id, link=link_id)
        if await self._db.run(UNNAME_ACCOUNTS, run=run_id, link=link_id):
            await self._db.relist(link_id)

    async def restored(self, changes: Sequence[Change]) -> None:
        was = {c.id: c.before.data_version for c in changes if c.before is not None}
        if was:
            version = await self._db.version()
            ids, versions = list(was), list(was.values())
            await self._db.run(RESTORED, ids=ids, versions=versions, version=version)

    async def forget(self, run_id: RunId) -> None:
        await self._db.run(FORGET, run=run_id)

    async def forget_all(self, link_id: LinkId) -> None:
        await self._db.run(FORGET_ALL, link=link_id)

    async def versions(self, kind: str, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        rows = await self._db.rows(VERSIONS[kind], ids=ids)
        return {row["id"]: row["data_version"] for row in rows}


def _kind(entity: Entity) -> str:
    return type(entity).__name__.lower()


def _image(entity: Entity) -> dict[str, Any]:
    """The entity as JSON: its columns, all but texts, truths and counts as text."""
    columns: dict[str, Any] = {"data_version": entity.data_version}
    match entity:
        case Account():
            columns |= account_values(entity)
            columns["link_ids"] = [str(id) for id in entity.link_ids]
        case Holding():
            columns |= holding_values(entity)
        case Transaction():
            columns |= transaction_values(entity)
    return {name: _text(value) for name, value in columns.items()}


def _text(value: Any) -> Any:
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    return str(value) if isinstance(value, UUID | Decimal) else value


def _row(table: Table, image: Values) -> dict[str, Any]:
    """What `_image` wrote, as the table's columns have it."""
    return {
        name: value if value is None or name not in table.c else _value(table.c[name].type, value)
        for name, value in image.items()
    }


def _value(kind: Any, value: Any) -> Any:
    match kind:
        case Uuid():
            return UUID(value)
        case Numeric():
            return Decimal(value)
        case DateTime():
            return datetime.fromisoformat(value)
        case Date():
            return date.fromisoformat(value)
        case _:
            return value


def _entity(kind: str, row: dict[str, Any], securities: Mapping[UUID, Security]) -> Entity:
    if kind == "account":
        links = [UUID(id) for id in row["link_ids"]]
        return account_of({**NOT_KEPT_ONCE, **row, "link_ids": links})
    security = securities.get(row["security_id"])
    if kind == "transaction":
        return transaction_of(row, security)
    if security is None:
        raise LookupError(f"the security of holding {row['id']} is gone")
    return holding_of(row, security)
