"""The audit log, as a person sees their own part of it and administrators see all."""

from collections.abc import Sequence
from uuid import UUID

from domain.audit import AuditEntry, AuditIntegrity
from domain.identity import UserId
from domain.ports import App
from domain.queries.pages import Page
from domain.storage.reads import Reads


async def activity(reads: Reads, *, limit: int, after: UUID | None) -> Page[AuditEntry]:
    """What is about the viewer, the newest first."""
    rows = await reads.activity(limit=limit + 1, after=after)
    return Page.of([entry.to_its_user() for entry in rows], limit=limit, after=after)


async def entries_by_id(reads: Reads, ids: Sequence[UUID]) -> list[AuditEntry | None]:
    """Of what is about the viewer."""
    asked = list(dict.fromkeys(ids))
    rows = await reads.activity_by_id(asked) if asked else ()
    found = {entry.id: entry.to_its_user() for entry in rows}
    return [found.get(id) for id in ids]


async def audit(
    reads: Reads, user_id: UserId | None, action: str | None, *, limit: int, after: UUID | None
) -> Page[AuditEntry]:
    """The same of everyone, or of whom and what is asked for. Whoever asks has been permitted."""
    rows = await reads.audit(user_id, action, limit=limit + 1, after=after)
    return Page.of(rows, limit=limit, after=after)


async def integrity(app: App) -> AuditIntegrity:
    return await app.integrity()
