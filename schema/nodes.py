"""Anything, by its id."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import strawberry

from domain.queries.accounts import accounts_by_id
from domain.queries.holdings import holdings_by_id, securities_by_id
from domain.queries.identity import users_by_id
from domain.queries.links import links_by_id
from domain.queries.sync import runs_by_id
from domain.queries.transactions import transactions_by_id
from domain.storage.reads import Reads
from schema import ids
from schema.context import Info
from schema.fields import field
from schema.ids import Node

KINDS: dict[str, Callable[[Reads, Sequence[Any]], Awaitable[Sequence[Any]]]] = {
    "Viewer": users_by_id,
    "Link": links_by_id,
    "Account": accounts_by_id,
    "Security": securities_by_id,
    "Holding": holdings_by_id,
    "Transaction": transactions_by_id,
    "SyncRun": runs_by_id,
}


async def _found(reads: Reads, asked: Sequence[str]) -> list[Any]:
    """Aligned with what was asked; a statement a kind."""
    split = [ids.parts(id) for id in ids.counted(asked)]
    found: dict[tuple[str, UUID], Any] = {}
    for kind, load in KINDS.items():
        keys = [key for of, key in filter(None, split) if of == kind]
        if keys:
            loaded = await load(reads, keys)
            found |= {(kind, key): row for key, row in zip(keys, loaded, strict=True)}
    return [None if one is None else found.get(one) for one in split]


@strawberry.type
class NodeQuery:
    @field(Node | None, "Anything of yours, by its id.")
    async def node(self, info: Info, id: strawberry.ID) -> Any:
        return (await _found(info.context.reads, [id]))[0]

    @field(list[Node | None], "At most 500, in the order of their ids; null for what is not there.")
    async def nodes(self, info: Info, ids: list[strawberry.ID]) -> Any:
        return info.context.paid(await _found(info.context.reads, ids))
