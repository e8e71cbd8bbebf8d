"""Not asking a provider that keeps failing."""

from collections import deque
from dataclasses import dataclass
from math import ceil

from adapters.providers.kit.timing import Timing

CONSECUTIVE_MAX = 5
SHARE_MAX_PERCENT, SHARE_OF_MIN, SHARE_WINDOW_S = 50, 20, 30.0
OPEN_S_FIRST, OPEN_S_MAX = 30.0, 600.0
JITTER = 0.2


class Refused(Exception):
    """Not asked at all; worth another try in `retry_after_s` seconds.

    `is_ours`: it is our budget that is spent, and the provider may be well.
    """

    def __init__(self, reason: str, retry_after_s: int, *, is_ours: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_s, self.is_ours = retry_after_s, is_ours


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
