"""What `dashtam bench` does with its options."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from gateway.bench.report import show
from gateway.bench.run import FIRST, OVERLOAD, SYNC, Options, bench

ALL = ("dashboard", "transactions", "history", SYNC, OVERLOAD, FIRST)
WIDTH_MIN = 110  # where nobody watches: a table is not broken into pieces


def options(
    *,
    small: bool = False,
    people: int | None = None,
    rounds: int | None = None,
    seconds: float | None = None,
    connections: int = 32,
    only: Sequence[str] = (),
    keep: Path | None = None,
) -> Options:
    """What is not said is as `small` says."""
    return Options(
        people=people or (50 if small else 1_000),
        rounds=rounds or (2 if small else 7),
        seconds=seconds or 3.0,
        connections=connections,
        only=only or ALL,
        keep=keep,
    )


def run(asked: Options, file: Path | None) -> bool:
    """Whether every figure asked for is met. `file` gets all of it as JSON."""
    console = Console(highlight=False, markup=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = max(console.width, WIDTH_MIN)
    report = bench(asked, lambda line: console.print(line, style="dim"))
    show(report, console)
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    return report.is_met
