"""The tools that make manifests, by their own code.

They are 270 MB of packages, which take longer to install than all else here takes, so that they run
only where DASHTAM_TEST_LONG is 1; what they made stands in golden/, which every run publishes.
"""

from pathlib import Path

import pytest

from tests.conformance.judged import GOLDEN
from tests.conformance.node import FOLDER, Node, installed


@pytest.fixture(scope="module")
async def tools() -> Node:
    return await installed(FOLDER / "tools")


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


async def test_the_tools_make_what_is_in_golden(tools: Node, tmp_path: Path) -> None:
    await tools.run("generate.mjs", str(tmp_path))

    assert contents(tmp_path) == contents(GOLDEN)
