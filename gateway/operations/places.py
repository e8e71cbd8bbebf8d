"""How many there may be of something at once, such as subscriptions or uploads."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.operations.faults import overloaded

RETRY_AFTER_S = 1


class Places:
    """A number of places; whoever finds none comes back later."""

    def __init__(self, most: int) -> None:
        self._free = most

    def check(self) -> None:
        """Raises: Fault 503."""
        if self._free <= 0:
            raise overloaded("too many operations at once", retry_after_s=RETRY_AFTER_S)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Raises: Fault 503."""
        self.check()
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1
