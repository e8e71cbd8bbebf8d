"""Connections: pages that go forward from a cursor."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

import strawberry

from domain.errors import BadQuery
from domain.queries.pages import Page
from schema.fields import described

T = TypeVar("T")

FIRST_MAX = 500


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool = described("Whether the page was asked for after a cursor.")
    start_cursor: str | None
    end_cursor: str | None = described("For `after`, to get the next page.")


@dataclass(frozen=True, slots=True)
class Edge(Generic[T]):
    cursor: str
    node: T


def limit(first: int) -> int:
    """Raises BadQuery."""
    if not 1 <= first <= FIRST_MAX:
        raise BadQuery(f"first must be 1 to {FIRST_MAX}")
    return first


def encoded(of: str, *position: str) -> str:
    """A place in the list that is called `of`."""
    text = json.dumps((of, *position), separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def decoded(cursor: str, of: str, length: int) -> Sequence[str]:
    """The texts that were encoded, `length` of them. Raises BadQuery, also for another list's."""
    try:
        position = json.loads(base64.b64decode(cursor.encode("ascii"), b"-_", validate=True))
    except (ValueError, RecursionError):
        raise not_a_cursor() from None
    if not isinstance(position, list) or len(position) != length + 1 or position[0] != of:
        raise not_a_cursor()
    if not all(isinstance(part, str) and _storable(part) for part in position):
        raise not_a_cursor()
    return position[1:]


def id_after(after: str | None, of: str) -> UUID | None:
    """Where a page of a list that is sorted by id begins. Raises BadQuery."""
    if not isinstance(after, str):
        return None
    [id] = decoded(after, of, 1)
    try:
        return UUID(id)
    except ValueError:
        raise not_a_cursor() from None


def not_a_cursor() -> BadQuery:
    return BadQuery("after is not a cursor of this list")


def edges(page: Page[T], cursor_of: Callable[[T], str]) -> list[Edge[T]]:
    return [Edge(cursor_of(node), node) for node in page.nodes]


def page_info(page: Page[T], cursor_of: Callable[[T], str]) -> PageInfo:
    return PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=cursor_of(page.nodes[0]) if page.nodes else None,
        end_cursor=cursor_of(page.nodes[-1]) if page.nodes else None,
    )


def _storable(text: str) -> bool:
    """PostgreSQL's text holds no NUL, and UTF-8 no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
