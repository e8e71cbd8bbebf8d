from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.gateway.http.served import Journal, a_view, served


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[str]:
    """One server for every test that leaves nothing behind on it."""
    async with served(a_view(Journal())) as address:
        yield address


@pytest.fixture
async def http(server: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=server, timeout=20) as client:
        yield client
