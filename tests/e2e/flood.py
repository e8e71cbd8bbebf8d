"""Requests at a steady rate, whether or not those before were answered, from a process of its own.

    python -m tests.e2e.flood PORT RATE SECONDS FILE NICE

FILE holds what to send, as JSON: a list of {"headers": {…}, "body": …}, gone round. What came of
it is printed as JSON: milliseconds from when each was to be sent, and how often which status.
NICE is for sharing the machine with what is measured: below 0 for who measures, where that may be,
and above for a flood, which would come from other machines.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONNECTIONS_MAX = 400


@dataclass(slots=True)
class Came:
    ms: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)


class Connections:
    """Kept open, and lent to one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)

    async def status(self, request: bytes) -> str:
        async with self._room:
            while self._idle:
                try:
                    return await self._answered(request, *self._idle.pop())
                except (asyncio.IncompleteReadError, ConnectionError):
                    continue  # the server had closed it meanwhile
            return await self._answered(
                request, *await asyncio.open_connection("127.0.0.1", self._port)
            )

    async def _answered(
        self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> str:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        self._idle.append((reader, writer))
        return head.split(b" ", 2)[1].decode()


def request(said: dict[str, Any]) -> bytes:
    body = json.dumps(said["body"]).encode()
    headers = {"host": "127.0.0.1", "content-type": "application/json", **said["headers"]}
    lines = [f"{name}: {text}" for name, text in {**headers, "content-length": len(body)}.items()]
    return "\r\n".join(["POST /graphql HTTP/1.1", *lines, "", ""]).encode() + body


async def flood(port: int, rate: float, seconds: float, requests: list[bytes]) -> Came:
    came, connections = Came(), Connections(port)

    async def one(number: int, due: float) -> None:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        status = await connections.status(requests[number % len(requests)])
        came.ms.append((time.perf_counter() - due) * 1_000)
        came.statuses[status] += 1

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter() - 0.05))
            group.create_task(one(number, due))
    return came


if __name__ == "__main__":
    port, rate, seconds, file, nice = sys.argv[1:]
    with suppress(PermissionError):
        os.nice(int(nice))
    said = [request(each) for each in json.loads(Path(file).read_text())]
    found = asyncio.run(flood(int(port), float(rate), float(seconds), said))
    sys.stdout.write(json.dumps({"ms": found.ms, "statuses": found.statuses}))
