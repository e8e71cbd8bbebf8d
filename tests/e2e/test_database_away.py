"""PostgreSQL goes away under a running gateway and comes back; the gateway stays."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway import embedded
from tests.e2e.linking import SYNC, connect, import_file
from tests.e2e.linking import checking as a_statement
from tests.e2e.stack import SIGN_IN, Client, Stack, a_stack, until_ready
from tests.servers import Database, Postgres

WORTH = "{ viewer { email } accounts { name } netWorth { total { amount } } }"


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A server of this module alone, for it will be killed; it keeps what it has committed."""
    with tempfile.TemporaryDirectory(prefix="dashtam-") as folder:
        server = Postgres(embedded.start(Path(folder)))
        try:
            yield server
        finally:
            embedded.stop(server.server)


@pytest.fixture(scope="module")
async def own_database(own_postgres: Postgres) -> AsyncIterator[Database]:
    async with own_postgres.fresh_database() as database:
        yield database


@pytest.fixture(scope="module")
async def stack(
    own_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    async with a_stack(own_database, tmp_path_factory.mktemp("away")) as running:
        yield running


@pytest.fixture(scope="module")
async def owner(stack: Stack) -> AsyncIterator[Client]:
    async with stack.somebody() as client:
        await import_file(client, a_statement("-1.00"))
        yield client


async def start_again(postgres: Postgres) -> None:
    """In the folder of the server that was ended."""
    data_dir = postgres.server.pgdata.parents[1]
    process = postgres.server.process
    assert process is not None
    await asyncio.to_thread(process.wait)
    pids = postgres.server.pgdata / "postmaster.pid"
    postgres.server = await asyncio.to_thread(embedded.start, data_dir)
    assert pids.exists()


async def test_an_operation_that_loses_its_database_says_so_and_the_next_one_is_answered(
    own_postgres: Postgres, stack: Stack, owner: Client
) -> None:
    before = await owner.ask(WORTH)
    process = own_postgres.server.process
    assert process is not None
    asking = [asyncio.create_task(owner.post(WORTH)) for _ in range(20)]
    process.send_signal(signal.SIGQUIT)  # at once, as a crash does
    answers = await asyncio.gather(*asking)
    while True:  # until it is gone, answers may still be whole
        answers.append(last := await owner.post(WORTH))
        if last.json().get("errors"):
            break

    for answer in answers:
        is_away(answer)
    for document, variables in (
        (SIGN_IN, {"input": {"email": owner.email, "password": "wrong"}}),
        ('mutation { updateSettings(input: {timeZone: "UTC"}) { errors { code } } }', {}),
    ):
        is_away(await owner.post(document, variables))
    red = await until_ready(stack.gateway, ready=False)
    assert red == {"status": "not ready", "reason": "the database is away"}
    assert (await owner.http.get("/healthz")).json() == {"status": "alive"}

    await start_again(own_postgres)
    back = time.monotonic()
    await until_ready(stack.gateway)
    assert time.monotonic() - back < 5
    assert await owner.ask(WORTH) == before
    payload = await owner.do(
        'mutation { updateSettings(input: {timeZone: "Europe/Berlin"}) { viewer { timeZone } errors { code } } }'
    )
    assert payload == {"viewer": {"timeZone": "Europe/Berlin"}, "errors": []}


def is_away(answer: httpx2.Response) -> None:
    """Whole, or 503 as a whole."""
    errors = answer.json().get("errors", [])
    assert answer.status_code == (503 if errors else 200), answer.text
    if errors:
        assert int(answer.headers["retry-after"]) > 0
    for error in errors:
        assert error["extensions"]["code"] == "UNAVAILABLE", answer.text


async def test_a_frozen_database_is_noticed_within_seconds(
    own_postgres: Postgres, stack: Stack, owner: Client
) -> None:
    process = own_postgres.server.process
    assert process is not None
    backends = [int(pid) for pid in children(process.pid)]
    for pid in (process.pid, *backends):
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        red = await until_ready(stack.gateway, ready=False)
        answer = await owner.post(WORTH)
        assert time.monotonic() - began < 10
        assert red["reason"] == "the database is away"
        is_away(answer)
        assert answer.json()["errors"]
        assert (await owner.http.get("/healthz")).status_code == 200
    finally:
        for pid in (process.pid, *backends):
            os.kill(pid, signal.SIGCONT)

    await until_ready(stack.gateway)
    assert await owner.ask("{ viewer { email } }") == {"viewer": {"email": owner.email}}


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


async def test_a_session_ended_while_nobody_could_listen_is_ended_afterwards(
    own_postgres: Postgres, stack: Stack
) -> None:
    async with stack.somebody() as client:
        assert await client.ask("{ viewer { email } }")
        process = own_postgres.server.process
        assert process is not None
        process.send_signal(signal.SIGQUIT)
        await start_again(own_postgres)
        await until_ready(stack.gateway)

        await client.do("mutation { signOut { signedOut } }")

        assert (await client.post("{ viewer { email } }")).status_code == 401


async def test_the_worker_waits_for_its_database_and_goes_on(
    own_postgres: Postgres, stack: Stack, owner: Client
) -> None:
    process = own_postgres.server.process
    assert process is not None
    process.send_signal(signal.SIGQUIT)
    await start_again(own_postgres)
    await until_ready(stack.gateway)
    assert (await connect(owner))["errors"] == []

    async with asyncio.timeout(40):
        done: dict[str, Any] = {}
        while done.get("status") != "SUCCEEDED":
            payload = await owner.do(SYNC, input={"waitSeconds": 5})
            [done] = payload["runs"]

    assert stack.worker.process.returncode is None
