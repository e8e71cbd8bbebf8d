"""What an answer may cost us: its size, also once it is decompressed, its depth, its headers."""

import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from adapters.providers import kit
from adapters.providers.kit import Http, Policy
from domain.errors import CredentialsRejected, LinkAction, ProviderUnavailable
from tests.providers.simulators.base import PAGE, Simulator, Trouble

MEMORY_MAX = 50_000_000
QUICK = Policy(tries_max=2, wait_first_s=0.001)


class Acme(Simulator):
    """Answers `said` to everything, and gives everybody a cookie."""

    said = Response(b"{}")

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/{path:path}", self.answer, methods=["GET", "POST"])]

    async def answer(self, request: Request) -> Response:
        self.said.set_cookie("session", "of somebody")
        return self.said


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Acme]:
    async with Acme() as sim:
        yield sim


@pytest.fixture
def sim(server: Acme) -> Acme:
    server.requests.clear()
    server.mend()
    return server


def an_http(sim: Acme, policy: Policy = QUICK) -> Http:
    return sim.outside().http("acme", sim.url, policy=policy)


@asynccontextmanager
async def little_memory() -> AsyncIterator[None]:
    tracemalloc.start()
    try:
        yield
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MEMORY_MAX


def a_bomb() -> bytes:
    """64 MB of noughts, in a thousandth of that."""
    packing, part = zlib.compressobj(), bytes(1 << 20)
    return b"".join([packing.compress(part) for _ in range(64)]) + packing.flush()


def zipped(content: bytes, encoding: str = "gzip") -> Response:
    return Response(content, headers={"content-encoding": encoding})


@pytest.mark.parametrize(
    ("content", "encoding"),
    [(gzip.compress(b'{"a": 0.10}'), "gzip"), (zlib.compress(b'{"a": 0.10}'), "deflate")],
    ids=["gzip", "deflate"],
)
async def test_a_compressed_answer_is_read(sim: Acme, content: bytes, encoding: str) -> None:
    sim.said = zipped(content, encoding)
    async with an_http(sim) as http:
        assert await http.get("/x") == {"a": Decimal("0.10")}
    assert sim.requests[0].headers["accept-encoding"] == "gzip, deflate"


async def test_a_small_answer_that_is_a_large_one_is_not_unpacked(sim: Acme) -> None:
    sim.said = zipped(a_bomb(), "deflate")
    async with an_http(sim) as http, little_memory():
        with pytest.raises(ProviderUnavailable, match="too much"):
            await http.get("/x")
    assert len(sim.requests) == 1


async def test_of_a_gigabyte_a_few_megabytes_are_read(sim: Acme) -> None:
    sim.fault(Trouble.ENDLESS)
    async with an_http(sim) as http, little_memory():
        with pytest.raises(ProviderUnavailable, match="too much"):
            await http.get("/x")
    assert len(sim.requests) == 1


@pytest.mark.parametrize(
    ("content", "encoding", "said", "times"),
    [
        (gzip.compress(b"[1]")[:-9], "gzip", "half", 2),
        (gzip.compress(b"[1]") + b"x" * 200_000, "gzip", "more than one|usable", 2),
        (gzip.compress(b"[1]") + gzip.compress(b" "), "gzip", "more than one", 2),
        (b"[1]", "gzip", "decompressed", 2),
        (b"[1]", "br", "nobody asked for", 1),
    ],
    ids=["half", "more", "two", "none", "another"],
)
async def test_what_is_not_as_it_says_is_no_answer(
    sim: Acme, content: bytes, encoding: str, said: str, times: int
) -> None:
    sim.said = zipped(content, encoding)
    async with an_http(sim) as http:
        with pytest.raises(ProviderUnavailable, match=said):
            await http.get("/x")
    assert len(sim.requests) == times


async def test_nothing_at_all_may_be_said_to_be_compressed(sim: Acme) -> None:
    sim.said = zipped(b"")
    sim.said.status_code = 401
    async with an_http(sim) as http:
        with pytest.raises(CredentialsRejected):
            await http.get("/x")


async def test_headers_without_an_end_are_not_read(sim: Acme) -> None:
    sim.said = Response(b"{}", headers={f"x-{n}": "y" * 1_000 for n in range(300)})
    async with an_http(sim) as http:
        with pytest.raises(ProviderUnavailable, match="reached"):
            await http.get("/x")


async def test_a_cookie_of_one_call_is_not_sent_with_the_next(sim: Acme) -> None:
    sim.said = Response(b"{}")
    async with an_http(sim) as http:
        await http.get("/x")
        await http.get("/x")
    assert [r.headers.get("cookie") for r in sim.requests] == [None, None]


@pytest.mark.parametrize("content", [b"[" * 65 + b"]" * 65, b'{"a":' * 900 + b"1" + b"}" * 900])
async def test_an_answer_may_be_so_deep(sim: Acme, content: bytes) -> None:
    sim.said = Response(content)
    async with an_http(sim) as http:
        with pytest.raises(ProviderUnavailable, match="usable"):
            await http.get("/x")
        sim.said = Response(b"[" * 64 + b"]" * 64)
        assert await http.get("/x")


def test_a_number_is_not_written_out_where_that_would_fill_the_memory() -> None:
    record = kit.as_record(kit.decode(b'{"id": 1e999999999999, "n": 1e-999999}'), "it")
    for name in ("id", "n"):
        with pytest.raises(kit.Malformed):
            kit.key(record, name)
        with pytest.raises(kit.Malformed):
            kit.decimal(record, name)


# ── an answer that is text ──────────────────────────────────────────────────


async def test_a_post_of_nothing_is_answered_with_a_text(sim: Acme) -> None:
    sim.said = Response("https://user:pw@acme.example.com/é", media_type="text/plain")
    async with an_http(sim) as http:
        assert await http.post_for_text("/claim/x") == "https://user:pw@acme.example.com/é"
    [request] = sim.requests
    assert (request.method, request.body, request.headers["content-length"]) == ("POST", b"", "0")


async def test_a_refusal_of_it_is_explained_and_it_is_asked_once(sim: Acme) -> None:
    def explain(status: int, body: object) -> kit.Said | None:
        is_page = status == 403 and body == PAGE
        return kit.Said(kit.Fault.REJECTED, "claimed before") if is_page else None

    async with sim.outside().http("acme", sim.url, policy=QUICK, explain=explain) as http:
        sim.said = Response(PAGE, 403, media_type="text/html")
        with pytest.raises(CredentialsRejected, match="claimed before") as caught:
            await http.post_for_text("/claim/x")
        assert caught.value.action is LinkAction.REPLACE_CREDENTIALS
        sim.said = Response(PAGE, 500)
        with pytest.raises(ProviderUnavailable, match="down"):
            await http.post_for_text("/claim/x")
        sim.said = Response(b"\xff\xfe")
        with pytest.raises(ProviderUnavailable, match="usable text"):
            await http.post_for_text("/claim/x")
    assert len(sim.requests) == 3


@pytest.mark.parametrize(
    ("fault", "times"), [(kit.Fault.NOT_READY, 2), (kit.Fault.UNSUPPORTED, 1)], ids=str
)
async def test_the_one_table_says_whether_it_is_asked_again(
    sim: Acme, fault: kit.Fault, times: int
) -> None:
    sim.said = JSONResponse({"error_code": "PRODUCT_NOT_READY"}, 400)
    async with sim.outside().http(
        "acme", sim.url, policy=QUICK, explain=lambda _, __: fault
    ) as http:
        with pytest.raises(ProviderUnavailable, match=fault.words) as caught:
            await http.get("/x")
    assert len(sim.requests) == times
    assert caught.value.action is fault.action


async def test_who_wants_to_be_paid_says_so_by_a_status(sim: Acme) -> None:
    sim.said = JSONResponse({}, 402)
    async with an_http(sim) as http:
        with pytest.raises(ProviderUnavailable) as caught:
            await http.get("/x")
    assert caught.value.action is LinkAction.PAY_PROVIDER
    assert len(sim.requests) == 1
