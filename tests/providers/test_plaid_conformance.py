"""Plaid keeps every provider's promises; twelve scenes mean the same; hostile answers do no harm."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from adapters.providers.configuration import Client
from adapters.providers.plaid import Plaid
from domain.providers import Provider
from domain.sync import Page, PullRequest
from tests.providers.conformance import ALL, AT, Case, Conformance, pulled
from tests.providers.fakes import Clock, outside
from tests.providers.hostile import Hostile, Upstream
from tests.providers.scenarios import COINS, DAY, Scenarios, Scene
from tests.providers.simulators.plaid import CLIENT_ID, SECRET, PlaidServer
from tests.providers.simulators.plaid_books import (
    Item,
    Told,
    a_security,
    a_transaction,
    an_account,
    an_investment,
    household,
)

ROWS = {
    "/accounts/get": [("accounts",)],
    "/holdings/get": [("holdings",)],
    "/transactions/sync": [("added",), ("modified",), ("removed",)],
    "/investments/transactions/get": [("investment_transactions",)],
}


def a_client(sim: PlaidServer) -> Client:
    return Client(base_url=sim.url, id=CLIENT_ID, secret=SECRET)


def a_request(sim: PlaidServer, item: Item, **said: Any) -> PullRequest:
    given: dict[str, Any] = {
        "credentials": sim.credentials(item),
        "scopes": ALL,
        "at": AT,
        "link": "link-1",
    }
    return PullRequest(**given | said)


def a_case(name: str) -> Case:
    sim = PlaidServer(now=lambda: AT, page_max=10)
    item = sim.item()
    if name != "empty":
        household(item)
    if name == "hostile":
        item.accounts.append(
            an_account("acc-mile", "Miles", "other", None, 10, currency=None, coin="MILES")
        )
        item.enter(
            a_transaction("h1", "acc-check-0000", 1, "2026-02-30"),
            a_transaction("h2", "acc-mile", 1, "2026-02-03"),
        )
        item.holdings.append({"account_id": "acc-brok-5555", "security_id": "none"})
        item.invested.append(an_investment("h3", "acc-brok-5555", "cash", "x", 1, "2026-02-01"))
    return Case(
        name=name,
        make=lambda: Plaid(a_client(sim), sim.inside(Clock())),
        request=a_request(sim, item),
        is_hostile=name == "hostile",
        within=lambda b: Plaid(a_client(sim), replace(sim.inside(Clock()), budgets=b)),
        anew=8,
    )


class TestPlaid(Conformance):
    @pytest.fixture(params=["household", "empty", "hostile"])
    def case(self, request: pytest.FixtureRequest) -> Case:
        return a_case(request.param)


class TestScenarios(Scenarios):
    async def told(self, scene: Scene) -> Sequence[Page]:
        sim = PlaidServer(now=lambda: AT)
        item = sim.item(products=["transactions", "investments"])
        item.accounts = [
            an_account("check", "Checking", "depository", "checking", 5000),
            an_account("card", "Card", "credit", "credit card", 100),
            an_account("broker", "Brokerage", "investment", "brokerage", 5000),
        ]
        item.securities = [
            a_security("xyz", "XYZ Inc.", "equity", "XYZ"),
            a_security("btc", "Bitcoin", "cryptocurrency", "BTC"),
            a_security(
                "call",
                "XYZ Call",
                "derivative",
                "XYZ260619C00105000",
                option_contract={
                    "contract_type": "call",
                    "expiration_date": "2026-06-19",
                    "strike_price": 105,
                    "underlying_security_ticker": "XYZ",
                },
            ),
        ]
        rows = _said(scene)
        item.enter(*(row for row in rows if "transaction_id" in row))
        item.invested = [row for row in rows if "investment_transaction_id" in row]
        provider = Plaid(a_client(sim), sim.inside(Clock()))
        pages = await pulled(provider, a_request(sim, item))
        assert sim.complaints == []
        return pages


def _said(scene: Scene) -> list[Told]:
    day = DAY.isoformat()

    def bank(account: str, amount: float, primary: str, detailed: str = "") -> list[Told]:
        category = (primary, detailed or f"{primary}_OTHER")
        return [a_transaction("t", account, amount, day, category=category)]

    def invested(kind: str, subtype: str, amount: float, **said: Any) -> Told:
        given = {"security_id": "xyz", **said}
        return an_investment(f"{kind}-{subtype}", "broker", kind, subtype, amount, day, **given)

    match scene:
        case Scene.PURCHASE:
            return bank("card", 25.4, "GENERAL_MERCHANDISE")
        case Scene.PAYMENT:
            return bank("card", -300, "LOAN_PAYMENTS", "LOAN_PAYMENTS_CREDIT_CARD_PAYMENT")
        case Scene.REFUND:
            return bank("card", -25.4, "GENERAL_MERCHANDISE")
        case Scene.DEPOSIT:
            return bank("check", -1500, "INCOME", "INCOME_WAGES")
        case Scene.FEE:
            return bank("check", 35, "BANK_FEES", "BANK_FEES_OVERDRAFT_FEES")
        case Scene.INTEREST:
            return bank("check", -1.23, "INCOME", "INCOME_INTEREST_EARNED")
        case Scene.DIVIDEND:
            return [invested("cash", "dividend", -12.5)]
        case Scene.BUY:
            return [invested("buy", "buy", 1001, quantity=10, price=100, fees=1)]
        case Scene.SELL:
            return [invested("sell", "sell", -1099, quantity=-10, price=110, fees=1)]
        case Scene.SHORT:
            return [
                invested("sell", "sell short", -500, quantity=-10, price=50),
                invested("buy", "buy to cover", 450, quantity=10, price=45),
            ]
        case Scene.OPTION:  # counted by the underlying's units
            return [invested("buy", "buy", 300, security_id="call", quantity=200, price=1.5)]
        case Scene.CRYPTO:
            said: Any = str(COINS)  # a number to the last digit
            return [invested("buy", "buy", 6172.84, security_id="btc", quantity=said, price=50000)]


class TestHostileAnswers(Hostile):
    @pytest.fixture
    def upstream(self) -> Upstream:
        sim = PlaidServer(now=lambda: AT, page_max=8)
        item = household(sim.item())
        del item.log[:-12]
        item.holdings = [h for h in item.holdings if h["security_id"] != "sec-usd"]  # is cash

        def make(transport: httpx2.AsyncBaseTransport) -> Provider:
            return Plaid(a_client(sim), outside(Clock(), sim.host, transport=transport))

        return Upstream(
            good=httpx2.ASGITransport(app=sim),
            make=make,
            request=a_request(sim, item),
            rows=ROWS,
        )


async def test_a_resumed_pull_of_the_next_day_is_of_the_day_on_which_it_began() -> None:
    case = a_case("household")
    pages = await pulled(case.make(), case.request)
    later = replace(case.request, cursor=pages[1].cursor, at=AT + timedelta(days=1))
    assert await pulled(case.make(), later) == pages[2:]
