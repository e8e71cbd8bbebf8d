from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.postgres.store import PostgresStore
from domain.identity import Actor
from tests.postgres.writes.world import a_person, connected
from tests.servers import Database


@pytest.fixture
async def superuser(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """Sees every row."""
    async with connected(database.superuser_url) as connection:
        yield connection


@pytest.fixture
async def alice(store: PostgresStore) -> Actor:
    return await a_person(store)


@pytest.fixture
async def bob(store: PostgresStore) -> Actor:
    return await a_person(store)
