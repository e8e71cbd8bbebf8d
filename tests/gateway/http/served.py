"""A small schema of its own behind the real view, on a real uvicorn and a loopback socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import strawberry
import uvicorn
from graphql import GraphQLError, GraphQLSchema
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from strawberry.file_uploads import Upload as UploadScalar

from domain.errors import Unavailable
from gateway.documents.store import Documents
from gateway.http import multipart
from gateway.http.csrf import CsrfRules
from gateway.http.endpoint import GraphQLOverHttp
from gateway.http.protocol import HttpProtocol
from gateway.operations.faults import Fault
from gateway.operations.guard import Limits
from gateway.operations.running import Operation

ALLOWED_ORIGIN = "https://app.example"
SECRET = "db password=hunter2"


async def until(holds: Callable[[], bool]) -> None:
    """For what is seen from outside only, where no event can be awaited."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@dataclass
class Journal:
    """What happened on the server's side."""

    entries: list[str] = field(default_factory=list)
    open_contexts: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    operations: list[Operation] = field(default_factory=list)
    version: int | None = 1

    async def until_idle(self) -> None:
        await until(lambda: not self.open_contexts)


@dataclass
class Context:
    journal: Journal
    trace_id: str
    closed: bool = False

    async def close(self) -> None:
        await asyncio.sleep(0)
        if not self.closed:
            self.closed = True
            self.journal.open_contexts -= 1
            self.journal.entries.append("closed")


Info = strawberry.Info[Context, None]


@strawberry.type
class Node:
    id: strawberry.ID
    name: str

    @strawberry.field
    def child(self) -> "Node":
        return Node(id=self.id, name=self.name)


@strawberry.input
class Place:
    name: str
    tags: list[str] = strawberry.field(default_factory=list)


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def node(self, id: strawberry.ID) -> Node:
        return Node(id=id, name="a node")

    @strawberry.field
    def links(self, info: Info, status: str = "", long: int = 0) -> str | None:
        """Versioned, by its name."""
        info.context.journal.entries.append(f"links {status}")
        if status == "broken":
            raise RuntimeError(SECRET)
        return f"version {info.context.journal.version}" + " of it" * long

    @strawberry.field
    def place(self, at: Place) -> str:
        return at.name

    @strawberry.field
    async def held(self, info: Info) -> int:
        """Answers when it is let go."""
        journal = info.context.journal
        journal.started.set()
        try:
            await journal.go_on.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            journal.entries.append("cancelled")
            raise
        return 1

    @strawberry.field
    async def deaf(self, info: Info) -> int:
        """Takes no notice of being cancelled."""
        journal = info.context.journal
        journal.started.set()
        while not journal.go_on.is_set():
            with suppress(asyncio.CancelledError):
                await journal.go_on.wait()
        journal.entries.append("let go")
        return 1

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError(SECRET)

    @strawberry.field
    def away(self) -> str | None:
        raise Unavailable("the database is away", retry_after_s=7)

    @strawberry.field
    def broken_by_what_is_away(self) -> str | None:
        raise RuntimeError(SECRET) from Unavailable("the database is away", retry_after_s=7)


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def write(self, info: Info, what: str, wait_s: float = 0) -> str:
        info.context.journal.entries.append(f"{what} begins")
        await asyncio.sleep(wait_s)
        info.context.journal.entries.append(f"{what} ends")
        return what

    @strawberry.mutation
    def sign_out(self) -> bool:
        return True

    @strawberry.mutation
    def lose(self) -> str | None:
        raise Unavailable("the database is away", retry_after_s=7)

    @strawberry.mutation
    def keep(self, file: UploadScalar) -> str:
        return _described(file)

    @strawberry.mutation
    def keep_all(self, files: list[UploadScalar]) -> list[str]:
        return [_described(file) for file in files]


def _described(file: object) -> str:
    upload = cast("multipart.Upload", file)
    return f"{upload.filename} {upload.content_type} {len(upload.content)}"


def a_schema() -> strawberry.Schema:
    return strawberry.Schema(Query, Mutation)


def core(schema: strawberry.Schema) -> GraphQLSchema:
    return schema._schema


def presented(error: GraphQLError, trace_id: str) -> dict[str, Any]:
    """As the app does it: a bug is masked."""
    shown: dict[str, Any] = {**error.formatted}
    extensions: dict[str, Any] = {"code": "BAD_USER_INPUT", "traceId": trace_id}
    if error.original_error is not None:
        shown["message"], extensions["code"] = "internal error", "INTERNAL"
    return {**shown, "extensions": extensions}


def a_view(
    journal: Journal, *, limits: Limits | None = None, shown: bool = True, **options: Any
) -> GraphQLOverHttp[Context]:
    schema = a_schema()

    async def open_context(request: Request) -> Context:
        journal.operations.append(request.state.operation)
        match request.headers.get("authorization"):
            case "Bearer expired":
                headers = {"www-authenticate": 'Bearer error="invalid_token"'}
                raise Fault(401, "UNAUTHENTICATED", "the token is not valid", headers)
            case "Bearer bug":
                raise RuntimeError(SECRET)
            case "Bearer nobody can look":
                raise Unavailable("the database is away", retry_after_s=7)
        journal.open_contexts += 1
        return Context(journal, request.state.trace_id)

    async def version(context: Context) -> str | None:
        return None if journal.version is None else f"somebody {journal.version}"

    return GraphQLOverHttp(
        version=version,
        schema=core(schema),
        documents=Documents(
            core(schema),
            limits=limits or Limits(),
            alone=frozenset({"signOut"}),
            hide_suggestions=not shown,
        ),
        open_context=open_context,
        present=presented,
        **{
            "csrf": CsrfRules(frozenset({ALLOWED_ORIGIN})),
            "introspection": lambda _: shown,
            **options,
        },
    )


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Any:
        yield  # they are pytest's


@asynccontextmanager
async def served(view: Any, http: Any = HttpProtocol) -> AsyncIterator[str]:
    """Serve `view` at /graphql for as long as the block lasts; gives the server's address."""
    config = uvicorn.Config(
        Starlette(routes=[Route("/graphql", view), Route("/graphql/{named:path}", view)]),
        port=0,
        http=http,
        lifespan="off",
        proxy_headers=False,
        log_level="error",
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running
