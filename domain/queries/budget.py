"""What one operation may be given, in all of its fields together."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from domain.errors import TooMuch


@dataclass(slots=True, kw_only=True)
class Budget:
    """What is left. It is spent as rows come in, and looked at before more are asked for.

    `objects` have an id; `points` are those of histories, which are made one history after the
    other, whoever holds `histories`; `snapshots` are what is read to make them. `spent` are the
    objects that were.
    """

    objects: int = 50_000
    points: int = 100_000
    snapshots: int = 200_000
    spent: int = 0
    histories: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    def spend_objects(self, count: int) -> None:
        """Raises TooMuch."""
        self.objects = _less(self.objects, count, "objects")
        self.spent += count

    def spend_points(self, count: int) -> None:
        """Raises TooMuch."""
        self.points = _less(self.points, count, "points of histories")

    def spend_snapshots(self, count: int) -> None:
        """Raises TooMuch."""
        self.snapshots = _less(self.snapshots, count, "stored balances")

    @contextmanager
    def reserved(self, objects: int) -> Iterator[None]:
        """So many are nobody else's while they are being read. Raises TooMuch."""
        self.spend_objects(objects)
        try:
            yield
        finally:
            self.objects += objects
            self.spent -= objects


def _less(left: int, count: int, what: str) -> int:
    if count > left:
        raise TooMuch(f"the operation takes too many {what}: ask for less, or in several")
    return left - count
