"""What the database says of the policy, brought into this process while it runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress

import structlog
from casbin.persist.watcher import Watcher

from domain.errors import Unavailable

APART_S = 0.1  # between two looks, however many changes are told
RETRY_S = 1.0
LOOK_EVERY_S = 5.0  # the longest that a rule could last if the news of its end were lost

log = structlog.get_logger("dashtam.policy")

Lines = Sequence[tuple[str, ...]]
News = AbstractAsyncContextManager[AsyncIterator[str | None]]


class PolicyWatcher(Watcher):  # type: ignore[misc]  # Casbin is untyped
    """Casbin's watcher, the other way round: its callback is given the lines, since reading them
    waits and Casbin does not. Whoever changes the policy tells it with the change, by a trigger,
    so that there is nothing for `update` to say.

    `problem` says what is wrong with the policy in the database, where something is; until it is
    mended, the policy before it holds.
    """

    def __init__(self, news: Callable[[], News], read: Callable[[], Awaitable[Lines]]) -> None:
        self._news, self._read = news, read
        self._told: Callable[[Lines], None] = lambda _: None
        self._changed = asyncio.Event()
        self._known: Lines | None = None
        self.problem: str | None = None

    def warning(self) -> str | None:
        return self.problem

    def set_update_callback(self, func: Callable[[Lines], None]) -> None:
        """`func` may raise ValueError, for lines that are no policy."""
        self._told = func

    def update(self) -> None:
        """Nothing: our enforcers change no rule."""

    def close(self) -> None:
        """Nothing: `run` ends with its task."""

    async def run(self) -> None:
        """Keep what is told up to date; for ever, as a task of whoever opened this."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear())
            while True:
                with suppress(TimeoutError):
                    # `wait_for` of Python 3.11 forgets a cancellation that comes with the event.
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._changed.wait()
                self._changed.clear()
                if await self.look():
                    await asyncio.sleep(APART_S)
                else:
                    self._changed.set()
                    await asyncio.sleep(RETRY_S)

    async def _hear(self) -> None:
        async with self._news() as news:
            async for _ in news:  # None too: something may have been missed
                self._changed.set()

    async def look(self) -> bool:
        """Read the policy, and pass it on where it is another than the last time.

        False where nobody could look: the database is away.
        """
        try:
            lines = await self._read()
            if lines != self._known:
                self._known = lines
                self._told(lines)
                log.info("policy.loaded", count=len(lines))
                self.problem = None
        except Unavailable:
            return False
        except ValueError as error:
            self._keep("is malformed", error)
        except Exception as error:  # noqa: BLE001 - without it, the next change would be missed
            self._known = None
            self._keep("cannot be read", error)
        return True

    def _keep(self, why: str, error: Exception) -> None:
        before = self.problem
        self.problem = f"the policy in the database {why}: the one before it holds"
        if self.problem != before:
            log.error("policy.kept", reason=str(error), exc_info=error)
