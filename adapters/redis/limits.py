"""Rate limits shared by several processes: GCRA (ITU-T I.371) in one script, on Redis's clock."""

import asyncio
from hashlib import blake2b

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from adapters.gcra import interval_of, verdict_of
from domain.errors import Unavailable
from domain.limits import Limit, Verdict

US_PER_S = 10**6
TIMEOUT_S = 1.0  # a busy process of ours is late by itself, and Redis is not away for that

# A bucket is one instant: when it will be full again. Times are microseconds, exact in a double.
# An instant further ahead than an empty bucket's and its debt was written by a clock ahead of this
# one (a replica's, before it was promoted): it is cut to that, and does not stay for ever.
# Units are taken where they are there, or where `always`, whether or not.
SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, burst, units = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most, always = now + interval * (burst + tonumber(ARGV[4])), ARGV[5] == '1'
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
full_at = math.min(math.max(full_at, now), most)
local after = math.min(math.max(full_at + interval * units, now), most)
local too_early = full_at + interval * units - interval * burst - now
if always or (too_early <= 0 and units > 0) then
  full_at = after
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX',
             math.ceil((full_at - now) / 1000) + 1000)
end
return {string.format('%.0f', too_early), string.format('%.0f', full_at - now)}
"""


class LimiterDown(Unavailable):
    """Nobody can tell whether the limit is kept; reads may go on, sign-in and linking may not."""


def refuses(error: BaseException) -> bool:
    """Whether it is the password that is wrong, which no waiting mends."""
    cause = error.__cause__
    # Over a Unix socket a refusal is an error of the connection, with the same words.
    return isinstance(cause, AuthenticationError | NoPermissionError) or "password" in str(cause)


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
        too_early, full_in = await self._ask(key, limit, cost, always=False)
        return verdict_of(limit, too_early=too_early, full_in=full_in, per_s=US_PER_S)

    async def settle(
        self, key: str, limit: Limit, units: int, *, taken: Verdict | None = None
    ) -> None:
        """It came to so many units more than were taken, or where negative to fewer.

        Raises:
            LimiterDown: as `take`.
        """
        await self._ask(key, limit, units, always=True)

    async def _ask(self, key: str, limit: Limit, units: int, *, always: bool) -> tuple[int, int]:
        """By how much it was too early, and when the bucket is full."""
        if limit.burst > limit.per_seconds * US_PER_S:
            raise ValueError(f"{limit.name}: at most {US_PER_S:,} units a second")
        said = (interval_of(limit, US_PER_S), limit.burst, units, limit.debt, int(always))
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await self._redis.eval(SCRIPT, 1, self._name(key, limit), *said)
        except (RedisError, OSError, TimeoutError) as error:
            raise LimiterDown("the rate limiter gave no answer") from error
        return int(reply[0]), int(reply[1])

    def _name(self, key: str, limit: Limit) -> str:
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"{self._prefix}limit:{{{digest}}}:{limit.name}"
