"""What becomes of the gateway at five times what it can answer, and how soon it is over that."""

from collections.abc import Callable, Sequence
from statistics import median

import msgspec

from gateway.bench.arrivals import Arrivals, Met, Phase
from gateway.bench.load import Measured
from gateway.bench.servers import Running
from gateway.bench.workloads import Workload
from gateway.processes.tree import HOST

TIMES = 5
CALM = 0.5  # of what it can answer, afterwards
CALM_S = 3.0
LATE_S_MAX = 60.0
MS = 1000

Sustained = Callable[[], Measured]
Told = Callable[[Arrivals, float], bytes]


class Flooded(msgspec.Struct, kw_only=True):
    """One round. Rates are requests a second: what connections that wait for their answers get
    out of it, what then arrives, and what is answered of that meanwhile. `spent` is the part of its
    processor time that went into answers; `recovered_s` is when the last one was refused after the
    flood was over.
    """

    sustained: float
    arriving: float
    goodput: float
    spent: float
    refused: int
    refused_p50_ms: float
    refused_p99_ms: float
    answered_p50_ms: float
    answered_p99_ms: float
    ready_max_ms: float
    recovered_s: float
    unsent: int
    others: float  # processors that other programs took just before

    @property
    def kept(self) -> float:
        return self.goodput / self.sustained


class Overload(msgspec.Struct, kw_only=True):
    """Figures are medians over the rounds."""

    rounds: list[Flooded]

    def median(self, of: Callable[[Flooded], float]) -> float:
        return median(of(each) for each in self.rounds)


def flooded(
    server: Running, workload: Workload, seconds: float, sustained: Sustained, told: Told
) -> Flooded:
    """Raises BenchError."""
    measured = sustained()
    rate = measured.requests / measured.seconds
    asked = Arrivals(
        host=HOST,
        port=server.port,
        body=workload.body(),
        headers=[*server.headers],
        phases=[Phase(rate * TIMES, seconds), Phase(rate * CALM, min(CALM_S, 3 * seconds))],
        server=server.pid,
    )
    most_s = sum(phase.seconds for phase in asked.phases) + LATE_S_MAX
    flood, calm = msgspec.json.decode(told(asked, most_s), type=list[Met])
    return judged(measured, asked.phases[0], flood, calm)


def judged(measured: Measured, phase: Phase, flood: Met, calm: Met) -> Flooded:
    rate = measured.requests / measured.seconds
    meanwhile = sum(due + took < phase.seconds for due, took in flood.answered)
    each_s = measured.server_cpu_s / measured.requests
    refused, answered = _sorted_ms(flood.refused), _sorted_ms(flood.answered)
    return Flooded(
        sustained=rate,
        arriving=phase.rate,
        goodput=meanwhile / phase.seconds,
        spent=min(1.0, meanwhile * each_s / flood.server_cpu_s) if flood.server_cpu_s else 1.0,
        refused=len(refused),
        refused_p50_ms=_part(refused, 0.5),
        refused_p99_ms=_part(refused, 0.99),
        answered_p50_ms=_part(answered, 0.5),
        answered_p99_ms=_part(answered, 0.99),
        ready_max_ms=max(flood.ready, default=0.0) * MS,
        recovered_s=max((due for due, _ in calm.refused), default=0.0),
        unsent=flood.unsent,
        others=measured.others_cpu_s / measured.seconds,
    )


def _sorted_ms(found: Sequence[tuple[float, float]]) -> list[float]:
    return sorted(took * MS for _, took in found)


def _part(found: Sequence[float], part: float) -> float:
    return found[min(len(found) - 1, int(len(found) * part))] if found else 0.0
