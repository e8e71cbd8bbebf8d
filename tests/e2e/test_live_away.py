"""Progress goes on whatever ends: the worker, Redis, the database's connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gateway.settings import Settings
from gateway.wiring.root import wire
from schema import ids
from tests.e2e.linking import connect_scenario
from tests.e2e.live import PROGRESS, Live, live_of
from tests.e2e.stack import Client, Stack, a_free_port, a_stack, environment, running, until_ready
from tests.servers import Database, RedisServer, running_redis


@dataclass
class Followed:
    """A long run that has begun, and a socket on which it is followed."""

    link_id: str
    socket: Live

    async def to_its_end(self) -> dict[str, Any]:
        states = await self.socket.states()
        progress = [state["progress"] for state in states]
        assert progress == sorted(progress)
        assert states[-1]["status"] == "SUCCEEDED"
        assert states[-1]["transactions"]["created"] == 10_000
        return states[-1]


@asynccontextmanager
async def followed(stack: Stack, client: Client) -> AsyncIterator[Followed]:
    async with live_of(client, stack.gateway) as socket:
        link = (await connect_scenario(client, "large"))["link"]
        await socket.subscribe(PROGRESS, id=link["lastRun"]["id"])
        progress = 0.0
        while progress < 0.05:
            state = (await socket.next())["payload"]["data"]["syncProgress"]
            assert state["status"] in ("QUEUED", "RUNNING")
            progress = state["progress"]
        yield Followed(link["id"], socket)


@asynccontextmanager
async def superuser(database: Database) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database.superuser_url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_a_run_whose_worker_is_killed_is_followed_to_its_end_by_another(
    database: Database, tmp_path: Path
) -> None:
    environ = environment(database, tmp_path, a_free_port())
    settings = Settings.read(environ)
    freed = "UPDATE links SET lease_until = now() WHERE id = $1"
    async with (
        wire(settings) as wired,
        running("serve", environ, tmp_path) as gateway,
        running("worker", environ, tmp_path) as worker,
        superuser(database) as spy,
    ):
        await until_ready(gateway)
        stack = Stack(
            database=database,
            folder=tmp_path,
            settings=settings,
            wired=wired,
            gateway=gateway,
            worker=worker,
        )
        async with stack.somebody() as client, followed(stack, client) as run:
            worker.process.kill()
            await worker.process.wait()
            # As if the minute had gone by for which the killed one still has it.
            await spy.execute(freed, ids.key("Link", run.link_id))
            async with running("worker", environ, tmp_path):
                await run.to_its_end()


async def test_connections_that_are_cut_in_the_middle_are_not_noticed(
    database: Database, tmp_path: Path
) -> None:
    async with (
        a_stack(database, tmp_path) as stack,
        stack.somebody() as client,
        superuser(database) as spy,
        followed(stack, client) as run,
    ):
        await spy.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        await run.to_its_end()


# ── over Redis ──────────────────────────────────────────────────────────────


@pytest.fixture
def redis() -> Any:
    with running_redis() as server:
        yield server


async def test_two_gateways_and_a_worker_tell_each_other_over_redis(
    database: Database, tmp_path: Path, redis: RedisServer
) -> None:
    async with a_stack(database, tmp_path, DASHTAM_REDIS_URL=redis.url) as stack:
        environ = environment(database, tmp_path, a_free_port(), DASHTAM_REDIS_URL=redis.url)
        async with (
            running("serve", environ, tmp_path) as other,
            stack.somebody() as client,
            superuser(database) as spy,
        ):
            await until_ready(other)
            async with live_of(client, other) as elsewhere, followed(stack, client) as run:
                id = run.link_id
                last = await client.ask(
                    "query ($id: ID!) { node(id: $id) { ... on Link { lastRun { id } } } }", id=id
                )
                await elsewhere.subscribe(PROGRESS, id=last["node"]["lastRun"]["id"])
                ended = await asyncio.gather(run.to_its_end(), elsewhere.states())
                assert ended[1][-1] == ended[0]

                # What must not be missed is told over the database even so, and nothing else. Of
                # each connection, this is what it began to listen to last.
                heard = await spy.fetch(
                    "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
                    " AND query LIKE 'LISTEN%dashtam_%'"
                )
                channels = {row["query"].split("dashtam_")[1].strip('"') for row in heard}
                rare = {"session_ended", "user_changed", "tokens_rotated", "policy_changed"}
                rare.add("documents_changed")
                rare.add("events")  # that a worker has some to relay, said as they commit
                assert channels
                assert channels <= rare
                await client.do("mutation { signOut { signedOut } }")
                assert await elsewhere.closed(within_s=1) == 4401


async def test_a_redis_that_dies_delays_the_news_and_loses_nothing(
    database: Database, tmp_path: Path, redis: RedisServer
) -> None:
    async with (
        a_stack(database, tmp_path, DASHTAM_REDIS_URL=redis.url) as stack,
        stack.somebody() as client,
        followed(stack, client) as run,
    ):
        redis.process.kill()
        redis.process.wait()

        await run.to_its_end()
        async with asyncio.timeout(5):
            await client.do("mutation { signOut { signedOut } }")
        assert await run.socket.closed(within_s=1) == 4401
