"""Run by Alembic: on the connection in `config.attributes`, else on DASHTAM_MIGRATIONS_URL.

Alembic's way to configure logging from a file is left out: how we log is the gateway's business.
"""

import asyncio
import os

import asyncpg
from alembic import context
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from adapters.postgres.tables import metadata

LOCK_S_MAX = 3  # a statement that waits longer stops everyone behind it


def _run(connection: Connection) -> None:
    connection.execute(text(f"SET lock_timeout = '{LOCK_S_MAX}s'"))
    connection.commit()
    context.configure(
        connection=connection, target_metadata=metadata, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()


async def _connect_and_run(url: str) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url), poolclass=NullPool
    )
    async with engine.connect() as connection:
        await connection.run_sync(_run)
    await engine.dispose()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    asyncio.run(_connect_and_run(os.environ["DASHTAM_MIGRATIONS_URL"]))
