"""Open connections on which nothing happens, until an event reaches all of them."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.e2e.idle import EACH, Open, measured, people, socket_of, stream_of
from tests.e2e.stack import Stack, a_free_port, environment, running, until_ready

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
COUNT = 2_000 if LONG else EACH
EACH_MAX = 40 << 10  # bytes; of few, what the process takes otherwise hides it
ALL_MAX = 200 << 20


@pytest.mark.parametrize("open_one", [socket_of, stream_of])
async def test_an_event_reaches_all_who_wait_and_each_takes_little_memory(
    stack: Stack, tmp_path: Path, open_one: Callable[[int, str], Awaitable[Open]]
) -> None:
    environ = environment(stack.database, stack.folder, a_free_port())
    async with people(stack, COUNT // EACH) as clients:
        if not LONG:
            assert (await measured(stack, stack.gateway, clients, open_one)).count == COUNT
            return
        async with running("serve", environ, tmp_path) as gateway:
            await until_ready(gateway)
            found = await measured(stack, gateway, clients, open_one)

    assert found.count == COUNT
    assert found.each < EACH_MAX
    assert found.during < ALL_MAX
