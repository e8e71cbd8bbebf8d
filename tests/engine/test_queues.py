"""What a worker's queues do when they are told to end."""

import asyncio

import asyncpg

from gateway.worker.queues import Queues
from tests.engine.world import Engine

LISTENING = "FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'"
CUT = f"SELECT count(pg_terminate_backend(pid)) {LISTENING}"


async def nothing(_: object) -> None:
    return None


async def test_queues_whose_listeners_were_cut_off_end_when_they_are_told_to(
    engine: Engine,
) -> None:
    async with asyncpg.create_pool(engine.database.app_url, min_size=2, max_size=6) as pool:
        queues = Queues(pool, providers=["sandbox"], sync=nothing, chores={"mail": nothing})
        running = asyncio.create_task(queues.run())
        spy = await asyncpg.connect(engine.database.superuser_url)
        try:
            cut = 0
            async with asyncio.timeout(10):
                while cut < 2:  # one of each queue
                    cut += await spy.fetchval(CUT)
                    await asyncio.sleep(0.05)
            assert not running.done()
            queues.stop()
            async with asyncio.timeout(10):
                await running
        finally:
            await spy.close()
