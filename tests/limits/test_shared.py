"""Limits that several gateways share, before, while and after their Redis is killed."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from adapters.redis.limits import RedisLimits
from domain.errors import Unavailable
from domain.limits import Limit, LimitSettings
from gateway.wiring.shared_limits import SharedLimits
from tests.servers import RedisServer, running_redis

GUESSES = LimitSettings().sign_in_account
READS = Limit(name="reads", burst=40, per_seconds=40_000, debt=40)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dashtam-") as path:
        yield Path(path)


@asynccontextmanager
async def a_gateway(url: str) -> AsyncIterator[SharedLimits]:
    async with Redis.from_url(url) as client:
        limits = SharedLimits(RedisLimits(client), processes=2, look_every_s=0.02)
        yield limits
        await limits.close()


async def allowed(limits: SharedLimits, key: str, limit: Limit, *, tries: int) -> int:
    return sum([(await limits.take(key, limit)).allowed for _ in range(tries)])


def kill(server: RedisServer) -> None:
    server.process.kill()
    server.process.wait()


async def until_back(limits: SharedLimits) -> None:
    async with asyncio.timeout(5):
        while limits.is_away:  # noqa: ASYNC110 - nobody waits for it but a test
            await asyncio.sleep(0.01)


async def test_while_redis_is_there_all_share_one_bucket(redis_url: str) -> None:
    async with a_gateway(redis_url) as one, a_gateway(redis_url) as other:
        assert await allowed(one, "ada", GUESSES, tries=6) == 6
        assert await allowed(other, "ada", GUESSES, tries=6) == 4
        assert await allowed(one, "ada", GUESSES, tries=6) == 0
        assert one.warning() is None


async def test_while_redis_is_dead_guesses_wait_and_reads_go_on_by_a_share(folder: Path) -> None:
    with running_redis(folder) as server:
        async with a_gateway(server.url) as limits:
            assert (await limits.take("ada", READS)).remaining == 39
            kill(server)
            with capture_logs() as log:
                for _ in range(3):
                    with pytest.raises(Unavailable) as refused:
                        await limits.take("ada", GUESSES)
                    assert refused.value.retry_after_s == 5
                begun = time.monotonic()
                assert await allowed(limits, "ada", READS, tries=30) == 10  # a quarter
                await limits.settle("bob", READS, 12)
                assert not (await limits.take("bob", READS)).allowed
                assert time.monotonic() - begun < 0.2  # nobody waits for the dead each time

            assert [line["event"] for line in log] == ["limits.redis_away"]
            assert log[0]["log_level"] == "error"
            assert (limits.warning() or "").startswith(
                "Redis is away: nobody can sign in, register or link"
            )


async def test_what_is_given_back_goes_to_where_it_was_taken(folder: Path) -> None:
    with running_redis(folder) as server:
        async with a_gateway(server.url) as limits:
            together = await limits.take("ada", READS, 30)
            assert not together.is_apart
            kill(server)
            assert (await limits.take("ada", READS, 8)).is_apart  # of a share of 10
            await limits.settle("ada", READS, -30, taken=together)
            assert (await limits.take("ada", READS, 0)).remaining == 2  # nobody has it twice

            alone = await limits.take("bob", READS, 16)  # more than the share: the rest is owed
            assert alone.allowed
            assert not (await limits.take("bob", READS)).allowed
            with running_redis(folder):
                await until_back(limits)
                await limits.settle("bob", READS, -12, taken=alone)
                assert (await limits.take("bob", READS, 0)).remaining == 40
            kill_again = await limits.take("bob", READS)
            assert kill_again.is_apart
            assert kill_again.remaining == 5  # of 10, 4 of those before, and this one


async def test_when_redis_is_back_it_is_found_and_no_second_burst_gets_through(
    folder: Path,
) -> None:
    with running_redis(folder) as server:
        async with a_gateway(server.url) as limits:
            assert await allowed(limits, "ada", GUESSES, tries=12) == 10
            kill(server)
            with pytest.raises(Unavailable):
                await limits.take("bob", GUESSES)
            with running_redis(folder), capture_logs() as log:
                await until_back(limits)

                assert [line["event"] for line in log] == ["limits.redis_back"]
                assert limits.warning() is None
                assert await allowed(limits, "ada", GUESSES, tries=12) == 0
                # What was refused while nobody could count was not taken.
                assert await allowed(limits, "bob", GUESSES, tries=12) == 10


async def test_what_redis_refuses_is_not_counted_a_second_time(redis_url: str) -> None:
    quick = Limit(name="quick", burst=10, per_seconds=1, shared_only=True)
    async with a_gateway(redis_url) as one, a_gateway(redis_url) as other:
        assert await allowed(one, "ada", quick, tries=10) == 10
        await allowed(other, "ada", quick, tries=200)
        await asyncio.sleep(0.25)
        assert 2 <= await allowed(other, "ada", quick, tries=10) < 10


async def test_who_was_refused_is_so_without_redis_until_they_may_try_again(folder: Path) -> None:
    with running_redis(folder) as server:
        async with a_gateway(server.url) as one, a_gateway(server.url) as other:
            await allowed(one, "ada", GUESSES, tries=10)
            refused = await other.take("ada", GUESSES)
            kill(server)

            again = await other.take("ada", GUESSES)

            assert not again.allowed
            assert not other.is_away  # nobody asked
            assert 85 < again.retry_after_s < refused.retry_after_s <= 90


async def test_a_redis_that_is_not_there_at_the_start_is_told_of_at_once(tmp_path: Path) -> None:
    async with a_gateway(f"unix://{tmp_path}/nobody.sock") as limits:
        assert isinstance(await limits.look(), Unavailable)
        assert limits.is_away
