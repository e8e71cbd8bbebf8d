"""SimpleFIN keeps what every provider promises, in both versions, whatever its server answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import ClassVar

import httpx2
import pytest

from adapters.providers.configuration import Configuration
from adapters.providers.simplefin import SimpleFin
from domain.sync import Page
from tests.providers.conformance import AT, Case, Conformance, pulled
from tests.providers.fakes import Clock, outside
from tests.providers.hostile import Hostile, Upstream
from tests.providers.scenarios import DAY, Scenarios, Scene
from tests.providers.simplefin import a_provider, a_request, a_server
from tests.providers.simulators.simplefin import Entry, household

NO_SECURITY = "a transaction names no security, quantity or price"


class TestSimpleFin(Conformance):
    @pytest.fixture(params=["version 1", "version 2", "many rows", "errors", "hostile"])
    def case(self, request: pytest.FixtureRequest) -> Case:
        kind: str = request.param
        sim = a_server(
            versions=frozenset({1} if kind == "version 1" else {1, 2}), counts_requests=False
        )
        checking = sim.held[0]
        if kind == "many rows":
            checking.entries += [
                Entry(id=f"N{n}", amount=f"-{n}.25", description="SHOP", posted=AT.date())
                for n in range(1_200)
            ]
        if kind == "errors":
            sim.errlist = [{"code": "act.failed", "account_id": "ACT-loan", "msg": "Later"}]
        if kind == "hostile":
            checking.entries[0].amount = "NaN"
            checking.entries[1].description = "\x00\ud800"
            sim.held[1] = replace(sim.held[1], currency="https://miles.example")
            sim.held[2].holdings[0]["shares"] = True
        return Case(
            name=kind,
            make=lambda: a_provider(sim, roomy=True),
            request=a_request(sim),
            is_hostile=kind == "hostile",
            within=lambda b: a_provider(sim, budgets=b),
            a_run=1,
        )


class TestHostileAnswers(Hostile):
    @pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
    def upstream(self, request: pytest.FixtureRequest) -> Upstream:
        # One window of a hundred years, so that each row is told once.
        sim = a_server(
            versions=frozenset({1, request.param}), counts_requests=False, days_max=40_000
        )
        configuration = Configuration(simplefin_hosts=(sim.host,), simplefin_window_days=40_000)

        def make(transport: httpx2.AsyncBaseTransport) -> SimpleFin:
            reached = outside(Clock(), sim.host, transport=transport)
            return SimpleFin(reached, configuration)

        return Upstream(
            good=httpx2.ASGITransport(app=sim),
            make=make,
            request=a_request(sim, since=date(1930, 1, 1)),
            rows={
                "/accounts": [
                    ("accounts",),
                    ("accounts", "*", "holdings"),
                    ("accounts", "*", "transactions"),
                ]
            },
        )


class TestScenarios(Scenarios):
    unsaid: ClassVar[Mapping[Scene, str]] = dict.fromkeys(
        (Scene.DIVIDEND, Scene.BUY, Scene.SELL, Scene.SHORT, Scene.OPTION, Scene.CRYPTO),
        NO_SECURITY,
    )

    async def told(self, scene: Scene) -> Sequence[Page]:
        amount, said, at = {
            Scene.PURCHASE: ("-25.40", "GREENGROCER 17", "card"),
            Scene.PAYMENT: ("300.00", "AUTOPAY THANK YOU", "card"),
            Scene.REFUND: ("25.40", "GREENGROCER 17", "card"),
            Scene.DEPOSIT: ("1500.00", "PAYROLL ACME", "checking"),
            Scene.FEE: ("-35.00", "OVERDRAFT FEE", "checking"),
            Scene.INTEREST: ("1.23", "Interest Paid", "checking"),
        }[scene]
        [account] = [a for a in household(AT) if a.id == f"ACT-{at}"]
        account.entries = [Entry(id="T1", amount=amount, description=said, posted=DAY)]
        sim = a_server(held=[account])
        return await pulled(a_provider(sim), a_request(sim))
