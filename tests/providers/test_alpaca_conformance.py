"""Alpaca keeps every provider's promises."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import ClassVar

import httpx2
import pytest

from adapters.providers.alpaca import Alpaca
from domain.sync import Page
from tests.providers.alpaca_life import (
    AT,
    a_client,
    a_request,
    a_simulator,
    in_new_york,
    in_process,
)
from tests.providers.conformance import Case, Conformance, pulled
from tests.providers.fakes import Clock, outside
from tests.providers.hostile import Hostile, Upstream
from tests.providers.scenarios import COINS, DAY, Scenarios, Scene
from tests.providers.simulators import alpaca_rules as rules
from tests.providers.simulators.alpaca import LIVE_KEY, SECRET, AlpacaSimulator
from tests.providers.simulators.alpaca_books import Books

WEEKS_AGO = AT.date() - timedelta(days=40)
NO_SHOPS = "a broker has no purchases in shops"
NOON = in_new_york(DAY, 12)
LATER = in_new_york(DAY, 13)


class TestAlpaca(Conformance):
    @pytest.fixture
    def case(self) -> Case:
        sim = a_simulator()
        return Case(
            name="alpaca",
            make=lambda: in_process(sim),
            request=a_request(sim),
            within=lambda b: in_process(sim, budgets=b),
            anew=1,
        )


async def test_nothing_is_asked_that_the_description_does_not_have() -> None:
    sim = a_simulator()
    pages = await pulled(in_process(sim), a_request(sim))
    later = {"position": pages[-1].position, "since": WEEKS_AGO}
    for said in (later, {"since": WEEKS_AGO, "until": AT.date()}, {"cursor": pages[2].cursor}):
        await pulled(in_process(sim), a_request(sim, **said))

    assert {request.path for request in sim.requests} == {*rules.PARAMETERS}
    assert sim.complaints == []


class TestAlpacaScenarios(Scenarios):
    unsaid: ClassVar = {
        Scene.PURCHASE: NO_SHOPS,
        Scene.PAYMENT: "a broker has no cards to pay off",
        Scene.REFUND: NO_SHOPS,
    }

    async def told(self, scene: Scene) -> Sequence[Page]:
        sim = AlpacaSimulator(now=a_simulator().now)
        said(sim.live, scene)
        return await pulled(in_process(sim), a_request(sim))


def said(books: Books, scene: Scene) -> None:
    match scene:
        case Scene.DEPOSIT:
            books.enter("CSD", DAY, "1500.00")
        case Scene.FEE:
            books.enter("FEE", DAY, "-35.00")
        case Scene.INTEREST:
            books.enter("INT", DAY, "1.23")
        case Scene.DIVIDEND:
            books.enter("DIV", DAY, "12.50", symbol="XYZ", qty="25", per_share_amount="0.5")
        case Scene.BUY:
            books.fill("buy", "XYZ", "10", "100.00", NOON)
            books.enter("FEE", DAY, "-1.00", description="Commission")
        case Scene.SELL:
            books.fill("sell", "XYZ", "10", "110.00", NOON)
            books.enter("FEE", DAY, "-1.00", description="Commission")
        case Scene.SHORT:
            books.fill("sell_short", "XYZ", "10", "50.00", NOON)
            books.fill("buy_to_cover", "XYZ", "10", "45.00", LATER)
        case Scene.OPTION:
            books.fill("buy", "XYZ260619C00105000", "2", "1.50", NOON)
        case Scene.CRYPTO:
            books.fill("buy", "BTC/USD", str(COINS), "50000.00", NOON)


class TestHostileAlpaca(Hostile):
    @pytest.fixture
    def upstream(self) -> Upstream:
        sim = a_simulator()
        return Upstream(
            good=httpx2.ASGITransport(app=sim),
            make=lambda transport: Alpaca(
                outside(Clock(), sim.host, transport=transport), a_client(sim)
            ),
            request=a_request(sim, since=date(2026, 1, 5)),
            connects={"api_key": LIVE_KEY, "api_secret": SECRET},
            rows={rules.ACCOUNT: [("",)], rules.POSITIONS: [()], rules.ACTIVITIES: [()]},
        )
