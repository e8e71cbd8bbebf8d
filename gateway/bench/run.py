"""The bench from beginning to end."""

import asyncio
import os
import platform
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import msgspec
from msgspec.structs import replace

from gateway.bench.answers import compared, counted
from gateway.bench.arrivals import Arrivals
from gateway.bench.children import MODULE, told
from gateway.bench.database import Database, database
from gateway.bench.figures import Answered, Machine, Report, Round, lines, verdicts
from gateway.bench.first import First, Firsts, first
from gateway.bench.folder import temporary
from gateway.bench.load import STALLED_S_MAX, Measured, Spec
from gateway.bench.overload import Flooded, Overload, flooded
from gateway.bench.readings import children, cores, peak_mb, pin
from gateway.bench.recorded import recorded
from gateway.bench.resync import sync_figures
from gateway.bench.servers import Running, servers, settings
from gateway.bench.statements import Recorded
from gateway.bench.workloads import OURS, RAW, SERVERS, Workload, workloads
from gateway.processes.tree import HOST
from gateway.settings import Settings

SYNC, OVERLOAD, FIRST = "sync", "overload", "first"
PROCESSES_MAX = 5  # of a kind, whose first requests are measured
FLOODS_MAX, FLOOD_CONNECTIONS = 3, 16
WARM_S = 1.0
WARM_S_MAX = 300.0  # to ask for everybody's once
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`only` names workloads and the words below; `keep` is where the database stays."""

    people: int
    rounds: int
    seconds: float
    connections: int
    only: Sequence[str]
    keep: Path | None


@dataclass(frozen=True, slots=True)
class Cores:
    server: list[int]
    rest: list[int]

    @classmethod
    def found(cls) -> "Cores":
        """The first one for the servers, the others for the database and the load."""
        known = cores()
        return cls(known[:1], known[1:]) if len(known) > 1 else cls([], [])


def bench(options: Options, say: Say) -> Report:
    """Measure, from the main thread and outside of an event loop.

    Raises:
        BenchError: the servers do not answer the same, or something does not run.
        EmbeddedError, ProcessesError: the database cannot be had.
    """
    with ExitStack() as stack:
        stack.enter_context(_interruptible())
        folder = options.keep.resolve() if options.keep else stack.enter_context(temporary())
        folder.mkdir(parents=True, exist_ok=True)
        found = stack.enter_context(database(folder, options.people, say))
        use = Cores.found()
        postmaster = _postmaster(found)
        pin([postmaster, *children(postmaster)], use.rest)
        asked = {n: w for n, w in workloads(found.last_day).items() if n in options.only}
        measured: list[Round] = []
        answered: list[Answered] = []
        peak: float | None = None
        if asked:
            measured, answered, peak = _workloads(options, found, folder, asked, use, say)
        if SYNC in options.only:
            say("Syncing …")
        sync = sync_figures(found, use.server) if SYNC in options.only else None
        overload = None
        if OVERLOAD in options.only:
            say("Flooding …")
            overload = _overload(options, found, folder, use, say)
        began = None
        if FIRST in options.only:
            say("Starting for first requests …")
            began = _firsts(options, found, folder, use)
        made = lines(measured, answered)
        return Report(
            machine=_machine(found, pinned=bool(use.server)),
            people=options.people,
            rounds=options.rounds,
            seconds=options.seconds,
            connections=options.connections,
            seeded_s=found.seeded_s,
            lines=made,
            peak_mb=peak,
            sync=sync,
            overload=overload,
            firsts=began,
            verdicts=verdicts(made, peak, sync, overload, began),
            measured=measured,
        )


def _workloads(
    options: Options,
    found: Database,
    folder: Path,
    asked: dict[str, Workload],
    use: Cores,
    say: Say,
) -> tuple[list[Round], list[Answered], float | None]:
    statements = folder / "statements.json"
    statements.write_bytes(msgspec.json.encode(asyncio.run(_recorded(found, asked))))
    with servers(found, statements, folder, use.server) as running:
        say("Comparing the answers …")
        answered = [
            Answered(
                workload=name,
                server=server,
                length=length,
                statements=asyncio.run(
                    counted(running[server], workload, found.server.superuser_url)
                ),
            )
            for name, workload in asked.items()
            for server, length in compared(running, workload).items()
        ]
        lengths = {(a.workload, a.server): a.length for a in answered}
        say("Warming the database …")
        for name, workload in asked.items():
            spec = _spec(options, running[RAW], workload, lengths[name, RAW], found)
            once = replace(spec, warm_s=0.0, seconds=WARM_S_MAX, requests=options.people)
            _measured(once, use)
        rounds: list[Round] = []
        for number in range(options.rounds):
            say(f"Round {number + 1} of {options.rounds} …")
            for name, workload in asked.items():
                for server in _turned(SERVERS, number):
                    spec = _spec(options, running[server], workload, lengths[name, server], found)
                    # Other people each time, but the same for all three.
                    first = number * options.people // options.rounds
                    measured = _measured(replace(spec, first=first), use)
                    made = Round(workload=name, server=server, number=number, measured=measured)
                    rounds.append(made)
                    say(f"  {name:12} {server:6} {made.rate:8,.0f} req/s {made.cpu_ms:8.2f} ms CPU")
        return rounds, answered, peak_mb(running[OURS].pid)


def _overload(options: Options, found: Database, folder: Path, use: Cores, say: Say) -> Overload:
    """Of the gateway alone. What it sustains is measured again before each flood."""
    workload = workloads(found.last_day)["dashboard"]
    with servers(found, folder / "none", folder, use.server, names=[OURS]) as running:
        ours = running[OURS]
        length = compared(running, workload)[OURS]
        spec = replace(
            _spec(options, ours, workload, length, found),
            connections=min(options.connections, FLOOD_CONNECTIONS),
        )

        def told_of(asked: Arrivals, most_s: float) -> bytes:
            given = msgspec.json.encode(asked)
            return told((*MODULE, "gateway.bench.arrivals"), {}, given, use.rest, most_s=most_s)

        rounds: list[Flooded] = []
        for _ in range(min(options.rounds, FLOODS_MAX)):
            made = flooded(ours, workload, options.seconds, lambda: _measured(spec, use), told_of)
            say(f"  {made.arriving:8,.0f} req/s arrive, {made.goodput:8,.0f} are answered")
            rounds.append(made)
        return Overload(rounds=rounds)


def _firsts(options: Options, found: Database, folder: Path, use: Cores) -> Firsts:
    made: list[First] = []
    for number in range(min(options.rounds, PROCESSES_MAX)):
        for of_process in (False, True):
            with servers(found, folder / "none", folder, use.server, names=[OURS]) as running:
                made.append(first(running[OURS], number, of_process=of_process))
    return Firsts(found=made)


def _turned(names: Sequence[str], by: int) -> Sequence[str]:
    """Another one begins in each round."""
    at = by % len(names)
    return [*names[at:], *names[:at]]


async def _recorded(found: Database, asked: dict[str, Workload]) -> Recorded:
    from gateway.logs import configure  # noqa: PLC0415 - with the next
    from gateway.wiring.root import wire  # noqa: PLC0415 - slow to import

    configure("error")
    async with wire(Settings.read(settings(found, 8_000))) as wired:
        return await recorded(wired, found.people[0], asked)


def _spec(
    options: Options, server: Running, workload: Workload, length: int, found: Database
) -> Spec:
    return Spec(
        host=HOST,
        port=server.port,
        body=workload.body(),
        headers=[*server.headers],
        length=length,
        connections=options.connections,
        warm_s=min(WARM_S, options.seconds),
        seconds=options.seconds,
        server=server.pid,
        postgres=_postmaster(found),
    )


def _measured(spec: Spec, use: Cores) -> Measured:
    given = msgspec.json.encode(spec)
    most_s = spec.warm_s + spec.seconds + 2 * STALLED_S_MAX
    said = told((*MODULE, "gateway.bench.load"), {}, given, use.rest, most_s=most_s)
    return msgspec.json.decode(said, type=Measured)


def _postmaster(found: Database) -> int:
    return int((found.server.pgdata / "postmaster.pid").read_text().split()[0])


def _machine(found: Database, *, pinned: bool) -> Machine:
    return Machine(
        processors=len(cores()) or os.cpu_count() or 1,
        processor=_processor(),
        python=platform.python_version(),
        postgres=found.server.version,
        pinned=pinned,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Whatever asks us to end is a KeyboardInterrupt, so that everything is put away."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    kinds = (signal.SIGTERM, signal.SIGHUP)
    before = {kind: signal.signal(kind, interrupt) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
