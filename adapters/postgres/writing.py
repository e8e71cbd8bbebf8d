"""What the repositories write through: one transaction, inside one user's identity."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from time import perf_counter
from typing import Any, Protocol, TypeAlias, TypeVar, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ClauseElement,
    Column,
    ColumnElement,
    CursorResult,
    Executable,
    RowMapping,
    Select,
    Table,
    TextClause,
    Uuid,
    any_,
    bindparam,
    delete,
    insert,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters import telemetry
from adapters.postgres.connections import answered
from adapters.postgres.summary import summary_of
from adapters.postgres.tables.identity import users
from domain.errors import NotFound
from domain.identity import UserId
from domain.merging import Merge

Values: TypeAlias = Mapping[str, Any]  # by column


class Row(Protocol):
    """A row that was read, by whichever driver; or one put together from JSON."""

    def __getitem__(self, column: str, /) -> Any: ...


class Identified(Protocol):
    @property
    def id(self) -> UUID: ...


E = TypeVar("E", bound=Identified)
Q = TypeVar("Q", bound=Select[Any])

WRITES = ("INSERT", "UPDATE", "DELETE")
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
ME = bindparam("me", type_=Uuid())
# A plan that is kept from when a table was empty goes through all of a user's rows for each one
# that is looked for, foreign keys included: 10,000 rows took five times as long. It is set for the
# transaction, in the round trip that names the user, since a pooler such as PgBouncer takes no
# settings with a connection.
ENTER = text("SELECT enter(:me), set_config('plan_cache_mode', 'force_custom_plan', true)")
NEXT_VERSION = (
    update(users)
    .where(users.c.user_id == ME)
    .values(data_version=users.c.data_version + 1)
    .returning(users.c.data_version)
)


KEPT_PLANS_ROWS_MIN = 100  # where three statements more begin to pay
FORGET_PLANS = text("DISCARD PLANS")
KEEP_PLANS = text("SET LOCAL plan_cache_mode = auto")
PLAN_EACH = text("SET LOCAL plan_cache_mode = force_custom_plan")


def locked(rows: Q, *, of: Table | None = None) -> Q:
    """FOR NO KEY UPDATE: a row that refers to this one, such as an event of a user, can be added
    meanwhile, since what it refers by never changes.

    Whoever locks a user's row and others, locks the user's first.
    """
    return rows.with_for_update(key_share=True, of=of)


class Writing:
    """Every statement gets `me`, the user whose identity was entered."""

    def __init__(self, db: AsyncConnection, user_id: UserId) -> None:
        self.db, self.user_id = db, user_id
        self.has_written = False
        self._version: int | None = None

    async def enter(self) -> None:
        await self.run(ENTER)

    async def rows(self, statement: Executable, **given: Any) -> Sequence[RowMapping]:
        return (await self._execute(statement, {"me": self.user_id, **given})).mappings().all()

    async def row(self, statement: Executable, **given: Any) -> RowMapping | None:
        found = await self._execute(statement, {"me": self.user_id, **given})
        return found.mappings().one_or_none()

    async def run(self, statement: Executable, **given: Any) -> int:
        """How many rows it met."""
        return (await self._execute(statement, {"me": self.user_id, **given})).rowcount

    async def run_each(self, statement: Executable, given: Sequence[Values]) -> None:
        if given:
            await self._execute(statement, [{"me": self.user_id, **row} for row in given])

    async def insert(self, table: Table, rows: Sequence[Values]) -> None:
        if rows:
            values = [{"user_id": self.user_id, **row} for row in rows]
            await self._execute(insert(table), values)

    async def _insert_all(self, table: Table, rows: Sequence[Values]) -> None:
        """As one statement, whose text is the same however many there are; all have one shape."""
        if rows:
            columns = {name: [row[name] for row in rows] for name in rows[0]}
            await self.add_all(_insertion(table, tuple(columns)), len(rows), **columns)

    async def add_all(self, statement: Executable, count: int, **given: Any) -> None:
        """Run an INSERT of `count` rows.

        What each row refers to is looked up by a statement that is planned each time, as all are
        here (`ENTER`): that takes longer than looking. For many rows it is planned once, and for
        the tables as they are now, since older plans are thrown away before.
        """
        if count < KEPT_PLANS_ROWS_MIN:
            await self.run(statement, **given)
            return
        await self.run(FORGET_PLANS)
        await self.run(KEEP_PLANS)
        await self.run(statement, **given)
        await self.run(PLAN_EACH)

    async def added(self, statement: Executable, rows: Sequence[Values]) -> int:
        """How many of the rows an INSERT … RETURNING took."""
        if not rows:
            return 0
        return len((await self._execute(statement, rows)).all())

    async def version(self) -> int:
        """The data version of this transaction, taken with its first write to what is versioned.

        Taking it locks the user's row until the commit, so that versions commit in their order.
        """
        if self._version is None:
            row = await self.row(NEXT_VERSION)
            if row is None:
                raise NotFound("no such user")
            self._version = int(row["data_version"])
        return self._version

    async def write(self, table: Table, merge: Merge[E], values: Callable[[E], Values]) -> None:
        """Insert what is created, and of the rest only the columns that changed, so that what a
        sync and the owner say of one row at the same moment both stay."""
        if not merge.written:
            return
        stamp = {"data_version": await self.version()}
        await self._insert_all(table, [{**values(row), **stamp} for row in merge.created])
        before = {row.id: values(row) for row in merge.before}
        alike: dict[tuple[str, ...], list[Values]] = defaultdict(list)
        for row in (*merge.updated, *merge.removed):
            was = before.get(row.id, {})
            new = {k: v for k, v in values(row).items() if k not in was or was[k] != v}
            alike[tuple(new)].append({**new, **stamp, "row_id": row.id})
        one = update(table).where(table.c.user_id == ME, table.c.id == bindparam("row_id"))
        for rows in alike.values():
            await self.run_each(one, rows)

    async def bury(self, table: Table, kind: str, ids: Sequence[UUID]) -> None:
        """Delete these rows, and leave a tombstone of each that was there."""
        if not ids:
            return
        doomed = delete(table).where(table.c.user_id == ME, among(table.c.id, "ids"))
        found = await self.rows(doomed.returning(table.c.id), ids=ids)
        await self.mourn(kind, [row["id"] for row in found])

    async def mourn(self, kind: str, ids: Sequence[UUID]) -> None:
        if ids:
            version = await self.version()
            await self.run(TOMBSTONES, kind=kind, ids=ids, version=version)

    async def relist(self, link_id: UUID) -> None:
        """The link feeds other accounts than before, which it has a list of."""
        await self.run(RELIST, link=link_id, version=await self.version())

    async def _execute(
        self, statement: Executable, given: Values | Sequence[Values]
    ) -> CursorResult[Any]:
        watch, summary, began = telemetry.watch, summary_of(statement), perf_counter()
        with answered():
            if watch is None:
                done = await self.db.execute(statement, given)
            else:
                rows = len(given) if isinstance(given, Sequence) else 1
                with watch.statement(summary, rows=rows):
                    done = await self.db.execute(statement, given)
        if (tell := telemetry.telling.get()) is not None:
            text_ = str(cast("ClauseElement", statement).compile(dialect=DIALECT))
            tell(text_, done.rowcount, perf_counter() - began)
        # Of many at once the driver does not count.
        self.has_written |= summary.startswith(WRITES) and done.rowcount != 0
        return done


TOMBSTONES = text("""
INSERT INTO tombstones (user_id, kind, id, data_version)
SELECT :me, :kind, id, :version FROM unnest(CAST(:ids AS uuid[])) AS id""")
RELIST = text("UPDATE links SET data_version = :version WHERE user_id = :me AND id = :link")


@cache
def _insertion(table: Table, columns: tuple[str, ...]) -> TextClause:
    """Rows as an array for each column, none of which holds arrays itself."""
    types = {name: table.c[name].type.compile(DIALECT) for name in columns}
    arrays = (f"CAST(:{name} AS {type}[])" for name, type in types.items())
    return text(
        f"INSERT INTO {table.name} (user_id, {', '.join(columns)})"
        f" SELECT :me, given.* FROM unnest({', '.join(arrays)}) AS given"
    )


def among(column: Column[Any], name: str) -> ColumnElement[bool]:
    """`column = ANY (:name)`: the text is the same however many there are."""
    return column == any_(bindparam(name, type_=ARRAY(column.type)))
