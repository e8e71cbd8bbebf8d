"""The examples of GraphiQL's menu fit the schema and the limits, and run as they are."""

import json
from pathlib import Path
from typing import Any

import pytest
from graphql import get_operation_ast
from graphql.execution import get_variable_values

from gateway.documents.ours import documents_of
from gateway.documents.reading import Document
from gateway.processes.demo import EMAIL, PASSWORD
from gateway.settings import Settings
from schema.schema import schema
from tests.e2e.stack import Stack
from tests.graphiql.examples import EXAMPLES, title

DOCUMENTS = documents_of(Settings.read({"DASHTAM_MODE": "development"}), hide_suggestions=False)
OF_A_FILE = "Import"  # the page asks for it
LINE_MAX = 100


def variables_of(path: Path) -> dict[str, Any]:
    given = path.with_suffix(".json")
    found: dict[str, Any] = json.loads(given.read_text()) if given.exists() else {}
    return found


@pytest.mark.parametrize("path", EXAMPLES, ids=title)
def test_an_example_fits_the_schema_and_its_variables_fit_it(path: Path) -> None:
    text = path.read_text()
    document = DOCUMENTS.outcome(text)
    assert isinstance(document, Document), document
    operation = get_operation_ast(document.node)
    assert operation is not None
    assert operation.name is not None
    assert operation.name.value == path.stem.partition("-")[2]
    first, *lines = text.splitlines()
    assert first.startswith("# ")
    assert first.endswith(".")
    assert max(map(len, [first, *lines])) <= LINE_MAX
    given = variables_of(path)
    definitions = operation.variable_definitions or ()
    assert [*given] == [each.variable.name.value for each in definitions]
    if title(path) != OF_A_FILE:
        coerced = get_variable_values(schema, definitions, given)
        assert not isinstance(coerced, list), coerced


def test_there_is_an_example_of_each_thing_that_people_come_for() -> None:
    assert [title(path) for path in EXAMPLES] == [
        *("Dashboard", "Holdings", "Transactions", "History", "Connect sandbox", "Sync"),
        *("Sync progress", "Events", "Changes", "Import"),
    ]


async def test_the_queries_answer_with_something_of_the_demo_user(demo: Stack) -> None:
    async with demo.nobody() as client:
        await client.sign_in(EMAIL, PASSWORD)
        for path in EXAMPLES:
            text = path.read_text()
            if "\nquery " not in text:
                continue
            data = await client.ask(text, **variables_of(path))
            for found in data.values():
                shown = found if isinstance(found, list) else found.get("nodes", [found])
                assert shown, path


async def test_connect_and_sync_do_as_they_say(demo: Stack) -> None:
    texts = {title(path): (path.read_text(), variables_of(path)) for path in EXAMPLES}
    async with demo.somebody() as client:
        text, variables = texts["Connect sandbox"]
        payload = await client.do(text, **variables)
        assert payload["errors"] == []
        assert payload["link"]["status"] == "ACTIVE"
        text, variables = texts["Sync"]
        synced = await client.do(text, **variables)
        assert synced["errors"] == []
        assert len(synced["runs"]) == 1
