"""A log from before there was a chain, and a gateway of that release that still writes to it."""

import asyncio
from datetime import timedelta
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from adapters.postgres.pool import open_pool
from adapters.postgres.snapshot import Snapshot
from domain.identity import UserId, new_id
from gateway.migrate import SCRIPTS, migrate
from tests.audit.log import opened
from tests.postgres.writes.world import connected
from tests.servers import Database, Postgres

AS_BEFORE = "INSERT INTO audit_log (user_id, at, action, outcome) VALUES ($1, now(), 'x', $2)"


async def upgraded(database: Database, revision: str) -> None:
    def upgrade() -> None:
        async def run() -> None:
            engine = create_async_engine(
                "postgresql+asyncpg://",
                async_creator=lambda: asyncpg.connect(database.owner_url),
                poolclass=NullPool,
            )
            async with engine.connect() as connection:
                config = Config()
                config.set_main_option("script_location", str(SCRIPTS))
                config.attributes["connection"] = await connection.run_sync(lambda c: c)
                await connection.run_sync(lambda _: command.upgrade(config, revision))
            await engine.dispose()

        asyncio.run(run())

    await asyncio.to_thread(upgrade)


async def write_as_before(database: Database, who: UserId) -> None:
    async with connected(database.app_url) as app, app.transaction():
        await app.execute("SELECT enter($1)", who)
        for outcome in ("ATTEMPTED", "SUCCEEDED"):
            await app.execute(AS_BEFORE, who, outcome)


async def test_what_the_release_before_wrote_and_writes_is_sealed_and_shown(
    postgres: Postgres, tmp_path: Path
) -> None:
    who = UserId(new_id())
    async with postgres.fresh_database(migrated=False) as fresh:
        await upgraded(fresh, "0007")
        await write_as_before(fresh, who)
        await migrate(fresh.owner_url)
        async with opened(fresh, tmp_path) as log:
            await log.attempt()
            await write_as_before(fresh, who)
            await log.seal(timedelta())
            assert [row["seq"] for row in await log.rows("SELECT seq FROM audit_chain")] == [
                *(1, 2, 5, 6)
            ]
            await log.seal()  # when no more of them comes
            verdict = await log.verdict()
            assert (verdict.flaw, verdict.entries, verdict.vouched) == (None, 6, 6)

        pool = await open_pool(fresh.app_url, 1)
        reads = Snapshot(pool, who)
        first = await reads.activity(limit=3, after=None)
        second = await reads.activity(limit=3, after=first[-1].id)
        assert [entry.outcome.name for entry in (*first, *second)] == [
            *("SUCCEEDED", "ATTEMPTED", "SUCCEEDED", "ATTEMPTED")
        ]
        ids = {entry.id for entry in (*first, *second)}
        assert {entry.id for entry in await reads.activity_by_id([*ids])} == ids
        assert len(ids) == 4
        await reads.close()
        await pool.close()
