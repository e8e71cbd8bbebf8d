"""One database for all tests of published documents: each has clients and texts of its own."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.postgres.pool import open_pool
from tests.servers import Database, Postgres


@pytest.fixture(scope="package")
async def published_in(postgres: Postgres) -> AsyncIterator[Database]:
    async with postgres.fresh_database() as fresh:
        yield fresh


@pytest.fixture(scope="package")
async def pool(published_in: Database) -> AsyncIterator[asyncpg.Pool]:
    """As the runtime role."""
    opened = await open_pool(published_in.app_url, 2)
    yield opened
    await opened.close()


@pytest.fixture
async def owner(published_in: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(published_in.owner_url)
    yield connection
    await connection.close()
