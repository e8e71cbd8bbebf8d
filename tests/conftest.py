"""What every test may ask for, and the line that says which real servers were used."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.servers import Database, Postgres, RedisServer, running_postgres, running_redis

SERVERS = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A real PostgreSQL, for the whole session."""
    with running_postgres() as server:
        request.config.stash.setdefault(SERVERS, []).append(server.name)
        yield server


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[Database]:
    """A database of this test alone, migrated."""
    async with postgres.fresh_database() as fresh:
        yield fresh


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A real Redis, for the whole session."""
    with running_redis() as server:
        request.config.stash.setdefault(SERVERS, []).append(server.name)
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The address of a real Redis, empty at the start of this test."""
    redis_server.flush()
    return redis_server.url


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    used = terminalreporter.config.stash.get(SERVERS, [])
    terminalreporter.write_line(f"real servers used: {', '.join(used) or 'none'}")
