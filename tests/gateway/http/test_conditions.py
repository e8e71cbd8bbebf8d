"""Who has an answer already is told so, as long as nothing that it depends on has changed."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.documents.names import digest
from gateway.http.conditions import IfNoneMatch, etag, tag_of
from gateway.operations.faults import Fault
from gateway.operations.parameters import Parameters
from tests.gateway.http.served import Context, Journal, a_view, served
from tests.gateway.http.test_requests import JSON, NEW, OLD, refused

TAG = "0123456789abcdef"


@pytest.mark.parametrize(
    ("header", "codings", "found"),
    [
        (f'"{TAG}"', (), f'"{TAG}"'),
        (f'W/"{TAG}"', (), f'"{TAG}"'),
        (f'"x", W/"y" ,"{TAG}"', (), f'"{TAG}"'),
        (f'"{TAG}-gzip"', ("gzip",), f'"{TAG}-gzip"'),
        (f'"{TAG}", "{TAG}-zstd"', ("gzip", "zstd"), f'"{TAG}-zstd"'),
        (f'"{TAG}-gzip"', (), None),  # it could not read what it would be sent
        (f'"{TAG}-br"', ("br",), None),
        (f'"{TAG.upper()}"', (), None),
        (TAG, (), None),
        (f'"{TAG}', (), None),
        ('""', (), None),
        ("*", (), None),
        ("", (), None),
        ('"' * 8_000, (), None),
        (f'"{"x" * 8_000}"', (), None),
    ],
)
def test_tags_are_compared_weakly(header: str, codings: tuple[str, ...], found: str | None) -> None:
    assert IfNoneMatch([header]).has(TAG, codings) == found


def test_several_headers_are_one_list_and_a_star_stands_alone() -> None:
    assert IfNoneMatch(['"x"', f'"{TAG}"']).has(TAG, ()) == f'"{TAG}"'
    assert IfNoneMatch([" * "]).is_any
    assert not IfNoneMatch(['"*"']).is_any
    assert not IfNoneMatch(["*, *"]).is_any


@given(st.text(alphabet='W/"*, x\\\0é', max_size=100))
def test_no_header_matches_by_chance(header: str) -> None:
    assert IfNoneMatch([header]).has(TAG, ()) is None


def test_a_tag_depends_on_all_of_it_and_on_no_order_of_variables() -> None:
    def tag(version: str = "v", document: str = "d", media: str = "m", **asked: Any) -> str:
        return tag_of(version, document, Parameters(**asked), media)

    tags = [
        tag(),
        tag(version="w"),
        tag(document="e"),
        tag(media="n"),
        tag(version="vd", document=""),
        tag(operation_name="A"),
        tag(variables={"a": 1}),
        tag(variables={"a": "1"}),
        tag(variables={"a": None}),
        tag(variables={"a": 1, "b": [1, 2]}),
        tag(variables={"a": 1, "b": [2, 1]}),
    ]
    assert len(set(tags)) == len(tags)
    swapped = tag(variables={"b": {"y": 1, "x": 2}, "a": 1})
    assert swapped == tag(variables={"a": 1, "b": {"x": 2, "y": 1}})
    assert etag(tags[0], "gzip") == f'"{tags[0]}-gzip"'


@dataclass
class Meter:
    """How often something began to be counted, and ended."""

    begun: int = 0
    ended: int = 0
    full: bool = False

    async def begin(self, *_: Any) -> None:
        if self.full:
            raise Fault(429, "RATE_LIMITED", "too much", {"retry-after": "1"})
        self.begun += 1

    def end(self, *_: Any) -> None:
        self.ended += 1

    async def close(self) -> None: ...


@dataclass
class World:
    client: httpx2.AsyncClient
    journal: Journal
    meter: Meter

    async def get(self, query: str = "{links}", *known: str, **headers: str) -> httpx2.Response:
        listed = [("if-none-match", tag) for tag in known]
        named = [(name.replace("_", "-"), text) for name, text in headers.items()]
        url = {"query": query}
        return await self.client.get("/graphql", params=url, headers=[*listed, *named])


@pytest.fixture
async def world(journal: Journal) -> AsyncIterator[World]:
    meter = Meter()

    def limits(_: Context) -> list[tuple[str, str]]:
        return [("ratelimit", '"points";r=1;t=1')]

    async with (
        served(a_view(journal, meter=meter, headers=limits)) as address,
        httpx2.AsyncClient(base_url=address) as client,
    ):
        yield World(client, journal, meter)


async def test_an_answer_of_versioned_data_has_a_tag_by_which_it_is_not_sent_again(
    world: World,
) -> None:
    first = await world.get()
    tag = first.headers["etag"]
    again = await world.get("{links}", tag)
    assert (again.status_code, again.content) == (304, b"")
    for name in ("etag", "vary", "cache-control", "ratelimit"):
        assert again.headers[name] == first.headers[name]
    assert "content-type" not in again.headers
    assert world.journal.entries.count("links ") == 1  # it did not run again
    assert (world.meter.begun, world.meter.ended) == (2, 2)  # and counts
    assert world.journal.open_contexts == 0
    for known in (f"W/{tag}", f'"x", {tag}', "*"):
        assert (await world.get("{links}", known)).status_code == 304
    assert (await world.get("{links}", '"x"', tag)).status_code == 304


async def test_it_is_sent_again_once_anything_has_changed(world: World) -> None:
    tag = (await world.get()).headers["etag"]
    for query, headers in (
        ("{links }", {}),
        ('{links(status:"")}', {}),
        ("{links}", {"accept": NEW}),
    ):
        response = await world.get(query, tag, **headers)
        assert (response.status_code, response.headers["etag"] != tag) == (200, True)
    world.journal.version = 2
    newer = await world.get("{links}", tag)
    assert newer.json() == {"data": {"links": "version 2"}}
    assert newer.headers["etag"] != tag


async def test_variables_are_compared_by_what_they_say(world: World) -> None:
    query = "query($s:String!,$l:Int){links(status:$s,long:$l)}"
    urls = [
        {"query": query, "variables": variables}
        for variables in ('{"s":"a","l":0}', '{ "l":0, "s":"\\u0061" }', '{"s":"b","l":0}')
    ]
    tags = [(await world.client.get("/graphql", params=url)).headers["etag"] for url in urls]
    assert tags[0] == tags[1] != tags[2]


async def test_each_coding_of_an_answer_has_a_tag_of_its_own(world: World) -> None:
    query = "{links(long:500)}"
    tags = {}
    for coding in ("identity", "gzip", "zstd"):
        response = await world.get(query, accept_encoding=coding)
        tags[coding] = response.headers["etag"]
        assert (await world.get(query, tags[coding], accept_encoding=coding)).status_code == 304
    assert len(set(tags.values())) == 3
    unreadable = await world.get(query, tags["gzip"], accept_encoding="identity")
    assert unreadable.status_code == 200
    plain = await world.get(query, tags["identity"], accept_encoding="gzip")
    assert (plain.status_code, plain.headers["etag"]) == (304, tags["identity"])


async def test_what_is_not_versioned_is_always_sent(world: World) -> None:
    for query in ("{hello}", "{links hello}", "{links node(id:1){id}}", "{__schema{types{name}}}"):
        response = await world.get(query, "*")
        assert response.status_code == 200
        assert "etag" not in response.headers
    assert "etag" in (await world.get("{__typename links}")).headers


async def test_an_answer_with_errors_is_never_kept(world: World) -> None:
    for known in ((), ("*",)):
        response = await world.get('{links(status:"broken")}', *known)
        assert response.status_code == 200
        assert "etag" not in response.headers
        assert response.headers["cache-control"] == "no-store"
    refused(await world.get("query($s:String!){links(status:$s)}", "*"), 200, "BAD_USER_INPUT")
    refused(await world.get("{links(", "*"), 200, "GRAPHQL_PARSE_FAILED")


async def test_nobodys_answer_and_a_report_of_its_cost_have_no_tag(world: World) -> None:
    reported = await world.get("{links}", "*", dashtam_cost="report")
    assert (reported.status_code, "etag" in reported.headers) == (200, False)
    world.journal.version = None
    nobodys = await world.get("{links}", "*")
    assert (nobodys.status_code, "etag" in nobodys.headers) == (200, False)


async def test_by_query_it_is_the_same_and_by_post_it_is_not_looked_at(world: World) -> None:
    content = json.dumps({"query": "{links}"}).encode()
    asked = await world.client.request("QUERY", "/graphql", content=content, headers=JSON)
    known = {**JSON, "if-none-match": asked.headers["etag"]}
    again = await world.client.request("QUERY", "/graphql", content=content, headers=known)
    assert (again.status_code, again.headers["cache-control"]) == (304, "no-store")
    posted = await world.client.post("/graphql", content=content, headers=known)
    assert (posted.status_code, "etag" in posted.headers) == (200, False)
    headed = await world.client.head("/graphql", params={"query": "{links}"}, headers=known)
    assert headed.status_code == 304


async def test_who_asks_too_often_is_told_so_though_nothing_has_changed(world: World) -> None:
    tag = (await world.get()).headers["etag"]
    world.meter.full = True
    refused(await world.get("{links}", tag), 429, "RATE_LIMITED")


async def test_only_what_the_url_names_may_be_kept_by_the_client(world: World) -> None:
    text = "{links}"
    sent = await world.get(text, accept=OLD)
    assert sent.headers["cache-control"] == "no-store"
    hash_ = await _register(world, text)
    named = await world.client.get(f"/graphql/{hash_}")
    assert named.headers["cache-control"] == "private, no-cache"
    again = await world.client.get(
        f"/graphql/{hash_}", headers={"if-none-match": named.headers["etag"]}
    )
    assert (again.status_code, again.headers["cache-control"]) == (304, "private, no-cache")
    hello = await world.client.get(f"/graphql/{await _register(world, '{hello}')}")
    assert (hello.headers["cache-control"], "etag" in hello.headers) == (
        "private, no-cache",
        False,
    )


async def _register(world: World, text: str) -> str:
    named = {"persistedQuery": {"version": 1, "sha256Hash": digest(text)}}
    body = {"query": text, "extensions": named}
    assert (await world.client.post("/graphql", json=body)).status_code == 200
    return digest(text)
