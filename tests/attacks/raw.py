"""HTTP as it is written, for what no client would send."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.attacks.hostile import Request


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        if self.headers["content-type"].startswith("text/event-stream"):
            data = self.body.partition(b"data: ")[2].partition(b"\n\n")[0]
            return json.loads(data)
        return json.loads(self.body)


class Wire:
    """One connection, opened again wherever the server has closed it."""

    def __init__(self, port: int, authorization: str) -> None:
        self._port, self._authorization = port, authorization
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(self._head(request) + request.content)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.rstrip().split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        body = await reader.readexactly(length)
        if headers.get("connection", "") == "close":
            await self.close()
        return Answer(int(status.split()[1]), headers, body)

    def _head(self, request: Request) -> bytes:
        names = {name for name, _ in request.headers}
        more = [(b"host", b"127.0.0.1")]
        if b"authorization" not in names and b"cookie" not in names:
            more.append((b"authorization", self._authorization.encode()))
        if b"content-length" not in names:
            more.append((b"content-length", b"%d" % len(request.content)))
        lines = [b"%b: %b" % header for header in (*more, *request.headers)]
        first = b"%b %b HTTP/1.1" % (request.by.encode(), request.target.encode())
        return b"\r\n".join((first, *lines, b"", b""))

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@asynccontextmanager
async def wired(port: int, token: str) -> AsyncIterator[Wire]:
    wire = Wire(port, f"Bearer {token}")
    try:
        yield wire
    finally:
        await wire.close()
