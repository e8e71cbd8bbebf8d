"""The first request of a published document beside its hundredth, in processes that just began."""

import http.client
import json
from collections.abc import Sequence
from contextlib import closing
from statistics import median
from time import perf_counter

import msgspec

from gateway.bench.database import BenchError
from gateway.bench.readings import main_thread_s
from gateway.bench.servers import Running
from gateway.documents import builtin
from gateway.processes.tree import HOST

REQUESTS = 100
BEFORE = 20  # so that the connection, the session and the person are known, as they are later
LAST = 11  # around the hundredth: one alone may meet anything
MS = 1000
HEADERS = {"content-type": "application/json"}
OTHER = json.dumps({"query": "{ accounts { id balance { amount } } }"})


class First(msgspec.Struct, kw_only=True):
    """Of one document in one process. CPU is of the gateway's main thread; 0 unknown."""

    document: str
    is_first_of_process: bool
    first_ms: float
    hundredth_ms: float
    first_cpu_ms: float
    hundredth_cpu_ms: float


class Firsts(msgspec.Struct, kw_only=True):
    """One of each process; ratios are medians over them."""

    found: list[First]

    def ratio(self, *, of_process: bool) -> float:
        return median(f.first_ms / f.hundredth_ms for f in self._of(of_process=of_process))

    def cpu_ratio(self, *, of_process: bool) -> float:
        """1 where nothing is known."""
        said = [f for f in self._of(of_process=of_process) if f.hundredth_cpu_ms]
        return median([f.first_cpu_ms / f.hundredth_cpu_ms for f in said] or [1.0])

    def _of(self, *, of_process: bool) -> list[First]:
        return [each for each in self.found if each.is_first_of_process is of_process]


def first(server: Running, number: int, *, of_process: bool) -> First:
    """Of a process that nobody has asked anything yet; the `number` says of which document.

    Where it is not to be the first of the process, something else was asked before, on the same
    connection by the same person: what is new is the document, and not who asks. All documents are
    then asked in turn, so that the hundredth comes after others, and not only after itself.

    Raises:
        BenchError: it does not answer.
    """
    ids = {d.name: d.id for d in builtin.manifest() if d.text.startswith("query")}
    names = sorted(ids)
    names = [*names[number % len(names) :], *names[: number % len(names)]]
    bodies = {each: json.dumps({"documentId": f"sha256:{ids[each]}"}) for each in names}
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=30)) as connection:
        headers = dict([server.headers[number % len(server.headers)], *HEADERS.items()])

        def asked(body: str) -> tuple[float, float]:
            cpu_s, begun = main_thread_s(server.pid), perf_counter()
            connection.request("POST", "/graphql", body, headers)
            answered = connection.getresponse()
            said = answered.read()
            took = perf_counter() - begun
            if answered.status != 200 or b'"errors"' in said:
                raise BenchError(f"{names[0]}: {answered.status}, {said[:200]!r}")
            return took * MS, (main_thread_s(server.pid) - cpu_s) * MS

        for _ in range(0 if of_process else BEFORE):
            asked(OTHER)
        turns = [[asked(bodies[each]) for each in names] for _ in range(REQUESTS)]
    return _first(names[0], [turn[0] for turn in turns], of_process=of_process)


def _first(name: str, taken: Sequence[tuple[float, float]], *, of_process: bool) -> First:
    first_ms, first_cpu_ms = taken[0]
    return First(
        document=name,
        is_first_of_process=of_process,
        first_ms=first_ms,
        hundredth_ms=median(ms for ms, _ in taken[-LAST:]),
        first_cpu_ms=first_cpu_ms,
        hundredth_cpu_ms=median(cpu_ms for _, cpu_ms in taken[-LAST:]),
    )
