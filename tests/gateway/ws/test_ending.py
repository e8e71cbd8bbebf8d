"""A process that ends lets its sockets go, spread over a while; peers that are dead are noticed."""

import asyncio
import signal
import time

import pytest
import structlog
import websockets

from tests.gateway.http.served import until
from tests.gateway.ws.served import closed, served


async def test_a_drain_closes_every_socket_within_its_time_and_not_all_at_once() -> None:
    async with served() as server:
        sockets = [
            await websockets.connect(
                server.url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]
            )
            for _ in range(30)
        ]
        ended: list[float] = []

        async def watch(socket: websockets.ClientConnection) -> None:
            assert await closed(socket) == (1012, "this process is ending")
            ended.append(time.monotonic())

        began = time.monotonic()
        server.connections.drain(1.0)
        await asyncio.gather(*(watch(socket) for socket in sockets))

        assert max(ended) - began < 2
        assert max(ended) - min(ended) > 0.3
        assert len(server.connections) == 0


async def test_while_draining_no_socket_is_opened() -> None:
    async with served() as server:
        server.connections.drain(0)
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with server.connected():
                pass
        assert refused.value.response.status_code == 503


async def test_what_was_begun_is_answered_before_the_process_ends() -> None:
    async with served() as server, server.greeted() as talk:
        await talk.subscribe("{ held }")
        await until(lambda: server.journal.entries == ["held begins"])
        server.connections.drain(0)
        await asyncio.sleep(0.2)
        server.journal.go_on.set()

        assert [m["type"] for m in await talk.all_of()] == ["next", "complete"]
        assert (await talk.closed())[0] == 1012


async def test_a_process_that_is_told_to_end_first_answers_what_was_begun() -> None:
    async with served() as server, server.greeted() as talk, server.greeted() as idle:
        await talk.subscribe("{ held }")
        await until(lambda: server.journal.entries == ["held begins"])
        server.server.handle_exit(signal.SIGTERM, None)
        assert (await idle.closed())[0] == 1012
        await asyncio.sleep(1)  # uvicorn has long been told
        server.journal.go_on.set()

        assert [m["type"] for m in await talk.all_of()] == ["next", "complete"]
        assert (await talk.closed())[0] == 1012


async def test_a_server_that_stops_does_not_wait_for_its_sockets() -> None:
    async with served() as server, server.greeted() as talk:
        await talk.subscribe("subscription { ticks }")
        await talk.next()
        began = time.monotonic()
        server.server.should_exit = True

        assert (await talk.closed(within_s=2))[0] == 1012
        await until(lambda: server.journal.open_contexts == 0)
        assert time.monotonic() - began < 2
        assert server.journal.entries[-1].startswith("ticks end")


async def test_a_peer_that_answers_no_ping_is_let_go() -> None:
    async with served() as server:
        server.server.config.ws_ping_interval = 0.1
        server.server.config.ws_ping_timeout = 0.2
        async with server.greeted(ping_interval=None, close_timeout=0.1) as talk:
            await talk.subscribe("subscription { silent }")
            await until(lambda: server.journal.entries == ["silence begins"])
            talk.socket.transport.pause_reading()
            await until(lambda: server.journal.entries[-1] == "silence ends")
            await until(lambda: len(server.connections) == 0)


async def test_a_socket_is_in_the_log_when_it_opens_and_when_it_closes() -> None:
    with structlog.testing.capture_logs() as lines:
        async with served() as server:
            async with server.greeted() as talk:
                await talk.say("connection_init")
                await talk.closed()
            await server.until_idle()

    ours = [line for line in lines if line["event"].startswith("socket.")]
    assert [line["event"] for line in ours] == ["socket.opened", "socket.closed"]
    assert ours[1]["code"] == 4429
    assert ours[1]["ms"] > 0
