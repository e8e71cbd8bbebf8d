"""Sync runs, and what they could not read."""

from collections.abc import Sequence

from domain.links import LinkId
from domain.queries.pages import Page
from domain.storage import Reads
from domain.sync import QuarantinedRow, RunId, SyncRun


async def runs(
    reads: Reads, link_id: LinkId | None, *, limit: int, after: RunId | None
) -> Page[SyncRun]:
    """The newest first; of all links where `link_id` is None."""
    rows = await reads.runs(link_id, limit=limit + 1, after=after)
    return Page(nodes=rows[:limit], has_next=len(rows) > limit, has_previous=after is not None)


async def runs_by_id(reads: Reads, ids: Sequence[RunId]) -> list[SyncRun | None]:
    asked = list(dict.fromkeys(ids))
    found = {run.id: run for run in (await reads.runs_by_id(asked) if asked else ())}
    return [found.get(id) for id in ids]


async def last_runs(reads: Reads, links: Sequence[LinkId]) -> list[SyncRun | None]:
    found = await reads.last_runs(list(dict.fromkeys(links)))
    return [found.get(id) for id in links]


async def quarantine(
    reads: Reads, runs: Sequence[RunId], *, limit: int
) -> list[Sequence[QuarantinedRow]]:
    found = await reads.quarantine(list(dict.fromkeys(runs)), limit=limit)
    return [found.get(id, ()) for id in runs]
