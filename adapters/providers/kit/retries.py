"""How much may be asked again: an outage of a provider must not be multiplied by its clients."""

from adapters.providers.kit.timing import Timing

RESERVE = 10.0  # for one that is asked seldom
SHARE = 0.2  # of the calls, as Envoy's retry budget has it
REFILL_S = 10.0


class RetryBudget:
    """Of many calls at most a fifth are tried again, of few at most ten, and one more each 10 s.

    Of all calls of one host together, in this process.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._left, self._at = RESERVE, timing.monotonic()

    def earn(self) -> None:
        """A call is made for the first time."""
        self._fill(SHARE)

    def spend(self) -> bool:
        """Whether one may be made again; then it is counted."""
        self._fill(0.0)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _fill(self, more: float) -> None:
        now = self._timing.monotonic()
        more += max(now - self._at, 0.0) / REFILL_S
        self._left, self._at = min(self._left + more, RESERVE), now
