"""Rate limits inside one process: GCRA (ITU-T I.371), on a monotonic clock."""

from collections.abc import Callable
from hashlib import blake2b
from time import monotonic_ns

from adapters.gcra import interval_of, verdict_of
from domain.limits import Limit, Verdict

NS_PER_S = 10**9
KEYS_MAX = 10_000  # for each limit
DROPPED_AT_ONCE = 8  # an eighth of them, so that dropping costs little a take


class MemoryLimits:
    """Never lets more than `burst + rate * t` units through, for any key and any span t.

    That holds when there are more keys than room, too: the buckets nearest to full are forgotten
    first, and a bucket that is not known is taken to be as empty as the emptiest forgotten one.
    """

    def __init__(
        self, *, keys_max: int = KEYS_MAX, clock_ns: Callable[[], int] = monotonic_ns
    ) -> None:
        self._keys_max = keys_max
        self._clock_ns = clock_ns
        self._buckets: dict[Limit, _Buckets] = {}

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        """Take `cost` units, or none of them; a cost of 0 only looks.

        Raises: ValueError for a negative cost.
        """
        if cost < 0:
            raise ValueError("a cost is 0 or more")
        buckets, digest, now = self._of(limit), _digest(key), self._clock_ns()
        interval = interval_of(limit, NS_PER_S)
        tolerance = interval * limit.burst
        full_at = max(buckets.full_at(digest), now)
        after = full_at + interval * cost
        too_early = after - tolerance - now
        if too_early <= 0:
            full_at = after
            if cost:
                buckets.keep(digest, full_at, now)
        return verdict_of(limit, too_early=too_early, full_in=full_at - now, per_s=NS_PER_S)

    async def settle(
        self, key: str, limit: Limit, units: int, *, taken: Verdict | None = None
    ) -> None:
        """It came to so many units more than were taken, or where negative to fewer."""
        buckets, digest, now = self._of(limit), _digest(key), self._clock_ns()
        interval = interval_of(limit, NS_PER_S)
        full_at = max(buckets.full_at(digest), now) + interval * units
        most = now + interval * (limit.burst + limit.debt)
        buckets.keep(digest, min(max(full_at, now), most), now)

    def _of(self, limit: Limit) -> "_Buckets":
        buckets = self._buckets.get(limit)
        if buckets is None:
            buckets = self._buckets[limit] = _Buckets(self._keys_max)
        return buckets


def _digest(key: str) -> bytes:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class _Buckets:
    """When the bucket of each key is full again, in ns, for one limit."""

    def __init__(self, keys_max: int) -> None:
        self._keys_max = keys_max
        self._full_at: dict[bytes, int] = {}
        self._forgotten_until = 0

    def full_at(self, key: bytes) -> int:
        return self._full_at.get(key, self._forgotten_until)

    def keep(self, key: bytes, full_at: int, now: int) -> None:
        if key not in self._full_at and len(self._full_at) >= self._keys_max:
            self._forget(now)
        self._full_at[key] = full_at

    def _forget(self, now: int) -> None:
        fullest = sorted(self._full_at.items(), key=lambda bucket: bucket[1])
        full = sum(full_at <= now for _, full_at in fullest)
        gone = max(full, -(-len(fullest) // DROPPED_AT_ONCE))
        self._forgotten_until = max(self._forgotten_until, fullest[gone - 1][1])
        self._full_at = dict(fullest[gone:])
