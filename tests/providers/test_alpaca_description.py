"""What our simulator of Alpaca checks and says is what Alpaca's own description has."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from adapters.providers.alpaca.activities import FILL, KINDS
from tests.providers.alpaca_life import AT, a_simulator
from tests.providers.simulators import alpaca_rules as rules

FOLDER = Path(__file__).parents[2].parent / "shared/fixtures/alpaca"


@pytest.fixture(scope="module")
def trading() -> Any:
    return YAML(typ="safe").load(FOLDER / "trading.openapi.yaml")


def schema(trading: Any, name: str) -> Any:
    return trading["components"]["schemas"][name]


def test_every_type_of_the_description_is_mapped(trading: Any) -> None:
    described = schema(trading, "ActivityType")["enum"]
    assert {*described} == {*rules.ACTIVITY_TYPES}
    assert {*described} <= {FILL, *KINDS}


def test_paths_and_parameters_are_those_of_the_description(trading: Any) -> None:
    for path, known in rules.PARAMETERS.items():
        operation = trading["paths"][path]["get"]
        named = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"}
        assert named == {*known}, path
    directions = next(
        p
        for p in trading["paths"][rules.ACTIVITIES]["get"]["parameters"]
        if p["name"] == "direction"
    )
    assert {*directions["schema"]["enum"]} == {*rules.DIRECTIONS}


def test_keys_go_into_the_headers_of_the_description(trading: Any) -> None:
    schemes = trading["components"]["securitySchemes"].values()
    assert {s["name"] for s in schemes} == {rules.KEY_HEADER, rules.SECRET_HEADER}
    hosts = {server["url"]: server["description"] for server in trading["servers"]}
    assert hosts == {
        "https://paper-api.alpaca.markets": "Paper",
        "https://api.alpaca.markets": "Live",
    }


def test_consent_asks_with_the_same_headers() -> None:
    oauth = YAML(typ="safe").load(FOLDER / "oauth.openapi.yaml")
    schemes = oauth["components"]["securitySchemes"].values()
    assert {s["name"] for s in schemes} == {rules.KEY_HEADER, rules.SECRET_HEADER}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("Account", rules.ACCOUNT_FIELDS),
        ("Position", rules.POSITION_FIELDS),
        ("TradingActivities", rules.FILL_FIELDS),
        ("NonTradeActivities", rules.ENTRY_FIELDS),
        ("PortfolioHistory", rules.HISTORY_FIELDS),
    ],
)
def test_fields_are_those_of_the_description(
    trading: Any, name: str, fields: tuple[str, ...]
) -> None:
    assert {*fields} <= schema(trading, name)["properties"].keys()


def test_the_simulator_says_what_the_description_has(trading: Any) -> None:
    books = a_simulator().live
    positions, activities = books.positions(AT), [*books.activities(AT)]

    assert {*rules.ACCOUNT_FIELDS} <= books.account(AT).keys()
    assert {*schema(trading, "Account")["required"]} <= books.account(AT).keys()
    for position in positions:
        assert position.keys() == schema(trading, "Position")["properties"].keys()
    fills = [row for row in activities if row["activity_type"] == FILL]
    assert all(row.keys() == {*rules.FILL_FIELDS} for row in fills)
    entries = [row for row in activities if row["activity_type"] != FILL]
    known = {*rules.ENTRY_FIELDS, "description", "status", "price"}  # as Alpaca's clients have
    assert all(row.keys() <= known for row in entries)
