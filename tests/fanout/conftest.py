"""The same fan-out twice: over a real PostgreSQL, and over a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import asyncpg
import pytest
from redis.asyncio import Redis

from adapters.postgres.fanout import PostgresFanout
from adapters.postgres.pool import open_pool
from adapters.redis.fanout import RedisFanout
from domain.ports import Fanout
from tests.servers import Database, Postgres, RedisServer, running_redis


class Server(Protocol):
    """What hears and says, and what may happen to it."""

    async def another(self) -> Fanout:
        """As in another process: connections of its own."""

    async def cut(self) -> None:
        """End the connections that listen, from the server's side."""

    async def listeners(self) -> int:
        """How many connections listen to one of our channels."""

    async def away(self) -> Fanout:
        """One whose server is not there."""


@dataclass
class Running:
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def run(self, fanout: Fanout) -> Fanout:
        self.tasks.append(asyncio.create_task(fanout.run()))
        return fanout

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        for ended in await asyncio.gather(*self.tasks, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError), ended


@dataclass
class OverPostgres:
    database: Database
    superuser: Any
    stack: AsyncExitStack
    running: Running

    async def another(self) -> Fanout:
        pool = await open_pool(self.database.app_url, 2)
        self.stack.push_async_callback(pool.close)
        return self.running.run(PostgresFanout(pool, self.database.app_url))

    async def cut(self) -> None:
        await self.superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query ILIKE '%LISTEN%'"
            " AND pid <> pg_backend_pid()"
        )

    async def listeners(self) -> int:
        count: int = await self.superuser.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query LIKE 'LISTEN %'"
        )
        return count

    async def away(self) -> Fanout:
        pool = await open_pool(self.database.app_url, 1)
        fanout = PostgresFanout(pool, "postgresql://nobody@127.0.0.1:1/nothing")
        await pool.close()
        return fanout


@dataclass
class OverRedis:
    server: RedisServer
    client: Any
    stack: AsyncExitStack
    running: Running

    async def another(self) -> Fanout:
        client = Redis.from_url(self.server.url)
        self.stack.push_async_callback(client.aclose)
        return self.running.run(RedisFanout(client))

    async def cut(self) -> None:
        await self.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    async def listeners(self) -> int:
        found = await self.client.execute_command("CLIENT", "LIST", "TYPE", "pubsub")
        lines = found.decode() if isinstance(found, bytes) else str(found)
        return lines.count(" sub=") - lines.count(" sub=0 ")

    async def away(self) -> Fanout:
        client = Redis.from_url("unix:///nowhere/at/all.sock")
        self.stack.push_async_callback(client.aclose)
        return RedisFanout(client)


@asynccontextmanager
async def over_postgres(postgres: Postgres) -> AsyncIterator[Server]:
    running = Running()
    async with (
        postgres.fresh_database(migrated=False) as database,
        AsyncExitStack() as stack,
    ):
        superuser = await asyncpg.connect(database.superuser_url)
        stack.push_async_callback(superuser.close)
        stack.push_async_callback(running.end)
        yield OverPostgres(database, superuser, stack, running)
        await running.end()


@asynccontextmanager
async def over_redis(_: Postgres) -> AsyncIterator[Server]:
    running = Running()
    # One of its own: what is cut here is not to be others'.
    with running_redis() as server:
        async with AsyncExitStack() as stack, Redis.from_url(server.url) as client:
            stack.push_async_callback(running.end)
            yield OverRedis(server, client, stack, running)
            await running.end()


KINDS: dict[str, Callable[[Postgres], Any]] = {
    "postgres": over_postgres,
    "redis": over_redis,
}


@pytest.fixture(params=KINDS)
async def server(request: pytest.FixtureRequest, postgres: Postgres) -> AsyncIterator[Server]:
    async with KINDS[request.param](postgres) as running:
        yield running


@pytest.fixture
async def fanout(server: Server) -> Fanout:
    return await server.another()
