"""What outside suites need: Node.js, their packages, and a server to judge."""

import os
from collections.abc import AsyncIterator

import pytest

from tests.conformance.node import Node, installed
from tests.gateway.http.served import Journal, a_view, served

# Said by whoever runs the suite on a machine without Node.js: these tests are then not collected,
# rather than passed or skipped.
collect_ignore = ["test_graphql_http.py"] if os.environ.get("DASHTAM_WITHOUT_NODE") == "1" else []


@pytest.fixture(scope="session")
async def node() -> Node:
    """Node.js with the locked packages; fails where there is none."""
    return await installed()


@pytest.fixture(scope="session")
async def graphql_url() -> AsyncIterator[str]:
    """The endpoint that is judged. It has to allow introspection."""
    async with served(a_view(Journal())) as address:
        yield f"{address}/graphql"
