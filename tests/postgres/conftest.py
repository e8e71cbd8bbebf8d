"""The write side on a database of this test alone, as the runtime role."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.connections import open_engine
from adapters.postgres.store import PostgresStore
from tests.builders import a_mac
from tests.servers import Database


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    opened = open_engine(database.app_url, 5)
    yield opened
    await opened.dispose()


@pytest.fixture
def store(engine: AsyncEngine) -> PostgresStore:
    return PostgresStore(engine, mac=a_mac)
