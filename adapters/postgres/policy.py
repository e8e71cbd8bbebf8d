"""Casbin's rules, as the owner of the database keeps them; the same for all users."""

from collections.abc import Sequence
from typing import Any

from adapters.postgres.pool import Connection, Pool, first_words

RULES = "SELECT role, object, action FROM casbin_rules ORDER BY role, object, action"


async def policy_rules(pool: Pool) -> list[tuple[str, str, str]]:
    """Role, object type and action of each. Raises Unavailable while the database is away."""

    async def say(connection: Connection) -> Sequence[Any]:
        rows: Sequence[Any] = await connection.fetch(RULES)
        return rows

    connection, rows = await first_words(pool, say)
    await pool.release(connection)
    return [(row["role"], row["object"], row["action"]) for row in rows]
