"""A cache bounded in entries and in characters of its keys."""

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """The most recently used values; a key too long for all of it is not kept at all."""

    def __init__(self, entries_max: int, characters_max: int) -> None:
        self._entries_max, self._characters_max = entries_max, characters_max
        self._values: OrderedDict[str, V] = OrderedDict()
        self._characters = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> V | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: str, value: V) -> None:
        if key not in self._values:
            self._characters += len(key)
        self._values[key] = value
        while len(self._values) > self._entries_max or self._characters > self._characters_max:
            self._characters -= len(self._values.popitem(last=False)[0])
