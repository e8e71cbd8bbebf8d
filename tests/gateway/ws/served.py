"""A small schema of its own behind the real sockets, on a real uvicorn as `serve` sets it up."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import strawberry
import uvicorn
import websockets
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, WebSocketRoute
from websockets.asyncio.client import ClientConnection

from domain.errors import BadQuery, Unauthenticated, Unavailable
from domain.identity import Actor, Role, SessionId, UserId, new_id
from gateway.auth import Admitted
from gateway.cost.pricing import Pricing
from gateway.documents.reading import Document
from gateway.documents.store import Documents
from gateway.http.csrf import CsrfRules
from gateway.live.connections import Connections
from gateway.live.view import Live, LiveLimits
from gateway.operations.admission import Admission
from gateway.operations.clients import Client
from gateway.operations.execution import Engine
from gateway.operations.faults import Fault
from gateway.operations.guard import Limits
from gateway.operations.running import Operations
from gateway.processes.serving import _config, _Draining
from gateway.settings import Documents as Mode
from gateway.settings import Settings
from gateway.telemetry.tracing import Traced
from gateway.websocket.endpoint import GraphQLOverWs
from schema.errors import public
from tests.gateway.http.served import SECRET, until

PROTOCOL = "graphql-transport-ws"
ALLOWED_ORIGIN = "https://app.example"
HOUR = timedelta(hours=1)


@dataclass
class Journal:
    """What happened on the server's side, and what tests decide there."""

    entries: list[str] = field(default_factory=list)
    contexts: list["Context"] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: dict[str, Admitted] = field(default_factory=dict)
    hears: bool = True
    down: bool = False
    looks: int = 0
    clients: list[Client] = field(default_factory=list)

    @property
    def open_contexts(self) -> int:
        return sum(not context.closed for context in self.contexts)

    def let_in(self, token: str, *, until: datetime | None = None) -> SessionId:
        """Whoever presents this token is somebody new."""
        session_id = SessionId(new_id())
        actor = Actor(user_id=UserId(new_id()), role=Role.USER, session_id=session_id)
        self.tokens[token] = Admitted(actor=actor, until=until or datetime.now(UTC) + HOUR)
        return session_id


@dataclass(eq=False)
class Context:
    journal: Journal
    viewer: Actor | None
    trace_id: str
    last_event_id: str | None = None
    reports_cost: bool = False
    closed: bool = False

    def event(self) -> "Context":
        return opened(self.journal, self.viewer, self.trace_id)

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed = True


def opened(
    journal: Journal, viewer: Actor | None, trace_id: str, last_event_id: str | None = None
) -> Context:
    context = Context(journal, viewer, trace_id, last_event_id)
    journal.contexts.append(context)
    return context


Info = strawberry.Info[Context, None]


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def me(self, info: Info) -> str:
        if info.context.viewer is None:
            raise Unauthenticated("sign in first")
        return str(info.context.viewer.user_id)

    @strawberry.field
    async def held(self, info: Info) -> int:
        journal = info.context.journal
        journal.entries.append("held begins")
        try:
            await journal.go_on.wait()
        except asyncio.CancelledError:
            journal.entries.append("held is cancelled")
            raise
        return 1

    @strawberry.field
    async def unhurried(self, info: Info) -> int:
        """Ends when it is told to, though it was cancelled before."""
        journal = info.context.journal
        journal.entries.append("it begins")
        try:
            await asyncio.sleep(60)
        finally:
            await journal.go_on.wait()
        return 1

    @strawberry.field
    def wide(self, characters: int) -> str:
        return "x" * characters

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError(SECRET)

    @strawberry.field
    def away(self) -> str | None:
        raise Unavailable("the database is away", retry_after_s=7)


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def write(self, info: Info, what: str) -> str:
        info.context.journal.entries.append(f"{what} is written")
        return what

    @strawberry.mutation
    async def end_session(self, info: Info, server: strawberry.ID) -> bool:
        """As signOut does it: the news of it are there before the answer."""
        viewer = info.context.viewer
        assert viewer is not None
        SERVERS[server].ended(viewer.session_id)
        await asyncio.sleep(0.05)
        return True


@strawberry.type
class Number:
    number: int


async def _none() -> AsyncGenerator[int, None]:
    for number in range(0):
        yield number


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, info: Info, to: int) -> AsyncGenerator[int, None]:
        for number in range(to):
            yield number

    @strawberry.subscription
    async def ticks(self, info: Info) -> AsyncGenerator[int, None]:
        """For ever, as fast as it is asked."""
        journal, number = info.context.journal, 0
        journal.entries.append("ticks begin")
        try:
            while True:
                yield number
                number += 1
                await asyncio.sleep(0.01)
        finally:
            journal.entries.append(f"ticks end after {number}")

    @strawberry.subscription
    async def wide(self, characters: int) -> AsyncGenerator[str, None]:
        while True:
            yield "x" * characters

    @strawberry.subscription
    async def silent(self, info: Info) -> AsyncGenerator[int, None]:
        info.context.journal.entries.append("silence begins")
        try:
            await info.context.journal.go_on.wait()
            yield 1
        finally:
            info.context.journal.entries.append("silence ends")

    @strawberry.subscription
    async def late(self, info: Info) -> AsyncGenerator[int, None]:
        """Which never begins."""
        info.context.journal.entries.append("it is late")
        await asyncio.Event().wait()
        return _none()

    @strawberry.subscription
    async def mine(self, info: Info) -> AsyncGenerator[int, None]:
        if info.context.viewer is None:
            raise Unauthenticated("sign in first")
        yield 1

    @strawberry.subscription
    async def breaks(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError(SECRET)

    @strawberry.subscription
    async def numbers(
        self, info: Info, to: int, after: str | None = None
    ) -> AsyncGenerator[Number, None]:
        """Each of which is a cursor; a malformed one is refused before any is made."""
        seen = info.context.last_event_id or after or "-1"
        if not seen.lstrip("-").isdigit():
            raise BadQuery("that is no cursor of ours")
        for number in range(int(seen) + 1, to):
            yield Number(number=number)

    @strawberry.subscription
    async def contexts(self, info: Info, of: int = 3) -> AsyncGenerator[int, None]:
        for _ in range(of):
            yield len(info.context.journal.contexts)


SERVERS: dict[str, Connections] = {}
COUNTED = "subscription { count(to: 2) }"
HASH = sha256(COUNTED.encode()).hexdigest()
NAMINGS: dict[str, dict[str, Any]] = {
    "by documentId": {"documentId": f"sha256:{HASH}"},
    "by a bare hash": {"documentId": HASH},
    "by doc_id, as Relay does": {"doc_id": HASH},
    "by persistedQuery, as Apollo does": {
        "extensions": {"persistedQuery": {"version": 1, "sha256Hash": HASH}}
    },
}


def registering() -> dict[str, Any]:
    """Text and hash: from now on it is to be had by its name."""
    return {"query": COUNTED, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": HASH}}}


SCHEMA = strawberry.Schema(Query, Mutation, Subscription)._schema


def _network(websocket: HTTPConnection) -> str:
    """Another one for each socket, unless it says where it comes from."""
    return websocket.headers.get("x-from", str(websocket.client))


def a_view(journal: Journal, **limits: Any) -> GraphQLOverWs[Context]:
    return GraphQLOverWs(
        a_live(journal, **limits),
        rides=lambda websocket: "dashtam" in websocket.cookies,
        csrf=CsrfRules(frozenset({ALLOWED_ORIGIN})),
    )


def documents_of(journal: Journal) -> Documents:
    """Which log who sends texts that were not published: here, all."""

    def told(_: Document, client: Client) -> None:
        journal.clients.append(client)

    return Documents(SCHEMA, limits=Limits(), mode=Mode.LOG, unknown=told)


def a_live(
    journal: Journal, shared: Operations[Context] | None = None, **limits: Any
) -> Live[Context]:
    async def admit(websocket: HTTPConnection, authorization: str | None) -> Admitted | None:
        journal.looks += 1
        if journal.down:
            raise Unavailable("the database is away")
        said = authorization or websocket.headers.get("authorization")
        said = said or (
            websocket.cookies.get("dashtam") and f"Bearer {websocket.cookies['dashtam']}"
        )
        if said is None:
            return None
        found = journal.tokens.get(said.removeprefix("Bearer "))
        if found is None or found.until <= datetime.now(UTC):
            raise Fault(401, "UNAUTHENTICATED", "the session is over")
        return found

    def open_context(
        connection: HTTPConnection, admitted: Admitted | None, trace_id: str
    ) -> Context:
        actor = admitted.actor if admitted else None
        return opened(journal, actor, trace_id, connection.headers.get("last-event-id"))

    operations = shared or Operations(
        documents=documents_of(journal),
        engine=Engine(schema=SCHEMA, hide_suggestions=False),
        present=public,
        places=Admission(limits.pop("places", 20)),
        introspection=lambda _: True,
        pricing=Pricing(most=50_000),
    )
    return Live(
        operations=operations,
        cursor_of=lambda event: str(event.number) if isinstance(event, Number) else None,
        admit=admit,
        network=_network,
        open_context=open_context,
        hears=lambda: journal.hears,
        limits=replace(LiveLimits(), **limits),
    )


class _Server(_Draining):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are pytest's


@dataclass
class Served:
    journal: Journal
    view: GraphQLOverWs[Context]
    server: uvicorn.Server
    port: int

    @property
    def connections(self) -> Connections:
        return self.view.live.connections

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql"

    @asynccontextmanager
    async def connected(self, **options: Any) -> AsyncIterator[ClientConnection]:
        """A socket on which nothing was said yet."""
        given: dict[str, Any] = {"subprotocols": [PROTOCOL], "compression": None} | options
        async with websockets.connect(self.url, **given) as socket:
            yield socket

    @asynccontextmanager
    async def greeted(self, token: str | None = None, **options: Any) -> AsyncIterator["Talk"]:
        async with self.connected(**options) as socket:
            talk = Talk(socket)
            payload = {"authorization": f"Bearer {token}"} if token else None
            await talk.say("connection_init", payload=payload)
            assert await talk.next() == {"type": "connection_ack"}
            yield talk

    async def until_idle(self) -> None:
        """Every socket is gone, and all that its operations held was given back."""
        await until(lambda: not len(self.connections) and not self.journal.open_contexts)


@dataclass
class Talk:
    socket: ClientConnection

    async def say(self, type: str, **more: Any) -> None:
        message = {"type": type, **more}
        await self.socket.send(json.dumps({k: v for k, v in message.items() if v is not None}))

    async def subscribe(self, query: str, id: str = "1", **more: Any) -> None:
        await self.say("subscribe", id=id, payload={"query": query, **more})

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        return message

    async def all_of(self, id: str = "1") -> list[dict[str, Any]]:
        """To the last message of this operation."""
        found: list[dict[str, Any]] = []
        while not found or found[-1]["type"] == "next":
            message = await self.next()
            assert message["id"] == id
            found.append(message)
        return found

    async def ask(self, query: str, id: str = "1", **more: Any) -> list[dict[str, Any]]:
        await self.subscribe(query, id, **more)
        return await self.all_of(id)

    async def closed(self, *, within_s: float = 10) -> tuple[int, str]:
        return await closed(self.socket, within_s=within_s)


async def closed(socket: ClientConnection, *, within_s: float = 10) -> tuple[int, str]:
    """The code and the reason, whatever was still said before."""
    async with asyncio.timeout(within_s):
        try:
            while True:
                await socket.recv()
        except websockets.ConnectionClosed:
            return socket.close_code or 0, socket.close_reason or ""


@asynccontextmanager
async def served(journal: Journal | None = None, **limits: Any) -> AsyncIterator[Served]:
    journal = journal or Journal()
    view = a_view(journal, **limits)
    route = WebSocketRoute("/graphql", view)
    async with running([route], view.live.connections) as (server, port):
        yield Served(journal, view, server, port)


@asynccontextmanager
async def running(
    routes: Sequence[BaseRoute], connections: Connections
) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """uvicorn as `serve` sets it up, and its port."""
    app = Starlette(routes=routes, middleware=[Middleware(Traced)])
    settings = Settings.read({"DASHTAM_MODE": "development"})
    config = _config(replace(settings, port=0), app)
    config.timeout_graceful_shutdown = 2
    app.state.health = SimpleNamespace(draining=False)
    app.state.connections = connections
    server = _Server(config, app, 0.2)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    SERVERS[str(port)] = connections
    try:
        yield server, port
    finally:
        server.should_exit = True
        await serving
        del SERVERS[str(port)]
