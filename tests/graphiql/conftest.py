"""A gateway with the demo's data, and a real browser to look at it with."""

import json
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.postgres.documents import ToPublish
from adapters.security.keyring import Keyring
from domain.identity import Role
from gateway.asgi import create_app
from gateway.documents.names import digest
from gateway.documents.publishing import publish
from gateway.operations.clients import Client
from gateway.processes.demo import prepare_demo
from gateway.settings import Settings
from gateway.wiring.root import wire
from tests.conformance.node import installed
from tests.e2e.stack import Stack, a_stack, environment, make_user, served_here
from tests.servers import Postgres

FOLDER = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    "The tests of GraphiQL need a browser: install Chromium (`apt install chromium`), or set "
    "DASHTAM_WITHOUT_BROWSER=1 to leave them out."
)

# Said by whoever runs the suite on a machine without them: these tests are then not collected,
# rather than passed or skipped.
WITHOUT = {"DASHTAM_WITHOUT_NODE", "DASHTAM_WITHOUT_BROWSER"}
OF_BROWSER = ["test_browser.py", "test_csrf.py"]
collect_ignore = OF_BROWSER if any(os.environ.get(name) == "1" for name in WITHOUT) else []

Browse = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="session")
async def demo(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """A gateway and a worker, with the demo user and a year of data."""
    folder = tmp_path_factory.mktemp("graphiql")
    async with postgres.fresh_database() as database, a_stack(database, folder) as stack:
        await prepare_demo(stack.wired)
        yield stack


@asynccontextmanager
async def in_production(
    postgres: Postgres, folder: Path, documents: str, *published: str
) -> AsyncIterator[str]:
    """The address of a gateway that shows GraphiQL; an administrator and a user are there, called
    by their role. `published` are texts of a client."""
    keys = folder / "keys.json"
    Keyring.create(keys)
    more = {"MODE": "production", "GRAPHIQL": "true", "KEYRING": str(keys)}
    more |= {"ARGON2": "m=19456,t=2,p=1", "DOCUMENTS": documents}
    said = {f"DASHTAM_{name}": text for name, text in more.items()}
    given = [
        ToPublish(id=digest(text), name="", sha256=digest(text), text=text) for text in published
    ]
    async with postgres.fresh_database() as database:
        if given:
            await publish(database.owner_url, Client("web", "1"), given, {})
        settings = Settings.read(environment(database, folder, 8_000, **said))
        async with wire(settings) as wired:
            for role in (Role.ADMIN, Role.USER):
                await make_user(wired, email_of(role), role=role)
        async with served_here(create_app(settings)) as url:
            yield url


def email_of(role: Role) -> str:
    return f"{role.name}@example.com".lower()


@pytest.fixture(scope="session")
async def browse() -> Browse:
    """Runs a script of this folder in Chromium; gives the JSON that it printed."""
    node = await installed(FOLDER)
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        raise AssertionError(MISSING)

    async def run(script: str, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await node.run(script, chromium, *arguments))
        return found

    return run
