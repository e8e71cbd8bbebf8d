"""What the simulator checks and says is what Schwab's own description of its Trader API has."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.providers.schwab import a_sim
from tests.providers.simulators import schwab_rules as rules
from tests.providers.simulators.schwab_books import equity, position

FOLDER = Path(__file__).parents[3].parent / "shared/fixtures/schwab"
SPEC: Mapping[str, Any] = json.loads((FOLDER / "trader_api.openapi.json").read_text())
SCHEMAS = SPEC["components"]["schemas"]


def words(schema: str, field: str) -> list[str]:
    found: list[str] = SCHEMAS[schema]["properties"][field]["enum"]
    return found


def test_paths_and_their_parameters_are_the_descriptions() -> None:
    assert SPEC["servers"][0]["url"].endswith(rules.BASE)
    for path, known in rules.KNOWN.items():
        parameters = SPEC["paths"][path]["get"].get("parameters", [])
        assert {p["name"] for p in parameters if p["in"] == "query"} == known
    asked = SPEC["paths"][rules.TRANSACTIONS]["get"]
    required = {p["name"] for p in asked["parameters"] if p.get("required") and p["in"] == "query"}
    assert required == {*rules.REQUIRED}
    assert str(rules.ROWS_MAX) in asked["description"]
    assert "1 year" in asked["description"]


def test_a_path_takes_the_encrypted_account_and_a_window_instants() -> None:
    parameters = {p["name"]: p for p in SPEC["paths"][rules.TRANSACTIONS]["get"]["parameters"]}
    assert "encrypted" in parameters["accountNumber"]["description"]
    for name in ("startDate", "endDate"):
        said = parameters[name]["description"]
        assert "yyyy-MM-dd'T'HH:mm:ss.SSSZ" in said
        [example] = re.findall(r"\d{4}-\d\d-\d\dT[\d:.]+Z", said)
        assert rules.instant(example).year == 2024


def test_words_are_the_descriptions() -> None:
    assert SCHEMAS["TransactionType"]["enum"] == rules.TYPES
    assert words("Transaction", "status") == rules.STATUSES
    assert words("SecuritiesAccountBase", "type") == [*rules.ACCOUNT_TYPES]
    assert words("TransferItem", "feeType") == rules.FEES
    assert words("TransferItem", "positionEffect") == rules.EFFECTS
    assert {*rules.TRANSACTION_FIELDS} <= SCHEMAS["Transaction"]["properties"].keys()
    assert {*rules.ITEM_FIELDS} <= SCHEMAS["TransferItem"]["properties"].keys()
    assert {*rules.POSITION_FIELDS} <= SCHEMAS["Position"]["properties"].keys()


def test_consent_is_asked_for_where_and_how_the_description_says() -> None:
    flow = SPEC["components"]["securitySchemes"]["oauth"]["flows"]["authorizationCode"]
    assert flow["tokenUrl"].endswith(rules.TOKEN)
    assert rules.AUTHORIZE in flow["authorizationUrl"]
    assert f"scope={rules.SCOPES[0]}" in flow["authorizationUrl"]


def test_nothing_there_takes_a_token_back() -> None:
    assert not [path for path in SPEC["paths"] if "revo" in path.lower()]


def test_what_the_simulator_says_are_fields_that_schwab_has() -> None:
    """Or that were recorded from it: the description leaves some out."""
    recorded = json.loads((FOLDER / "schwab_rb/account.json").read_text())["securitiesAccount"]
    base = SCHEMAS["SecuritiesAccountBase"]["properties"].keys()
    for books in a_sim().books:
        told = books.told()["securitiesAccount"]
        assert told.keys() <= base | recorded.keys()
        known = {*recorded["currentBalances"], *SCHEMAS["MarginBalance"]["properties"]}
        assert told["currentBalances"].keys() <= known
        for held in told["positions"]:
            assert held.keys() <= SCHEMAS["Position"]["properties"].keys()
        for entry in books.entries:
            assert entry.keys() <= SCHEMAS["Transaction"]["properties"].keys()
            assert entry["type"] in rules.TYPES
            for item in entry["transferItems"]:
                assert item.keys() <= SCHEMAS["TransferItem"]["properties"].keys()


@pytest.mark.parametrize("name", ["BadRequest", "NotAuthorized", "Forbidden", "NotFound"])
def test_errors_have_the_descriptions_shape_and_header(name: str) -> None:
    said = SPEC["components"]["responses"][name]
    assert {header.lower() for header in said["headers"]} == {"schwab-client-correlid"}
    assert said["content"]["application/json"]["schema"]["$ref"].endswith("ServiceError")
    assert SCHEMAS["ServiceError"]["properties"].keys() == {"message", "errors"}


def test_a_position_of_the_simulators_is_like_the_recorded_ones() -> None:
    [*recorded] = json.loads((FOLDER / "schwab_rb/account.json").read_text())["securitiesAccount"][
        "positions"
    ]
    ours = position(equity("X"), "1", "2", "3")
    assert ours.keys() - recorded[0].keys() == set[str]()
