"""Places: what a process holds in memory at once, and that nobody takes all of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
from starlette.requests import Request

from domain.errors import Unavailable
from gateway.operations.admission import Admission
from gateway.operations.faults import Fault
from tests.gateway.http.served import Journal, a_view, served, until
from tests.gateway.http.test_execution import connected, head
from tests.gateway.http.test_execution import one_answer as answer_of
from tests.gateway.http.test_requests import JSON, refused
from tests.gateway.http.test_uploads import BOUNDARY, MULTIPART, WHOLE

Answers = Callable[[], Awaitable[int]]


class Door:
    """Knows people by the name that they say; remembers who came."""

    def __init__(self) -> None:
        self.came: list[str | None] = []

    async def __call__(self, request: Request) -> str:
        name = request.headers.get("authorization")
        self.came.append(name)
        if name is None:
            raise Fault(401, "UNAUTHENTICATED", "sign in first", {"www-authenticate": "Bearer"})
        if name == "nobody can look":
            raise Unavailable("the database is away", retry_after_s=7)
        return name


def form_head(*more: str) -> bytes:
    lines = [
        "POST /graphql HTTP/1.1",
        "host: x",
        f"content-type: multipart/form-data; boundary={BOUNDARY}",
        "graphql-preflight: 1",
        f"content-length: {len(WHOLE)}",
    ]
    return "\r\n".join([*lines, *more, "", ""]).encode()


@asynccontextmanager
async def half_sent(address: str, first: bytes, rest: bytes) -> AsyncIterator[Answers]:
    """A request of which only a part was sent; gives what sends the rest and reads the status."""
    reader, writer = await connected(address)
    writer.write(first)
    await writer.drain()

    async def finish() -> int:
        writer.write(rest)
        return (await answer_of(reader))[0]

    try:
        yield finish
    finally:
        writer.close()


async def test_nobody_takes_a_place_for_uploads(journal: Journal) -> None:
    """Eight half-sent forms of nobody, as many as there are places: all are told to sign in."""
    door = Door()
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(served(a_view(journal, admit=door)))
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=address))
        first, rest = form_head() + WHOLE[:100], WHOLE[100:]
        halves = [
            await stack.enter_async_context(half_sent(address, first, rest)) for _ in range(8)
        ]
        await until(lambda: len(door.came) == 8)
        headers = {**MULTIPART, "authorization": "ann"}

        response = await client.post("/graphql", content=WHOLE, headers=headers)

        assert response.json() == {"data": {"keep": "a.ofx application/x-ofx 3"}}
        assert [await finish() for finish in halves] == [401] * 8


async def test_a_form_of_nobody_is_401_and_says_how_to_sign_in(journal: Journal) -> None:
    async with (
        served(a_view(journal, admit=Door())) as address,
        httpx2.AsyncClient(base_url=address) as client,
    ):
        response = await client.post("/graphql", content=WHOLE, headers=MULTIPART)
        refused(response, 401, "UNAUTHENTICATED")
        assert response.headers["www-authenticate"] == "Bearer"
        headers = {**MULTIPART, "authorization": "nobody can look"}
        response = await client.post("/graphql", content=WHOLE, headers=headers)
        refused(response, 503, "UNAVAILABLE")
        assert response.headers["retry-after"] == "7"
        assert (await client.post("/graphql", json={"query": "{hello}"})).status_code == 200
    assert len(journal.operations) == 1


async def test_two_uploads_at_once_are_what_one_person_has(journal: Journal) -> None:
    door = Door()
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(served(a_view(journal, admit=door)))
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=address))
        first, rest = form_head("authorization: ann") + WHOLE[:100], WHOLE[100:]
        halves = [
            await stack.enter_async_context(half_sent(address, first, rest)) for _ in range(2)
        ]
        await until(lambda: len(door.came) == 2)

        anns, bobs = [
            await client.post(
                "/graphql", content=WHOLE, headers={**MULTIPART, "authorization": name}
            )
            for name in ("ann", "bob")
        ]

        refused(anns, 429, "RATE_LIMITED")
        assert anns.headers["retry-after"] == "1"
        assert bobs.status_code == 200
        assert [await finish() for finish in halves] == [200, 200]
        headers = {**MULTIPART, "authorization": "ann"}
        assert (await client.post("/graphql", content=WHOLE, headers=headers)).status_code == 200


async def test_long_bodies_have_places_of_their_own(journal: Journal) -> None:
    long = b'{"query":"{hello}"}'.ljust(200 << 10)
    short = b'{"query":"{hello}"}'.ljust(64 << 10)
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(served(a_view(journal, long_bodies_max=1)))
        client = await stack.enter_async_context(httpx2.AsyncClient(base_url=address))
        first, rest = head(len(long)) + long[: 100 << 10], long[100 << 10 :]
        finish = await stack.enter_async_context(half_sent(address, first, rest))

        refusal = await client.post("/graphql", content=long, headers=JSON)
        async with asyncio.timeout(5):
            while refusal.status_code == 200:  # the first one is still on its way
                refusal = await client.post("/graphql", content=long, headers=JSON)

        refused(refusal, 503, "UNAVAILABLE")
        assert refusal.headers["retry-after"] == "1"
        assert (await client.post("/graphql", content=short, headers=JSON)).status_code == 200
        assert await finish() == 200
        assert (await client.post("/graphql", content=long, headers=JSON)).status_code == 200


async def test_a_long_body_without_a_length_takes_its_place_as_it_grows(journal: Journal) -> None:
    async with (
        served(a_view(journal, long_bodies_max=0)) as address,
        httpx2.AsyncClient(base_url=address) as client,
    ):

        async def grows() -> AsyncIterator[bytes]:
            yield b'{"query":"{hello}"}'
            for _ in range(10):
                yield b" " * (10 << 10)

        response = await client.post("/graphql", content=grows(), headers=JSON)
        refused(response, 503, "UNAVAILABLE")


async def test_a_client_that_leaves_gives_its_place_back(journal: Journal) -> None:
    long = b'{"query":"{hello}"}'.ljust(200 << 10)
    async with (
        served(a_view(journal, admit=Door(), long_bodies_max=1)) as address,
        httpx2.AsyncClient(base_url=address) as client,
    ):
        for first in (
            head(len(long)) + long[: 100 << 10],
            *[form_head("authorization: ann") + WHOLE[:100]] * 2,
        ):
            async with half_sent(address, first, b""):
                await asyncio.sleep(0.05)
        headers = {**MULTIPART, "authorization": "ann"}
        statuses: list[int] = []

        async def both() -> list[int]:
            one = await client.post("/graphql", content=long, headers=JSON)
            two = await client.post("/graphql", content=WHOLE, headers=headers)
            return [one.status_code, two.status_code]

        async with asyncio.timeout(5):
            while statuses != [200, 200]:
                statuses = await both()


async def test_an_operation_that_cannot_be_cancelled_is_answered_all_the_same(
    journal: Journal,
) -> None:
    view = a_view(journal, deadline_s=0.1, cleanup_s=0.1, places=Admission(1))
    async with served(view) as address, httpx2.AsyncClient(base_url=address) as client:
        async with asyncio.timeout(5):
            response = await client.post("/graphql", json={"query": "{deaf}"})
        refused(response, 503, "TIMEOUT")
        assert journal.entries == ["closed"]
        assert (await client.post("/graphql", json={"query": "{hello}"})).status_code == 200
        journal.go_on.set()
        await until(lambda: "let go" in journal.entries)
