"""Start, join and stop the embedded server of one data directory.

In `<data-dir>/postgres`: `pgdata`, `run` (the socket), `passwords.json`, `log` and `lock`. There
is no TCP port: only whoever may enter the folder, and has a password, gets in.
"""

import asyncio
import fcntl
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import asyncpg

from gateway.embedded import roles
from gateway.embedded.binaries import Binaries, EmbeddedError, choose
from gateway.embedded.cluster import initialise, launch, postmaster
from gateway.embedded.folders import home_of, run_dir_of
from gateway.embedded.privileges import runner

PORT = 5432  # only a part of the socket's name
JOIN_S_MAX = 60.0  # another process may be starting it, after a crash, or stopping it
STOP_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. Its URLs hold passwords, so its repr has none of them."""

    run_dir: Path
    port: int
    process: subprocess.Popen[bytes] | None  # None: another process started it and will stop it
    how: Literal["started", "joined"]
    version: str
    bin: Path  # where its programs lie
    pgdata: Path
    app_url: str
    owner_url: str
    superuser_url: str

    def __repr__(self) -> str:
        return f"Server({self.how}, PostgreSQL {self.version}, {self.run_dir})"


def start(
    data_dir: Path, *, durable: bool = True, settings: Mapping[str, str] | None = None
) -> Server:
    """The server of `data_dir`, made on first use; joined if it runs already.

    A started server ends when the thread that called this ends, however that ends: call from the
    main thread, outside of an event loop. `durable=False` is for tests: a crash of the machine
    may then lose data, a crash of a process still may not. `settings` are PostgreSQL's own, for a
    server that is started, not joined.

    Raises:
        EmbeddedError: it cannot run here; the message says what to do.
    """
    home = home_of(data_dir)
    with _locked(home):
        known = roles.passwords(home / "passwords.json", first=not (home / "pgdata").exists())
        binaries = choose(home / "pgdata")
        give_up_at = time.monotonic() + JOIN_S_MAX
        while True:
            server = _joined(home, known, binaries, give_up_at)
            server = server or _launched(
                home, known, binaries, durable=durable, settings=settings or {}
            )
            try:
                asyncio.run(roles.prepare(server.run_dir, known))
            except (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError):
                # A joined server may be stopped at this very moment by whoever started it.
                if server.process or time.monotonic() > give_up_at:
                    stop(server)
                    raise
                time.sleep(0.1)
            except BaseException:
                stop(server)
                raise
            else:
                return server


def stop(server: Server) -> None:
    """Disconnect everyone, write everything and end; a joined server is left to its starter."""
    process = server.process
    if process is None:
        return
    for word, wait_s in ((signal.SIGINT, STOP_S_MAX), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        process.send_signal(word)  # fast, then immediate shutdown: recovery loses nothing either
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)
            return


def is_running(server: Server) -> bool:
    if server.process:
        return server.process.poll() is None
    return postmaster(server.pgdata) is not None


def _joined(
    home: Path, known: roles.Passwords, binaries: Binaries, give_up_at: float
) -> Server | None:
    """The server that another process started; None once there is none."""
    while found := postmaster(home / "pgdata"):
        if found.ready:
            return _server(home, found.run_dir, None, known, binaries)
        if time.monotonic() > give_up_at:
            raise EmbeddedError(
                f"PostgreSQL (process {found.pid}) neither finishes starting nor stopping: see "
                f"{home / 'log'}, end that process and start again."
            )
        time.sleep(0.02)
    return None


def _launched(
    home: Path,
    known: roles.Passwords,
    binaries: Binaries,
    *,
    durable: bool,
    settings: Mapping[str, str],
) -> Server:
    pgdata, run_dir = home / "pgdata", run_dir_of(home)
    how = runner(binaries, home)
    if not pgdata.exists():
        initialise(how, pgdata, known.of[roles.SUPERUSER], durable=durable)
    process = launch(how, pgdata, run_dir, durable=durable, settings=settings)
    return _server(home, run_dir, process, known, binaries)


def _server(
    home: Path,
    run_dir: Path,
    process: subprocess.Popen[bytes] | None,
    known: roles.Passwords,
    binaries: Binaries,
) -> Server:
    return Server(
        run_dir=run_dir,
        port=PORT,
        process=process,
        how="started" if process else "joined",
        version=binaries.version,
        bin=binaries.bin,
        pgdata=home / "pgdata",
        app_url=known.url(roles.APP, run_dir),
        owner_url=known.url(roles.OWNER, run_dir),
        superuser_url=known.url(roles.SUPERUSER, run_dir),
    )


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One start at a time in this folder; the kernel drops the lock with the process."""
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
