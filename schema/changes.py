"""What has changed since: for clients that keep a copy."""

from typing import Any
from uuid import UUID

import strawberry

import domain.changes
from domain.changes import PLACES, Position
from domain.identity import Permission
from domain.queries import changes as queries
from schema import ids, paging
from schema.context import Info
from schema.fields import NOT_GIVEN, After, First, field, query
from schema.ids import Node

VERSION_DIGITS_MAX = 18  # of what PostgreSQL counts in 64 bits


@strawberry.type(
    description="What to put into a copy, by id, and what to take out of it; no id is in both. "
    "`upserted` are links, accounts, securities, holdings and transactions as they are now, each "
    "whole. What of a link only says how its syncs went (`lastSyncedAt`, `nextSyncAt`, "
    "`consecutiveFailures`, `lastRun`) changes without being told, and so do histories, "
    "`latestBalance` and `reconciliation` of an account. While `hasMore`, ask again at once."
)
class ChangeSet:
    upserted: list[Node]
    has_more: bool

    @field(list[strawberry.ID])
    def deleted_ids(self: Any) -> list[strawberry.ID]:
        return [ids.global_id(one.kind.value, one.id) for one in self.gone]

    @field(str, "For `after`, to go on from here, however much later.")
    def cursor(self: Any) -> str:
        at: Position = self.reached
        return paging.encoded("changes", str(at.since), str(at.version), str(at.place), str(at.id))


def position(after: str | None) -> Position | None:
    """Raises BadQuery."""
    if not isinstance(after, str):
        return None
    since, version, place, id = paging.decoded(after, "changes", 4)
    try:
        return Position(
            since=_number(since), version=_number(version), place=_place(place), id=UUID(id)
        )
    except ValueError:
        raise paging.not_a_cursor() from None


def _number(text: str) -> int:
    """Raises ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) <= VERSION_DIGITS_MAX):
        raise ValueError(text)
    return int(text)


def _place(text: str) -> int:
    """Raises ValueError."""
    if (place := _number(text)) > PLACES:
        raise ValueError(text)
    return place


@strawberry.type
class ChangeQuery:
    @query(
        ChangeSet,
        "What has changed since the cursor: nothing is left out, and what changed several times "
        "comes once. Without `after` all there is, for a first copy. A cursor that is ahead of the "
        "database, as after a backup was put back, is an error: begin again without it.",
        permits=Permission.READ_DATA,
    )
    async def changes(
        self, info: Info, after: After = NOT_GIVEN, first: First = 500
    ) -> domain.changes.ChangeSet:
        context = info.context
        limit, begin = paging.limit(first), position(after)
        found = await queries.changes(context.reads, begin, limit=limit)
        context.paid(found.upserted)
        return found
