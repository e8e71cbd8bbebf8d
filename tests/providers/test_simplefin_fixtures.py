"""Recorded answers of the Bridge, and whether our simulator says no other than the description.

Not collected where the fixtures are absent.
"""

import json
import re
from datetime import date
from decimal import Decimal

import pytest
from starlette.responses import Response

from domain.accounts import AccountType as A
from domain.errors import CredentialsRejected, LinkAction, ProviderUnavailable
from domain.sync import Page
from tests.providers.conformance import AT, pulled
from tests.providers.conftest import FIXTURES
from tests.providers.simplefin import a_provider, a_request, a_server, failures
from tests.providers.simulators.simplefin import KNOWN, household

FOLDER = FIXTURES / "simplefin"
CONTENT = {path.name: path.read_bytes() for path in (FOLDER / "simplefin4py").iterdir()}
DESCRIBED = (FOLDER / "protocol-v1.md").read_text()


async def told(name: str, status: int = 200) -> list[Page]:
    sim = a_server(held=[])
    media_type = "application/json" if name.endswith(".json") else "text/html"
    sim.fault(Response(CONTENT[name], status, media_type=media_type))
    return await pulled(a_provider(sim), a_request(sim, since=date(1995, 1, 1)))


async def test_a_recorded_answer_with_errors_is_read_whole_and_says_which_banks_failed() -> None:
    pages = await told("200-with-errors.json")
    accounts = {a.name: a for a in pages[0].accounts}

    assert {name: (a.institution, a.type) for name, a in accounts.items()} == {
        "The Bank": ("The Bank of Go", A.OTHER),
        "My Checking": ("Investments", A.CHECKING),
        "PRIME SAVINGS": ("The Bank of Go", A.SAVINGS),
        "Costco Anywhere Visa® Card": ("Random Bank", A.CREDIT_CARD),
        "Dr Evil": ("Investments", A.BROKERAGE),
        "NerdCorp Series B": ("Investments", A.BROKERAGE),
        "Unicorn Pot": ("Mythical RandomSavings", A.OTHER),
        "Castle Mortgage": ("Mythical RandomSavings", A.OTHER),
    }
    card = accounts["Costco Anywhere Visa® Card"].balance
    assert card is not None
    assert card.amount == Decimal("-532.69")
    held = {h.account_key: (h.quantity, h.market_value.currency) for p in pages for h in p.holdings}
    assert set(held.values()) == {(Decimal("200.00"), "USD"), (Decimal("150.00"), "EUR")}
    failed = failures(pages)
    assert len(failed) == 5
    assert accounts["Unicorn Pot"].key not in failed
    [row] = [t for page in pages for t in page.transactions]
    assert (row.date, row.amount.amount, row.merchant) == (
        date(1995, 2, 18), Decimal("-1234.56"), "Uncle Frank",
    )  # fmt: skip
    assert not [u for page in pages for u in page.unreadable]


async def test_the_recorded_account_set_is_read() -> None:
    pages = await told("account_set.json")
    [account] = pages[0].accounts
    assert (account.institution, account.key) == ("mybank.com", "2930002")
    assert pages[0].accounts_complete
    assert [t.key for page in pages for t in page.transactions] == ["12394832938403"]


async def test_recorded_refusals_are_what_they_are() -> None:
    with pytest.raises(ProviderUnavailable, match="Payment required") as unpaid:
        await told("402.json", 402)
    assert unpaid.value.action is LinkAction.PAY_PROVIDER
    with pytest.raises(CredentialsRejected) as revoked:
        await told("403.txt", 403)
    assert revoked.value.withdrawn


async def test_the_simulator_takes_the_parameters_and_says_the_fields_of_the_description() -> None:
    parameters = set(re.findall(r"^\| ([a-z-]+) \| optional \| If", DESCRIBED, re.MULTILINE))
    assert parameters == KNOWN - {"version"}  # which is of version 2

    sim = a_server(held=household(AT), versions=frozenset({1}))
    said: list[dict[str, list[dict[str, object]]]] = []

    def overheard(body: bytes) -> bytes:
        said.append(json.loads(body))
        return body

    sim.mutate(overheard)
    await pulled(a_provider(sim), a_request(sim))
    names = set(re.findall(r"^\| ([a-z_-]+) \|", DESCRIBED, re.MULTILINE))
    account = said[0]["accounts"][0]
    recorded = json.loads(CONTENT["200-with-errors.json"])["accounts"]
    known = names | {name for one in recorded for name in one}
    assert said[0].keys() <= names
    assert account.keys() <= known
    rows = account["transactions"]
    assert isinstance(rows, list)
    assert {name for row in rows for name in row} <= names | {"payee", "memo"}
    fields = {name for one in recorded for row in one["holdings"] for name in row}
    held = [one for one in said[0]["accounts"] if one["holdings"]]
    assert {name for one in held for row in one["holdings"] for name in row} == fields  # type: ignore[attr-defined]
