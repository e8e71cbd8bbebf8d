"""The audit log: who did what, to whom, from where, and what came of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

import domain.audit
import domain.identity
from domain.audit import AuditOutcome
from domain.identity import UserId
from domain.queries import audit as queries
from domain.queries.pages import Page
from schema import ids, paging
from schema.context import Context
from schema.fields import NOT_GIVEN, After, First, described, field
from schema.ids import Node, describes
from schema.paging import Edge, PageInfo

NO_ONE = UUID(int=2**128 - 1)  # ABSENT is whose attempts are on record where nobody is meant

strawberry.enum(
    AuditOutcome,
    description="Each attempt has an entry of its own before the one with its outcome. One "
    "without an outcome was cut off, and nobody saw its end.",
)


@strawberry.type(description="One entry of the audit log, which nobody can change.")
class AuditEntry(Node):
    is_type_of = describes(domain.audit.AuditEntry)

    at: datetime
    action: str = described("A name such as session.start or link.disconnect.")
    outcome: AuditOutcome
    resource: str | None = described("What it was about: a kind and an id.")
    ip_address: str | None = described("From where; null for what the gateway did by itself.")
    detail: str | None = described("Why it failed, or what was done exactly.")


@strawberry.type(description="An entry and its place in a list.")
class AuditEntryEdge:
    cursor: str
    node: AuditEntry


@strawberry.type(description="A page of entries, the newest first.")
class AuditEntryConnection:
    nodes: list[AuditEntry]

    @field(list[AuditEntryEdge])
    def edges(self: Any) -> list[Edge[domain.audit.AuditEntry]]:
        return paging.edges(self, _cursor)

    @field(PageInfo)
    def page_info(self: Any) -> PageInfo:
        return paging.page_info(self, _cursor)


@strawberry.type(
    description="What a worker found when it last went through the log. It is not intact, either, "
    "where none has looked within the last minutes."
)
class AuditIntegrity:
    intact: bool
    entries: int = described("How many were looked at.")
    first_broken_id: strawberry.ID | None = described(
        "The first that is not what was written, where it is there; `dashtam audit verify` says "
        "more."
    )


async def activity_of_viewers(
    context: Context,
    viewers: Sequence[domain.identity.User],
    *,
    first: First = 50,
    after: After = NOT_GIVEN,
) -> list[Page[domain.audit.AuditEntry]]:
    """Every entry about you, those of sign-ins that failed on your address included."""
    limit, begin = paging.limit(first), paging.id_after(after, "audit")
    page = await queries.activity(context.reads, limit=limit, after=begin)
    return [page for _ in viewers]


async def entries(
    context: Context, user_id: str | None, action: str | None, first: int, after: str | None
) -> Page[domain.audit.AuditEntry]:
    """Of everyone; a person who is not there has none. Raises BadQuery."""
    limit, begin = paging.limit(first), paging.id_after(after, "audit")
    whose = None if user_id is None else UserId(ids.key("User", user_id) or NO_ONE)
    found = await queries.audit(context.reads, whose, action, limit=limit, after=begin)
    return context.paid(found)


async def integrity(context: Context) -> AuditIntegrity:
    found = await queries.integrity(context.app)
    broken = found.first_broken_id
    return AuditIntegrity(
        intact=found.intact,
        entries=found.entries,
        first_broken_id=None if broken is None else ids.global_id("AuditEntry", broken),
    )


def _cursor(entry: domain.audit.AuditEntry) -> str:
    return paging.encoded("audit", str(entry.id))
