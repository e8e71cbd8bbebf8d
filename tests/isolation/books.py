"""What is really there, as a superuser reads it: how much of it is whose, and who changed it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import asyncpg

Entry: TypeAlias = tuple[int, int]  # how many rows, and the sum of who wrote them
Of: TypeAlias = Mapping[str, Entry]  # by table

TABLES = """
SELECT c.relname::text AS name, EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'id'
        AND a.atttypid = 'uuid'::regtype
) AS has_id
FROM pg_class c JOIN pg_attribute u ON u.attrelid = c.oid AND u.attname = 'user_id'
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY 1"""
ENTRY = """
SELECT '{0}' AS name, user_id, count(*) AS rows, sum(xmin::text::bigint)::bigint AS written
FROM {0} WHERE user_id = ANY($1) GROUP BY user_id"""
OWNER = "SELECT id, user_id FROM {0} WHERE id = ANY($1)"


@dataclass(frozen=True, slots=True)
class Books:
    """`with_id` are the tables whose rows have an id of their own."""

    spy: asyncpg.Connection
    tables: Sequence[str]
    with_id: Sequence[str]

    @classmethod
    async def open(cls, spy: asyncpg.Connection) -> "Books":
        rows = await spy.fetch(TABLES)
        return cls(spy, [r["name"] for r in rows], [r["name"] for r in rows if r["has_id"]])

    async def read(self, whose: Sequence[UUID]) -> Mapping[UUID, Of]:
        """A row that was written again makes another entry."""
        found: dict[UUID, dict[str, Entry]] = {id: {} for id in whose}
        for row in await self.spy.fetch(
            " UNION ALL ".join(ENTRY.format(name) for name in self.tables), list(whose)
        ):
            found[row["user_id"]][row["name"]] = row["rows"], row["written"]
        return found

    async def owners(self, ids: Sequence[UUID]) -> Mapping[UUID, UUID]:
        """Whose each of these is, users themselves among them; nothing of what is nowhere."""
        parts = [OWNER.format(name) for name in self.with_id]
        parts.append("SELECT user_id, user_id FROM users WHERE user_id = ANY($1)")
        return dict(map(tuple, await self.spy.fetch(" UNION ALL ".join(parts), list(ids))))


def changed(before: Of, after: Of) -> set[str]:
    """The tables in which something is different."""
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def rows(of: Of, table: str) -> int:
    return of.get(table, (0, 0))[0]
