"""A part of a list that is read page by page."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """`has_previous` says that it was asked for what comes after something."""

    nodes: Sequence[T]
    has_next: bool
    has_previous: bool


def within(keys: Iterable[T], allowed: Collection[T] | None) -> list[T]:
    """The keys once each, in order, those outside `allowed` left out; None allows all."""
    kept = dict.fromkeys(keys)
    return list(kept) if allowed is None else [key for key in kept if key in allowed]
