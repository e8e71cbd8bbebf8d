"""Nobody ever sees, counts, learns of or changes what is another's, whatever they ask for."""

import asyncio
import os
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.isolation.books import Books
from tests.isolation.gateway import in_process
from tests.isolation.machine import machine_of
from tests.isolation.walls import Walls
from tests.isolation.world import FIELDS, World
from tests.servers import Database

log = structlog.get_logger("dashtam.tests")

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
# In CI together 1,000 steps, in the long profile 10,000 of each.
PROFILES = {
    Walls.EITHER: (2, 351),
    Walls.CONDITIONS: (1, 301),
}
LONG_PROFILES = dict.fromkeys((Walls.BOTH, Walls.ROW_LEVEL_SECURITY, Walls.CONDITIONS), (25, 401))
RUNS = (LONG_PROFILES if LONG else PROFILES).items()


@pytest.mark.parametrize(("walls", "size"), RUNS, ids=lambda one: getattr(one, "name", None))
async def test_of_three_people_each_is_alone(
    database: Database, tmp_path: Path, walls: Walls, size: tuple[int, int]
) -> None:
    profile = settings(
        max_examples=size[0],
        stateful_step_count=size[1],
        deadline=None,
        database=None,
        derandomize=not LONG,  # in CI a failure is of the change, not of luck
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    async with in_process(database, tmp_path, walls) as gateway:
        world = World(gateway, await Books.open(gateway.spy))
        machine = machine_of(world, asyncio.get_running_loop())
        await asyncio.to_thread(run_state_machine_as_test, machine, settings=profile)
    never = sorted(FIELDS.keys() - world.answered.keys())
    log.info("isolation", walls=walls, steps=world.steps, twins=world.compared, never=never)
    assert world.steps > size[0] * size[1] * 0.9
    assert not LONG or never == []
