"""Sync runs, and what they could not read."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from domain.errors import NotFound, Unavailable
from domain.links import LinkId
from domain.ports import Movements
from domain.queries.pages import Page
from domain.storage.reads import OwnedReads, Reads
from domain.sync import QuarantinedRow, RunId, SyncRun

APART = timedelta(milliseconds=250)  # at most four states a second
LOOK_EVERY = timedelta(seconds=2)  # in case nobody said that it moved


async def runs(
    reads: OwnedReads, link_id: LinkId | None, *, limit: int, after: RunId | None
) -> Page[SyncRun]:
    """The newest first; of all links where `link_id` is None."""
    rows = await reads.runs(link_id, limit=limit + 1, after=after)
    return Page.of(rows, limit=limit, after=after)


async def runs_by_id(reads: OwnedReads, ids: Sequence[RunId]) -> list[SyncRun | None]:
    asked = list(dict.fromkeys(ids))
    found = {run.id: run for run in (await reads.runs_by_id(asked) if asked else ())}
    return [found.get(id) for id in ids]


async def last_runs(reads: OwnedReads, links: Sequence[LinkId]) -> list[SyncRun | None]:
    found = await reads.last_runs(list(dict.fromkeys(links)))
    return [found.get(id) for id in links]


async def quarantine(
    reads: OwnedReads, runs: Sequence[RunId], *, limit: int
) -> list[Sequence[QuarantinedRow]]:
    found = await reads.quarantine(list(dict.fromkeys(runs)), limit=limit)
    return [found.get(id, ()) for id in runs]


async def progress(
    id: RunId, movements: Movements, snapshot: Callable[[], Reads]
) -> AsyncGenerator[SyncRun, None]:
    """The run as it is, then as it becomes, to its end; what lies between two looks is left out.

    Each state is read in a `snapshot` of its own, which is open until the next one is asked for.
    A database that goes away after the first look is waited for.

    Raises:
        NotFound: no such run, or no more.
        Unavailable: nobody can look, the first time.
    """
    shown = None
    with movements.watch(id) as moved:
        while True:
            moved.clear()
            reads = snapshot()
            try:
                [run] = await runs_by_id(reads, [id])
                if run is None:
                    raise NotFound("no such sync")
                if _shown(run) != shown:
                    shown = _shown(run)
                    yield run
                if run.status.is_terminal:
                    return
            except Unavailable:
                if shown is None:
                    raise
            finally:
                await reads.close()
            await asyncio.sleep(APART.total_seconds())
            await until_moved(moved)


async def until_moved(moved: asyncio.Event) -> None:
    """Until one has, or it is time to look all the same."""
    with suppress(TimeoutError):
        # `wait_for` of Python 3.11 forgets a cancellation that comes with the event.
        async with asyncio.timeout(LOOK_EVERY.total_seconds()):
            await moved.wait()


def _shown(run: SyncRun) -> SyncRun:
    """Without what only its worker needs."""
    return replace(run, cursor=None, cancel_asked=False, read_accounts=0, failed_accounts=0)
