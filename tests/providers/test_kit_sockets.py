"""The kit against a real server on the loopback: slow, endless, cut off, and gone."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from adapters.providers.kit import Egress, Http, Policy
from domain.errors import ProviderUnavailable

Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]
QUICK = Policy(call_s=0.2, tries_max=2, wait_first_s=0.01, bytes_max=10_000)


def an_http(port: int) -> Http:
    host = f"127.0.0.1:{port}"
    egress = Egress(private=frozenset({host}))
    return Http("acme", f"http://{host}", egress=egress, policy=QUICK)


@asynccontextmanager
async def served(answer: Serve) -> AsyncIterator[tuple[Http, list[bytes]]]:
    """A server that answers each request so, and the requests that it has read."""
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, an_http(port) as http:
        yield http, asked


async def write(writer: asyncio.StreamWriter, *parts: bytes) -> None:
    for part in parts:
        writer.write(part)
        await writer.drain()


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    async def silence(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)

    async with served(silence) as (http, asked):
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable, match="in time"):
            await http.get("/slow")
        assert time.monotonic() - began < 0.9
        assert len(asked) == 2


async def test_a_server_that_dribbles_is_given_up_in_time() -> None:
    async def dribble(writer: asyncio.StreamWriter) -> None:
        await write(writer, b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(50):
            await write(writer, b" ")
            await asyncio.sleep(0.02)  # each wait for a byte is far below any timeout of reading

    async with served(dribble) as (http, _):
        with pytest.raises(ProviderUnavailable, match="in time"):
            await http.get("/drip")


async def test_an_answer_over_the_cap_is_not_read_to_its_end_nor_asked_for_again() -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await write(writer, b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[")
        for _ in range(10_000):
            await write(writer, b"1, " * 1_000)
            sent += 3_000

    async with served(endless) as (http, asked):
        with pytest.raises(ProviderUnavailable, match="too much"):
            await http.get("/endless")
        assert len(asked) == 1
    assert sent < 30_000_000


async def test_a_body_that_is_cut_off_is_asked_for_again() -> None:
    answers = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[1",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n[2]",
    ]

    async def cut(writer: asyncio.StreamWriter) -> None:
        await write(writer, answers.pop(0))

    async with served(cut) as (http, asked):
        assert await http.get("/cut") == [2]
        assert len(asked) == 2


async def test_an_answer_that_came_with_another_is_nobodys() -> None:
    one = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"

    async def doubled(writer: asyncio.StreamWriter) -> None:
        await write(writer, one + b"[" + str(len(asked)).encode() + b"00]" + one + b"[999]")
        await asyncio.sleep(0.05)  # its connection could be used again

    async with served(doubled) as (http, asked):
        assert [await http.get("/x"), await http.get("/y")] == [[100], [200]]


async def test_what_cannot_be_sent_is_said() -> None:
    async with an_http(1) as http:
        for asking in (
            http.get("/\ud800"),
            http.get("/a\0b"),
            http.get("/" + "a" * 70_000),
            http.get("/x", headers={"authorization": "\u20ac"}),
            http.post("/x", json={"cursor": "\ud800"}),
            http.post("/x", form={"token": "\ud800"}),
        ):
            with pytest.raises(ProviderUnavailable, match="cannot be sent"):
                await asking


async def test_nobody_listening_is_unavailable() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        port = held.getsockname()[1]
        async with an_http(port) as http:
            with pytest.raises(ProviderUnavailable, match="reached"):
                await http.get("/x")


async def test_a_cancelled_call_gives_its_place_back() -> None:
    async def silence(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)

    async with served(silence) as (http, _):
        calls = [asyncio.create_task(http.get("/slow")) for _ in range(20)]
        await asyncio.sleep(0.05)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert http._host.slots._value == QUICK.in_flight_max
