"""The report as a person reads it."""

from collections.abc import Callable, Mapping
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table

from gateway.bench.figures import Line, Report
from gateway.bench.first import Firsts
from gateway.bench.overload import Flooded, Overload
from gateway.bench.workloads import OURS, RAW, STOCK

NAMES = {OURS: "Dashtam", RAW: "by hand", STOCK: "stock Strawberry"}
OTHERS_MAX = 0.05
NOTES = """\
Dashtam is `serve` as in production (tokens, sessions, row-level security, one snapshot an \
operation, limits), but for the cost limit, which is lifted, and logs below warnings. By hand is \
asyncpg and msgspec running the same SQL in the same snapshot under row-level security; stock runs \
simpler SQL of its own, under neither. Both know neither tokens nor limits. One worker and 8 \
database connections each; a request asks as the next person in turn. Medians of all rounds; \
ratios are made within a round. CPU is user and system time of the server's process, DB that of \
PostgreSQL. SQL is statements a request, without BEGIN, enter and ROLLBACK, and the session's, \
which is looked up once in five seconds. PostgreSQL runs with fsync off and the data in memory. \
Overload: requests arrive by a schedule, whatever becomes of those before; CPU % is the part of \
the server's processor time that went into answers; times are in ms, /readyz is its slowest answer \
meanwhile, and it is over when the last was refused, at half of what is sustained."""


def show(report: Report, console: Console) -> None:
    machine = report.machine
    pinned = "server on one, the rest on others" if machine.pinned else "not pinned"
    console.print(
        f"{machine.processors} processors ({machine.processor}; {pinned}), "
        f"Python {machine.python}, PostgreSQL {machine.postgres}"
    )
    seeded = f", seeded in {report.seeded_s:.0f} s" if report.seeded_s is not None else ""
    console.print(
        f"{report.people:,} people{seeded}; {report.rounds} rounds of {report.seconds:g} s, "
        f"{report.connections} connections"
    )
    if report.others > OTHERS_MAX:
        console.print(
            f"Other programs took {report.others:.0%} of the processors meanwhile: CPU times "
            "hold, requests a second do not",
            style="yellow",
        )
    for workload in dict.fromkeys(line.workload for line in report.lines):
        console.print(_table(workload, [x for x in report.lines if x.workload == workload]))
        console.print(_below(workload, report))
        for line in report.lines:
            if line.workload == workload and line.refused:
                many = f"  {NAMES[line.server]} refused {line.refused:,} requests (503)"
                console.print(f"{many}: it, or this machine, had too much to do", style="yellow")
    if report.peak_mb is not None:
        console.print(
            f"\nMemory of the gateway at its peak (VmHWM, from its start to after the last "
            f"workload): {report.peak_mb:.0f} MB"
        )
    if report.sync is not None:
        first, again = report.sync.first, report.sync.again
        console.print(
            f"Sync of {first.received:,} sandbox transactions: {first.seconds:.2f} s (CPU "
            f"{first.cpu_s:.2f} s); all of it again: {again.seconds:.2f} s (CPU "
            f"{again.cpu_s:.2f} s), {report.sync.rows:,} rows written"
        )
    if report.overload is not None:
        console.print(_overload(report.overload))
        others = report.overload.median(lambda each: each.others) / machine.processors
        if others > OTHERS_MAX:
            console.print(f"Other programs took {others:.0%} of the processors", style="yellow")
    if report.firsts is not None:
        console.print(_firsts(report.firsts))
    console.print(f"\n{NOTES}\n", style="dim")
    for verdict in report.verdicts:
        met = "met   " if verdict.met else "MISSED"
        console.print(
            f"{met} {verdict.figure}: {verdict.found} (asked: {verdict.asked})",
            style="green" if verdict.met else "bold red",
        )


def _table(workload: str, found: list[Line]) -> Table:
    table = Table(title=f"\n{workload}", title_justify="left", title_style="bold", box=box.SIMPLE)
    table.add_column("", no_wrap=True, min_width=16)
    for name in (
        *("req/s", "to stock", "to hand", "p50 ms", "p99 ms", "CPU ms", "DB ms", "SQL", "KB"),
    ):
        table.add_column(name, justify="right")
    for line in found:
        table.add_row(
            NAMES[line.server],
            f"{line.rate:,.0f}",
            f"{line.rate_to_stock:.2f}",
            f"{line.rate_to_raw:.2f}",
            f"{line.p50_ms:,.1f}",
            f"{line.p99_ms:,.1f}",
            f"{line.cpu_ms:.2f}",
            f"{line.postgres_cpu_ms:.2f}",
            "-" if line.statements is None else f"{line.statements:g}",
            f"{line.length / 1024:.1f}",
        )
    return table


def _overload(found: Overload) -> Table:
    table = Table(
        title="\noverload: the dashboard, at five times what is sustained",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE,
    )
    columns: Mapping[str, Callable[[Flooded], float]] = {
        "sustained/s": lambda each: each.sustained,
        "arriving": lambda each: each.arriving,
        "answered": lambda each: each.goodput,
        "kept %": lambda each: each.kept * 100,
        "CPU %": lambda each: each.spent * 100,
        "p50 ms": lambda each: each.answered_p50_ms,
        "p99 ms": lambda each: each.answered_p99_ms,
        "refused p50": lambda each: each.refused_p50_ms,
        "p99": lambda each: each.refused_p99_ms,
        "/readyz": lambda each: each.ready_max_ms,
        "over": lambda each: each.recovered_s * 1000,
    }
    for name in columns:
        table.add_column(name, justify="right")
    for each in found.rounds:
        table.add_row(*[f"{of(each):,.0f}" for of in columns.values()])
    return table


def _firsts(found: Firsts) -> Table:
    table = Table(
        title="\nfirst requests of published documents, in processes that just began",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE,
    )
    table.add_column("", no_wrap=True, min_width=16)
    for name in ("times", "to the 100th", "ms", "100th ms", "CPU to the 100th"):
        table.add_column(name, justify="right")
    for of_process, name in ((False, "of a document"), (True, "of the process")):
        of = [each for each in found.found if each.is_first_of_process is of_process]
        table.add_row(
            name,
            f"{len(of)}",
            f"{found.ratio(of_process=of_process):.2f}",
            f"{median(each.first_ms for each in of):.1f}",
            f"{median(each.hundredth_ms for each in of):.1f}",
            f"{found.cpu_ratio(of_process=of_process):.2f}",
        )
    return table


def _below(workload: str, report: Report) -> str:
    """What holds on a busy machine too; and how fast the load alone could go, so that one sees
    whether it was what is measured.
    """
    found = {line.server: line for line in report.lines if line.workload == workload}
    said = []
    if found[OURS].cpu_to_stock is not None:
        said.append(f"Dashtam takes {found[OURS].cpu_to_stock:.2f} of stock's CPU time")
    if own := found[RAW].load_cpu_ms:
        said.append(f"the load takes {own:.3f} ms a request, and so could ask {1000 / own:,.0f}/s")
    return f"  {'; '.join(said)}"
