"""How far a run has come, drawn on a terminal while it goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from domain.errors import NotFound, Unavailable
from domain.identity import Actor
from domain.queries.sync import progress
from domain.sync import RunId, SyncRun, SyncScope
from gateway.wiring.root import Wired

log = structlog.get_logger("dashtam.shell")


@asynccontextmanager
async def drawn(
    console: Console, wired: Wired, actor: Actor, name: str
) -> AsyncIterator[Callable[[RunId], None]]:
    """Gives what says which run to follow, once that is known; where there is no terminal, nothing
    is drawn.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[doing]}", markup=False),
        TimeElapsedColumn(),
    )
    quiet = not console.is_terminal
    following: list[asyncio.Task[None]] = []
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task(name, total=1, doing="")

        async def draw(run_id: RunId) -> None:
            stream = progress(run_id, wired.app.movements, lambda: wired.snapshot(actor))
            # What becomes of the run, its command says.
            with suppress(NotFound, Unavailable):
                async with aclosing(stream) as states:
                    async for run in states:
                        bar.update(task, completed=float(run.progress), doing=doing(run))

        def follow(run_id: RunId) -> None:
            if not quiet:
                following.append(asyncio.create_task(draw(run_id)))

        try:
            yield follow
        finally:
            for drawing in following:
                drawing.cancel()
            for ended in await asyncio.gather(*following, return_exceptions=True):
                if isinstance(ended, Exception):
                    log.error("shell.not_drawn", exc_info=ended)


def doing(run: SyncRun) -> str:
    """`transactions: 1,025 received`."""
    if run.step is None:
        return run.status.value.lower()
    counts = {
        SyncScope.ACCOUNTS: run.accounts,
        SyncScope.HOLDINGS: run.holdings,
        SyncScope.TRANSACTIONS: run.transactions,
    }[run.step]
    return f"{run.step.value.lower()}: {counts.received:,} received"
