"""One log for the whole module, sealed in batches; whoever changes it takes that back."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from tests.audit.log import Log, a_log, opened
from tests.servers import Database, Postgres


@pytest.fixture(scope="session")
async def log(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Log]:
    """Three entries from before there were MACs, forty sealed ones, and four that wait."""
    folder: Path = tmp_path_factory.mktemp("checkpoints")
    async with postgres.fresh_database() as database, opened(database, folder) as log:
        await a_log(log)
        yield log


@pytest.fixture
async def own(database: Database, tmp_path: Path) -> AsyncIterator[Log]:
    """An empty log of this test alone."""
    async with opened(database, tmp_path / "checkpoints") as log:
        yield log


@pytest.fixture
async def undone(log: Log) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection, inside of a transaction that ends with the test."""
    transaction = log.superuser.transaction()
    await transaction.start()
    yield log.superuser
    await transaction.rollback()
