"""The sync of 10,000 transactions, twice, and what the second one wrote."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from gateway.bench.children import MODULE, told
from gateway.bench.database import BenchError, Database
from gateway.bench.figures import SyncFigures
from gateway.bench.servers import settings
from gateway.bench.sync import EMAIL, Synced

SYNC_S_MAX = 300.0
QUIET_S_MAX, QUIET_POLL_S = 10.0, 0.05
OWNED = (
    *("accounts", "securities", "holdings", "transactions", "transaction_keys"),
    *("link_accounts", "balance_snapshots"),
)
WRITTEN = """
SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables
WHERE relname = ANY($1::text[])
"""
VERSION = "SELECT data_version FROM users WHERE email = $1"
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dashtam_app'"


def sync_figures(found: Database, cores: Sequence[int]) -> SyncFigures:
    """For a person of their own, who is forgotten first where the database was kept."""
    asyncio.run(_forget(found))
    first = _synced(found, cores)
    before = asyncio.run(_written(found))
    again = _synced(found, cores)
    after = asyncio.run(_written(found))
    return SyncFigures(
        first=first,
        again=again,
        rows=after[0] - before[0],
        data_version_moved=after[1] != before[1],
    )


def _synced(found: Database, cores: Sequence[int]) -> Synced:
    environ = settings(found, 8_000)
    argv = (*MODULE, "gateway.bench.sync")
    return msgspec.json.decode(told(argv, environ, b"", cores, most_s=SYNC_S_MAX), type=Synced)


async def _forget(found: Database) -> None:
    """So that the planner, too, knows as much of a kept database as of one just seeded."""
    db = await asyncpg.connect(found.server.superuser_url)
    try:
        if await db.execute("DELETE FROM users WHERE email = $1", EMAIL) != "DELETE 0":
            await db.execute(f"VACUUM (ANALYZE) {', '.join(OWNED)}")
    finally:
        await db.close()


async def _written(found: Database) -> tuple[int, int]:
    """Rows written ever, and the person's data version; a process counts what it wrote for all
    to see once it has ended.
    """
    db = await asyncpg.connect(found.server.superuser_url)
    try:
        await _quiet(db)
        return await db.fetchval(WRITTEN, OWNED), await db.fetchval(VERSION, EMAIL)
    finally:
        await db.close()


async def _quiet(db: Any) -> None:
    for _ in range(int(QUIET_S_MAX / QUIET_POLL_S)):
        if not await db.fetchval(OTHERS):
            return
        await asyncio.sleep(QUIET_POLL_S)
    raise BenchError("the sync left connections to the database open")
