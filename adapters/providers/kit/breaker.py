"""Not asking a provider that keeps failing, and not asking one too often."""

from collections import deque
from dataclasses import dataclass
from math import ceil

from adapters.providers.kit.timing import Timing

CONSECUTIVE_MAX = 5
SHARE_MAX_PERCENT, SHARE_OF_MIN, SHARE_WINDOW_S = 50, 20, 30.0
OPEN_S_FIRST, OPEN_S_MAX = 30.0, 600.0
JITTER = 0.2
KEYS_MAX = 10_000


class Refused(Exception):
    """Not asked at all; worth another try in `retry_after_s` seconds."""

    def __init__(self, reason: str, retry_after_s: int) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Permit:
    generation: int
    probe: bool


class Breaker:
    """Opens after 5 failures in a row, or when half of at least 20 calls in 30 s failed.

    Open, it refuses for 30 s, then lets one probe through: a success closes it, a failure doubles
    the time, to 10 min at most. Each time is up to a fifth longer, by chance, so that processes do
    not return together.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._recent: deque[tuple[float, bool]] = deque()
        self._consecutive = 0
        self._open_s = OPEN_S_FIRST
        self._open_until: float | None = None
        self._probing = False
        self._generation = 0

    @property
    def is_open(self) -> bool:
        return self._open_until is not None

    def enter(self) -> Permit:
        """Raises Refused. Each permit is given back by `settle` or `abandon`."""
        if self._open_until is None:
            return Permit(self._generation, probe=False)
        left_s = self._open_until - self._timing.monotonic()
        if left_s > 0 or self._probing:
            raise Refused("failed too often just now", max(ceil(left_s), 1))
        self._probing = True
        return Permit(self._generation, probe=True)

    def settle(self, permit: Permit, *, ok: bool) -> None:
        """What came of the call; one that began before the breaker last turned is not counted."""
        if permit.generation != self._generation:
            return
        if permit.probe:
            self._probing = False
            self._close() if ok else self._open(min(self._open_s * 2, OPEN_S_MAX))
            return
        now = self._timing.monotonic()
        self._consecutive = 0 if ok else self._consecutive + 1
        self._recent.append((now, ok))
        while self._recent and self._recent[0][0] <= now - SHARE_WINDOW_S:
            self._recent.popleft()
        if not ok and (self._consecutive >= CONSECUTIVE_MAX or self._half_failed()):
            self._open(OPEN_S_FIRST)

    def abandon(self, permit: Permit) -> None:
        """The call was cancelled, or says nothing about the provider's health."""
        if permit.probe and permit.generation == self._generation:
            self._probing = False

    def _half_failed(self) -> bool:
        failed = sum(not ok for _, ok in self._recent)
        count = len(self._recent)
        return count >= SHARE_OF_MIN and failed * 100 >= count * SHARE_MAX_PERCENT

    def _open(self, seconds: float) -> None:
        self._generation += 1
        self._open_s = seconds
        longer = seconds * (1 + JITTER * self._timing.random())
        self._open_until = self._timing.monotonic() + longer
        self._recent.clear()
        self._consecutive = 0

    def _close(self) -> None:
        self._generation += 1
        self._open_until = None
        self._open_s = OPEN_S_FIRST


class Budget:
    """At most `calls` within any `per_s` seconds for each key (a login, an item), and no more."""

    def __init__(self, calls: int, per_s: float, timing: Timing) -> None:
        self._calls, self._per_s, self._timing = calls, per_s, timing
        self._spent: dict[str, deque[float]] = {}

    def take(self, key: str = "") -> None:
        """Counts a call that is about to be made. Raises Refused where it may not be."""
        now = self._timing.monotonic()
        spent = self._spent.get(key)
        if spent is None:
            if len(self._spent) >= KEYS_MAX:
                self._forget(now)
            spent = self._spent[key] = deque()
        while spent and spent[0] <= now - self._per_s:
            spent.popleft()
        if len(spent) >= self._calls:
            left_s = spent[0] + self._per_s - now
            raise Refused("its request budget is spent", max(ceil(left_s), 1))
        spent.append(now)

    def _forget(self, now: float) -> None:
        over = [
            k for k, spent in self._spent.items() if not spent or spent[-1] <= now - self._per_s
        ]
        for key in over:
            del self._spent[key]
