"""What outside suites need: Node.js, their packages, and a server to judge."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.asgi import create_app
from gateway.settings import Settings
from tests.conformance.node import Node, installed
from tests.e2e.stack import environment, served_here
from tests.servers import Postgres

# Said by whoever runs the suite on a machine without Node.js: these tests are then not collected,
# rather than passed or skipped. Those of the tools are for the long profile.
SUITES = ["test_clients.py", "test_graphql_http.py", "test_live_clients.py"]
collect_ignore = SUITES if os.environ.get("DASHTAM_WITHOUT_NODE") == "1" else []
if os.environ.get("DASHTAM_TEST_LONG") != "1" or collect_ignore:
    collect_ignore = [*collect_ignore, "test_tools.py"]


@pytest.fixture(scope="session")
async def node() -> Node:
    """Node.js with the locked packages; fails where there is none."""
    return await installed()


@pytest.fixture(scope="session")
async def graphql_url(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """The endpoint that is judged: the whole application, in development, on its database."""
    folder: Path = tmp_path_factory.mktemp("conformance")
    async with postgres.fresh_database() as database:
        settings = Settings.read(environment(database, folder, 8_000))
        async with served_here(create_app(settings)) as address:
            yield f"{address}/graphql"
