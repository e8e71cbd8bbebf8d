"""Anything, by its id."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import strawberry

from domain.identity import Permission
from domain.queries.accounts import accounts_by_id
from domain.queries.admin import people_by_id
from domain.queries.audit import entries_by_id
from domain.queries.holdings import holdings_by_id, securities_by_id
from domain.queries.identity import sessions_by_id, users_by_id
from domain.queries.links import links_by_id
from domain.queries.sync import runs_by_id
from domain.queries.transactions import transactions_by_id
from domain.storage.reads import Reads
from schema import ids
from schema.context import Context, Info
from schema.fields import query
from schema.ids import Node


@dataclass(frozen=True, slots=True)
class Kind:
    """How things of a kind are found, and whom the policy permits to find them so."""

    load: Callable[[Reads, Sequence[Any]], Awaitable[Sequence[Any]]]
    permits: Permission = Permission.READ_DATA


KINDS: dict[str, Kind] = {
    "Viewer": Kind(users_by_id, Permission.READ_SETTINGS),
    "Link": Kind(links_by_id, Permission.READ_LINKS),
    "Account": Kind(accounts_by_id),
    "Security": Kind(securities_by_id),
    "Holding": Kind(holdings_by_id),
    "Transaction": Kind(transactions_by_id),
    "SyncRun": Kind(runs_by_id),
    "Session": Kind(sessions_by_id, Permission.READ_SESSIONS),
    "AuditEntry": Kind(entries_by_id, Permission.READ_SETTINGS),
    "User": Kind(people_by_id, Permission.READ_ADMIN),
}


async def _found(context: Context, asked: Sequence[str]) -> list[Any]:
    """Aligned with what was asked; a statement a kind. What the viewer may not see is not there."""
    split = [ids.parts(id) for id in ids.counted(asked)]
    found: dict[tuple[str, UUID], Any] = {}
    for name, kind in KINDS.items():
        keys = [key for of, key in filter(None, split) if of == name]
        if keys and context.app.policy.allows(context.actor.role, kind.permits):
            loaded = await kind.load(context.reads, keys)
            found |= {(name, key): row for key, row in zip(keys, loaded, strict=True)}
    return [None if one is None else found.get(one) for one in split]


@strawberry.type
class NodeQuery:
    @query(Node | None, "Anything of yours, by its id.", permits=Permission.READ_DATA)
    async def node(self, info: Info, id: strawberry.ID) -> Any:
        return (await _found(info.context, [id]))[0]

    @query(
        list[Node | None],
        "At most 500, in the order of their ids; null for what is not there.",
        permits=Permission.READ_DATA,
    )
    async def nodes(self, info: Info, ids: list[strawberry.ID]) -> Any:
        return info.context.paid(await _found(info.context, ids))
