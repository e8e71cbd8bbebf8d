"""Many open connections on which nothing happens, and what they take in the gateway.

By hand: `python -m tests.e2e.idle [COUNT]`.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from tests.e2e.stack import Client, Program, Stack, a_free_port, a_stack, environment, until_ready
from tests.e2e.stack import running as running_program
from tests.servers import Postgres, running_postgres

EACH = 40  # of one person, which is all that one may have
EVENTS = "subscription { events { at name cursor } }"
PROTOCOL = "graphql-transport-ws"
HAPPENED = b"link.connected"
# As a worker's transaction records them: one for each of these people.
RECORD = """
INSERT INTO events (user_id, name, at, facts)
SELECT u.user_id, 'link.connected', now(), jsonb_build_object('link', gen_random_uuid())
FROM users AS u WHERE u.email = ANY($1)"""
TELL = "SELECT pg_notify('dashtam_events', '')"


@dataclass(slots=True)
class Open:
    """One connection, to which somebody listens."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def until(self, words: bytes) -> None:
        found = b""
        while words not in found:
            got = await self.reader.read(1 << 16)
            assert got, found
            found = found[-100:] + got


async def socket_of(port: int, token: str) -> Open:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [
        "GET /graphql HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {PROTOCOL}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    one = Open(reader, writer)
    await one.until(b"\r\n\r\n")
    said = {"authorization": f"Bearer {token}"}
    writer.write(_frame({"type": "connection_init", "payload": said}))
    await one.until(b"connection_ack")
    writer.write(_frame({"type": "subscribe", "id": "1", "payload": {"query": EVENTS}}))
    return one


def _frame(message: dict[str, object]) -> bytes:
    """RFC 6455, masked with zeros."""
    body = json.dumps(message).encode()
    size = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2)
    return b"\x81" + size + bytes(4) + body


async def stream_of(port: int, token: str) -> Open:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"query": EVENTS})
    lines = [
        "POST /graphql HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Content-Type: application/json",
        "Accept: text/event-stream",
        f"Authorization: Bearer {token}",
        f"Content-Length: {len(body)}",
    ]
    writer.write("\r\n".join([*lines, "", body]).encode())
    one = Open(reader, writer)
    await one.until(b"retry: ")
    return one


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """RSS in bytes of the gateway's process, before and while they were open; `reached_s` is from
    the commit of an event for each person to the last connection's hearing of it, and `cpu_s` what
    the gateway's process worked for that."""

    count: int
    before: int
    during: int
    reached_s: float
    cpu_s: float

    @property
    def each(self) -> float:
        return (self.during - self.before) / self.count


def rss(program: Program) -> int:
    lines = Path(f"/proc/{program.process.pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) << 10


def cpu_s(program: Program) -> float:
    """User and system time."""
    text = Path(f"/proc/{program.process.pid}/stat").read_text()
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def people(stack: Stack, count: int) -> AsyncIterator[list[Client]]:
    async with AsyncExitStack() as opened:
        yield [await opened.enter_async_context(stack.somebody()) for _ in range(count)]


async def warmed(
    gateway: Program, client: Client, open_one: Callable[[int, str], Awaitable[Open]]
) -> int:
    """After the first one, for which the document was read and much else was imported."""
    one = await open_one(gateway.port, client.token or "")
    one.writer.transport.abort()
    await asyncio.sleep(0.5)
    return rss(gateway)


async def measured(
    stack: Stack,
    gateway: Program,
    clients: Sequence[Client],
    open_one: Callable[[int, str], Awaitable[Open]],
) -> Idle:
    """EACH of each client, on this gateway."""
    spy = await asyncpg.connect(stack.database.superuser_url)
    before, opened = await warmed(gateway, clients[0], open_one), []
    try:
        for client in clients:
            token = client.token or ""
            opened += await asyncio.gather(*(open_one(gateway.port, token) for _ in range(EACH)))
        await asyncio.sleep(1)
        during = rss(gateway)
        hearing = [asyncio.create_task(one.until(HAPPENED)) for one in opened]
        await asyncio.sleep(0)
        await spy.execute(RECORD, [client.email for client in clients])
        began, worked = time.monotonic(), cpu_s(gateway)
        await spy.execute(TELL)
        async with asyncio.timeout(30):
            await asyncio.gather(*hearing)
        reached_s, took_s = time.monotonic() - began, cpu_s(gateway) - worked
    finally:
        await spy.close()
        for one in opened:
            one.writer.transport.abort()
    count = len(opened)
    return Idle(count=count, before=before, during=during, reached_s=reached_s, cpu_s=took_s)


async def both(postgres: Postgres, folder: Path, count: int) -> AsyncIterator[tuple[str, Idle]]:
    """Sockets and streams, each on a gateway of their own."""
    async with (
        postgres.fresh_database() as database,
        a_stack(database, folder) as stack,
        people(stack, -(-count // EACH)) as clients,
    ):
        for kind, open_one in (("sockets", socket_of), ("streams", stream_of)):
            environ = environment(database, folder, a_free_port())
            async with running_program("serve", environ, folder) as gateway:
                await until_ready(gateway)
                yield kind, await measured(stack, gateway, clients, open_one)


async def main(postgres: Postgres, folder: Path, count: int) -> None:
    async for kind, found in both(postgres, folder, count):
        mb = 1 << 20
        print(  # noqa: T201 - that is what it is for
            f"{found.count} {kind}: {found.before / mb:.0f} MB before,"
            f" {found.during / mb:.0f} MB with them, {found.each / 1024:.1f} kB each;"
            f" an event reached all in {found.reached_s:.2f} s, of work {found.cpu_s:.2f} s"
        )


if __name__ == "__main__":
    with running_postgres() as server, tempfile.TemporaryDirectory() as name:
        asyncio.run(main(server, Path(name), int(sys.argv[1]) if len(sys.argv) > 1 else 2_000))
