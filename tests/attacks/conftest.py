"""One gateway for every suite of a process that leaves it as it was."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.attacks.stand import Target, a_target
from tests.servers import Postgres


@pytest.fixture(scope="session")
async def target(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Target]:
    folder: Path = tmp_path_factory.mktemp("attacked")
    async with postgres.fresh_database() as database, a_target(database, folder) as found:
        yield found
