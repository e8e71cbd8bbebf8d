"""Everything in the schema says what it is, and nothing is said of what is not there."""

from typing import Any

import pytest
from graphql import build_schema

from schema.descriptions import parts
from schema.descriptions.fields import FIELDS, INPUTS
from schema.descriptions.values import VALUES
from schema.schema import printed

SCHEMA = build_schema(printed())
WHOLE = [*parts(SCHEMA)]
VALUES_OF = {f"{kind}.{name}": said for kind, each in VALUES.items() for name, said in each.items()}


def test_every_field_argument_and_value_is_described() -> None:
    assert [names[0] for _, names, of in WHOLE if not of.description] == []


@pytest.mark.parametrize("table", [FIELDS, INPUTS], ids=["fields", "inputs"])
def test_nothing_is_described_that_is_not_there_or_says_it_itself(table: dict[str, str]) -> None:
    """So that a table holds what is shown, and nothing else."""
    shown = {n for _, names, of in WHOLE for n in names if table.get(n) == of.description}

    assert table.keys() - shown == set()


def test_every_value_that_is_described_is_there() -> None:
    shown: dict[str, Any] = {
        f"{kind.name}.{name}": value.description
        for kind in SCHEMA.type_map.values()
        for name, value in getattr(kind, "values", {}).items()
    }

    assert VALUES_OF.items() - shown.items() == set()


def test_descriptions_are_sentences() -> None:
    said = {*FIELDS.values(), *INPUTS.values(), *VALUES_OF.values()}

    assert {each for each in said if not (each[0].isupper() and each.endswith("."))} == set()
