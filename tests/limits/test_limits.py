"""One contract for both limiters: each test runs in memory and on a real Redis."""

import asyncio
import time
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from adapters.memory.limits import MemoryLimits
from adapters.redis.limits import RedisLimits
from domain.limits import Limit, Limiter

SLOW = Limit(name="slow", burst=5, per_seconds=500)  # a unit in 100 s: none comes back in a test
FAST = Limit(name="fast", burst=50, per_seconds=1)
OWED = Limit(name="owed", burst=5, per_seconds=500, debt=5)


@pytest.fixture(params=["memory", "redis"])
def limits(request: pytest.FixtureRequest) -> Limiter:
    if request.param == "memory":
        return MemoryLimits()
    redis: Redis = request.getfixturevalue("redis")
    return RedisLimits(redis)


async def test_a_burst_passes_and_the_next_one_waits(limits: Limiter) -> None:
    verdicts = [await limits.take("ada", SLOW) for _ in range(6)]
    assert [v.allowed for v in verdicts] == [True] * 5 + [False]
    assert [v.remaining for v in verdicts] == [4, 3, 2, 1, 0, 0]
    assert all(v.retry_after_s == 0 for v in verdicts[:5])
    assert 95 < verdicts[5].retry_after_s <= 100
    assert 495 < verdicts[5].reset_s <= 500


async def test_times_are_exact_decimals(limits: Limiter) -> None:
    verdict = await limits.take("ada", SLOW, 5)
    assert isinstance(verdict.reset_s, Decimal)
    assert isinstance(verdict.retry_after_s, Decimal)
    assert verdict.reset_s == 500


async def test_keys_do_not_share_a_bucket(limits: Limiter) -> None:
    assert (await limits.take("ada", SLOW, 5)).allowed
    assert not (await limits.take("ada", SLOW)).allowed
    assert (await limits.take("bob", SLOW, 5)).allowed


async def test_limits_of_one_key_do_not_share_a_bucket(limits: Limiter) -> None:
    other = Limit(name="other", burst=5, per_seconds=500)
    assert (await limits.take("ada", SLOW, 5)).allowed
    assert (await limits.take("ada", other, 5)).allowed


async def test_a_refusal_takes_nothing(limits: Limiter) -> None:
    assert (await limits.take("ada", SLOW, 3)).remaining == 2
    for _ in range(10):
        refused = await limits.take("ada", SLOW, 3)
        assert (refused.allowed, refused.remaining) == (False, 2)
    assert (await limits.take("ada", SLOW, 2)).allowed


async def test_looking_takes_nothing(limits: Limiter) -> None:
    assert [(await limits.take("ada", SLOW, 0)).remaining for _ in range(3)] == [5, 5, 5]
    await limits.take("ada", SLOW, 5)
    looked = await limits.take("ada", SLOW, 0)
    assert (looked.allowed, looked.remaining) == (True, 0)
    assert looked.retry_after_s == 0


async def test_a_cost_above_the_burst_never_passes_and_says_a_time(limits: Limiter) -> None:
    refused = await limits.take("ada", SLOW, 6)
    assert (refused.allowed, refused.remaining) == (False, 5)
    assert 0 < refused.retry_after_s <= 500
    assert (await limits.take("ada", SLOW, 5)).allowed


async def test_a_negative_cost_is_a_bug(limits: Limiter) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        await limits.take("ada", SLOW, -1)


async def test_what_was_taken_comes_back_evenly(limits: Limiter) -> None:
    await limits.take("ada", FAST, 50)
    refused = await limits.take("ada", FAST, 10)
    assert not refused.allowed
    await asyncio.sleep(float(refused.retry_after_s) + 0.002)
    assert (await limits.take("ada", FAST, 10)).allowed


async def test_a_flood_from_many_tasks_gets_no_more_than_burst_and_rate(limits: Limiter) -> None:
    async def flood() -> int:
        return sum([(await limits.take("ada", FAST)).allowed for _ in range(40)])

    start = time.monotonic()
    allowed = sum(await asyncio.gather(*(flood() for _ in range(25))))
    spent_s = time.monotonic() - start
    assert 50 <= allowed <= 50 + 50 * spent_s


@pytest.mark.parametrize(
    "key", ["", "a}:slow", "{}", "{", "\0", "\ud800", "ada@example.com", "x" * 100_000]
)
async def test_any_text_is_a_key(limits: Limiter, key: str) -> None:
    assert (await limits.take(key, SLOW, 5)).allowed
    assert not (await limits.take(key, SLOW)).allowed
    assert (await limits.take(key + "'", SLOW, 5)).allowed


async def test_a_limit_that_does_not_divide_evenly_keeps_its_burst(limits: Limiter) -> None:
    odd = Limit(name="odd", burst=7, per_seconds=3600)
    assert [(await limits.take("ada", odd)).remaining for _ in range(7)] == [6, 5, 4, 3, 2, 1, 0]
    assert not (await limits.take("ada", odd)).allowed


async def test_a_minutes_points_are_exact(limits: Limiter) -> None:
    points = Limit(name="points", burst=100_000, per_seconds=60)
    assert (await limits.take("ada", points, 50_000)).allowed
    second = await limits.take("ada", points, 40_000)
    assert 10_000 <= second.remaining < 20_000
    assert not (await limits.take("ada", points, 50_000)).allowed


async def test_it_says_when_there_is_one_more(limits: Limiter) -> None:
    assert (await limits.take("ada", SLOW, 0)).next_s == 0  # there cannot be
    for taken in (1, 3, 1):
        verdict = await limits.take("ada", SLOW, taken)
        assert 95 < verdict.next_s <= 100
    refused = await limits.take("ada", SLOW)
    assert 0 <= refused.retry_after_s - refused.next_s < 1


async def test_what_it_came_to_in_the_end_is_owed_and_waited_for(limits: Limiter) -> None:
    await limits.take("ada", OWED, 3)
    await limits.settle("ada", OWED, 4)

    refused = await limits.take("ada", OWED)
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert 295 < refused.retry_after_s <= 300  # two that are owed, and one
    assert 295 < refused.next_s <= 300
    assert not (await limits.take("ada", OWED, 0)).allowed


async def test_no_more_than_its_debt_is_owed(limits: Limiter) -> None:
    await limits.settle("ada", OWED, 1_000_000)
    assert 995 < (await limits.take("ada", OWED)).reset_s <= 1_000

    await limits.settle("bob", SLOW, 1_000_000)
    assert 495 < (await limits.take("bob", SLOW)).reset_s <= 500


async def test_what_was_not_used_is_given_back_and_no_more(limits: Limiter) -> None:
    await limits.take("ada", SLOW, 4)
    await limits.settle("ada", SLOW, -2)
    assert (await limits.take("ada", SLOW, 0)).remaining == 3

    await limits.settle("ada", SLOW, -100)
    assert (await limits.take("ada", SLOW, 5)).allowed
    assert not (await limits.take("ada", SLOW)).allowed


async def test_settling_from_many_tasks_loses_nothing(limits: Limiter) -> None:
    roomy = Limit(name="roomy", burst=1_000, per_seconds=100_000)
    await limits.take("ada", roomy, 500)
    await asyncio.gather(*(limits.settle("ada", roomy, n) for n in [3] * 50 + [-1] * 50))
    assert (await limits.take("ada", roomy, 0)).remaining == 400
