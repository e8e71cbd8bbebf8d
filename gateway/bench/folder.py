"""A folder that is gone afterwards, however we end: a process of its own waits for that.

Run as a program it is that process: it waits until its standard input ends, which is when the
bench has ended or was killed, then until nothing of the bench's database runs any more.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATABASE_S_MAX = 30.0
STANDARD_LIBRARY_ONLY = ("-I", "-S")


@contextmanager
def temporary() -> Iterator[Path]:
    from gateway.embedded.folders import home_of, run_dir_of  # noqa: PLC0415 - the sweeper has none

    folder = Path(tempfile.mkdtemp(prefix="dashtam-bench-"))
    run_dir = run_dir_of(home_of(folder))  # where our path is too long for a socket, elsewhere
    sweeper = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, *STANDARD_LIBRARY_ONLY, __file__, str(folder), str(run_dir)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the bench
    )
    try:
        yield folder
    finally:
        sweeper.communicate()


def sweep(folder: Path, run_dir: Path) -> None:
    """Remove them, and where PostgreSQL still runs there, once that has ended."""
    until = time.monotonic() + DATABASE_S_MAX
    pid_file = folder / "postgres" / "pgdata" / "postmaster.pid"
    while pid_file.exists() and time.monotonic() < until:
        time.sleep(0.05)
    for place in (folder, run_dir):
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    for word in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(word, signal.SIG_IGN)
    sys.stdin.buffer.read()
    sweep(*map(Path, sys.argv[1:]))
