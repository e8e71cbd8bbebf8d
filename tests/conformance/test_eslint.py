"""graphql-eslint, by its own code, finds nothing to mend in what we publish."""

import json
from typing import Any

import pytest

from tests.conformance.node import FOLDER, installed


@pytest.fixture(scope="module")
async def said() -> Any:
    node = await installed(FOLDER / "lint")
    return json.loads(await node.run("lint.mjs"))


def test_it_finds_nothing_in_the_schema_and_in_the_operations(said: Any) -> None:
    assert said["findings"] == []
    assert said["files"] > 1


def test_it_would_have_found_what_is_wrong(said: Any) -> None:
    schema, operation = ("\n".join(each) for each in said["spoiled"])
    assert "naming-convention" in schema
    assert "require-description" in schema
    assert "no-anonymous-operations" in operation
    assert "no-duplicate-fields" in operation
