"""What was measured, what follows from it, and which of the figures asked for are met."""

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from gateway.bench.first import Firsts
from gateway.bench.load import Measured
from gateway.bench.overload import Overload
from gateway.bench.sync import Synced
from gateway.bench.workloads import OURS, RAW, SERVERS, STOCK

RATIO_MIN = 1.3
PEAK_MB_MAX = 150
FIRST_SYNC_S_MAX, SECOND_SYNC_S_MAX = 3.0, 1.0
FIRST_MAX = 1.2  # of the hundredth
KEPT_MIN, REFUSED_MS_MAX, RECOVERED_S_MAX = 0.8, 50, 5
MS = 1000


class Round(msgspec.Struct, kw_only=True, frozen=True):
    workload: str
    server: str
    number: int
    measured: Measured

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.measured.requests / self.measured.seconds

    @property
    def cpu_ms(self) -> float:
        """Of the server's process, a request."""
        return self.measured.server_cpu_s / self.measured.requests * MS


class Line(msgspec.Struct, kw_only=True):
    """One server on one workload: medians over the rounds; ratios are medians of each round's."""

    workload: str
    server: str
    rate: float
    rate_to_stock: float
    rate_to_raw: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    cpu_to_stock: float | None
    postgres_cpu_ms: float
    load_cpu_ms: float
    statements: float | None
    length: int
    refused: int  # in all rounds


class Answered(msgspec.Struct, kw_only=True):
    workload: str
    server: str
    length: int
    statements: float | None


class SyncFigures(msgspec.Struct, kw_only=True):
    """`rows` are those that the second sync wrote into what a person owns."""

    first: Synced
    again: Synced
    rows: int
    data_version_moved: bool


class Verdict(msgspec.Struct, kw_only=True):
    figure: str
    asked: str
    found: str
    met: bool


class Machine(msgspec.Struct, kw_only=True):
    processors: int
    processor: str
    python: str
    postgres: str
    pinned: bool


class Report(msgspec.Struct, kw_only=True):
    machine: Machine
    people: int
    rounds: int
    seconds: float
    connections: int
    seeded_s: float | None
    lines: list[Line]
    peak_mb: float | None
    sync: SyncFigures | None
    overload: Overload | None
    firsts: Firsts | None
    verdicts: list[Verdict]
    measured: list[Round]

    @property
    def others(self) -> float:
        """The part of the processors that other programs took while it was measured, 0 to 1."""
        whole = sum(r.measured.seconds for r in self.measured) * self.machine.processors
        return sum(r.measured.others_cpu_s for r in self.measured) / whole if whole else 0.0

    @property
    def is_met(self) -> bool:
        return all(verdict.met for verdict in self.verdicts)


def lines(rounds: Sequence[Round], answered: Iterable[Answered]) -> list[Line]:
    return [_line(rounds, of) for of in answered]


def _line(rounds: Sequence[Round], of: Answered) -> Line:
    found = {
        server: sorted(
            (r for r in rounds if (r.workload, r.server) == (of.workload, server)),
            key=lambda r: r.number,
        )
        for server in SERVERS
    }
    own = found[of.server]

    def to(server: str) -> float:
        return median(a.rate / b.rate for a, b in zip(own, found[server], strict=True))

    cpu = [a.cpu_ms / b.cpu_ms for a, b in zip(own, found[STOCK], strict=True) if b.cpu_ms]
    return Line(
        workload=of.workload,
        server=of.server,
        rate=median(r.rate for r in own),
        rate_to_stock=to(STOCK),
        rate_to_raw=to(RAW),
        p50_ms=median(r.measured.p50_ms for r in own),
        p99_ms=median(r.measured.p99_ms for r in own),
        cpu_ms=median(r.cpu_ms for r in own),
        cpu_to_stock=median(cpu) if cpu else None,
        postgres_cpu_ms=median(r.measured.postgres_cpu_s / r.measured.requests * MS for r in own),
        load_cpu_ms=median(r.measured.load_cpu_s / r.measured.requests * MS for r in own),
        statements=of.statements,
        length=of.length,
        refused=sum(r.measured.refused for r in own),
    )


def verdicts(
    found: Sequence[Line],
    peak_mb: float | None,
    sync: SyncFigures | None,
    overload: Overload | None,
    firsts: Firsts | None = None,
) -> list[Verdict]:
    """Of what was measured; what was not, is not judged."""
    said = [
        Verdict(
            figure=f"{line.workload}: requests a second, to stock Strawberry",
            asked=f">= {RATIO_MIN}",
            found=f"{line.rate_to_stock:.2f}",
            met=line.rate_to_stock >= RATIO_MIN,
        )
        for line in found
        if line.server == OURS
    ]
    if peak_mb is not None:
        said.append(_below("memory of the gateway at its peak, MB", PEAK_MB_MAX, peak_mb))
    if sync is not None:
        many = f"sync of {sync.first.received:,} transactions, s"
        said.append(_below(many, FIRST_SYNC_S_MAX, sync.first.seconds))
        said.append(_below("the same again, s", SECOND_SYNC_S_MAX, sync.again.seconds))
        rows = sync.rows + sync.data_version_moved
        said.append(
            Verdict(figure="rows that it wrote", asked="0", found=f"{sync.rows:,}", met=rows == 0)
        )
    if overload is not None:
        said += _of_overload(overload)
    if firsts is not None:
        ratio = firsts.ratio(of_process=False)
        said.append(
            Verdict(
                figure="first request of a published document, to its hundredth",
                asked=f"<= {FIRST_MAX}",
                found=f"{ratio:.2f}",
                met=ratio <= FIRST_MAX,
            )
        )
    return said


def _of_overload(overload: Overload) -> list[Verdict]:
    kept = overload.median(lambda each: each.kept)
    return [
        Verdict(
            figure="goodput at five times the load, to what is sustained",
            asked=f">= {KEPT_MIN}",
            found=f"{kept:.2f}",
            met=kept >= KEPT_MIN,
        ),
        _below(
            "time of a refusal then (99 of 100), ms",
            REFUSED_MS_MAX,
            overload.median(lambda each: each.refused_p99_ms),
        ),
        _below(
            "from its end to the last refusal, s",
            RECOVERED_S_MAX,
            overload.median(lambda each: each.recovered_s),
        ),
    ]


def _below(figure: str, most: float, found: float) -> Verdict:
    shown = f"{found:.0f}" if most >= 100 else f"{found:.2f}"
    return Verdict(figure=figure, asked=f"< {most:g}", found=shown, met=found < most)
