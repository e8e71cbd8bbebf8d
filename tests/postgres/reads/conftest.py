"""One migrated database for all tests here: each makes users of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from adapters.postgres.pool import Pool, open_pool
from tests.postgres.reads.rows import Owner, Recorded
from tests.servers import Database, Postgres


@pytest.fixture(scope="package")
async def shared(postgres: Postgres) -> AsyncIterator[Database]:
    async with postgres.fresh_database() as fresh:
        yield fresh


@pytest.fixture(scope="package")
async def pool(shared: Database) -> AsyncIterator[Pool]:
    """As the runtime role."""
    opened = await open_pool(shared.app_url, 3)
    yield opened
    await opened.close()


@pytest.fixture(scope="package")
async def superuser(shared: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(shared.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
def an_owner(superuser: asyncpg.Connection) -> Callable[[], Awaitable[Owner]]:
    async def make() -> Owner:
        owner = Owner(superuser)
        await owner.user()
        return owner

    return make


@pytest.fixture
async def owner(an_owner: Callable[[], Awaitable[Owner]]) -> Owner:
    return await an_owner()


@pytest.fixture
async def reads(pool: Pool, owner: Owner) -> AsyncIterator[Recorded]:
    snapshot = Recorded(pool, owner.id)
    yield snapshot
    await snapshot.close()
