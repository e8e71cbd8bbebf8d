"""What a request was about, in words that hold nothing of anybody's, for traces and the log."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from graphql import DocumentNode, OperationDefinitionNode, get_operation_ast

NAME_MAX = 100  # characters of an operation's name


def route_of(scope: Mapping[str, Any]) -> str | None:
    """The template that the router found; None for a path that is not ours."""
    return getattr(scope.get("route"), "path", None)


def name_of(node: OperationDefinitionNode | None) -> str | None:
    return node.name.value[:NAME_MAX] if node is not None and node.name is not None else None


def id_of(document: DocumentNode) -> str | None:
    """Its hash; None for one with a string in it: whoever has the hash could guess that string, a
    password perhaps, as fast as they can count."""
    if document.loc is None or '"' in document.loc.source.body:
        return None
    digest = sha256(document.loc.source.body.encode("utf-8", "surrogatepass")).hexdigest()
    return f"sha256:{digest}"


def logged(scope: Mapping[str, Any]) -> dict[str, str | None]:
    """The route and, once it is known, the operation of GraphQL: `request.state.operation`."""
    said = {"route": route_of(scope)}
    operation = scope["state"].get("operation")
    if operation is None:
        return said
    document: DocumentNode = operation.document.node
    node = get_operation_ast(document, operation.asked.operation_name)
    called = {"kind": operation.kind.value, "operation": name_of(node), "document": id_of(document)}
    return said | {name: word for name, word in called.items() if word is not None}
