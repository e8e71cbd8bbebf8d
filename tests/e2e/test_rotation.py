"""Keys are rotated while gateway and worker run: nobody notices, whatever is killed meanwhile."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from adapters.security.keyring import LINGER_S, Keyring
from tests.e2e.linking import linked, sync
from tests.e2e.sealed import all_open, counted, many_links
from tests.e2e.stack import PROGRAM, Client, Said, Stack, dashtam, environment
from tests.security.corpus import decoded
from tests.security.test_keyring import aged

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
VALUES, KILLS = (100_000, 20) if LONG else (1_000, 1)
READ = "{ viewer { email } links { id status } accounts { name balance { amount } } }"


@pytest.fixture
async def superuser(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(stack.database.superuser_url)
    yield connection
    await connection.close()


def kid(client: Client) -> str:
    found: str = decoded((client.token or "").split(".")[0])["kid"]
    return found


async def rotate(stack: Stack, *words: str) -> Said:
    environ = environment(stack.database, stack.folder, stack.gateway.port)
    return await dashtam("keys", "rotate", *words, environ=environ, folder=stack.folder)


async def rotate_until(stack: Stack, enough: Callable[[], Awaitable[bool]]) -> bool:
    """Whether it was cut off by SIGKILL, once there was enough, before it ended by itself."""
    environ = environment(stack.database, stack.folder, stack.gateway.port)
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "keys", "rotate", env=environ, cwd=stack.folder, stdout=asyncio.subprocess.DEVNULL
    )
    while process.returncode is None and not await enough():  # noqa: ASYNC110 - of a process
        await asyncio.sleep(0.002)
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    return await process.wait() == -signal.SIGKILL


@asynccontextmanager
async def read_all_the_while(client: Client) -> AsyncIterator[list[int]]:
    """With the token that the client had at the start; gives the status of each answer."""
    seen: list[int] = []

    async def read() -> None:
        while True:
            answer = await client.post(READ)
            assert "errors" not in answer.json(), answer.text
            seen.append(answer.status_code)
            await asyncio.sleep(0.01)

    async def do_sync() -> None:
        while True:
            [run] = (await sync(client, force=True))["runs"]
            assert run["status"] == "SUCCEEDED", run
            await asyncio.sleep(1)

    reading = [asyncio.create_task(read()), asyncio.create_task(do_sync())]
    try:
        yield seen
        assert not any(task.done() for task in reading)
    finally:
        for task in reading:
            task.cancel()
        results = await asyncio.gather(*reading, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results


async def test_keys_are_rotated_under_load_and_the_old_pruned_though_the_rotation_is_killed(
    stack: Stack, superuser: asyncpg.Connection, alice: Client, bob: Client
) -> None:
    ring = stack.settings.keyring
    assert ring is not None
    await linked(alice)
    old = Keyring.load(ring)
    assert kid(alice) == old.signing_now.kid

    async with many_links(superuser, old, VALUES), read_all_the_while(alice) as seen:
        for kill in range(1, KILLS + 1):
            assert await rotate_until(stack, _share_done(superuser, ring, old, kill))
        before = len(seen)
        said = await rotate(stack)
        new = Keyring.load(ring)

        assert said.code == 0, said
        assert len(new.sealing) == len(old.sealing) + 1  # one rotation, however often it began
        assert not new.rotating
        every, under = await counted(superuser, new.sealing[0].id)
        assert under == every >= VALUES
        assert await all_open(superuser, new)

        await bob.sign_in(bob.email)  # which ends no session, and signs with the new key
        assert kid(bob) == new.signing[0].kid != kid(alice)
        assert await bob.ask(READ)
        await linked(bob)  # credentials sealed by the gateway, and opened by the worker
        every, under = await counted(superuser, new.sealing[0].id)
        assert under == every
        assert (await sync(alice, force=True))["errors"] == []
        await asyncio.sleep(0.2)
    assert len(seen) > before > 10
    assert set(seen) == {200}

    aged(ring, LINGER_S)  # as if it were that much later
    said = await rotate(stack, "--prune")

    assert (said.code, "removed from" in said.out) == (0, True), said
    left = Keyring.load(ring)
    assert [key.id for key in left.sealing] == [new.sealing[0].id]
    assert [key.kid for key in left.signing] == [new.signing[0].kid]
    async with asyncio.timeout(10):  # what was read is remembered for a few seconds
        # Her token is of a key that is gone.
        while (await alice.post(READ)).status_code != 401:  # noqa: ASYNC110 - over HTTP
            await asyncio.sleep(0.1)
    await alice.sign_in(alice.email)
    [run] = (await sync(alice, force=True))["runs"]
    assert run["status"] == "SUCCEEDED", run


def _share_done(
    db: asyncpg.Connection, ring: Path, old: Keyring, kill: int
) -> Callable[[], Awaitable[bool]]:
    """Once this kill's share of all the values is under the new key."""
    least = VALUES * kill // (KILLS + 1)

    async def enough() -> bool:
        keyring = Keyring.load(ring)
        if keyring.sealing[0] in old.sealing:
            return False
        _, under = await counted(db, keyring.sealing[0].id)
        return under >= least

    return enough
