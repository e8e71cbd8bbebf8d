"""Whoever hangs up, or asks for too much, is no longer worked for: down to the SQL statement."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import httpx2
import pytest

from gateway.asgi import _sessions, graphql_view
from gateway.http.endpoint import GraphQLOverHttp
from schema.context import Context
from tests.e2e.linking import SYNC, connect, import_file
from tests.e2e.linking import checking as a_statement
from tests.e2e.stack import Client, Stack
from tests.gateway.http.served import served, until

ACCOUNTS = "{ accounts { name } }"
GONE_S_MAX = 2.0  # measured: 0.003 to 0.015, of 0.2; a test's machine has other things to do
RUNNING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state <> 'idle' AND wait_event_type = 'Lock'"""
BUSY = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND usename = 'dashtam_app' AND state <> 'idle'"""


@dataclass
class Held:
    """A gateway in this process, and somebody whose accounts nobody can read now."""

    stack: Stack
    view: GraphQLOverHttp[Context]
    address: str
    client: Client
    database: asyncpg.Connection

    async def count(self, query: str) -> int:
        return int(await self.database.fetchval(query))

    async def until_running(self, count: int) -> None:
        async with asyncio.timeout(10):
            while await self.count(RUNNING) != count:  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    async def until_gone(self, query: str = RUNNING) -> None:
        async with asyncio.timeout(GONE_S_MAX):
            while await self.count(query):  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    def request(self, method: str, query: str) -> bytes:
        content = json.dumps({"query": query}).encode()
        target = "/graphql" if method != "GET" else "/graphql?query=" + query.replace(" ", "%20")
        body = b"" if method == "GET" else content
        lines = [
            f"{method} {target} HTTP/1.1",
            "host: x",
            f"authorization: Bearer {self.client.token}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "",
            "",
        ]
        return "\r\n".join(lines).encode() + body

    async def asked(self, method: str, query: str) -> asyncio.StreamWriter:
        port = int(self.address.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(self.request(method, query))
        await writer.drain()
        return writer

    def idle(self) -> bool:
        pool = self.stack.wired.pool
        return pool.get_idle_size() == pool.get_size() and self.view.operations.places._taken == 0

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """While nobody can read accounts."""
        locking = await asyncpg.connect(self.stack.database.superuser_url)
        try:
            await locking.execute("BEGIN; LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE")
            yield
        finally:
            await locking.close()


@pytest.fixture(scope="module")
async def held(stack: Stack) -> AsyncIterator[Held]:
    database = await asyncpg.connect(stack.database.superuser_url)
    async with stack.somebody() as client, _sessions(stack.wired) as authenticator:
        await import_file(client, a_statement("-1.00"))
        view = graphql_view(stack.wired, authenticator)
        async with served(view) as address:
            yield Held(stack, view, address, client, database)
    await database.close()


@pytest.mark.parametrize("method", ["POST", "GET", "QUERY"])
async def test_who_hangs_up_ends_the_statement_that_ran_for_them(held: Held, method: str) -> None:
    async with held.locked():
        for hang_up in ("close", "abort"):
            writer = await held.asked(method, ACCOUNTS)
            await held.until_running(1)
            if hang_up == "close":
                writer.close()
            else:
                writer.transport.abort()
            await held.until_gone()
            await until(held.idle)


async def test_a_deadline_ends_it_too(held: Held) -> None:
    before, held.view.deadline_s = held.view.deadline_s, 0.15
    headers = {"authorization": f"Bearer {held.client.token}"}
    try:
        async with (
            held.locked(),
            httpx2.AsyncClient(base_url=held.address, headers=headers) as http,
        ):
            answer = await http.post("/graphql", json={"query": ACCOUNTS})
            assert answer.status_code == 503
            assert answer.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"
            assert await held.count(RUNNING) == 0  # before the answer is there
            assert held.idle()
    finally:
        held.view.deadline_s = before


async def test_a_hundred_who_hang_up_leave_nothing_behind(held: Held) -> None:
    tasks = len(asyncio.all_tasks())
    async with held.locked():

        async def comes_and_goes(n: int) -> None:
            writer = await held.asked(("POST", "GET", "QUERY")[n % 3], ACCOUNTS)
            await asyncio.sleep(0.003 * (n % 11))
            writer.close()

        for start in range(0, 100, 10):
            await asyncio.gather(*(comes_and_goes(n) for n in range(start, start + 10)))
        await held.until_gone()
        await until(held.idle)
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    await held.until_gone(BUSY)  # where a worker has a look of its own just now, it is over soon
    headers = {"authorization": f"Bearer {held.client.token}"}
    async with httpx2.AsyncClient(base_url=held.address, headers=headers) as http:
        answer = await http.post("/graphql", json={"query": ACCOUNTS})
        assert [a["name"] for a in answer.json()["data"]["accounts"]]


async def test_a_mutation_that_waits_is_left_and_what_it_asked_for_is_done(
    held: Held, stack: Stack
) -> None:
    """The sync was asked for in a transaction of its own, which was over before it was waited for."""
    async with stack.somebody() as client:
        await connect(client)
        content = {"query": SYNC, "variables": {"input": {"waitSeconds": 25}}}
        async with httpx2.AsyncClient(base_url=held.address) as http:
            http.headers["authorization"] = f"Bearer {client.token}"
            asking = asyncio.create_task(http.post("/graphql", json=content))
            await until(lambda: not held.idle())
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await until(held.idle)
        assert await held.count(RUNNING) == 0
        [run] = (await client.do(SYNC, input={"waitSeconds": 25}))["runs"]
        assert run["status"] == "SUCCEEDED", run


async def test_a_mutation_that_is_blocked_is_undone_as_a_whole(held: Held) -> None:
    create = (
        'mutation { createManualAccount(input: {name: "Never", type: OTHER, currency: "USD", '
        'balance: "1"}) { account { id } errors { code } } }'
    )
    async with held.locked():
        writer = await held.asked("POST", create)
        await held.until_running(1)
        writer.close()
        await held.until_gone()
        await until(held.idle)
    names = [a["name"] for a in (await held.client.ask(ACCOUNTS))["accounts"]]
    assert "Never" not in names
    await held.until_gone(BUSY)  # where a worker has a look of its own just now, it is over soon
