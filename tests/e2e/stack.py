"""The real thing: gateways and workers as processes of their own, and people who use them."""

import asyncio
import json
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette

from domain.commands.people import CreateUser, actor_to_be, create_user
from domain.identity import Role
from domain.secret import Secret
from gateway.settings import Settings
from gateway.wiring.root import Wired, wire
from tests.e2e.forked import Process, fork
from tests.servers import Database

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-P", "-m", "gateway")
START_S_MAX = 30.0
PASSWORD = "a password of nine words that nobody would guess"
SIGN_IN = """mutation SignIn($input: SignInInput!) { signIn(input: $input) {
  accessToken refreshToken expiresInSeconds viewer { id email }
  errors { __typename code message field ... on RateLimited { retryAfterSeconds } }
} }"""


def environment(database: Database, folder: Path, port: int, **more: str) -> dict[str, str]:
    """Development on this database, with cheap passwords and room for many sign-ins."""
    return bare_environment() | {
        "DASHTAM_MODE": "development",
        "DASHTAM_DATABASE_URL": database.app_url,
        "DASHTAM_DATA_DIR": str(folder),
        "DASHTAM_PORT": str(port),
        "DASHTAM_PUBLIC_URL": "http://127.0.0.1:8000",  # one for all gateways: it names the tokens
        "DASHTAM_ARGON2": "m=8,t=1,p=1",
        "DASHTAM_DB_READ_POOL": "5",
        "DASHTAM_DB_WRITE_POOL": "5",
        "DASHTAM_LIMIT_SIGN_IN_ADDRESS": "100000",
        "DASHTAM_LIMIT_REGISTER": "100000",
        "DASHTAM_LIMIT_VERIFY": "100000",
        "DASHTAM_LIMIT_RESET": "100000",
        **more,
    }


def bare_environment() -> dict[str, str]:
    """Ours, without settings of Dashtam; byte code is kept, as it is where Dashtam is installed."""
    ours = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith("DASHTAM_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    kept = Path(tempfile.gettempdir()) / "dashtam-test-bytecode"
    return ours | {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(kept)}


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Program:
    """A running `dashtam` command; its standard error is its log."""

    process: Process
    log: Path
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lines(self) -> list[dict[str, Any]]:
        """Its log, which is JSON to the last line."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    async def end(self, word: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(word)
        async with asyncio.timeout(START_S_MAX):
            return await self.process.wait()


@asynccontextmanager
async def running(command: str, environ: Mapping[str, str], folder: Path) -> AsyncIterator[Program]:
    """`dashtam serve` or `dashtam worker`, until the block ends."""
    log = folder / f"{command}-{secrets.token_hex(4)}.log"
    log.touch()
    process = await fork([command], environ=environ, folder=folder, stdout=log, stderr=log)
    program = Program(process, log, int(environ["DASHTAM_PORT"]))
    try:
        yield program
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass(frozen=True, slots=True)
class Said:
    """What a command of the shell left behind."""

    code: int
    out: str
    err: str


async def dashtam(*words: str, environ: Mapping[str, str], folder: Path, stdin: str = "") -> Said:
    """One command of the shell, to its end; it never shows a traceback."""
    with tempfile.TemporaryDirectory(prefix="dashtam-") as kept:
        given, out, err = (Path(kept) / name for name in ("stdin", "out", "err"))
        given.write_text(stdin)
        process = await fork(
            words, environ=environ, folder=folder, stdin=given, stdout=out, stderr=err
        )
        async with asyncio.timeout(60):
            code = await process.wait()
        said = Said(code, out.read_text(), err.read_text())
    assert "Traceback" not in said.out + said.err, said
    return said


async def until_ready(program: Program, *, ready: bool = True) -> dict[str, Any]:
    """What /readyz says once it is green, or with `ready=False` red."""
    give_up_at = time.monotonic() + START_S_MAX
    async with httpx2.AsyncClient(base_url=program.url) as http:
        while time.monotonic() < give_up_at:
            assert program.process.returncode is None, program.log.read_text()
            try:
                answer = await http.get("/readyz", timeout=5)
            except httpx2.TransportError:
                await asyncio.sleep(0.02)
                continue
            if (answer.status_code == 200) is ready:
                said: dict[str, Any] = answer.json()
                return said
            await asyncio.sleep(0.02)
    raise AssertionError(f"/readyz is not what it should be: {program.log.read_text()[-2000:]}")


@dataclass(slots=True)
class Client:
    """One signed-in person, or nobody, at one gateway."""

    http: httpx2.AsyncClient
    token: str | None = None
    refresh_token: str | None = None
    email: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def post(
        self, query: str, variables: Mapping[str, Any] | None = None, **headers: str
    ) -> httpx2.Response:
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if self.token is not None and "authorization" not in sent:
            sent["authorization"] = f"Bearer {self.token}"
        body = {"query": query} | ({"variables": dict(variables)} if variables else {})
        return await self.http.post("/graphql", json=body, headers={**self.headers, **sent})

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer without errors."""
        answer = (await self.post(query, variables)).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def errors(self, query: str, **variables: Any) -> list[dict[str, Any]]:
        """The top-level errors, of which there is at least one."""
        answer = (await self.post(query, variables)).json()
        found: list[dict[str, Any]] = answer["errors"]
        return found

    async def do(self, mutation: str, **variables: Any) -> dict[str, Any]:
        """The payload of the only mutation, refused or not."""
        [payload] = (await self.ask(mutation, **variables)).values()
        assert isinstance(payload, dict)
        return payload

    async def sign_in(
        self, email: str, password: str = PASSWORD, *, delivery: str = "BODY"
    ) -> dict[str, Any]:
        said = {"email": email, "password": password, "delivery": delivery}
        payload = await self.do(SIGN_IN, input=said)
        self.token, self.refresh_token = payload["accessToken"], payload["refreshToken"]
        self.email = email
        return payload


@dataclass(slots=True, kw_only=True)
class Stack:
    """A gateway and a worker on one migrated database."""

    database: Database
    folder: Path
    settings: Settings
    wired: Wired
    gateway: Program
    worker: Program

    async def a_user(self, role: Role = Role.USER) -> str:
        """The address of a new person, whose password is PASSWORD."""
        email = f"person-{secrets.token_hex(6)}@example.com"
        await make_user(self.wired, email, role=role)
        return email

    @asynccontextmanager
    async def nobody(self, program: Program | None = None) -> AsyncIterator[Client]:
        async with httpx2.AsyncClient(base_url=(program or self.gateway).url, timeout=40) as http:
            yield Client(http)

    @asynccontextmanager
    async def somebody(self, role: Role = Role.USER) -> AsyncIterator[Client]:
        """Signed in, with nothing yet."""
        email = await self.a_user(role)
        async with self.nobody() as client:
            payload = await client.sign_in(email)
            assert payload["errors"] == []
            yield client


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are pytest's


@asynccontextmanager
async def served_here(app: Starlette) -> AsyncIterator[str]:
    """The application in this process, on a loopback socket; gives its address."""
    config = uvicorn.Config(
        app,
        port=0,
        lifespan="on",
        log_config=None,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    running_ = asyncio.create_task(server.serve())
    async with asyncio.timeout(START_S_MAX):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running_


async def make_user(
    wired: Wired, email: str, password: str = PASSWORD, role: Role = Role.USER
) -> None:
    cmd = CreateUser(
        actor=actor_to_be(role),
        email=email,
        password=Secret(password),
        role=role,
        at=wired.app.now(),
    )
    await create_user(wired.app, cmd)


@asynccontextmanager
async def a_stack(database: Database, folder: Path, **environ: str) -> AsyncIterator[Stack]:
    environment_ = environment(database, folder, a_free_port(), **environ)
    settings = Settings.read(environment_)
    async with (
        wire(settings) as wired,
        running("serve", environment_, folder) as gateway,
        running("worker", environment_, folder) as worker,
    ):
        await until_ready(gateway)
        yield Stack(
            database=database,
            folder=folder,
            settings=settings,
            wired=wired,
            gateway=gateway,
            worker=worker,
        )
        assert worker.process.returncode is None, worker.log.read_text()
        assert gateway.process.returncode is None, gateway.log.read_text()
