"""What our simulator and mapping know of Plaid is what Plaid's own description says."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adapters.providers.kit import decode
from adapters.providers.plaid.accounts import TYPES, account_of
from adapters.providers.plaid.investments import (
    SUBTYPES,
    holding_of,
    invested_of,
    with_securities,
)
from adapters.providers.plaid.investments import TYPES as INVESTED
from adapters.providers.plaid.item import numbers
from adapters.providers.plaid.notices import ENDS, SAID
from adapters.providers.plaid.transactions import CODES, removed_of, transaction_of
from domain.accounts import AccountGroup
from domain.transactions import TransactionStatus
from tests.providers.simulators.plaid import RULES

FIXTURES = Path(__file__).parents[2].parent / "shared/fixtures/plaid"
AT = "2026-03-17T09:00:00+00:00"


@cache
def schemas() -> dict[str, list[str]]:
    """The lines of each schema of the description, which is 3 MB of YAML."""
    found: dict[str, list[str]] = {}
    lines = iter((FIXTURES / "2020-09-14.yml").read_text("utf-8").splitlines())
    for line in lines:
        if line == "  schemas:":
            break
    name = ""
    for line in lines:
        if line[:3].strip():
            break
        if match := re.fullmatch(r"    (\w+):", line):
            name = match[1]
            found[name] = []
        elif name:
            found[name].append(line)
    return found


def listed(schema: str, word: str) -> list[str]:
    """What a list of this name holds, at the level of the schema itself."""
    return [*_listed(schemas()[schema], word)]


def _listed(lines: list[str], word: str) -> Iterator[str]:
    inside = False
    for line in lines:
        if line == f"      {word}:":
            inside = True
        elif inside and (match := re.fullmatch(r"      (?:  )?- ['\"]?(.*?)['\"]?", line)):
            yield match[1]
        elif inside:
            return


def properties(schema: str) -> set[str]:
    inside = False
    found = set()
    for line in schemas()[schema]:
        if line == "      properties:":
            inside = True
        elif inside and (match := re.fullmatch(r"        (\w+):.*", line)):
            found.add(match[1])
        elif inside and line.strip() and not line.startswith("       "):
            inside = False
    return found


def example(name: str) -> Any:
    return decode((FIXTURES / "examples" / f"{name}.example-1.json").read_bytes())


@pytest.mark.parametrize("path", RULES)
def test_the_simulator_requires_and_knows_what_the_description_does(path: str) -> None:
    rule = RULES[path]
    required = set(listed(rule.schema, "required"))
    assert rule.required == required - {"client_id", "secret"}
    assert rule.known <= properties(rule.schema)


def test_every_kind_of_account_and_of_investment_is_mapped() -> None:
    assert set(TYPES) == set(listed("AccountType", "enum"))
    known = {subtype for subtypes, _ in TYPES.values() for subtype in subtypes}
    said = {subtype.lower() for subtype in listed("AccountSubtype", "enum")}
    assert len(said) > 70
    assert known == said - {"null"}
    assert set(INVESTED) == set(listed("InvestmentTransactionType", "enum"))
    assert set(SUBTYPES) == set(listed("InvestmentTransactionSubtype", "enum"))
    assert set(CODES) == set(listed("TransactionCode", "enum")) - {"null"}


def test_every_webhook_that_we_act_on_is_as_its_example() -> None:
    told = json.loads((FIXTURES / "examples/webhooks.json").read_text())
    examples = [one for kinds in told.values() for one in kinds.values()]
    by_code = {(one["webhook_type"], one["webhook_code"]): one for one in examples}
    assert SAID.keys() <= by_code.keys()
    assert all(end in by_code["ITEM", code] for code, end in ENDS.items())


def test_recorded_accounts_are_read_with_our_signs() -> None:
    for name in ("accounts_get", "liabilities_get", "investments_holdings_get"):
        for row in example(name)["accounts"]:
            account = account_of({**row, "institution_name": "Bank", "as_of": AT})
            assert account.balance is not None
            owed = account.type.group in (AccountGroup.CREDIT, AccountGroup.LOAN)
            assert (account.balance.amount < 0) is owed
    assert numbers(example("liabilities_get")) == {
        "BxBXxLj1m4HMXBm9WZJyUg9XLd4rKEhw8Pb1J": "3120194154",
        "Pp1Vpkl9w8sajvK6oEEKtr7vZxBnGpf7LxxLE": "4277075694",
    }


def test_recorded_updates_are_read() -> None:
    answer = example("transactions_sync")
    [added], [modified] = (
        [transaction_of(row) for row in answer[name]] for name in ("added", "modified")
    )
    assert (str(added.amount.amount), added.status) == ("-72.1", TransactionStatus.SETTLED)
    assert added.replaces == "no86Eox18VHMvaOVL7gPUM9ap3aR1LsAVZ5nc"
    assert modified.status is TransactionStatus.PENDING
    assert [removed_of(row)[1] for row in answer["removed"]] == [
        "CmdQTNgems8BT1B7ibkoUXVPyAeehT3Tmzk0l"
    ]


def test_recorded_positions_are_worth_their_quantity_at_their_price() -> None:
    answer = example("investments_holdings_get")
    for row in with_securities(answer["holdings"], answer["securities"]):
        assert isinstance(row, dict)
        held = holding_of({**row, "as_of": AT})
        assert held.market_price is not None
        worth = held.security.value(held.quantity, held.market_price)
        assert worth.rounded() == held.market_value.rounded(), held.security.name


def test_recorded_investment_transactions_are_read() -> None:
    answer = example("investments_transactions_get")
    rows = with_securities(answer["investment_transactions"], answer["securities"])
    found = [invested_of(row) for row in rows if isinstance(row, dict)]
    assert [(t.subtype.value, str(t.amount.amount)) for t in found] == [
        ("DIVIDEND", "8.72"),
        ("SELL", "1289.01"),
        ("BUY", "-7.7"),
    ]
    assert str(found[1].quantity) == "-47.74104242992852"
