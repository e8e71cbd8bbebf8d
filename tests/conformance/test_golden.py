"""What the tools made is of the operations as they are written today: whoever changes one and runs
no tool is told so by every run.
"""

import re
from collections.abc import Iterable

from graphql import DocumentNode, FieldNode, Visitor, parse, print_ast, visit
from graphql.language.visitor import REMOVE, VisitorAction

from tests.conformance.judged import OPERATIONS, documents_of

RELAY = OPERATIONS.parents[1] / "relay"


class _Untyped(Visitor):
    def enter_field(self, node: FieldNode, *_: object) -> VisitorAction:
        return REMOVE if node.name.value == "__typename" else None


def definitions(texts: Iterable[str]) -> dict[str, list[str]]:
    """The words of each, in no order, since GraphQL Code Generator sorts what it prints; without
    the `__typename` that Apollo's tool adds everywhere.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        document: DocumentNode = visit(parse(text), _Untyped())
        for node in document.definitions:
            words = sorted(re.findall(r"[\w$.]+", print_ast(node)))
            found[node.name.value] = words  # type: ignore[attr-defined]
    return found


def texts(manifest: str) -> list[str]:
    return [text for _, text in documents_of(manifest)]


def test_the_manifests_of_apollo_and_codegen_are_of_todays_operations() -> None:
    written = definitions(path.read_text() for path in OPERATIONS.glob("*.graphql"))

    assert definitions(texts("codegen")) == written
    assert definitions(texts("apollo")) == written


def test_the_manifests_of_relay_are_of_todays_components() -> None:
    operations = re.compile(r"(?:query|mutation|subscription) (\w+)|queryName: \"(\w+)\"")
    written = {
        first or second
        for path in RELAY.glob("*.js")
        for first, second in operations.findall(path.read_text())
    }

    for manifest in ("relay", "relay-md5"):
        assert {name for name in definitions(texts(manifest)) if "_" not in name} == written
    assert texts("relay") != []
    assert sorted(texts("relay")) == sorted(texts("relay-md5"))
