"""How the work that waits in the queue gets on."""

from dataclasses import dataclass
from datetime import timedelta

LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsStatus:
    """`oldest_queued` is how long the one that could have begun first has waited by now, None
    where none waits; `has_worker` whether one that runs was heard of in the last half minute.

    Jobs that failed end for good: what is tried again is queued.
    """

    queued: int
    running: int
    failed_last_day: int
    oldest_queued: timedelta | None
    has_worker: bool

    @property
    def healthy(self) -> bool:
        """Nothing waits for long, or somebody is at work, with much to do."""
        return self.oldest_queued is None or self.oldest_queued < LATE or self.has_worker

    @property
    def oldest_queued_seconds(self) -> int | None:
        return None if self.oldest_queued is None else int(self.oldest_queued.total_seconds())
