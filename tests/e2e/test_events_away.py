"""No event is lost or told twice, whatever is killed or cut while they happen (probe 30)."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from gateway.settings import Settings
from gateway.wiring.root import wire
from tests.e2e.listening import Happening, Listener, words_of
from tests.e2e.stack import (
    Program,
    Stack,
    a_free_port,
    a_stack,
    environment,
    running,
    until_ready,
)
from tests.servers import Database, running_redis

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
LISTENERS = 4
REST_S = 0.01 if LONG else 0.05  # between three events at once and the next three


@asynccontextmanager
async def happening(to: Happening) -> AsyncIterator[None]:
    """While the block goes on, and one more at its end."""
    going = asyncio.create_task(to.go_on(rest_s=REST_S))
    try:
        yield
    finally:
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        await to.happen()


@asynccontextmanager
async def mortal(database: Database, folder: Path) -> AsyncIterator[tuple[Stack, Program]]:
    """A gateway, a worker, and another gateway, all of which may die."""
    environ = environment(database, folder, a_free_port())
    other = environ | {"DASHTAM_PORT": str(a_free_port())}
    settings = Settings.read(environ)
    async with (
        wire(settings) as wired,
        running("serve", environ, folder) as gateway,
        running("serve", other, folder) as second,
        running("worker", environ, folder) as worker,
    ):
        await asyncio.gather(until_ready(gateway), until_ready(second))
        yield (
            Stack(
                database=database,
                folder=folder,
                settings=settings,
                wired=wired,
                gateway=gateway,
                worker=worker,
            ),
            second,
        )


async def more(listeners: list[Listener], count: int = 20) -> None:
    """Until each has heard so many more."""
    ends = [len(listener.heard) + count for listener in listeners]
    async with asyncio.timeout(30):
        while any(len(o.heard) < end for o, end in zip(listeners, ends, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def heard_all(stack: Stack, to: Happening, listeners: list[Listener]) -> None:
    written = await words_of(stack.database, to.actor.user_id)
    assert len(written) > 40 * LISTENERS
    async with asyncio.timeout(30):
        while any(listener.words[-1] != written[-1] for listener in listeners):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    for listener in listeners:
        since = written.index(listener.words[0])  # some began to listen when it had begun
        assert since < len(written) // 2
        assert listener.words == written[since:]


async def test_a_gateway_that_is_killed_a_worker_that_is_killed_and_news_that_are_cut_off(
    database: Database, tmp_path: Path
) -> None:
    async with AsyncExitStack() as opened:
        stack, other = await opened.enter_async_context(mortal(database, tmp_path))
        client = await opened.enter_async_context(stack.somebody())
        spy = await asyncpg.connect(database.superuser_url)
        opened.push_async_callback(spy.close)
        to = await Happening.to(stack, client)
        listeners = [Listener(client) for _ in range(LISTENERS)]
        hearing = await opened.enter_async_context(asyncio.TaskGroup())

        async def follow(listener: Listener) -> None:
            async with listener.connected(stack.gateway) as socket:
                await listener.hear_until_it_breaks(socket)
            async with listener.connected(other) as socket:
                await listener.hear_until_it_breaks(socket)

        following = [hearing.create_task(follow(listener)) for listener in listeners]
        async with happening(to):
            await more(listeners)
            stack.gateway.process.kill()
            await more(listeners)
            await spy.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
            await more(listeners)
            stack.worker.process.kill()
            await more(listeners)  # since everyone looks now and then, all the same
        await heard_all(stack, to, listeners)
        for task in following:
            task.cancel()


if LONG:  # in CI, what follows a run does without Redis: see test_live_away

    async def test_a_redis_that_dies_while_events_happen(
        database: Database, tmp_path: Path
    ) -> None:
        with running_redis() as redis:
            async with (
                a_stack(database, tmp_path, DASHTAM_REDIS_URL=redis.url) as stack,
                stack.somebody() as client,
            ):
                to, listeners = await Happening.to(stack, client), [Listener(client)]
                async with listeners[0].connected(stack.gateway) as socket:
                    hearing = asyncio.create_task(listeners[0].hear_until_it_breaks(socket))
                    async with happening(to):
                        await more(listeners, 100)
                        redis.process.kill()
                        redis.process.wait()
                        await more(listeners, 100)
                    await heard_all(stack, to, listeners)
                    hearing.cancel()
                    await asyncio.gather(hearing, return_exceptions=True)
