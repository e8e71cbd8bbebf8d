"""What several processes share: limits and news, in Redis where it is configured."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from domain.ports import Fanout
from gateway.settings import Settings, SettingsError
from gateway.wiring.shared_limits import SharedLimits

if TYPE_CHECKING:
    from redis.asyncio import Redis


def redis_of(settings: Settings, stack: AsyncExitStack) -> "Redis | None":
    """In Redis is what several processes share; one does without."""
    if settings.redis_url is None:
        return None
    from redis.asyncio import Redis  # noqa: PLC0415 - slow to import
    from redis.asyncio.retry import Retry  # noqa: PLC0415 - same
    from redis.backoff import NoBackoff  # noqa: PLC0415 - same

    # A connection that has gone stale is tried anew at once; who waits longer says so themselves.
    redis = Redis.from_url(settings.redis_url, retry=Retry(NoBackoff(), 1))
    stack.push_async_callback(redis.aclose)
    return redis


async def shared_limits(redis: "Redis", processes: int, stack: AsyncExitStack) -> SharedLimits:
    """Raises SettingsError: Redis does not let us in."""
    from adapters.redis.limits import RedisLimits, refuses  # noqa: PLC0415 - imports Redis too

    limits = SharedLimits(RedisLimits(redis), processes=processes)
    stack.push_async_callback(limits.close)
    if (error := await limits.look()) is not None and refuses(error):
        raise SettingsError("Redis refuses the user or password that DASHTAM_REDIS_URL gives.")
    return limits


def redis_fanout(redis: "Redis") -> Fanout:
    from adapters.redis.fanout import RedisFanout  # noqa: PLC0415 - same

    # Redis's channels know no database: two instances on one server would hear each other.
    number = redis.connection_pool.connection_kwargs.get("db", 0)
    return RedisFanout(redis, prefix=f"dashtam:{number}:")
