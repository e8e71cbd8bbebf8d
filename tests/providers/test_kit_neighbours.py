"""A provider that is dead costs the others nothing, and is itself left in peace."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from adapters.memory.budgets import MemoryBudgets
from adapters.providers.kit import Http, Outside, Policy
from domain.errors import ProviderUnavailable
from tests.providers.simulators.base import Simulator, Trouble

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
ROUNDS = 1_000 if LONG else 40
TURNS = 10 if LONG else 1  # alone and beside it by turns, since the machine is not ours alone
AT_ONCE, KNOCKING = 4, 20
QUICK = Policy(call_s=0.05, tries_max=4, wait_first_s=0.001)


class Acme(Simulator):
    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/rows", self.rows)]

    async def rows(self, request: Request) -> Response:
        return JSONResponse({"rows": list(range(50))})


@pytest.fixture
async def well() -> AsyncIterator[Acme]:
    async with Acme() as sim:
        yield sim


@pytest.fixture
async def dead() -> AsyncIterator[Acme]:
    async with Acme() as sim:
        sim.fault(Trouble.HANG, times=1_000_000)
        yield sim


async def took(http: Http, calls: int) -> list[float]:
    """Of each call, in seconds; four at once."""
    times: list[float] = []

    async def some() -> None:
        for _ in range(calls // AT_ONCE):
            began = time.perf_counter()
            assert await http.get("/rows")
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return times


async def knocking(http: Http, until: asyncio.Event) -> int:
    """How often it was refused, asked by so many at once until then."""
    refused = 0

    async def one() -> None:
        nonlocal refused
        while not until.is_set():
            try:
                await http.get("/rows")
            except ProviderUnavailable:
                refused += 1
            await asyncio.sleep(0.1)

    await asyncio.gather(*(one() for _ in range(KNOCKING)))
    return refused


async def test_a_dead_provider_costs_its_neighbour_nothing(well: Acme, dead: Acme) -> None:
    shared = Outside(budgets=MemoryBudgets(), private=frozenset({well.host, dead.host}))
    alone: list[float] = []
    beside: list[float] = []
    refused = 0
    async with (
        shared.http("well", well.url) as healthy,
        shared.http("dead", dead.url, policy=QUICK) as hanging,
    ):
        for _ in range(TURNS):
            alone += await took(healthy, ROUNDS)
            ended = asyncio.Event()
            knocks = asyncio.create_task(knocking(hanging, ended))
            await asyncio.sleep(0.15)
            beside += await took(healthy, ROUNDS)
            ended.set()
            refused += await knocks

    assert len(well.requests) == 2 * ROUNDS * TURNS
    assert len(alone) == len(beside) == ROUNDS * TURNS
    # Eight at once until five have failed, and what was asked again by then; not all, for ever.
    assert len(dead.requests) <= 2 * QUICK.in_flight_max + TURNS  # a probe now and then
    assert refused >= KNOCKING
    if LONG:
        p99 = [sorted(times)[len(times) * 99 // 100] * 1_000 for times in (alone, beside)]
        print(f"p99 alone {p99[0]:.2f} ms, beside a dead one {p99[1]:.2f} ms")  # noqa: T201


async def test_what_asks_one_host_is_well_or_not_together(well: Acme, dead: Acme) -> None:
    shared = Outside(budgets=MemoryBudgets(), private=frozenset({well.host, dead.host}))
    async with (
        shared.http("acme", f"{dead.url}/v1", policy=QUICK) as data,
        shared.http("acme", f"{dead.url}/oauth", policy=QUICK) as tokens,
        shared.http("acme", well.url) as another,
    ):
        for http in (data, tokens):
            with pytest.raises(ProviderUnavailable):
                await http.get("/rows")
        asked = len(dead.requests)
        with pytest.raises(ProviderUnavailable, match="too often"):
            await tokens.get("/rows")
        assert len(dead.requests) == asked <= 5  # on a busy machine some never arrive
        assert await another.get("/rows")
