"""Request budgets that all processes share, and that a start does not forget."""

from datetime import datetime, timedelta
from hashlib import sha256

from adapters import telemetry
from adapters.postgres.pool import Connection, Pool, answer
from domain.providers import Allowance

TAKE = "SELECT take_request($1, $2, $3, $4) AS wait"
CLEAR = "SELECT clear_request_budgets($1, $2) AS count"


class PostgresBudgets:
    """Raises Unavailable while the database is away: what cannot be counted is not asked for."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take(self, key: str, allowance: Allowance, at: datetime) -> timedelta | None:
        # What is counted is a link, and the table nobody's: of the key it has a digest.
        digest = sha256(f"{allowance.name}\0{key}".encode()).digest()

        async def say(connection: Connection) -> timedelta | None:
            wait: timedelta | None = await connection.fetchval(
                TAKE, digest, allowance.calls, allowance.per, at
            )
            return wait

        with telemetry.statement("SELECT take_request"):
            return await answer(self._pool, say)


async def clear_budgets(pool: Pool, before: datetime, limit: int) -> int:
    """Delete those whose last request was over before then; how many."""

    async def say(connection: Connection) -> int:
        return int(await connection.fetchval(CLEAR, before, limit))

    return await answer(pool, say)
