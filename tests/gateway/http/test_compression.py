"""Long answers to queries are compressed in what the client takes, and nothing else is."""

import gzip
import sys
from collections.abc import AsyncIterator

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response

from gateway.http.compression import CODINGS, LEAST, LONG, accepted, compress
from tests.gateway.http.served import Journal, a_view, served

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

READ = {"gzip": gzip.decompress, "zstd": zstd.decompress}
LONG_ANSWER = "{links(long:1000)}"


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("", []),
        ("identity", []),
        ("br, deflate", []),
        ("gzip", ["gzip"]),
        ("x-gzip", ["gzip"]),
        ("gzip, deflate, br, zstd", ["zstd", "gzip"]),
        ("gzip;q=1, zstd;q=0.9", ["gzip", "zstd"]),
        ("zstd;q=0, gzip;q=0.5", ["gzip"]),
        ("*", ["zstd", "gzip"]),
        ("*;q=0.5, gzip", ["gzip", "zstd"]),
        ("*;q=0", []),
        ("gzip;q=0, *", ["zstd"]),
        ("identity, gzip;q=0.5", []),
        ("identity;q=0.5, gzip;q=0.5", ["gzip"]),
        ("identity;q=0, gzip", ["gzip"]),
        ("GZIP ; Q=0.3", ["gzip"]),
        ("gzip;q=1.5", []),
        ("gzip;q=nan", []),
        ("gzip;q=", []),
        ("gzip;level=9", ["gzip"]),
    ],
)
def test_the_coding_that_is_wanted_most_comes_first(header: str, taken: list[str]) -> None:
    assert accepted(header) == taken


@given(st.text(alphabet="gzipstd*;q=0.15, \t-x", max_size=200))
def test_any_header_has_an_answer(header: str) -> None:
    assert set(accepted(header)) <= CODINGS.keys()


@pytest.mark.parametrize("coding", CODINGS)
async def test_equal_contents_stay_equal(coding: str) -> None:
    """So that one entity tag stands for one sequence of bytes."""
    content = b"0123456789" * LONG
    responses = [Response(content) for _ in range(2)]
    assert [await compress(response, coding) for response in responses] == [True, True]
    first, second = (bytes(response.body) for response in responses)
    assert first == second
    assert READ[coding](first) == content
    assert responses[0].headers["content-length"] == str(len(first))


async def test_what_gets_no_shorter_is_left_alone() -> None:
    noise = zstd.compress(bytes(range(256)) * 50, 19) * 20
    for content in (b"x" * (LEAST - 1), gzip.compress(noise)[: LEAST - 1]):
        response = Response(content)
        assert not await compress(response, "gzip")
        assert bytes(response.body) == content
        assert "content-encoding" not in response.headers


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        served(a_view(Journal())) as address,
        httpx2.AsyncClient(base_url=address, timeout=20) as client,
    ):
        yield client


async def raw(client: httpx2.AsyncClient, query: str, coding: str) -> tuple[httpx2.Response, bytes]:
    """An answer, and its content as it came."""
    async with client.stream(
        "POST", "/graphql", json={"query": query}, headers={"accept-encoding": coding}
    ) as response:
        return response, b"".join([chunk async for chunk in response.aiter_raw()])


@pytest.mark.parametrize("coding", CODINGS)
async def test_a_long_answer_is_compressed_and_a_short_one_is_not(
    client: httpx2.AsyncClient, coding: str
) -> None:
    plain, content = await raw(client, LONG_ANSWER, "identity")
    assert "content-encoding" not in plain.headers
    response, shorter = await raw(client, LONG_ANSWER, coding)
    assert response.headers["content-encoding"] == coding
    assert response.headers["content-length"] == str(len(shorter))
    assert READ[coding](shorter) == content
    for answer in (plain, response):
        assert answer.headers["vary"] == "Accept, Accept-Encoding"
    short, _ = await raw(client, "{links}", coding)
    assert "content-encoding" not in short.headers
    assert short.headers["vary"] == "Accept, Accept-Encoding"


async def test_the_answer_of_a_mutation_never_is(client: httpx2.AsyncClient) -> None:
    mutation = f'mutation{{write(what:"{"x" * 5_000}")}}'
    response, content = await raw(client, mutation, "zstd, gzip")
    assert "content-encoding" not in response.headers
    assert len(content) > 5_000


async def test_a_refusal_never_is_though_it_quotes_what_was_sent(
    client: httpx2.AsyncClient,
) -> None:
    names = " ".join(f"{'x' * 480}{n}" for n in range(5))
    response, content = await raw(client, f"{{{names}}}", "gzip")
    assert "content-encoding" not in response.headers
    assert len(content) > LEAST


async def test_a_head_has_the_length_of_what_get_would_send(client: httpx2.AsyncClient) -> None:
    headers, url = {"accept-encoding": "gzip"}, {"query": LONG_ANSWER}
    got = await client.get("/graphql", params=url, headers=headers)
    headed = await client.head("/graphql", params=url, headers=headers)
    for name in ("content-encoding", "content-length", "etag"):
        assert got.headers[name] == headed.headers[name]
