from collections.abc import AsyncIterator

import pytest

from tests.gateway.sse.served import Served, served


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with served() as running:
        yield running
        await running.until_idle()
