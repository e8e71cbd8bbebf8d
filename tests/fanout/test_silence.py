"""A PostgreSQL that says nothing any more, or lets nobody in, holds up nothing for ever."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from adapters.postgres.fanout import PostgresFanout
from adapters.postgres.pool import open_pool
from domain.ports import Fanout
from tests.fanout.conftest import Running
from tests.fanout.test_fanout import next_of
from tests.gateway.http.served import until
from tests.servers import Postgres


class Proxy:
    """Between a client and the server's socket; while `silent`, it passes nothing on."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.speaks = asyncio.Event()
        self.speaks.set()
        self.passing: set[asyncio.Task[None]] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self.socket)
        for source, sink in ((reader, back), (there, writer)):
            self.passing.add(asyncio.create_task(self._pass(source, sink)))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while said := await source.read(1 << 16):
            await self.speaks.wait()
            sink.write(said)
        sink.close()


@asynccontextmanager
async def behind_a_proxy(postgres: Postgres, folder: Path) -> AsyncIterator[tuple[Proxy, Fanout]]:
    running = Running()
    name = ".s.PGSQL.5432"
    async with postgres.fresh_database(migrated=False) as database:
        pool = await open_pool(database.app_url, 1)
        ours = database.app_url.partition("?host=")[2].partition("&")[0]
        proxy = Proxy(Path(ours) / name)
        server = await asyncio.start_unix_server(proxy.connected, folder / name)
        url = database.app_url.replace(ours, str(folder))
        fanout = running.run(PostgresFanout(pool, url, answer_s=0.5))
        try:
            yield proxy, fanout
        finally:
            proxy.speaks.set()
            await running.end()
            await pool.close()
            server.close()
            await asyncio.gather(*proxy.passing)


async def test_whoever_leaves_does_not_wait_for_a_server_that_says_nothing(
    postgres: Postgres, tmp_path: Path
) -> None:
    async with behind_a_proxy(postgres, tmp_path) as (proxy, fanout):
        async with asyncio.timeout(5), fanout.subscribe("runs") as heard:
            assert await next_of(heard) is None
            proxy.speaks.clear()
            began = time.monotonic()
        assert time.monotonic() - began < 2


async def test_whoever_came_while_the_server_said_nothing_is_heard_afterwards(
    postgres: Postgres, tmp_path: Path
) -> None:
    async with behind_a_proxy(postgres, tmp_path) as (proxy, fanout):
        await until(lambda: fanout.hears)
        proxy.speaks.clear()
        async with asyncio.timeout(10), fanout.subscribe("runs") as heard:
            proxy.speaks.set()
            assert await next_of(heard) is None
            await fanout.publish("runs", "r1")
            assert await next_of(heard) == "r1"


async def test_a_database_that_lets_nobody_in_for_a_while_is_heard_again(
    postgres: Postgres,
) -> None:
    running = Running()
    async with postgres.fresh_database(migrated=False) as database:
        pool = await open_pool(database.app_url, 1)
        fanout = running.run(PostgresFanout(pool, database.app_url))
        async with fanout.subscribe("runs") as heard:
            assert await next_of(heard) is None
            await postgres._execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
            await postgres._execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE datname = '{database.name}'"
            )
            await until(lambda: not fanout.hears)
            await asyncio.sleep(0.3)
            await postgres._execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true")
            assert await next_of(heard) is None
            assert fanout.hears
        await running.end()
        pool.terminate()


async def test_one_that_ends_as_it_begins_leaves_no_complaint_in_the_servers_log(
    postgres: Postgres,
) -> None:
    """As in a command of the shell, which is over before anything is heard."""
    log = postgres.server.pgdata.parent / "log"
    async with postgres.fresh_database(migrated=False) as database:
        pool = await open_pool(database.app_url, 1)
        before = await pool.fetchval("SELECT pg_backend_pid()")
        for ms in range(12):
            running = Running()
            running.run(PostgresFanout(pool, database.app_url))
            await asyncio.sleep(ms / 1_000)
            await running.end()
        await pool.close()
        lost = re.findall(r"\[(\d+)\] FATAL: +connection to client lost", log.read_text())
        # Those of earlier tests may end late; and the pool's own is cut off at its word, seldom.
        assert len([pid for pid in map(int, lost) if pid > before]) <= 1


async def test_one_who_listens_and_hears_nothing_says_so_and_has_everybody_look(
    postgres: Postgres,
) -> None:
    """As through a pooler in transaction mode: LISTEN is taken, and nothing ever arrives."""
    running = Running()
    async with (
        postgres.fresh_database(migrated=False) as said_to,
        postgres.fresh_database(migrated=False) as heard_at,
    ):
        pool = await open_pool(said_to.app_url, 1)
        deaf = PostgresFanout(pool, heard_at.app_url, answer_s=0.1)
        well = PostgresFanout(pool, said_to.app_url)
        running.run(deaf)
        running.run(well)
        async with deaf.subscribe("runs") as heard:
            assert await next_of(heard) is None
            assert not deaf.hears
            assert "transaction mode" in (deaf.warning() or "")
            await deaf.publish("runs", "r1")
            assert await next_of(heard) is None  # again, for as long as that is so
        await until(lambda: well.hears)
        assert well.warning() is None
        await running.end()
        await pool.close()
