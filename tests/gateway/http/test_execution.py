"""One operation's life: done, late, abandoned or shed, and always cleaned up after."""

import asyncio
import json
import time
from typing import Any

import httpx2
import pytest

from gateway.operations.admission import Admission
from tests.gateway.http.served import Journal, a_view, served, until
from tests.gateway.http.test_requests import JSON, refused


def head(length: int | str, *more: str) -> bytes:
    lines = ["POST /graphql HTTP/1.1", "host: x", "content-type: application/json"]
    return "\r\n".join([*lines, f"content-length: {length}", *more, "", ""]).encode()


async def connected(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))


async def test_a_finished_operation_gives_back_what_it_read_with(journal: Journal) -> None:
    async with served(a_view(journal)) as address, httpx2.AsyncClient(base_url=address) as client:
        await client.post("/graphql", json={"query": "{hello broken}"})
        await client.post("/graphql", json={"query": "query($n:String!){hello(name:$n)}"})
    assert journal.entries == ["closed", "closed"]
    assert journal.open_contexts == 0


async def test_a_client_that_hangs_up_cancels_the_work_and_then_closes(journal: Journal) -> None:
    async with served(a_view(journal)) as address:
        for body in (b'{"query":"{held}"}', b'{"query":"{a:held b:held}"}'):
            _, writer = await connected(address)
            writer.write(head(len(body)) + body)
            await journal.started.wait()
            journal.started.clear()
            writer.close()
            await journal.until_idle()
    assert journal.entries == ["cancelled", "closed", "cancelled", "cancelled", "closed"]


async def test_a_client_that_hangs_up_on_a_get_cancels_too(journal: Journal) -> None:
    async with served(a_view(journal)) as address:
        _, writer = await connected(address)
        writer.write(b"GET /graphql?query=%7Bheld%7D HTTP/1.1\r\nhost: x\r\n\r\n")
        await journal.started.wait()
        writer.close()
        await journal.until_idle()
    assert journal.entries == ["cancelled", "closed"]


async def test_a_late_operation_is_cancelled_and_answered_503(journal: Journal) -> None:
    async with (
        served(a_view(journal, deadline_s=0.2)) as address,
        httpx2.AsyncClient(base_url=address) as client,
    ):
        started = time.perf_counter()
        response = await client.post("/graphql", json={"query": "{held}"})
        refused(response, 503, "TIMEOUT")
        assert response.headers["retry-after"] == "1"
        assert 0.2 <= time.perf_counter() - started < 2
        assert journal.entries == ["cancelled", "closed"]
        assert (await client.post("/graphql", json={"query": "{hello}"})).status_code == 200


async def test_a_body_that_does_not_arrive_is_408(journal: Journal) -> None:
    async with served(a_view(journal, deadline_s=0.2)) as address:
        reader, writer = await connected(address)
        writer.write(head(100) + b'{"query"')
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"TIMEOUT"' in answer
    assert journal.operations == []


async def test_more_operations_than_there_are_places_for_come_back_later(
    journal: Journal,
) -> None:
    async with (
        served(a_view(journal, places=Admission(2))) as address,
        httpx2.AsyncClient(base_url=address) as client,
    ):
        held = [
            asyncio.create_task(client.post("/graphql", json={"query": "{held}"})) for _ in range(2)
        ]
        await until(lambda: journal.open_contexts == 2)
        response = await client.post("/graphql", json={"query": "{hello}"})
        refused(response, 503, "UNAVAILABLE")
        assert response.headers["retry-after"] == "1"
        journal.go_on.set()
        assert [(await task).json() for task in held] == [{"data": {"held": 1}}] * 2
        assert (await client.post("/graphql", json={"query": "{hello}"})).status_code == 200


async def test_mutations_run_one_after_another(journal: Journal) -> None:
    query = 'mutation{a:write(what:"a",waitS:0.05) b:write(what:"b")}'
    async with served(a_view(journal)) as address, httpx2.AsyncClient(base_url=address) as client:
        response = await client.post("/graphql", json={"query": query})
    assert response.json() == {"data": {"a": "a", "b": "b"}}
    assert journal.entries == ["a begins", "a ends", "b begins", "b ends", "closed"]


async def test_the_app_knows_the_operation_before_it_opens_a_context(journal: Journal) -> None:
    query = "query A{hello ...F} fragment F on Query{node(id:1){id}} mutation B{signOut}"
    async with served(a_view(journal)) as address, httpx2.AsyncClient(base_url=address) as client:
        for name in ("A", "B"):
            await client.post("/graphql", json={"query": query, "operationName": name})
    assert [operation.root_fields for operation in journal.operations] == [
        {"hello", "node"},
        {"signOut"},
    ]


async def test_introspection_is_decided_for_each_viewer(journal: Journal) -> None:
    view = a_view(journal, introspection=lambda context: False)
    async with served(view) as address, httpx2.AsyncClient(base_url=address) as client:
        response = await client.post("/graphql", json={"query": "{__schema{types{name}}}"})
        refused(response, 200, "GRAPHQL_VALIDATION_FAILED")
        assert (await client.post("/graphql", json={"query": "{__typename}"})).json()["data"]
    assert journal.open_contexts == 0


async def test_the_app_adds_headers_and_extensions_to_what_ran(journal: Journal) -> None:
    view = a_view(
        journal,
        headers=lambda context: [("set-cookie", "a=1"), ("set-cookie", "b=2")],
        extensions=lambda context: {"cost": {"requested": 1}},
    )
    async with served(view) as address, httpx2.AsyncClient(base_url=address) as client:
        response = await client.post("/graphql", json={"query": "{hello}"})
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.json()["extensions"] == {"cost": {"requested": 1}}


async def test_a_megabyte_is_taken_and_a_byte_more_is_413(journal: Journal) -> None:
    async with served(a_view(journal)) as address, httpx2.AsyncClient(base_url=address) as client:
        whole = b'{"query":"{hello}"}'.ljust(1 << 20)
        for body, status in ((whole, 200), (whole + b" ", 413)):
            response = await client.post("/graphql", content=body, headers=JSON)
            assert response.status_code == status


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_the_rest_of_too_large_a_body_is_read_away(journal: Journal, http: str) -> None:
    """The client gets to write all of it, reads 413, and goes on with the same connection."""
    body = b"x" * (4 << 20)
    small = b'{"query":"{hello}"}'
    async with served(a_view(journal), http) as address:
        reader, writer = await connected(address)
        for announced in (True, False):
            if announced:
                writer.write(head(len(body)) + body)
            else:
                chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
                lines = head(0).replace(b"content-length: 0", b"transfer-encoding: chunked")
                writer.write(lines + chunk)
            await writer.drain()
            status, reply = await one_answer(reader)
            assert status == 413
            assert reply["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
            writer.write(head(len(small)) + small)
            assert await one_answer(reader) == (200, {"data": {"hello": "hello world"}})
        writer.close()


async def one_answer(reader: asyncio.StreamReader) -> tuple[int, Any]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    length = next(int(x.partition(":")[2]) for x in lines if x.startswith("content-length:"))
    return int(lines[0].split()[1]), json.loads(await reader.readexactly(length))


async def test_a_client_that_asks_before_it_sends_is_told_no_at_once(journal: Journal) -> None:
    async with served(a_view(journal)) as address:
        reader, writer = await connected(address)
        writer.write(head(50 << 20, "expect: 100-continue"))
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


async def test_hundreds_of_clients_that_come_and_go_leave_nothing_open(journal: Journal) -> None:
    async with served(a_view(journal)) as address:

        async def comes_and_goes(n: int) -> None:
            _, writer = await connected(address)
            body = b'{"query":"{held}"}'
            writer.write((head(len(body)) + body)[: 60 + n])
            await asyncio.sleep(0.001 * (n % 7))
            writer.close()

        await asyncio.gather(*(comes_and_goes(n) for n in range(200)))
        await journal.until_idle()
        async with httpx2.AsyncClient(base_url=address) as client:
            response = await client.post("/graphql", content=b'{"query":"{hello}"}', headers=JSON)
            assert response.json() == {"data": {"hello": "hello world"}}
