"""The three servers as processes of their own, one worker each, side by side."""

import socket
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.bench.children import MODULE, process
from gateway.bench.database import BenchError, Database
from gateway.bench.workloads import OURS, RAW, SERVERS, STOCK
from gateway.processes.tree import GATEWAY, HOST, is_ready

POOL = 8
START_S_MAX = 60.0
NO_LIMIT = str(1_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that answers; `headers` are what names each person to it, in their order."""

    name: str
    port: int
    pid: int
    headers: tuple[tuple[str, str], ...]


@contextmanager
def servers(
    database: Database,
    statements: Path,
    folder: Path,
    cores: list[int],
    *,
    names: Collection[str] = SERVERS,
) -> Iterator[dict[str, Running]]:
    """Those named, ready. Raises BenchError: one does not start."""
    with ExitStack() as stack:
        ports = dict(zip(SERVERS, _free_ports(len(SERVERS)), strict=True))
        public_url = f"http://{HOST}:{ports[OURS]}"
        people = tuple(("X-User", str(person.user_id)) for person in database.people)
        bearers = tuple(("Authorization", f"Bearer {t}") for t in database.tokens(public_url))
        plans = {
            OURS: ((*GATEWAY, "serve"), settings(database, ports[OURS]), bearers),
            RAW: (
                (*MODULE, "gateway.bench.raw"),
                {
                    "BENCH_DATABASE_URL": database.server.app_url,
                    "BENCH_STATEMENTS": str(statements),
                },
                people,
            ),
            STOCK: (
                (*MODULE, "gateway.bench.stock"),
                {"BENCH_DATABASE_URL": database.stock_url},
                people,
            ),
        }
        found: dict[str, Running] = {}
        begun: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        for name in names:
            argv, environ, headers = plans[name]
            log = folder / f"{name}.log"
            port = {"BENCH_PORT": str(ports[name])}
            started = stack.enter_context(process(argv, environ | port, log, cores))
            begun[name] = started, log
            found[name] = Running(name=name, port=ports[name], pid=started.pid, headers=headers)
        for name, (started, log) in begun.items():
            _wait(name, started, ports[name], log)
        yield found


def settings(database: Database, port: int) -> dict[str, str]:
    """Production, with the cost limit lifted, and nothing else that a request goes through."""
    return {
        "DASHTAM_MODE": "production",
        "DASHTAM_DATABASE_URL": database.server.app_url,
        "DASHTAM_KEYRING": str(database.keyring),
        "DASHTAM_PORT": str(port),
        "DASHTAM_PUBLIC_URL": f"http://{HOST}:{port}",
        "DASHTAM_DB_READ_POOL": str(POOL),
        "DASHTAM_DOCUMENTS": "log",
        "DASHTAM_LOG_LEVEL": "warning",
        "DASHTAM_LIMIT_COST": NO_LIMIT,
        "DASHTAM_LIMIT_POINTS": NO_LIMIT,
        "DASHTAM_PROVIDERS": "sandbox",
    }


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _wait(name: str, started: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_S_MAX
    while time.monotonic() < until and started.poll() is None:
        if is_ready(port):
            return
        time.sleep(0.05)
    said = log.read_text(errors="replace").strip().splitlines() or ["without a word"]
    raise BenchError(f"The {name} server does not start: {said[-1]}")
