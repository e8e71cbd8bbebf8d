"""Time and chance that a test moves by hand."""

from datetime import UTC, datetime, timedelta

from adapters.providers.kit import Timing


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
