"""What a worker takes of the jobs that wait, and how much of it at once.

Nothing is taken that cannot begin: the bounds are in the statement that takes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import TypeAlias

import asyncpg
from pgqueuer import AsyncpgPoolDriver, Job, Queries, QueueManager
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)

from adapters.postgres.jobs import SETTINGS
from domain.commands.sync import JOB, job_of

# Syncs of one worker: each takes 30 MB at most, so that they take 240 MB of the 512 that it has.
AT_ONCE = 8
# Of these, syncs of one provider in all workers together, as pgqueuer counts them: one that is
# dead holds so many places until its breaker opens, and two of them leave some to the others.
AT_ONE_PROVIDER = 3
CHORES_AT_ONCE = 4  # of each kind, in all workers together
SYNCS_A_LOOK, CHORES_A_LOOK = AT_ONCE // 2, 10  # pgqueuer wants room for two looks
HEARTBEAT = timedelta(seconds=10)
LOOK_EVERY = timedelta(seconds=1)

Work: TypeAlias = Callable[[Job], Awaitable[None]]


class Queues:
    """Syncs and chores, apart: neither waits until there is room for the other."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        providers: Iterable[str],
        sync: Work,
        chores: Mapping[str, Work],
    ) -> None:
        driver = AsyncpgPoolDriver(pool)
        queries = Queries(
            driver,
            qbe=QueryBuilderEnvironment(SETTINGS),
            qbq=QueryQueueBuilder(SETTINGS),
            qbs=QuerySchedulerBuilder(SETTINGS),
        )
        self._syncs, self._chores = QueueManager(queries), QueueManager(queries)
        # Without a provider's name: of a gateway of the release before.
        for name in (JOB, *map(job_of, providers)):
            self._syncs.entrypoint(name, concurrency_limit=AT_ONE_PROVIDER)(sync)
        for name, chore in chores.items():
            self._chores.entrypoint(name, concurrency_limit=CHORES_AT_ONCE)(chore)

    def stop(self) -> None:
        """Take no more; `run` ends with what runs."""
        self._syncs.shutdown.set()
        self._chores.shutdown.set()

    async def run(self) -> None:
        """Until stopped, or until one of them cannot go on."""
        both = [
            asyncio.create_task(_run(self._syncs, SYNCS_A_LOOK, AT_ONCE)),
            asyncio.create_task(_run(self._chores, CHORES_A_LOOK, None)),
        ]
        try:
            await asyncio.gather(*both)
        finally:
            self.stop()
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)


async def _run(queue: QueueManager, a_look: int, at_once: int | None) -> None:
    # pgqueuer probes its listener before it listens, and where the probe is faster takes itself
    # for deaf: that must not end us, since the queue is looked at each second too.
    try:
        await queue.run(
            dequeue_timeout=LOOK_EVERY,
            batch_size=a_look,
            max_concurrent_tasks=at_once,
            shutdown_on_listener_failure=False,
            heartbeat_timeout=HEARTBEAT,
        )
    except asyncpg.InterfaceError:
        # Its listener's connection was cut at some time, which it finds out as it gives it back.
        if not queue.shutdown.is_set():
            raise
