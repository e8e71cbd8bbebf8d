"""A simulator logs, complains, fails as it is told, and is the same in process and on a socket."""

import time
from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from adapters.providers.kit import Policy
from domain.errors import CredentialsRejected, ProviderUnavailable
from tests.providers.simulators.base import Simulator, Trouble

QUICK = Policy(call_s=0.1, tries_max=2, wait_first_s=0.001)


class Acme(Simulator):
    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/v1/rows", self.rows), Route("/v1/rows", self.made, methods=["POST"])]

    async def rows(self, request: Request) -> Response:
        if "since" not in request.query_params:
            self.complain("rows are asked for without since")
            return JSONResponse({"message": "since is required"}, 400)
        return JSONResponse({"rows": [1, 2, 3]})

    async def made(self, request: Request) -> Response:
        return JSONResponse(await request.json())


@pytest.fixture
async def sim() -> AsyncIterator[Acme]:
    async with Acme() as simulator:
        yield simulator


async def rows(sim: Acme, *, inside: bool = False) -> object:
    reached = sim.inside() if inside else sim.outside()
    async with reached.http("acme", f"{sim.url}/v1", policy=QUICK) as http:
        return await http.get("/rows", params={"since": "2026-01-01"})


@pytest.mark.parametrize("inside", [True, False])
async def test_a_request_is_answered_and_logged(sim: Acme, inside: bool) -> None:
    assert await rows(sim, inside=inside) == {"rows": [1, 2, 3]}
    [request] = sim.requests
    assert (request.method, request.path, request.param("since")) == (
        "GET",
        "/v1/rows",
        "2026-01-01",
    )
    assert request.headers["accept"] == "application/json"
    assert sim.complaints == []


async def test_what_is_asked_wrongly_is_complained_of(sim: Acme) -> None:
    async with sim.outside().http("acme", f"{sim.url}/v1", policy=QUICK) as http:
        with pytest.raises(ProviderUnavailable, match="400"):
            await http.get("/rows")
        with pytest.raises(ProviderUnavailable, match="404"):
            await http.get("/nowhere")
        assert await http.post("/rows", json={"a": "b"}) == {"a": "b"}
    assert sim.complaints == [
        "rows are asked for without since",
        "GET /v1/nowhere is nothing that there is",
    ]
    assert sim.requests[-1].json == {"a": "b"}


FAILING = {
    Trouble.UNAUTHORIZED: CredentialsRejected,
    Trouble.FORBIDDEN_PAGE: ProviderUnavailable,
    Trouble.LIMITED: ProviderUnavailable,
    Trouble.BROKEN: ProviderUnavailable,
    Trouble.AWAY: ProviderUnavailable,
    Trouble.SLOW: ProviderUnavailable,
    Trouble.HANG: ProviderUnavailable,
    Trouble.DRIBBLE: ProviderUnavailable,
    Trouble.CUT: ProviderUnavailable,
    Trouble.ENDLESS: ProviderUnavailable,
    Trouble.NOT_JSON: ProviderUnavailable,
    Trouble.EMPTY: ProviderUnavailable,
}


@pytest.mark.parametrize("trouble", FAILING, ids=str)
async def test_trouble_comes_as_often_as_it_was_asked_for(sim: Acme, trouble: Trouble) -> None:
    sim.fault(trouble, path="/v1/*", times=2, after=1)
    began = time.monotonic()
    assert await rows(sim) == {"rows": [1, 2, 3]}
    with pytest.raises(FAILING[trouble]):
        await rows(sim)
    sim.mend()
    assert await rows(sim) == {"rows": [1, 2, 3]}
    assert time.monotonic() - began < 5


async def test_an_answer_of_its_own_and_a_changed_body(sim: Acme) -> None:
    sim.fault(JSONResponse({"message": "slow down"}, 429, {"retry-after": "0"}))
    assert await rows(sim) == {"rows": [1, 2, 3]}
    assert len(sim.asked("/v1/rows")) == 2
    sim.mutate(lambda body: body.replace(b"2", b"NaN"), path="/v1/rows")
    assert await rows(sim, inside=True) == {"rows": [1, "NaN", 3]}
    assert await rows(sim) == {"rows": [1, 2, 3]}


async def test_it_comes_back_at_the_same_address() -> None:
    async with Acme() as sim:
        before = sim.url
    with pytest.raises(ProviderUnavailable):
        await rows(sim)
    async with sim:
        assert sim.url == before
        assert await rows(sim) == {"rows": [1, 2, 3]}


async def test_any_client_may_ask(sim: Acme) -> None:
    async with httpx2.AsyncClient(base_url=sim.url) as client:
        answer = await client.post("/v1/rows", json={"n": 1})
    assert answer.json() == {"n": 1}
