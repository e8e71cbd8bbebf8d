"""Time and chance that a test moves by hand."""

from datetime import UTC, datetime, timedelta

import httpx2

from adapters.memory.budgets import MemoryBudgets
from adapters.providers.kit import Outside, Timing


class Clock:
    """`sleep` takes no time but moves the clock, and is remembered."""

    def __init__(self, *, chance: float = 1.0) -> None:
        self.seconds = 1_000.0
        self.slept: list[float] = []
        self.chance = chance

    @property
    def timing(self) -> Timing:
        return Timing(
            monotonic=lambda: self.seconds,
            now=lambda: datetime(2026, 3, 17, tzinfo=UTC) + timedelta(seconds=self.seconds),
            sleep=self.sleep,
            random=lambda: self.chance,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def outside(
    clock: Clock | None = None,
    *private: str,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> Outside:
    """With budgets of its own; `private` as "127.0.0.1:8080" may be reached."""
    return Outside(
        budgets=MemoryBudgets(),
        timing=Timing() if clock is None else clock.timing,
        private=frozenset(private),
        transport=transport,
    )
