"""The gateway without its sockets: production's wiring and view, asked in this process."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NoReturn
from uuid import UUID, uuid4

import asyncpg
from graphql import ExecutionResult, GraphQLError
from starlette.websockets import WebSocket

from adapters.postgres.store import PostgresStore
from domain.commands.running import RunSync, run_sync
from domain.commands.sessions import note_use
from domain.commands.sync import JOB
from domain.errors import DomainError
from domain.identity import Actor, Role, UserId
from domain.limits import Limit
from domain.mail import Letter
from domain.ports import App
from domain.sync import RunId
from gateway.asgi import graphql_view, live_of
from gateway.auth import Authenticator
from gateway.documents.store import Documents
from gateway.http.endpoint import GraphQLOverHttp
from gateway.live.feed import feed_of
from gateway.live.view import Live
from gateway.operations.faults import Fault
from gateway.operations.parameters import Parameters
from gateway.operations.replies import fault_error
from gateway.settings import Settings
from gateway.wiring.root import Wired, wire
from gateway.worker.chores import CHORES
from schema.context import Context
from tests.engine.consenting import Consenting
from tests.engine.world import known, roomy
from tests.isolation.planted import PlantedSandbox
from tests.isolation.walls import (
    Rewrite,
    Statements,
    Walls,
    as_it_is,
    rewriting_engine,
    rewriting_pool,
    without_conditions,
)
from tests.servers import Database

TRACE = "0" * 32
READ_POOL, WRITE_POOL = 2, 2
BOUNDARY = "between"
FIRST_EVENT_S_MAX = 0.2

_documents: dict[str, Documents] = {}  # every gateway is asked the same, which takes a second


@dataclass(slots=True)
class Clock:
    at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def __call__(self) -> datetime:
        return self.at

    def turn(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass(slots=True)
class Letters:
    """`domain.ports.Mail`, which keeps them."""

    sent: list[Letter] = field(default_factory=list)

    async def send(self, letter: Letter) -> None:
        self.sent.append(letter)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, as far as a request says: a token or none, and from where."""

    token: str | None
    ip: str
    client: str


@dataclass(slots=True, kw_only=True)
class InProcess:
    """`spy` is a superuser's connection beside it, which sees every row."""

    app: App
    view: GraphQLOverHttp[Context]
    live: Live[Context]
    authenticator: Authenticator
    clock: Clock
    letters: Letters
    spy: asyncpg.Connection
    pool: asyncpg.Pool
    walls: Walls
    statements: Statements

    def choose_walls(self, dice: Random) -> None:
        if self.walls is Walls.EITHER:
            self.statements.rewrite = dice.choice([as_it_is, without_conditions])

    async def ask(
        self, asker: Asker, query: str, variables: Mapping[str, Any], file: bytes | None = None
    ) -> Answer:
        said = {"query": query, "variables": variables}
        kind, body = b"application/json", json.dumps(said).encode()
        if file is not None:
            kind, body = f"multipart/form-data; boundary={BOUNDARY}".encode(), _form(said, file)
        scope = _scope(asker, kind, len(body))
        status, sent = 0, bytearray()
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            sent.extend(message.get("body", b""))

        await self.view(scope, receive, send)
        await asyncio.gather(*self.authenticator.noting)
        return Answer(status, sent.decode())

    async def subscribe(self, asker: Asker, query: str, variables: dict[str, Any]) -> Answer:
        """The first event of a subscription, by what a socket does; or why there is none, or
        nothing where it would wait for one."""
        scope = {**_scope(asker, b"application/json", 0), "type": "websocket"}
        connection = WebSocket(scope, receive=_silence, send=_unsaid)
        said = None if asker.token is None else f"Bearer {asker.token}"
        try:
            admitted = await self.authenticator.admitted(connection, said)
        except Fault as fault:
            return Answer(fault.status, json.dumps({"errors": [fault_error(fault, TRACE)]}))
        context = self.live.open_context(connection, admitted, TRACE)
        operations = self.view.operations
        operation = await operations.chosen(Parameters(query=query, variables=variables))
        reply: dict[str, Any] = {}
        try:
            found = await operations.subscribe(operation, context)
            if isinstance(found, ExecutionResult):
                reply = {"errors": [operations.present(e, TRACE) for e in found.errors or ()]}
            else:
                async with aclosing(found) as events, asyncio.timeout(FIRST_EVENT_S_MAX):
                    async for made in events:
                        of_event = context.event()
                        result = await operations.run(operation, of_event, event=made)
                        reply = operations.reply(result, TRACE)
                        await of_event.close()
                        break
        except TimeoutError:
            reply = {}
        except GraphQLError as refusal:
            reply = {"errors": [operations.present(refusal, TRACE)]}
        finally:
            await context.close()
            await asyncio.gather(*self.authenticator.noting)
        return Answer(200, json.dumps(reply, default=str))

    async def next_job(self) -> UUID | None:
        """Do the oldest that waits, as a worker does, and say whose it was."""
        row = await self.spy.fetchrow(
            "DELETE FROM jobs.pgqueuer WHERE id = (SELECT min(id) FROM jobs.pgqueuer)"
            " RETURNING entrypoint, payload"
        )
        if row is None:
            return None
        said = json.loads(row["payload"])
        user = UserId(UUID(said.pop("user")))
        try:
            if row["entrypoint"].startswith(JOB):
                await self._sync(user, RunId(UUID(said["run"])))
            else:
                await CHORES[row["entrypoint"]](self.app, user, said)
        except DomainError:
            return user  # what it was for is gone
        return user

    async def _sync(self, user: UserId, run: RunId) -> None:
        actor = Actor(user_id=user, role=Role.USER)
        await run_sync(
            self.app, RunSync(actor=actor, run_id=run, worker=uuid4(), at=self.app.now())
        )


@asynccontextmanager
async def in_process(
    database: Database, folder: Path, walls: Walls, *, rewrite: Rewrite | None = None
) -> AsyncIterator[InProcess]:
    """`rewrite` is what statements say instead, whatever the walls; a hole that a test plants."""
    alone = walls is Walls.ROW_LEVEL_SECURITY
    said = Statements(rewrite or (without_conditions if alone else as_it_is))
    url = database.superuser_url if walls is Walls.CONDITIONS else database.app_url
    async with AsyncExitStack() as stack:
        wired = await stack.enter_async_context(wire(_settings(url, folder)))
        pool = await stack.enter_async_context(rewriting_pool(url, READ_POOL, said))
        engine = await stack.enter_async_context(rewriting_engine(url, WRITE_POOL, said))
        spy = await asyncpg.connect(database.superuser_url)
        stack.push_async_callback(spy.close)
        clock, letters = Clock(), Letters()
        mac, moved = wired.audit_keys.mac, wired.movements.moved
        app = replace(
            wired.app,
            store=PostgresStore(engine, mac=mac, moved=moved),
            feed=feed_of(pool, wired.app.doors, wired.fanout),
            providers={
                **wired.app.providers,
                **known(PlantedSandbox(), Consenting(owner=None)),
            },
            mail=letters,
            now=clock,
            limit_settings=_roomy(),
        )
        wired = replace(wired, app=app, pool=pool)
        authenticator = _authenticator(wired)
        view = graphql_view(wired, authenticator)
        documents = _documents.setdefault("all", view.operations.documents)
        view.operations = replace(view.operations, documents=documents)
        yield InProcess(
            app=app,
            view=view,
            live=live_of(wired, authenticator, view.operations),
            authenticator=authenticator,
            clock=clock,
            letters=letters,
            spy=spy,
            pool=pool,
            walls=walls,
            statements=said,
        )


def _settings(url: str, folder: Path) -> Settings:
    """Room for documents that ask for everything."""
    many = ("TOKENS", "FIELDS", "ALIASES", "COST", "FRAGMENTS", "POINTS")
    return Settings.read(
        {
            "DASHTAM_MODE": "development",
            "DASHTAM_DATABASE_URL": url,
            "DASHTAM_DATA_DIR": str(folder),
            "DASHTAM_ARGON2": "m=8,t=1,p=1",
            "DASHTAM_DB_READ_POOL": "2",
            "DASHTAM_DB_WRITE_POOL": "1",
            **{f"DASHTAM_LIMIT_{name}": "100000000" for name in many},
        }
    )


def _roomy() -> Any:
    most = Limit(name="points", burst=1_000_000_000, per_seconds=1)
    return replace(roomy(), points=most, sign_in_device=most)


def _authenticator(wired: Wired) -> Authenticator:
    """Which remembers nothing, so that what a step ended is over in the next."""
    return Authenticator(
        tokens=wired.tokens,
        devices=wired.app.devices,
        doors=wired.app.doors,
        note_use=partial(note_use, wired.app),
        now=wired.app.now,
        hears=lambda: False,
        secure=False,
        trusted_proxies=(),
    )


def _scope(asker: Asker, kind: bytes, length: int) -> dict[str, Any]:
    headers = [
        (b"host", b"127.0.0.1:8000"),
        (b"accept", b"application/json"),
        (b"content-type", kind),
        (b"content-length", str(length).encode()),
        (b"user-agent", asker.client.encode()),
        (b"graphql-preflight", b"1"),
    ]
    if asker.token is not None:
        headers.append((b"authorization", f"Bearer {asker.token}".encode()))
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/graphql",
        "query_string": b"",
        "headers": headers,
        "client": (asker.ip, 40_000),
        "state": {"trace_id": TRACE},
    }


async def _silence() -> NoReturn:
    raise AssertionError("nothing comes over this socket")


async def _unsaid(_: Any) -> NoReturn:
    raise AssertionError("nothing goes over this socket")


def _form(said: Mapping[str, Any], file: bytes) -> bytes:
    places = {"0": ["variables.importStatement_input.file"]}
    parts = {"operations": json.dumps(said), "map": json.dumps(places)}
    lines = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in parts.items()
    ]
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="0"; filename="s.ofx"\r\n\r\n'
    return "".join((*lines, head)).encode() + file + f"\r\n--{BOUNDARY}--\r\n".encode()
