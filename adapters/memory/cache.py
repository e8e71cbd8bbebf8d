"""What this process remembers for a short while."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class SessionCache(Generic[K, V]):
    """At most `size_max` values, each for its own time; the least recently used leaves first.

    A value that was being loaded while a drop came is stale before it is put. So a loader takes
    `drops` first and says it with `put`, which then forgets the value:

        since = cache.drops
        cache.put(key, await load(key), ttl_s=5, since=since)
    """

    def __init__(self, *, size_max: int = 10_000, clock: Callable[[], float] = monotonic) -> None:
        if size_max < 1:
            raise ValueError("a cache holds at least one value")
        self._size_max = size_max
        self._clock = clock
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self.drops = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """The value, or None when there is none or its time is over."""
        found = self._values.get(key)
        if found is None:
            return None
        until, value = found
        if until <= self._clock():
            del self._values[key]
            return None
        self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V, *, ttl_s: float, since: int | None = None) -> None:
        """Keep it for `ttl_s`, unless something was dropped since `since`."""
        if since is not None and since != self.drops:
            return
        self._values[key] = (self._clock() + ttl_s, value)
        self._values.move_to_end(key)
        if len(self._values) > self._size_max:
            self._values.popitem(last=False)

    def drop(self, key: K) -> None:
        self.drops += 1
        self._values.pop(key, None)

    def drop_where(self, stale: Callable[[K, V], bool]) -> None:
        """Drop every value of which `stale(key, value)` holds."""
        self.drops += 1
        for key in [key for key, (_, value) in self._values.items() if stale(key, value)]:
            del self._values[key]

    def clear(self) -> None:
        self.drops += 1
        self._values.clear()
