"""What a worker clears by itself, by the clock of its own machine."""

from datetime import timedelta

from adapters.postgres.budgets import PostgresBudgets
from domain.providers import Allowance
from gateway.worker.upkeep import Upkeep
from tests.engine.world import Engine

ONE = Allowance(name="one", calls=1, per=timedelta(minutes=1))


async def test_a_worker_whose_clock_is_ahead_forgets_no_request_that_still_counts(
    engine: Engine,
) -> None:
    budgets, at = PostgresBudgets(engine.wired.pool), engine.clock.at
    assert await budgets.take("link", ONE, at) is None
    engine.clock.turn(seconds=70)
    await Upkeep(engine.app, engine.wired.pool).clear()
    assert await budgets.take("link", ONE, at + timedelta(seconds=55)) == timedelta(seconds=5)
