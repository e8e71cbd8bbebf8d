"""What the kernel says of a process. Only Linux says it; elsewhere there is nothing to read."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
HAS_PROC = Path("/proc/self/stat").exists()


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time of these processes together so far, in ticks of 10 ms; 0 unknown."""
    total = 0.0
    for pid in pids:
        try:
            # The second field is a name in parentheses, which may hold anything.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended, or there is no /proc
            continue
        total += (int(fields[11]) + int(fields[12])) * TICK_S
    return total


def main_thread_s(pid: int) -> float:
    """How long it has run so far, to the nanosecond; 0 unknown."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:  # it has ended, or there is no /proc
        return 0.0


def busy_s() -> float:
    """How long all processors together have been busy so far; 0 unknown."""
    try:
        said = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, irq, softirq, *_ = map(int, said)
    return (user + nice + system + irq + softirq) * TICK_S


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def peak_mb(pid: int) -> float | None:
    """The most that the process ever had in memory (VmHWM), in MB of 2^20 bytes."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


def cores() -> list[int]:
    """Those that this process may use; empty where one cannot say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pin(pids: Iterable[int], to: Iterable[int]) -> None:
    chosen = set(to)
    for pid in pids:
        if chosen:
            with suppress(ProcessLookupError):  # it has just ended
                os.sched_setaffinity(pid, chosen)
