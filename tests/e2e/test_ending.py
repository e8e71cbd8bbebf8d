"""A gateway that is asked to end: it says so first, and finishes what it began."""

import asyncio
import signal

import asyncpg
import httpx2
import pytest

from tests.e2e.stack import (
    SIGN_IN,
    Program,
    Stack,
    a_free_port,
    environment,
    running,
    until_ready,
)
from tests.servers import Database


async def until_someone_waits(connection: asyncpg.Connection) -> None:
    waiting = """SELECT count(*) FROM pg_locks
        WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    async with asyncio.timeout(10):
        while not await connection.fetchval(waiting):  # noqa: ASYNC110 - only seen from outside
            await asyncio.sleep(0.01)


async def test_readyz_turns_red_the_request_is_finished_and_then_it_ends(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("ending")
    environ = environment(
        stack.database,
        folder,
        a_free_port(),
        DASHTAM_MODE="production",
        DASHTAM_KEYRING=str(stack.settings.keyring),
        DASHTAM_ARGON2="m=19456,t=2,p=1",
    )
    async with running("serve", environ, folder) as gateway:
        await until_ready(gateway)
        await ended_while_asked(gateway, stack.database)

        assert await asyncio.wait_for(gateway.process.wait(), 10) == -signal.SIGTERM
        said = [line["event"] for line in gateway.lines()]
        assert said.count("process.draining") == 1
        assert "mail.nowhere" in said


async def ended_while_asked(gateway: Program, database: Database) -> None:
    said = {"input": {"email": "nobody@example.com", "password": "x"}}
    connection = await asyncpg.connect(database.superuser_url)
    try:
        async with httpx2.AsyncClient(base_url=gateway.url, timeout=20) as http:
            async with connection.transaction():
                await connection.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
                body = {"query": SIGN_IN, "variables": said}
                asked = asyncio.create_task(http.post("/graphql", json=body))
                await until_someone_waits(connection)

                gateway.process.send_signal(signal.SIGTERM)

                red = await until_ready(gateway, ready=False)
                assert red == {"status": "not ready", "reason": "draining"}
                assert (await http.get("/healthz")).status_code == 200
                await asyncio.sleep(2.5)  # it has stopped to listen by now
                with pytest.raises(httpx2.ConnectError):
                    async with httpx2.AsyncClient(base_url=gateway.url) as late:
                        await late.get("/healthz")
                assert not asked.done()
            payload = (await asked).json()["data"]["signIn"]
            assert [error["code"] for error in payload["errors"]] == ["SIGN_IN_FAILED"]
    finally:
        await connection.close()
