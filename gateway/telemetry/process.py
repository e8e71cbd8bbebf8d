"""What a process is doing to its machine, and how long its event loop keeps others waiting."""

import asyncio
import gc
import os
import platform
import resource
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from gateway.telemetry import metrics as m
from gateway.telemetry.metrics import Instruments, Readings

LOOK_EVERY_S = 0.5
STATM = Path("/proc/self/statm")


def add_process(instruments: Instruments) -> None:
    instruments.sources |= {
        m.MEMORY: _memory,
        m.CPU: _cpu,
        m.COLLECTIONS: _collections,
        m.BUILD: _build,
    }


async def watch_the_loop(instruments: Instruments) -> None:
    """For ever, as a task of whoever opened this; at once, so that the metric is there."""
    loop, wait_s = asyncio.get_running_loop(), 0.0
    while True:
        due = loop.time() + wait_s
        await asyncio.sleep(wait_s)
        instruments.record(m.LOOP_DELAY, max(loop.time() - due, 0.0))
        wait_s = LOOK_EVERY_S


def _memory() -> Readings:
    if STATM.exists():
        pages = int(STATM.read_text().split()[1])
        return [(pages * os.sysconf("SC_PAGE_SIZE"), m.NO_LABELS)]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # where there is no better: the peak
    return [(most if sys.platform == "darwin" else most * 1024, m.NO_LABELS)]


def _cpu() -> Readings:
    spent = os.times()
    return [(spent.user, {"cpu.mode": "user"}), (spent.system, {"cpu.mode": "system"})]


def _collections() -> Iterator[tuple[int, dict[str, str]]]:
    for generation, counts in enumerate(gc.get_stats()):
        yield counts["collections"], {"cpython.gc.generation": str(generation)}


def _build() -> Readings:
    return [(1, {"version": version("dashtam"), "python": platform.python_version()})]
