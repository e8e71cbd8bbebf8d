"""When a process begins to end, and when it does: without a server, by what is called."""

import asyncio
import socket
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from gateway.processes.draining import Drain, turn_away


class Connections:
    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.within_s: list[float] = []

    def drain(self, within_s: float) -> None:
        self.within_s.append(within_s)

    async def drained(self) -> None:
        await self.gone.wait()


def an_app(connections: Any) -> Starlette:
    app = Starlette()
    app.state.health = SimpleNamespace(draining=False)
    if connections is not None:
        app.state.connections = connections
    return app


async def test_it_is_red_at_once_and_ends_when_its_sockets_have_gone() -> None:
    connections, ends = Connections(), []
    app = an_app(connections)

    Drain(app, 0.0).begin(lambda: ends.append("ended"))

    assert app.state.health.draining
    for _ in range(5):
        await asyncio.sleep(0)
    assert (ends, connections.within_s) == ([], [0.0])
    connections.gone.set()
    for _ in range(3):
        await asyncio.sleep(0)
    assert ends == ["ended"]


@pytest.mark.parametrize(("same_s", "then"), [(0.0, ["second"]), (60.0, [])])
async def test_a_second_signal_ends_it_at_once_unless_it_is_the_same_wish(
    same_s: float, then: list[str]
) -> None:
    connections, ends = Connections(), []
    drain = Drain(an_app(connections), 0.0, same_s=same_s)
    drain.begin(lambda: ends.append("first"))

    drain.begin(lambda: ends.append("second"))

    assert ends == then
    connections.gone.set()
    await asyncio.sleep(0.01)
    assert ends == [*then, "first"]


async def test_it_is_said_after_the_signal_which_may_have_come_while_a_line_was_written() -> None:
    """The log's lock is held then, by the very thread that runs the handler."""
    connections = Connections()
    connections.gone.set()
    ended = asyncio.Event()

    with capture_logs() as said:
        Drain(an_app(connections), 0.0).begin(ended.set)
        assert said == []
        await ended.wait()

    assert [line["event"] for line in said] == ["process.draining"]


async def test_one_that_is_not_up_yet_ends_at_once() -> None:
    ends: list[str] = []
    app = an_app(None)

    Drain(app, 2.0).begin(lambda: ends.append("ended"))

    assert ends == ["ended"]
    assert not app.state.health.draining


async def test_a_listener_that_turns_away_still_gives_up_those_who_had_come() -> None:
    loop = asyncio.get_running_loop()
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)
        with closing(socket.create_connection(listening.getsockname())):
            turn_away(listening)
            with closing(socket.socket()) as late:
                late.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    late.connect(listening.getsockname())

            accepted, _ = await loop.sock_accept(listening)
            accepted.close()
