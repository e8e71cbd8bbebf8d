"""What every test may ask for, and the lines that say what was used and what was left out."""

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import hypothesis
import pytest
import structlog

from tests.left_out import LEFT_OUT
from tests.servers import Database, Postgres, RedisServer, running_postgres, running_redis

SERVERS = pytest.StashKey[list[str]]()
SLOW = tuple(
    f"tests/{name}/"
    for name in (
        *("bench", "e2e", "embedded", "engine", "isolation", "processes", "shell", "telemetry"),
    )
)

# What else runs on the machine makes an example slow, not wrong.
hypothesis.settings.register_profile(
    "shared machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """A command of the shell sets up logging for its process, which here is that of all tests."""
    before, root = dict(structlog.get_config()), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    if structlog.get_config() != before:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The slow folders first where several processes share the files: then all end together."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(SLOW))


def pytest_sessionfinish(session: pytest.Session) -> None:
    told: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if told is not None:  # one of several processes: what it tells the one that sums up
        told["used"] = session.config.stash.get(SERVERS, [])
        told["left out"] = session.config.stash.get(LEFT_OUT, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = getattr(node, "workeroutput", {})  # none of one that crashed
    for key, name in ((SERVERS, "used"), (LEFT_OUT, "left out")):
        known = node.config.stash.setdefault(key, [])
        known += [said for said in told.get(name, []) if said not in known]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    stash = terminalreporter.config.stash
    for sentence in stash.get(LEFT_OUT, []):
        terminalreporter.write_line(sentence)
    used = stash.get(SERVERS, [])
    terminalreporter.write_line(f"real servers used: {', '.join(used) or 'none'}")
