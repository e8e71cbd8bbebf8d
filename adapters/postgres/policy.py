"""The policy, as the owner of the database keeps it; the same for all users."""

from collections.abc import Sequence
from typing import Any

from adapters.postgres.pool import Connection, Pool, answer

POLICY_CHANGED = "dashtam_policy_changed"  # said by triggers of both tables, as a change commits
POLICY = """
SELECT ARRAY['p', role, object, action] AS line FROM casbin_rules
UNION ALL SELECT ARRAY['g', role, inherits] FROM casbin_roles
ORDER BY line"""


async def policy_lines(pool: Pool) -> list[tuple[str, ...]]:
    """As Casbin writes them. Raises Unavailable while the database is away."""

    async def say(connection: Connection) -> Sequence[Any]:
        rows: Sequence[Any] = await connection.fetch(POLICY)
        return rows

    return [tuple(row["line"]) for row in await answer(pool, say)]
