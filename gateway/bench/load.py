"""The load: a process of its own that keeps some connections busy and checks every answer.

Each round begins and ends with an idle server: what was sent in the time given is waited for, so
that requests, seconds and CPU time belong together exactly. It reads a Spec from standard input
and writes a Measured to standard output.
"""

import asyncio
import gc
import os
import re
import sys
from collections.abc import Sequence
from math import inf
from time import perf_counter
from typing import cast

import msgspec
import uvloop

from gateway.bench.readings import busy_s, children, cpu_s

STALLED_S_MAX = 60.0
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Spec(msgspec.Struct, kw_only=True):
    host: str
    port: int
    body: bytes
    headers: list[tuple[str, str]]  # what names each person
    length: int  # of the body of every answer
    connections: int
    warm_s: float
    seconds: float
    first: int = 0  # the person with whom it begins
    requests: int | None = None  # no more than these, after the warm-up
    server: int  # process ids
    postgres: int


class Measured(msgspec.Struct, kw_only=True):
    """CPU times are of all these requests together; the database's are of all its processes.

    `refused` are those that were answered by 503, and count for nothing else.
    """

    requests: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    server_cpu_s: float
    postgres_cpu_s: float
    load_cpu_s: float
    others_cpu_s: float  # of whatever else ran on the machine


class WrongAnswer(Exception):
    """Not the answer that is known to be right."""


def request(path: str, header: tuple[str, str], body: bytes) -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        "Accept: application/json",
        f"{header[0]}: {header[1]}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + body


class Load:
    def __init__(self, requests: Sequence[bytes], length: int, first: int) -> None:
        self.requests, self.length = requests, length
        self.latencies: list[float] = []
        self.until = 0.0
        self.left: float = inf
        self.busy = self.refused = 0
        self.idle = asyncio.Event()
        self.failure: Exception | None = None
        self._next = first

    def next(self) -> bytes | None:
        """The next person's request; None when it is enough."""
        if perf_counter() >= self.until or self.left <= 0 or self.failure is not None:
            return None
        request = self.requests[self._next % len(self.requests)]
        self._next += 1
        self.left -= 1
        return request

    def answered(self, seconds: float | None) -> None:
        """None: with a refusal."""
        if seconds is None:
            self.refused += 1
        else:
            self.latencies.append(seconds)

    def rest(self) -> None:
        self.busy -= 1
        if self.busy == 0:
            self.idle.set()

    def fail(self, why: Exception) -> None:
        self.failure = self.failure or why
        self.idle.set()


class Connection(asyncio.Protocol):
    """One request after the other, until there is none."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._head = b""
        self._left = 0
        self._sent_at = 0.0
        self._lost = asyncio.Event()
        self._rests = self._refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._rests:  # else it may well have been idle for too long
            self._load.fail(exc or WrongAnswer("the server hung up"))
        self._lost.set()

    async def close(self) -> None:
        self._transport.close()
        await self._lost.wait()

    def go(self) -> None:
        request = self._load.next()
        if request is None:
            self._rests = True
            self._load.rest()
            return
        self._sent_at = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0 or not self._begins(end):
                return
        if self._left == 0:
            self._load.answered(None if self._refused else perf_counter() - self._sent_at)
            self.go()

    def _begins(self, end: int) -> bool:
        """Whether what has come is the beginning of an answer that may be; `end` is its head's."""
        length = LENGTH.search(self._head, 0, end + 2)
        self._refused = self._head.startswith(b"HTTP/1.1 503")
        if not (self._refused or self._head.startswith(b"HTTP/1.1 200")) or length is None:
            said = " ".join(self._head[:2_000].decode(errors="replace").split())
            self._load.fail(WrongAnswer(said))
            return False
        if not self._refused and int(length[1]) != self._load.length:
            short = f"{int(length[1]):,} bytes, not {self._load.length:,}"
            self._load.fail(WrongAnswer(short))
            return False
        self._left = int(length[1]) - (len(self._head) - end - 4)
        self._head = b""
        return True


async def drive(load: Load, spec: Spec, seconds: float) -> float:
    """Seconds from the first request to the last answer. Raises WrongAnswer, TimeoutError."""
    loop = asyncio.get_running_loop()
    load.latencies.clear()
    load.idle.clear()
    load.busy, load.refused = spec.connections, 0
    connections: list[Connection] = []
    try:
        for _ in range(spec.connections):
            _, made = await loop.create_connection(lambda: Connection(load), spec.host, spec.port)
            connections.append(made)
        begun = perf_counter()
        load.until = begun + seconds
        for connection in connections:
            connection.go()
        async with asyncio.timeout(seconds + STALLED_S_MAX):
            await load.idle.wait()
        spent = perf_counter() - begun
    finally:
        await asyncio.gather(*(connection.close() for connection in connections))
    if load.failure is not None:
        raise load.failure
    return spent


async def measure(spec: Spec) -> Measured:
    """Raises WrongAnswer, TimeoutError."""
    requests = [request("/graphql", header, spec.body) for header in spec.headers]
    load = Load(requests, spec.length, spec.first)
    await drive(load, spec, spec.warm_s)
    load.left = inf if spec.requests is None else spec.requests
    watched = ([spec.server], [spec.postgres, *children(spec.postgres)], [os.getpid()])
    before, busy = [cpu_s(pids) for pids in watched], busy_s()
    seconds = await drive(load, spec, spec.seconds)
    server, postgres, own = (cpu_s(pids) - b for pids, b in zip(watched, before, strict=True))
    others = max(0.0, busy_s() - busy - server - postgres - own)
    latencies = sorted(load.latencies)
    count = len(latencies)
    if not count:
        raise WrongAnswer("nothing but refusals")
    return Measured(
        requests=count,
        refused=load.refused,
        seconds=seconds,
        p50_ms=latencies[count // 2] * 1000,
        p99_ms=latencies[min(count - 1, count * 99 // 100)] * 1000,
        server_cpu_s=server,
        postgres_cpu_s=postgres,
        load_cpu_s=own,
        others_cpu_s=others,
    )


def main() -> None:
    gc.disable()  # it makes no cycles, and lives for seconds
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=Spec)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(measure(spec))))


if __name__ == "__main__":
    main()
