from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.engine.scripted import Scripted
from tests.engine.world import Engine, running_engine
from tests.servers import Database


@pytest.fixture
def scripted() -> Scripted:
    """A provider that says what the test writes down."""
    return Scripted()


@pytest.fixture
async def engine(database: Database, tmp_path: Path, scripted: Scripted) -> AsyncIterator[Engine]:
    async with running_engine(database, tmp_path, scripted) as running:
        yield running
