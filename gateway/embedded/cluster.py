"""One PostgreSQL data directory: making it, launching its server, seeing who runs it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.embedded.binaries import EmbeddedError
from gateway.embedded.privileges import Runner

START_S_MAX = 120.0  # recovery after a crash included
RETRY_S_MAX = 10.0  # how long what is left of a killed server may hold its memory
LOG_BYTES_MAX = 1_000_000
BUILTIN_LOCALE_SINCE = 17
ENVIRON = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}

OPTIONS = {
    "listen_addresses": "",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "jit": "off",  # our statements are short: compiling them costs more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The process that serves a data directory."""

    pid: int
    run_dir: Path
    ready: bool  # else it is starting or stopping


def postmaster(pgdata: Path) -> Postmaster | None:
    """Who serves `pgdata` now, by its lock file; None if nobody does."""
    try:
        lines = (pgdata / "postmaster.pid").read_text().splitlines()
        pid = int(lines[0])
    except (OSError, ValueError, IndexError):
        return None
    if not _serves(pid, pgdata):
        return None
    run_dir, status = (lines[4], lines[7]) if len(lines) > 7 else ("", "")
    return Postmaster(pid, Path(run_dir), ready=status.strip() == "ready")


def initialise(how: Runner, pgdata: Path, password: str, *, durable: bool) -> None:
    """Make the data directory `pgdata`, whole or not at all."""
    home = pgdata.parent
    for left in home.glob("pgdata.new-*"):  # of a start that was killed
        shutil.rmtree(left, ignore_errors=True)
    new, secret = home / f"pgdata.new-{os.getpid()}", home / "initdb-password"
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600)
    secret.write_text(password)
    owner = home.stat()
    os.chown(secret, owner.st_uid, owner.st_gid)
    command = how.argv(
        "initdb",
        f"--pgdata={new}",
        "--username=postgres",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--no-instructions",
        *_locale(how),
        *(() if durable else ("--no-sync",)),
    )
    try:
        done = subprocess.run(command, capture_output=True, env=ENVIRON, cwd="/", check=False)  # noqa: S603 - the chosen server
    finally:
        secret.unlink()
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["without a word"]
        raise EmbeddedError(f"The database could not be made ({said[-1]}): mend that, start again.")
    new.rename(pgdata)


def launch(
    how: Runner, pgdata: Path, run_dir: Path, *, durable: bool, settings: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start the server and wait until it answers; `settings` go before our own.

    Raises:
        EmbeddedError: it ended instead; the message has its last words.
    """
    retry_until = time.monotonic() + RETRY_S_MAX
    while True:
        _disown(pgdata, run_dir)
        log = pgdata.parent / "log"
        if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_suffix(".old"))
        options = OPTIONS | {"unix_socket_directories": str(run_dir)}
        options |= ({} if durable else NOT_DURABLE) | dict(settings)
        words = [f"--{name}={value}" for name, value in options.items()]
        with log.open("ab") as out:
            said_before = out.tell()
            process = subprocess.Popen(  # noqa: S603 - the chosen server
                how.argv("postgres", "-D", str(pgdata), *words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=ENVIRON,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for us; the database stops last
            )
        if _answers(process, pgdata):
            return process
        said = log.read_bytes()[said_before:].decode(errors="replace")
        # Right after kill -9 the old backends may live for a moment, and hold its memory.
        held = "lock file" in said or "shared memory" in said
        if not held or time.monotonic() > retry_until:
            raise EmbeddedError(_last_words(said, log))
        time.sleep(0.2)


def _answers(process: subprocess.Popen[bytes], pgdata: Path) -> bool:
    """True once the server accepts connections, False when it ended or had to be ended."""
    give_up_at = time.monotonic() + START_S_MAX
    try:
        while process.poll() is None and time.monotonic() < give_up_at:
            found = postmaster(pgdata)
            if found and found.ready and found.pid == process.pid:
                return True
            time.sleep(0.01)
    except BaseException:
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    process.kill()
    process.wait()
    return False


def _disown(pgdata: Path, run_dir: Path) -> None:
    """Let a lock file that a dead server left not stand for another process that has its number.

    PostgreSQL takes any living process for the owner. It makes an exception for its own parent,
    which is us, and then still sees to it that no backend of the dead server is left.
    """
    for lock in (pgdata / "postmaster.pid", run_dir / ".s.PGSQL.5432.lock"):
        with suppress(FileNotFoundError):
            _, *rest = lock.read_text().splitlines(keepends=True) or [""]
            lock.write_text("".join([f"{os.getpid()}\n", *rest]))


def _serves(pid: int, pgdata: Path) -> bool:
    """Whether that process is a PostgreSQL server of `pgdata`: it stands in that folder."""
    if not Path("/proc/self").exists():
        told = subprocess.run(  # noqa: S603 - a number
            ["/bin/ps", "-p", str(pid), "-o", "command="],
            capture_output=True,
            text=True,
            check=False,
        )
        return str(pgdata) in told.stdout
    try:
        return Path(f"/proc/{pid}/cwd").samefile(pgdata)
    except OSError:  # it is gone, a zombie, or somebody else's
        return False


def _locale(how: Runner) -> tuple[str, ...]:
    """UTF-8 rules of PostgreSQL's own where it has them: the same on every system, for ever."""
    if how.major >= BUILTIN_LOCALE_SINCE:
        return ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
    return ("--locale=C.UTF-8",)


def _last_words(said: str, log: Path) -> str:
    fatal = [line for line in said.splitlines() if "FATAL" in line or "error" in line]
    words = fatal[-1].split("FATAL:")[-1].strip() if fatal else "it gave no reason"
    return f"PostgreSQL did not start ({words}): see {log}, mend that and start again."
