"""What tests of Plaid share: a provider at the simulator, and what its pages hold."""

from collections.abc import Sequence
from typing import Any

from adapters.providers.plaid import Plaid
from domain.sync import Page, ReceivedHolding
from tests.providers.conformance import pulled
from tests.providers.fakes import Clock
from tests.providers.simulators.plaid import PlaidServer
from tests.providers.simulators.plaid_books import Item
from tests.providers.test_plaid_conformance import a_client, a_request

CHECK, CARD, BROKERAGE = "acc-check-0000", "acc-card-3333", "acc-brok-5555"
WEBHOOK = "https://money.example.com/webhooks/plaid"


def a_provider(sim: PlaidServer, *, clock: Clock | None = None, public_url: str = "") -> Plaid:
    return Plaid(a_client(sim), sim.inside(clock or Clock()), public_url=public_url)


async def pages_of(sim: PlaidServer, item: Item, **said: Any) -> list[Page]:
    found = await pulled(a_provider(sim), a_request(sim, item, **said))
    assert sim.complaints == []
    return found


def rows(pages: Sequence[Page]) -> dict[str, Any]:
    return {t.key: t for page in pages for t in page.transactions}


def held(pages: Sequence[Page]) -> dict[str, ReceivedHolding]:
    return {h.security.symbol or h.security.name: h for page in pages for h in page.holdings}


def position(pages: Sequence[Page]) -> str:
    [said] = [page.position for page in pages if page.position is not None]
    assert said == pages[-1].position
    return said
