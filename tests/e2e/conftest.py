"""One gateway and one worker for the whole session; every test makes people of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.stack import Client, Stack, a_stack
from tests.servers import Postgres


@pytest.fixture(scope="session")
async def stack(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("e2e")
    async with postgres.fresh_database() as database, a_stack(database, folder) as running:
        yield running


@pytest.fixture
async def nobody(stack: Stack) -> AsyncIterator[Client]:
    """A client who is not signed in."""
    async with stack.nobody() as client:
        yield client


@pytest.fixture
async def alice(stack: Stack) -> AsyncIterator[Client]:
    async with stack.somebody() as client:
        yield client


@pytest.fixture
async def bob(stack: Stack) -> AsyncIterator[Client]:
    async with stack.somebody() as client:
        yield client
