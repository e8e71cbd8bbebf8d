"""Schwab keeps every provider's promises, over a server that checks and answers as Schwab does."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import ClassVar

import httpx2
import pytest

from adapters.providers.schwab import Schwab
from domain.sync import Page
from tests.providers.conformance import AT, Case, Conformance, pulled
from tests.providers.fakes import Clock, outside
from tests.providers.hostile import Hostile, Upstream
from tests.providers.scenarios import DAY, Scenarios, Scene
from tests.providers.schwab import a_request, a_schwab, a_sim, some_books
from tests.providers.simulators.schwab_books import Books, equity, fee, option, paid


class TestSchwab(Conformance):
    @pytest.fixture(params=["household", "nothing"])
    def case(self, request: pytest.FixtureRequest) -> Case:
        sim = a_sim()
        if request.param == "nothing":
            sim.books = []
        return Case(
            name=request.param,
            make=lambda: a_schwab(sim),
            request=a_request(sim),
            within=lambda b: a_schwab(sim, replace(sim.inside(Clock()), budgets=b)),
            anew=4,  # who there is, how they are called, and what was looked at to learn how to ask
        )


class TestScenarios(Scenarios):
    unsaid: ClassVar[Mapping[Scene, str]] = {
        Scene.PURCHASE: "the Trader API knows no cards",
        Scene.PAYMENT: "the Trader API knows no cards",
        Scene.REFUND: "the Trader API knows no cards",
        Scene.CRYPTO: "Schwab's accounts hold no coins",
    }

    async def told(self, scene: Scene) -> Sequence[Page]:
        sim = a_sim(said(scene))
        pages = await pulled(a_schwab(sim), a_request(sim))
        assert not sim.complaints
        return pages


def said(scene: Scene) -> Books:
    books = some_books()
    at, xyz = datetime.combine(DAY, time(15, 30), tzinfo=UTC), equity("XYZ")
    commission = fee("COMMISSION", "1.00")
    match scene:
        case Scene.DEPOSIT:
            books.enter("ACH_RECEIPT", at, "1500.00", paid("1500"), description="MoneyLink")
        case Scene.FEE:
            books.enter("JOURNAL", at, "-35.00", paid("-35"), description="SERVICE FEE")
        case Scene.INTEREST:
            books.enter("DIVIDEND_OR_INTEREST", at, "1.23", paid("1.23"), description="BANK INT")
        case Scene.DIVIDEND:
            item = {"instrument": xyz, "amount": 10, "cost": 12.5, "price": 0}
            books.enter("DIVIDEND_OR_INTEREST", at, "12.50", item, description="Cash Dividend XYZ")
        case Scene.BUY:
            books.trade(at, xyz, "10", "100.00", commission)
        case Scene.SELL:
            books.trade(at, xyz, "-10", "110.00", commission, effect="CLOSING")
        case Scene.SHORT:
            books.trade(at, xyz, "-10", "50.00")
            books.trade(at, xyz, "10", "45.00", effect="CLOSING")
        case Scene.OPTION:
            books.trade(at, option("XYZ", "260619", "C", 105), "2", "1.50", per=100)
    return books


class TestHostile(Hostile):
    @pytest.fixture
    def upstream(self) -> Upstream:
        sim = a_sim()

        def make(transport: httpx2.AsyncBaseTransport) -> Schwab:
            return a_schwab(sim, outside(Clock(), sim.host, transport=transport))

        return Upstream(
            good=httpx2.ASGITransport(app=sim),
            make=make,
            # Incremental: of one window, and with all that was entered in it.
            request=a_request(sim, since=AT.date() - timedelta(days=60), position="{}"),
            rows={
                "/accounts": [(), ("*", "securitiesAccount", "positions")],
                "/transactions": [()],
            },
        )
