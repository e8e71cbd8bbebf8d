"""The shell on a database of its own; every command is a process, as a person starts it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from gateway.settings import Settings
from gateway.wiring.root import Wired, wire
from tests.e2e.stack import Said, dashtam, environment
from tests.servers import Database, Postgres

Shell: TypeAlias = Callable[..., Awaitable[Said]]


@pytest.fixture(scope="session")
async def shell_database(postgres: Postgres) -> AsyncIterator[Database]:
    async with postgres.fresh_database() as fresh:
        yield fresh


@pytest.fixture(scope="session")
def shell_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shell")


@pytest.fixture(scope="session")
def environ(shell_database: Database, shell_folder: Path) -> dict[str, str]:
    found = environment(shell_database, shell_folder, 8_000)
    return found | {"DASHTAM_MIGRATIONS_URL": shell_database.owner_url}


@pytest.fixture(scope="session")
async def wired(environ: dict[str, str]) -> AsyncIterator[Wired]:
    async with wire(Settings.read(environ)) as opened:
        yield opened


@pytest.fixture
def shell(environ: dict[str, str], shell_folder: Path) -> Shell:
    async def run(*words: str, stdin: str = "", **more: str) -> Said:
        merged = {name: text for name, text in (environ | more).items() if text}
        return await dashtam(*words, environ=merged, folder=shell_folder, stdin=stdin)

    return run
