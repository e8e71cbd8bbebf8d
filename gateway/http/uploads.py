"""Places for uploads: few for all together, and fewer for each who sends them."""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from gateway.operations.faults import Fault
from gateway.operations.places import RETRY_AFTER_S, Places

EACH_MAX = 2


class UploadPlaces:
    def __init__(self, most: int) -> None:
        self._places = Places(most)
        self._of: Counter[Hashable] = Counter()

    @contextmanager
    def taken(self, sender: Hashable) -> Iterator[None]:
        """Raises: Fault 429, 503."""
        if self._of[sender] >= EACH_MAX:
            message = f"at most {EACH_MAX} uploads at once"
            raise Fault(429, "RATE_LIMITED", message, {"retry-after": str(RETRY_AFTER_S)})
        with self._places.taken():
            self._of[sender] += 1
            try:
                yield
            finally:
                self._of -= Counter({sender: 1})  # who has none left is forgotten
