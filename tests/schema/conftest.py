"""The world that the schema's tests ask about."""

from collections.abc import AsyncIterator

import pytest

from tests import left_out
from tests.schema.test_contract import CONTRACT
from tests.schema.world import World


def pytest_configure(config: pytest.Config) -> None:
    if not CONTRACT.exists():
        sentence = "the schema is not compared with the contract"
        left_out.say(config, f"../shared/schema.graphql is not here: {sentence}")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    assert world.left_open == 0
