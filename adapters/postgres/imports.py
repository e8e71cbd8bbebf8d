"""Imported files, and what each import changed, so that it can be taken back."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Date, DateTime, Numeric, Table, Uuid, bindparam, select, text

from adapters.postgres import bookkeeping as b
from adapters.postgres import tables as t
from adapters.postgres.accounts import account_of, account_values
from adapters.postgres.holdings import holding_of, holding_values
from adapters.postgres.securities import securities_by_id
from adapters.postgres.transactions import transaction_of, transaction_values
from adapters.postgres.writing import ME, Values, Writing, among
from domain.accounts import Account
from domain.holdings import Holding
from domain.imports import ImportFile
from domain.merging import Merge
from domain.securities import Security
from domain.storage import Change
from domain.sync import RunId
from domain.transactions import Transaction

Entity = Account | Holding | Transaction

FILE = select(*b.import_files.c).where(
    b.import_files.c.user_id == ME, b.import_files.c.run_id == bindparam("run")
)
SHRED = text("UPDATE import_files SET sealed_content = NULL WHERE user_id = :me AND run_id = :run")
CHANGES = (
    select(*b.import_changes.c)
    .where(b.import_changes.c.user_id == ME, b.import_changes.c.run_id == bindparam("run"))
    .order_by(b.import_changes.c.seq.desc())
)
FORGET = text("DELETE FROM import_changes WHERE user_id = :me AND run_id = :run")
TABLES = {"account": t.accounts, "holding": t.holdings, "transaction": t.transactions}
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
        await self._db.insert(b.import_files, [row])

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
        await self._db.insert(b.import_changes, rows)

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
            )
            for row, image in zip(rows, images, strict=True)
        ]

    async def forget(self, run_id: RunId) -> None:
        await self._db.run(FORGET, run=run_id)

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
        return account_of({**row, "link_ids": [UUID(id) for id in row["link_ids"]]})
    security = securities.get(row["security_id"])
    if kind == "transaction":
        return transaction_of(row, security)
    if security is None:
        raise LookupError(f"the security of holding {row['id']} is gone")
    return holding_of(row, security)
