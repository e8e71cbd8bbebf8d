"""News of sync runs: said once they are committed, heard by whoever watches one.

One subscription a process, however many watch. What is said is a hint, not in the outbox: pages
are many, and a lost hint is made up for by looking.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog

from domain.errors import Unavailable
from domain.ports import RUN_MOVED, Fanout
from domain.sync import RunId

LAST_WORDS_S_MAX = 1.0

log = structlog.get_logger("dashtam.movements")


class RunMovements:
    """`domain.ports.Movements`, and the other end of it."""

    def __init__(self, fanout: Fanout) -> None:
        self._fanout = fanout
        self._watching: dict[RunId, set[asyncio.Event]] = defaultdict(set)
        self._unsaid: dict[RunId, None] = {}
        self._saying: asyncio.Task[None] | None = None

    # ── saying ──────────────────────────────────────────────────────────────

    def moved(self, ids: Collection[RunId]) -> None:
        """Said in the background, once for all that moves until it is said."""
        self._unsaid.update(dict.fromkeys(ids))
        if self._saying is None or self._saying.done():
            self._saying = asyncio.create_task(self._say())

    async def _say(self) -> None:
        while self._unsaid:
            id = next(iter(self._unsaid))
            del self._unsaid[id]
            try:
                await self._fanout.publish(RUN_MOVED, str(id))
            except Unavailable as error:
                log.warning("run.not_told", run=id, exc_info=error)

    async def close(self) -> None:
        """What is still to be said has a second for it."""
        if self._saying is not None:
            await asyncio.wait({self._saying}, timeout=LAST_WORDS_S_MAX)
            self._saying.cancel()
            await asyncio.gather(self._saying, return_exceptions=True)

    # ── hearing ─────────────────────────────────────────────────────────────

    @contextmanager
    def watch(self, *ids: RunId) -> Iterator[asyncio.Event]:
        moved, watched = asyncio.Event(), {*ids}
        for id in watched:
            self._watching[id].add(moved)
        try:
            yield moved
        finally:
            for id in watched:
                self._watching[id].discard(moved)
                if not self._watching[id]:
                    del self._watching[id]

    @property
    def watched(self) -> int:
        """How many watch, each as often as the runs that it watches."""
        return sum(map(len, self._watching.values()))

    async def run(self) -> None:
        """Distribute what is heard; for ever, as a task of whoever opened this."""
        async with self._fanout.subscribe(RUN_MOVED) as said:
            async for text in said:
                for moved in self._those(text):
                    moved.set()

    def _those(self, text: str | None) -> list[asyncio.Event]:
        if text is None:  # something may have been missed
            return [moved for watching in self._watching.values() for moved in watching]
        try:
            return [*self._watching.get(RunId(UUID(text)), ())]
        except ValueError:  # said by nobody of ours
            return []
