"""A cache bounded in entries and in characters of what was read for them."""

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """The most recently used values; one too long for all of it is not kept at all."""

    def __init__(self, entries_max: int, characters_max: int) -> None:
        self._entries_max, self._characters_max = entries_max, characters_max
        self._values: OrderedDict[str, tuple[V, int]] = OrderedDict()
        self._characters = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> V | None:
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: str, value: V, characters: int) -> None:
        """`characters` is how long that is for which `value` stands."""
        _, before = self._values.pop(key, (value, 0))
        self._characters += characters - before
        self._values[key] = value, characters
        while len(self._values) > self._entries_max or self._characters > self._characters_max:
            _, (_, gone) = self._values.popitem(last=False)
            self._characters -= gone
