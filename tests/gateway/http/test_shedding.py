"""Too much at once: refused as soon as the head is there, on connections that stay good."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gateway.http.profiles import AUDITED, PROFILES, Profile
from gateway.http.shedding import SheddingTransport
from gateway.operations.admission import Admission
from gateway.settings import HttpProfile
from tests.gateway.http.served import Journal, _Server, a_view, until
from tests.gateway.http.test_execution import connected, head
from tests.gateway.http.test_execution import one_answer as answer_of
from tests.gateway.http.test_requests import refused

BODY = b'{"query":"{hello}"}'


@asynccontextmanager
async def full(
    journal: Journal, places: int = 1, profile: Profile = AUDITED
) -> AsyncIterator[tuple[str, Starlette]]:
    """A server whose places are all taken by operations that are held."""
    view = a_view(journal, places=Admission(places), profile=profile)
    alive = Route("/healthz", lambda _: PlainTextResponse("alive"))
    app = Starlette(routes=[Route("/graphql", view), Route("/graphql/{id}", view), alive])
    app.state.graphql = view
    config = uvicorn.Config(
        app, port=0, http=SheddingTransport, lifespan="off", log_level="error", proxy_headers=False
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    async with httpx2.AsyncClient(base_url=address) as client:
        ask = {"query": "{held}"}
        held = [asyncio.create_task(client.post("/graphql", json=ask)) for _ in range(places)]
        await until(lambda: len(journal.operations) == places)
        try:
            yield address, app
            journal.go_on.set()
            assert [(await task).json() for task in held] == [{"data": {"held": 1}}] * places
        finally:
            journal.go_on.set()
            server.should_exit = True
            await running


async def test_the_next_is_refused_before_its_body_is_read_and_the_connection_stays_good(
    journal: Journal,
) -> None:
    async with full(journal, 3) as (address, _):
        reader, writer = await connected(address)
        for _ in range(3):
            writer.write(head(len(BODY)))

            status, said = await answer_of(reader)

            assert status == 503
            assert said["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
            assert len(said["errors"][0]["extensions"]["traceId"]) == 32
            writer.write(BODY)
        assert len(journal.operations) == 3

        journal.go_on.set()
        await until(lambda: journal.open_contexts == 0)
        writer.write(head(len(BODY)) + BODY)
        assert (await answer_of(reader))[0] == 200
        writer.close()


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/graphql?query={hello}", {}),
        ("GET", "/graphql/sha256:aa", {"accept": "application/graphql-response+json"}),
        ("POST", "/graphql", {"content-type": "multipart/form-data; boundary=x"}),
        ("POST", "/graphql", {"accept": "image/png"}),
        ("POST", "/graphql", {"origin": "http://elsewhere.example", "graphql-preflight": "1"}),
        ("POST", "/graphql", {"origin": "http://[", "graphql-preflight": "1"}),
    ],
)
async def test_every_form_of_asking_is_refused_alike(
    journal: Journal, method: str, path: str, headers: dict[str, str]
) -> None:
    async with full(journal) as (address, _), httpx2.AsyncClient(base_url=address) as client:
        answer = await client.request(method, path, headers=headers, content=b"")

        if "origin" in headers:  # who may read that, the application knows
            assert answer.status_code in (403, 415)
            return
        refused(answer, 503, "UNAVAILABLE")
        assert answer.headers["retry-after"] == "1"
        wanted = headers.get("accept", "")
        media = wanted if wanted.startswith("application/") else "application/json"
        assert answer.headers["content-type"] == f"{media}; charset=utf-8"


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream", "image/png", "*/*"])
async def test_the_refusal_is_labelled_as_the_profile_says(journal: Journal, accept: str) -> None:
    draft = PROFILES[HttpProfile.DRAFT_2026_08]
    async with (
        full(journal, profile=draft) as (address, _),
        httpx2.AsyncClient(base_url=address, headers={"accept": accept}) as client,
    ):
        answer = await client.post("/graphql", content=BODY)

        refused(answer, 503, "UNAVAILABLE")
        media = "application/graphql-response+json; charset=utf-8"
        assert answer.headers["content-type"] == media


async def test_whatever_asks_for_no_operation_is_answered(journal: Journal) -> None:
    async with full(journal) as (address, _), httpx2.AsyncClient(base_url=address) as client:
        assert (await client.get("/healthz")).text == "alive"
        assert (await client.options("/graphql")).status_code != 503


async def test_who_waits_to_be_asked_for_the_body_is_refused_and_let_go(journal: Journal) -> None:
    async with full(journal) as (address, _):
        reader, writer = await connected(address)
        writer.write(head(10_000, "expect: 100-continue"))

        answer = await reader.read()

        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nconnection: close\r\n" in answer
        writer.close()


async def test_requests_that_come_before_the_answers_to_others_wait_for_their_turn(
    journal: Journal,
) -> None:
    async with full(journal) as (address, _):
        reader, writer = await connected(address)
        slow = b'{"query":"{held}"}'
        journal.started.clear()
        writer.write((head(len(BODY)) + BODY) * 3 + head(len(slow)) + slow)

        assert [(await answer_of(reader))[0] for _ in range(4)] == [503] * 4
        writer.close()


async def test_every_answer_of_a_process_that_ends_says_that_its_connection_does(
    journal: Journal,
) -> None:
    async with full(journal) as (address, app), httpx2.AsyncClient(base_url=address) as client:
        before = await client.get("/healthz")
        app.state.health = SimpleNamespace(draining=True)

        after, refusal = await client.get("/healthz"), await client.post("/graphql", content=BODY)

        assert "connection" not in before.headers
        assert after.headers["connection"] == refusal.headers["connection"] == "close"
        assert refusal.status_code == 503
        app.state.health.draining = False
