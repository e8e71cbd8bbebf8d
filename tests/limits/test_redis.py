import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from adapters.redis.limits import LimiterDown, RedisLimits
from domain.errors import Unavailable
from domain.limits import Limit

LIMIT = Limit(name="sign-in", burst=5, per_seconds=500)


async def test_two_gateways_share_one_bucket(redis: Redis, redis_socket: Path) -> None:
    async with Redis(unix_socket_path=str(redis_socket), decode_responses=True) as second:
        gateways = [RedisLimits(redis), RedisLimits(second)]
        verdicts = await asyncio.gather(*(gateways[n % 2].take("ada", LIMIT) for n in range(40)))
    assert sum(v.allowed for v in verdicts) == 5


async def test_two_installations_in_one_redis_share_nothing(redis: Redis) -> None:
    assert (await RedisLimits(redis, prefix="one:").take("ada", LIMIT, 5)).allowed
    assert (await RedisLimits(redis, prefix="two:").take("ada", LIMIT, 5)).allowed


async def test_redis_holds_no_name_one_hash_tag_and_nothing_for_ever(redis: Redis) -> None:
    await RedisLimits(redis).take("ada@example.com", LIMIT)
    await RedisLimits(redis).take("ada@example.com", Limit(name="other", burst=1, per_seconds=1))
    keys = [str(key) for key in await redis.keys("*")]
    assert len(keys) == 2
    assert not any("ada" in key for key in keys)
    tags = {key[key.index("{") + 1 : key.index("}")] for key in keys}
    assert [len(tag) for tag in tags] == [32]
    assert {key.rpartition("}:")[2] for key in keys} == {"sign-in", "other"}
    for key in keys:
        assert 0 < await redis.pttl(key) <= 101_000


async def test_looking_writes_nothing(redis: Redis) -> None:
    await RedisLimits(redis).take("ada", LIMIT, 0)
    await RedisLimits(redis).take("ada", LIMIT, 6)
    assert await redis.dbsize() == 0


async def test_a_bucket_written_by_a_clock_ahead_is_empty_and_not_shut_for_ever(
    redis: Redis,
) -> None:
    limits, limit = RedisLimits(redis), Limit(name="fast", burst=50, per_seconds=1)
    await limits.take("ada", limit)
    [name] = await redis.keys("*")
    tomorrow_us = int((time.time() + 86_400) * 1_000_000)
    await redis.set(name, tomorrow_us)
    refused = await limits.take("ada", limit)
    assert not refused.allowed
    assert refused.retry_after_s < 1


async def test_a_restarted_redis_needs_no_script_loaded_before(redis: Redis) -> None:
    limits = RedisLimits(redis)
    await limits.take("ada", LIMIT)
    await redis.script_flush()
    assert (await limits.take("ada", LIMIT)).remaining == 3


async def test_too_fine_a_limit_is_refused_rather_than_kept_wrongly(redis: Redis) -> None:
    with pytest.raises(ValueError, match="a second"):
        await RedisLimits(redis).take("ada", Limit(name="fine", burst=1_000_001, per_seconds=1))


async def test_without_redis_the_limiter_is_down(tmp_path: Path) -> None:
    async with Redis(unix_socket_path=str(tmp_path / "nobody.sock")) as nobody:
        with pytest.raises(LimiterDown) as caught:
            await RedisLimits(nobody, timeout_s=0.1).take("ada", LIMIT)
    assert isinstance(caught.value, Unavailable)


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A server that takes every connection and never answers."""
    held: list[asyncio.StreamWriter] = []

    def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    for writer in held:
        writer.close()
    server.close()
    await server.wait_closed()


async def test_a_redis_that_hangs_is_down_once_the_time_is_over(silent_port: int) -> None:
    async with Redis(port=silent_port) as hanging:
        start = time.monotonic()
        with pytest.raises(LimiterDown):
            await RedisLimits(hanging, timeout_s=0.1).take("ada", LIMIT)
        assert 0.1 <= time.monotonic() - start < 1


async def test_a_redis_that_hung_serves_again_when_it_answers(redis: Redis) -> None:
    limits = RedisLimits(redis, timeout_s=0.1)
    await redis.client_pause(200)
    with pytest.raises(LimiterDown):
        await limits.take("ada", LIMIT)
    await asyncio.sleep(0.2)
    verdict = await limits.take("bob", LIMIT, 5)
    assert (verdict.allowed, verdict.remaining) == (True, 0)
