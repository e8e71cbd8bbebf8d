"""What outside suites need: Node.js and their packages."""

import os

import pytest

from tests.conformance.node import Node, installed

# Said by whoever runs the suite on a machine without Node.js: these tests are then not collected,
# rather than passed or skipped. Those of the tools are for the long profile.
SUITES = ["test_clients.py", "test_eslint.py", "test_graphql_http.py", "test_live_clients.py"]
collect_ignore = SUITES if os.environ.get("DASHTAM_WITHOUT_NODE") == "1" else []
if os.environ.get("DASHTAM_TEST_LONG") != "1" or collect_ignore:
    collect_ignore = [*collect_ignore, "test_tools.py"]


@pytest.fixture(scope="session")
async def node() -> Node:
    """Node.js with the locked packages; fails where there is none."""
    return await installed()
