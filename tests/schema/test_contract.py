"""The printed schema against the contract that clients build on, and against its checked-in copy."""

import re
from pathlib import Path

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLScalarType

import schema
from schema.schema import printed
from schema.schema import schema as core
from tests.schema.coordinates import coordinates

CONTRACT = Path(__file__).parents[2].parent / "shared" / "schema.graphql"

# What the contract has and we do not have yet. This list only shrinks.
LACKING = """
    AllocationKey AllocationSlice IncomePoint Performance Period Portfolio
    Query.portfolio
"""


if CONTRACT.exists():  # conftest.py says so where it does not

    def test_everything_but_what_is_lacking_is_as_the_contract_has_it() -> None:
        promised, ours = coordinates(CONTRACT.read_text("utf-8")), coordinates(printed())
        lacking = {c for c in promised if c not in ours}
        types = {c for c in lacking if "." not in c}
        fields = {re.sub(r"\(.*", "", c) for c in lacking if c.partition(".")[0] not in types}

        assert types | fields - types == set(LACKING.split())
        assert {c: ours[c] for c in promised if c in ours and ours[c] != promised[c]} == {}


def test_the_schema_is_printed_as_it_is_checked_in() -> None:
    checked_in = Path(schema.__path__[0]) / "schema.graphql"

    assert checked_in.read_text("utf-8") == printed()


def test_every_type_says_what_it_is() -> None:
    ours = [t for t in core.type_map.values() if not t.name.startswith("__")]
    standard = {"ID", "String", "Int", "Float", "Boolean"}

    assert [t.name for t in ours if not t.description and t.name not in standard] == []


def test_what_may_be_left_out_is_printed_without_a_default() -> None:
    assert "= null" not in printed()


def test_every_kind_of_type_is_compared() -> None:
    """So that the comparison does not pass because it looked at nothing."""
    found = coordinates(printed())
    kinds = (GraphQLEnumType, GraphQLInputObjectType, GraphQLScalarType)

    assert found["ConnectUsing"] == "input ['oneOf']"
    assert found["Query.holdings(first)"] == "Int! = 100"
    assert found["Account"] == "type ['Node']"
    for kind in kinds:
        named = [t.name for t in core.type_map.values() if isinstance(t, kind)]
        custom = {n for n in named if not n.startswith("__")} - {
            "ID",
            "String",
            "Int",
            "Float",
            "Boolean",
        }
        assert custom <= found.keys()
