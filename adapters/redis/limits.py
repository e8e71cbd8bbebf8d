"""Rate limits shared by several processes: GCRA (ITU-T I.371) in one script, on Redis's clock."""

import asyncio
from decimal import Decimal
from hashlib import blake2b

from redis.asyncio import Redis
from redis.exceptions import RedisError

from domain.errors import Unavailable
from domain.ports import Limit, Verdict

US_PER_S = 10**6
TIMEOUT_S = 0.25

# A bucket is one instant: when it will be full again. Times are microseconds, exact in a double.
# An instant past now + tolerance was written by a clock ahead of this one (a replica's, before
# it was promoted) and counts as an empty bucket, not as one that stays shut for ever.
SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tolerance = interval * burst
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
full_at = math.min(math.max(full_at, now), now + tolerance)
local after = full_at + interval * cost
local too_early = after - tolerance - now
if too_early <= 0 and cost > 0 then
  full_at = after
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX',
             math.ceil((full_at - now) / 1000) + 1000)
end
return {string.format('%.0f', too_early), string.format('%.0f', full_at - now)}
"""


class LimiterDown(Unavailable):
    """Nobody can tell whether the limit is kept; reads may go on, sign-in and linking may not."""


class RedisLimits:
    """Never lets more than `burst + rate * t` units through, for any key and any span t.

    Keys are hashed, so that Redis holds no address or name; the hash tag keeps all limits of one
    key in one slot of a cluster.
    """

    def __init__(
        self, redis: Redis, *, prefix: str = "dashtam:", timeout_s: float = TIMEOUT_S
    ) -> None:
        self._redis = redis
        self._prefix = prefix
        self._timeout_s = timeout_s

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        """Take `cost` units, or none of them; a cost of 0 only looks.

        Raises:
            LimiterDown: Redis gave no answer in time. It may have taken the units all the same.
            ValueError: a negative cost, or a limit of more than a million units a second.
        """
        if cost < 0:
            raise ValueError("a cost is 0 or more")
        if limit.burst > limit.per_seconds * US_PER_S:
            raise ValueError(f"{limit.name}: at most {US_PER_S:,} units a second")
        interval = -(-limit.per_seconds * US_PER_S // limit.burst)
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._redis.eval(
                    SCRIPT, 1, self._name(key, limit), interval, limit.burst, cost
                )
        except (RedisError, OSError, TimeoutError) as error:
            raise LimiterDown("the rate limiter gave no answer") from error
        too_early, full_in = int(reply[0]), int(reply[1])
        return Verdict(
            allowed=too_early <= 0,
            remaining=(interval * limit.burst - full_in) // interval,
            # More than a whole burst never fits; then this is when the bucket is full.
            retry_after_s=_seconds(min(max(too_early, 0), max(full_in, interval))),
            reset_s=_seconds(full_in),
        )

    def _name(self, key: str, limit: Limit) -> str:
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"{self._prefix}limit:{{{digest}}}:{limit.name}"


def _seconds(us: int) -> Decimal:
    return Decimal(us).scaleb(-6)
