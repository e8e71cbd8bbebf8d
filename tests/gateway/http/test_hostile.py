"""Whatever is sent, the answer is the client's fault, in JSON, and comes soon."""

import asyncio
import json
import time
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from tests.gateway.http.served import Journal, a_view

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
TEXTS = st.text(alphabet='{}()[]:$!@.,"\\#_ \n\0auqerymtionhlofgs0129-\ud800é😀', max_size=80)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "query": TEXTS | JSON_VALUES | st.just("query($n:String,$at:Place){hello(name:$n)}"),
        "variables": JSON_VALUES | st.fixed_dictionaries({}, optional={"n": JSON_VALUES}),
        "operationName": JSON_VALUES,
        "extensions": JSON_VALUES,
    },
)
HEADERS = st.sampled_from(
    ["application/json", "application/json;charset=utf-8", "multipart/form-data;boundary=x", "x"]
)


async def answer_to(method: str, query_string: bytes, kind: str, body: bytes) -> tuple[int, Any]:
    """The view called as a server would, without one, to be called thousands of times."""
    sent: list[Message] = []
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", kind.encode()), (b"host", b"x"), (b"graphql-preflight", b"1")]
    scope = {"type": "http", "method": method, "path": "/graphql", "raw_path": b"/graphql"}
    await VIEW({**scope, "query_string": query_string, "headers": headers}, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


VIEW = a_view(Journal())


@given(REQUESTS, HEADERS, st.sampled_from(["POST", "QUERY", "PUT"]))
@settings(deadline=None, max_examples=400)
def test_no_json_is_answered_by_a_5xx(request: dict[str, Any], kind: str, method: str) -> None:
    status, reply = asyncio.run(answer_to(method, b"", kind, json.dumps(request).encode()))
    assert 200 <= status < 500
    assert "data" in reply or all(error["extensions"]["code"] for error in reply["errors"])


@given(st.binary(max_size=300), HEADERS)
@settings(deadline=None, max_examples=200)
def test_no_bytes_are_answered_by_a_5xx(body: bytes, kind: str) -> None:
    status, reply = asyncio.run(answer_to("POST", b"", kind, body))
    assert 400 <= status < 500
    assert reply["errors"]


@given(st.binary(max_size=200) | TEXTS.map(lambda text: b"query=" + text.encode(errors="ignore")))
@settings(deadline=None, max_examples=200)
def test_no_query_string_is_answered_by_a_5xx(query_string: bytes) -> None:
    status, reply = asyncio.run(answer_to("GET", query_string, "application/json", b""))
    assert 200 <= status < 500
    assert "data" in reply or reply["errors"]


def doubling(levels: int) -> str:
    chain = "".join(f"fragment F{n} on Query{{...F{n + 1} ...F{n + 1}}} " for n in range(levels))
    return f"{{...F0}} {chain} fragment F{levels} on Query{{hello}}"


PROBES = {
    "1,000,000 tokens": "{" + "hello " * 160_000 + "}",
    "10,000 aliases": "{" + " ".join(f"a{n}:hello" for n in range(10_000)) + "}",
    "950 aliased mutations": "mutation{" + " ".join(f"a{n}:signOut" for n in range(950)) + "}",
    "10,000 directives": "{hello " + "@skip(if:false) " * 10_000 + "}",
    "300 directives": "{hello " + "@skip(if:false) " * 300 + "}",
    "280 duplicates": "{" + "node(id:1){id}" * 280 + "}",
    "deep": "{" + "node(id:1){child{" * 100 + "id" + "}}" * 100 + "}",
    "deeper": "{" + "node{" * 50_000,
    "deep values": "{place(at:" + "{name:" * 5_000 + "}" * 5_000 + ")}",
    "2 ** 55 fields": doubling(55),
    "2 ** 24 fields": doubling(24),
    "circular introspection": "{__schema{" + "types{fields{type{" * 8 + "name" + "}}}" * 8 + "}}",
    "a fragment of its own": "{...F} fragment F on Query{...F}",
    "an unknown fragment": "{...F}",
    "a 5,000-digit integer": "{node(id:" + "9" * 5_000 + "){id}}",
    "a 5,000-digit float": "{hello(name:1e" + "9" * 5_000 + ")}",
    "a megabyte of string": '{hello(name:"' + "x" * 1_000_000 + '"}',
    "a megabyte of escapes": '{hello(name:"' + "\\n" * 240_000 + '"}',
    "a megabyte of comments": "#\n" * 400_000 + "{hello}",
    "a name of half a megabyte": "{" + "x" * 500_000 + "}",
}  # fmt: skip


@pytest.mark.parametrize("query", PROBES.values(), ids=PROBES)
async def test_a_hostile_document_is_refused_soon(http: httpx2.AsyncClient, query: str) -> None:
    started = time.process_time()
    response = await http.post(
        "/graphql", json={"query": query}, headers={"accept": "application/graphql-response+json"}
    )
    assert time.process_time() - started < 1.5
    if response.status_code != 200:  # an id may be long
        assert 400 <= response.status_code < 500
        assert response.json()["errors"][0]["extensions"]["code"] in (
            "TOO_COMPLEX", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_REQUEST",
        )  # fmt: skip
    assert len(response.content) < 20_000


async def test_64_megabytes_are_413(http: httpx2.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    response = await http.post("/graphql", content=b" " * (64 << 20), headers=headers)
    assert response.status_code == 413
