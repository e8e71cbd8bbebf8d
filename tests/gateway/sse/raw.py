"""A client that decides when it reads."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.gateway.sse.served import Said, Served, read


class Raw:
    def __init__(self, client: socket.socket, host: str, version: str) -> None:
        self._client, self._host, self._version = client, host, version

    async def ask(self, query: str) -> None:
        body = json.dumps({"query": query})
        lines = [
            f"POST /graphql HTTP/{self._version}",
            f"Host: {self._host}",
            "Content-Type: application/json",
            "Accept: text/event-stream",
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        await asyncio.get_running_loop().sock_sendall(self._client, "\r\n".join(lines).encode())

    def abort(self) -> None:
        self._client.close()

    async def text(self, until: str | None = None) -> str:
        """All that comes, to the end of the connection or to these words."""
        loop, found = asyncio.get_running_loop(), b""
        async with asyncio.timeout(10):
            while until is None or until.encode() not in found:
                got = await loop.sock_recv(self._client, 1 << 16)
                if not got:
                    break
                found += got
        return found.decode()

    async def events(self) -> list[Said]:
        """To the last chunk, or the end of the connection."""
        text = await self.text(until="\r\n0\r\n\r\n")
        chunks, whole = text.partition("\r\n\r\n")[2], ""
        while chunks:
            size, _, rest = chunks.partition("\r\n")
            length = int(size, 16)
            if length == 0:
                break
            whole, chunks = whole + rest[:length], rest[length + 2 :]
        said = [read(each) for each in whole.split("\n\n") if each]
        return [each for each in said if each.event is not None]


@asynccontextmanager
async def raw(
    server: Served, query: str, *, version: str = "1.1", room: int = 4_096
) -> AsyncIterator[Raw]:
    loop, client = asyncio.get_running_loop(), socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    client.setblocking(False)
    try:
        await loop.sock_connect(client, ("127.0.0.1", server.port))
        asker = Raw(client, f"127.0.0.1:{server.port}", version)
        await asker.ask(query)
        yield asker
    finally:
        client.close()
