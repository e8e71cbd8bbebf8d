"""Real servers for tests: one embedded PostgreSQL and one Redis a session, a database a test."""

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import asyncpg

from gateway import embedded

OWNER = "dashtam_owner"
START_S_MAX = 10.0
ROOM = {"max_connections": "400"}  # for the gateways of a whole session
MEMORY = Path("/dev/shm")  # a database is 300 files: making them in memory is five times faster
MEMORY_FREE_MIN = 2 << 30  # bytes; a container may have 64 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database of one test; in it, `app_url` is what the gateway gets."""

    name: str
    app_url: str
    owner_url: str
    superuser_url: str


@dataclass(slots=True)
class Postgres:
    """A PostgreSQL of this test session, without fsync."""

    server: embedded.Server
    _numbers: Iterator[int] = field(default_factory=count)
    _migrated: str | None = None
    _migrating: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def name(self) -> str:
        return f"PostgreSQL {self.server.version} (embedded, {self.server.bin})"

    @asynccontextmanager
    async def fresh_database(self, *, migrated: bool = True) -> AsyncIterator[Database]:
        """A database of its own, with our schema in it or empty; dropped at the end."""
        template = await self._template() if migrated else None
        database = await self._create(f"test_{next(self._numbers)}", template)
        try:
            yield database
        finally:
            await self._execute(f"DROP DATABASE {database.name} WITH (FORCE)")

    async def _template(self) -> str:
        async with self._migrating:
            if self._migrated is None:
                # Here, so that tests of an empty database do without the migrations.
                from gateway.migrate import migrated

                made = await self._create(f"template_{next(self._numbers)}", None)
                await migrated(made.owner_url)
                self._migrated = made.name
        return self._migrated

    async def _create(self, name: str, template: str | None) -> Database:
        # A file copy of a template takes a third of the time of the default, through the log.
        like = f" TEMPLATE {template} STRATEGY FILE_COPY" if template else ""
        await self._execute(f"CREATE DATABASE {name} OWNER {OWNER}{like}")
        database = Database(
            name=name,
            app_url=self._url(self.server.app_url, name),
            owner_url=self._url(self.server.owner_url, name),
            superuser_url=self._url(self.server.superuser_url, name),
        )
        if not template:
            await self._execute(f"ALTER SCHEMA public OWNER TO {OWNER}", database.superuser_url)
        return database

    async def _execute(self, statement: str, url: str | None = None) -> None:
        connection = await asyncpg.connect(url or self._url(self.server.superuser_url, "postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    @staticmethod
    def _url(url: str, database: str) -> str:
        return url.replace("@/dashtam?", f"@/{database}?")


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A redis-server of this test session, on a Unix socket, keeping nothing on disk."""

    socket: Path
    version: str
    process: subprocess.Popen[bytes]

    @property
    def name(self) -> str:
        return f"Redis {self.version}"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def flush(self) -> None:
        """Forget everything."""
        assert _ask_redis(self.socket, b"FLUSHALL SYNC\r\n") == b"+OK\r\n"


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_FREE_MIN
    with tempfile.TemporaryDirectory(prefix="dashtam-", dir=MEMORY if roomy else None) as folder:
        server = embedded.start(Path(folder), durable=False, settings=ROOM)
        try:
            yield Postgres(server)
        finally:
            embedded.stop(server)


@contextmanager
def running_redis(kept: Path | None = None) -> Iterator[RedisServer]:
    """`kept` is a folder that outlives it, so that the next may answer at the same address."""
    program = shutil.which("redis-server")
    assert program, "redis-server is missing: `./dashtam test` installs it, or says how"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    with tempfile.TemporaryDirectory(prefix="dashtam-") as fresh:
        folder = str(kept or fresh)
        path = Path(folder) / "redis.sock"
        setpriv = shutil.which("setpriv")  # ends it with us even after kill -9
        words = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        words += [program, "--port", "0", "--unixsocket", str(path), "--dir", folder]
        words += ["--save", "", "--appendonly", "no"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            give_up_at = time.monotonic() + START_S_MAX
            while not (path.exists() and _ask_redis(path, b"PING\r\n") == b"+PONG\r\n"):
                assert process.poll() is None, "redis-server ended at once"
                assert time.monotonic() < give_up_at, "redis-server does not answer"
                time.sleep(0.01)
            yield RedisServer(path, version.stdout.split("v=")[1].split()[0], process)
        finally:
            process.send_signal(signal.SIGKILL)  # it keeps nothing
            process.wait()


def _ask_redis(path: Path, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(START_S_MAX)
        try:
            connection.connect(str(path))
            connection.sendall(command)
            return connection.recv(100)
        except ConnectionRefusedError:
            return b""
