"""Arrivals by a schedule, whatever the answers do: a process of its own, as `load` is.

Clients of a busy server do not wait for each other, so neither do these: a request that is due is
sent on a connection that is free, or on a new one, and its time counts from when it was due. It
reads an Arrivals from standard input and writes what it Met with to standard output.
"""

import asyncio
import gc
import sys
from collections.abc import Sequence
from time import perf_counter
from typing import cast

import msgspec
import uvloop

from gateway.bench.load import LENGTH, STALLED_S_MAX, WrongAnswer, request
from gateway.bench.readings import cpu_s

CONNECTIONS_MAX = 4_000
IDLE_S_MAX = 2.0  # a server hangs up after five
READY_EVERY_S = 0.1
TICK_S = 0.001
OK, REFUSED = 200, 503


class Phase(msgspec.Struct, frozen=True):
    rate: float  # a second
    seconds: float


class Arrivals(msgspec.Struct, kw_only=True):
    host: str
    port: int
    body: bytes
    headers: list[tuple[str, str]]  # what names each person
    phases: list[Phase]
    server: int  # its process id


class Met(msgspec.Struct, kw_only=True):
    """One phase: of each answer when it was due (seconds from the phase's beginning) and how long
    after that it was there. `unsent` are those for which no connection was left.
    """

    answered: list[tuple[float, float]]
    refused: list[tuple[float, float]]
    unsent: int
    server_cpu_s: float
    ready: list[float]  # seconds that /readyz took, on connections of their own


class Flow:
    def __init__(self, asked: Arrivals) -> None:
        self._asked = asked
        self._requests: Sequence[bytes] = [
            request("/graphql", header, asked.body) for header in asked.headers
        ]
        self._free: list[Connection] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._sent = self.open = self.waiting = 0
        self.failure: Exception | None = None
        self.met: list[Met] = []

    async def run(self) -> list[Met]:
        """Raises WrongAnswer, TimeoutError."""
        for phase in self._asked.phases:
            await self._run(phase)
        async with asyncio.timeout(STALLED_S_MAX):
            while self.waiting and self.failure is None:  # noqa: ASYNC110 - it looks at all of them
                await asyncio.sleep(TICK_S)
        if self.failure is not None:
            raise self.failure
        return self.met

    async def _run(self, phase: Phase) -> None:
        met = Met(answered=[], refused=[], unsent=0, server_cpu_s=0.0, ready=[])
        self.met.append(met)
        looking = asyncio.create_task(self._look(met))
        begun, before = perf_counter(), cpu_s([self._asked.server])
        due, end = begun, begun + phase.seconds
        while due < end and self.failure is None:
            if (ahead := due - perf_counter()) > 0:
                await asyncio.sleep(min(ahead, TICK_S))
                continue
            self._send(met, begun, due)
            due += 1 / phase.rate
        met.server_cpu_s = cpu_s([self._asked.server]) - before
        looking.cancel()

    async def _look(self, met: Met) -> None:
        while True:
            begun = perf_counter()
            reader, writer = await asyncio.open_connection(self._asked.host, self._asked.port)
            writer.write(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
            said = await reader.readline()
            writer.close()
            if b" 200 " not in said:
                self.fail(WrongAnswer(f"/readyz: {said.decode()}"))
            met.ready.append(perf_counter() - begun)
            await asyncio.sleep(READY_EVERY_S)

    def _send(self, met: Met, begun: float, due: float) -> None:
        sent = self._requests[self._sent % len(self._requests)]
        self._sent += 1
        if self._free and perf_counter() - self._free[-1].idle_since > IDLE_S_MAX:
            for idle in self._free:
                idle.close()
            self._free.clear()
        if self._free:
            self.waiting += 1
            self._free.pop().ask(sent, met, begun, due)
        elif self.open + len(self._opening) < CONNECTIONS_MAX:
            self.waiting += 1
            task = asyncio.create_task(self._open_and_ask(sent, met, begun, due))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            met.unsent += 1

    async def _open_and_ask(self, sent: bytes, met: Met, begun: float, due: float) -> None:
        loop, asked = asyncio.get_running_loop(), self._asked
        try:
            _, made = await loop.create_connection(lambda: Connection(self), asked.host, asked.port)
        except OSError as error:
            self.fail(error)
            return
        made.ask(sent, met, begun, due)

    def done(self, connection: "Connection") -> None:
        self.waiting -= 1
        self._free.append(connection)

    def gone(self, connection: "Connection") -> None:
        if connection in self._free:
            self._free.remove(connection)

    def fail(self, why: Exception) -> None:
        self.failure = self.failure or why


class Connection(asyncio.Protocol):
    """One request at a time."""

    _met: Met

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._head, self._left, self._busy = b"", 0, False
        self._begun = self._due = self.idle_since = 0.0
        self._status = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._flow.open += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._flow.open -= 1
        if self._busy:
            self._flow.fail(exc or WrongAnswer("the server hung up"))
        self._flow.gone(self)  # it was idle for too long

    def close(self) -> None:
        self._transport.close()

    def ask(self, sent: bytes, met: Met, begun: float, due: float) -> None:
        self._met, self._begun, self._due, self._busy = met, begun, due, True
        if self._transport.is_closing():
            self._flow.fail(WrongAnswer("the server hung up"))
            return
        self._transport.write(sent)

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            self._status, length = int(self._head[9:12]), LENGTH.search(self._head, 0, end + 2)
            if self._status not in (OK, REFUSED) or length is None:
                said = " ".join(self._head[:2_000].decode(errors="replace").split())
                self._flow.fail(WrongAnswer(said))
                return
            self._left = int(length[1]) - (len(self._head) - end - 4)
            self._head = b""
        if self._left == 0:
            self._busy, self.idle_since = False, perf_counter()
            took = (self._due - self._begun, perf_counter() - self._due)
            (self._met.answered if self._status == OK else self._met.refused).append(took)
            self._flow.done(self)


def main() -> None:
    gc.disable()  # it makes no cycles, and lives for seconds
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Arrivals)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(Flow(asked).run())))


if __name__ == "__main__":
    main()
