"""Child processes: none of them outlives us, however we end."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from gateway.bench.database import BenchError
from gateway.bench.readings import pin
from gateway.processes.tree import tied_to

MODULE = (sys.executable, "-P", "-m")


@contextmanager
def process(
    argv: tuple[str, ...], environ: Mapping[str, str], log: Path, cores: Sequence[int]
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, which is ended afterwards."""
    with log.open("wb") as out:
        started = subprocess.Popen(  # noqa: S603 - our own commands
            argv,
            env={**bare_environment(), **environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # Ctrl-C is for us, who end everyone in order
            preexec_fn=tied_to(os.getpid()),  # noqa: PLW1509 - we have no other thread
        )
    try:
        pin([started.pid], cores)
        yield started
    finally:
        started.kill()  # it keeps nothing, and draining takes seconds
        started.wait()


def told(
    argv: tuple[str, ...],
    environ: Mapping[str, str],
    given: bytes,
    cores: Sequence[int],
    *,
    most_s: float,
) -> bytes:
    """What a program answers to what it is given.

    Raises:
        BenchError: it failed, in its own last words, or took too long.
    """
    with subprocess.Popen(  # noqa: S603 - our own commands
        argv,
        env={**bare_environment(), **environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=tied_to(os.getpid()),  # noqa: PLW1509 - same
    ) as started:
        try:
            pin([started.pid], cores)
            said, complaints = started.communicate(given, most_s)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{argv[-1]} took over {most_s:.0f} s") from None
        finally:
            started.kill()
    if started.returncode != 0:
        words = complaints.decode(errors="replace").strip().splitlines() or ["without a word"]
        raise BenchError(f"{argv[-1]} failed: {words[-1]}")
    return said


def bare_environment() -> dict[str, str]:
    """Ours, without settings of a gateway that runs elsewhere."""
    return {n: text for n, text in os.environ.items() if not n.startswith(("DASHTAM_", "OTEL_"))}
