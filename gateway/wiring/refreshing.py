"""What the database has and a process remembers: looked at again as it changes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from domain.ports import Fanout

APART_S = 0.1  # between two looks, however many changes are told
RETRY_S = 1.0


async def keep_fresh(
    look: Callable[[], Awaitable[bool]], news: Fanout, channel: str, *, every_s: float
) -> None:
    """Look whenever something is said on the channel or may have been missed, and every so often
    all the same; again soon where it gives False, since nobody could look. For ever, as a task.
    """
    changed = asyncio.Event()

    async def hear() -> None:
        async with news.subscribe(channel) as said:
            async for _ in said:
                changed.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hear())
        while True:
            with suppress(TimeoutError):
                # `wait_for` of Python 3.11 forgets a cancellation that comes with the event.
                async with asyncio.timeout(every_s):
                    await changed.wait()
            changed.clear()
            if await look():
                await asyncio.sleep(APART_S)
            else:
                changed.set()
                await asyncio.sleep(RETRY_S)
