from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway import plaid
from tests.servers import Postgres


@pytest.fixture(scope="session")
async def told(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[plaid.Gateway]:
    """A gateway that Plaid tells; each test has Items of its own."""
    folder: Path = tmp_path_factory.mktemp("plaid")
    async with postgres.fresh_database() as database, plaid.a_gateway(database, folder) as running:
        yield running
