"""What merging gives: the rows to write, and how many there were of each kind."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from domain.sync import SyncCounts

T = TypeVar("T")


@dataclass(slots=True)
class Merge(Generic[T]):
    """What is to be written; `before` is the stored state of what is updated or removed.

    `confirmed` are stored rows that were received again as they are.
    """

    created: list[T] = field(default_factory=list)
    updated: list[T] = field(default_factory=list)
    removed: list[T] = field(default_factory=list)
    before: list[T] = field(default_factory=list)
    confirmed: list[T] = field(default_factory=list)
    unchanged: int = 0

    def meet(self, stored: T | None, now: T) -> None:
        """One received row against what is stored of it."""
        if stored is None:
            self.created.append(now)
        elif stored == now:
            self.unchanged += 1
            self.confirmed.append(now)
        else:
            self.updated.append(now)
            self.before.append(stored)

    def lose(self, stored: T, now: T) -> None:
        self.removed.append(now)
        self.before.append(stored)

    @property
    def counts(self) -> SyncCounts:
        return SyncCounts(
            created=len(self.created),
            updated=len(self.updated),
            unchanged=self.unchanged,
            removed=len(self.removed),
        )

    @property
    def written(self) -> list[T]:
        return [*self.created, *self.updated, *self.removed]
