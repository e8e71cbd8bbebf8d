"""The schema and the server of the sockets' tests, asked for event streams."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2
import uvicorn
from starlette.requests import Request
from starlette.routing import Route

from gateway.http.csrf import CsrfRules
from gateway.http.endpoint import GraphQLOverHttp
from gateway.live.connections import Connections
from gateway.live.view import Live
from gateway.sse.endpoint import EventStreams
from schema.errors import public
from tests.gateway.http.served import until
from tests.gateway.ws.served import (
    ALLOWED_ORIGIN,
    SCHEMA,
    Context,
    Journal,
    a_live,
    documents_of,
    opened,
    running,
)

ACCEPT = {"accept": "text/event-stream"}


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a stream; `data` is None where it is empty."""

    event: str | None = None
    id: str | None = None
    data: Any = None
    retry_ms: int | None = None
    is_heartbeat: bool = False


NEXT, COMPLETE = "next", Said(event="complete")
FIELD = re.compile(r"([a-z]+): ?(.*)")


def read(text: str) -> Said:
    """A message without the empty line that ends it, by the grammar of the standard."""
    if text == ":":
        return Said(is_heartbeat=True)
    found: dict[str, str] = {}
    for line in text.split("\n"):
        matched = FIELD.fullmatch(line)
        assert matched, line
        assert matched[1] not in found
        found[matched[1]] = matched[2]
    data = found.get("data")
    return Said(
        event=found.get("event"),
        id=found.get("id"),
        data=json.loads(data) if data else None,
        retry_ms=int(found["retry"]) if "retry" in found else None,
    )


@dataclass
class Stream:
    response: httpx2.Response
    texts: AsyncIterator[str]

    async def any(self, *, within_s: float = 10) -> Said | None:
        """The next message, heartbeats and all; None at the end."""
        async with asyncio.timeout(within_s):
            text = await anext(self.texts, None)
        return None if text is None else read(text)

    async def next(self, *, within_s: float = 10) -> Said | None:
        """The next event; None at the end."""
        while True:
            said = await self.any(within_s=within_s)
            if said is None or said.event is not None:
                return said

    async def rest(self, *, within_s: float = 10) -> list[Said]:
        found = []
        while (said := await self.next(within_s=within_s)) is not None:
            found.append(said)
        return found


async def messages(response: httpx2.Response) -> AsyncIterator[str]:
    left = ""
    async for text in response.aiter_text():
        left += text
        *whole, left = left.split("\n\n")
        for each in whole:
            yield each
    assert left == ""


@dataclass
class Served:
    journal: Journal
    live: Live[Context]
    server: uvicorn.Server
    port: int
    http: httpx2.AsyncClient

    @property
    def connections(self) -> Connections:
        return self.live.connections

    @asynccontextmanager
    async def asked(
        self, query: str | None, token: str | None = None, *, by: str = "POST", **more: Any
    ) -> AsyncIterator[httpx2.Response]:
        headers = ACCEPT | more.pop("headers", {})
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        said = {name: value for name, value in {"query": query, **more}.items() if value}
        if by == "GET":
            objects = {name: said[name] for name in ("variables", "extensions") if name in said}
            said |= {name: json.dumps(value) for name, value in objects.items()}
            url = f"/graphql?{urlencode(said)}"
            async with self.http.stream(by, url, headers=headers) as response:
                yield response
            return
        async with self.http.stream(by, "/graphql", json=said, headers=headers) as response:
            yield response

    @asynccontextmanager
    async def stream(
        self, query: str | None, token: str | None = None, **more: Any
    ) -> AsyncIterator[Stream]:
        async with self.asked(query, token, **more) as response:
            assert response.status_code == 200, await response.aread()
            kind = response.headers["content-type"]
            assert kind == "text/event-stream; charset=utf-8"
            yield Stream(response, messages(response))

    async def said(self, query: str | None, token: str | None = None, **more: Any) -> list[Said]:
        """All events of a stream."""
        async with self.stream(query, token, **more) as stream:
            return await stream.rest()

    async def refused(
        self, query: str | None, token: str | None = None, **more: Any
    ) -> httpx2.Response:
        """What is answered instead of a stream, in JSON."""
        async with self.asked(query, token, **more) as response:
            await response.aread()
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        [error] = response.json()["errors"]
        assert error["extensions"]["traceId"]
        return response

    async def until_idle(self) -> None:
        """Every stream is gone, and all that its operations held was given back."""
        await until(lambda: not len(self.connections) and not self.journal.open_contexts)


def a_view(
    journal: Journal, **limits: Any
) -> tuple[GraphQLOverHttp[Context], Callable[[], Live[Context]]]:
    lives: list[Live[Context]] = []

    async def open_context(request: Request) -> Context:
        admitted = await lives[0].admit(request, None)
        return opened(journal, admitted.actor if admitted else None, request.state.trace_id)

    view: GraphQLOverHttp[Context] = GraphQLOverHttp(
        schema=SCHEMA,
        documents=documents_of(journal),
        open_context=open_context,
        present=public,
        csrf=CsrfRules(frozenset({ALLOWED_ORIGIN})),
        headers=lambda _: [("ratelimit-policy", '"points";q=1;w=1')],
    )
    lives.append(a_live(journal, view.operations, **limits))
    view.streams = EventStreams(lives[0])
    return view, lambda: lives[0]


@asynccontextmanager
async def served(journal: Journal | None = None, **limits: Any) -> AsyncIterator[Served]:
    journal = journal or Journal()
    view, live = a_view(journal, **limits)
    async with running([Route("/graphql", view)], live().connections) as (server, port):
        url = f"http://127.0.0.1:{port}"
        room = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=url, timeout=20, limits=room) as http:
            yield Served(journal, live(), server, port, http)
