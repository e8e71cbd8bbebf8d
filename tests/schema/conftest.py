"""The world that the schema's tests ask about."""

from collections.abc import AsyncIterator

import pytest

from tests.schema.test_contract import CONTRACT
from tests.schema.world import World


def pytest_report_collectionfinish() -> str | list[str]:
    if CONTRACT.exists():
        return []
    return "../shared/schema.graphql is not here: the schema is not compared with the contract"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    assert world.left_open == 0
