"""A folder of `.graphql` files: each operation becomes a document, with the fragments it needs.

Fragments are shared by all files, as the compilers of Apollo, Relay and GraphQL Code Generator have
it; so names are unique. A file of one operation and all of its fragments, and nothing else, is
published as it is, so that its hash is the document's; else the text is the operation as it is
written, and after an empty line each its fragments, by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from graphql import (
    DefinitionNode,
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    Location,
    Node,
    OperationDefinitionNode,
    Source,
    SourceLocation,
    Visitor,
    parse,
    visit,
)

from gateway.documents.places import Piece, Place

Made = tuple[str, Sequence[Piece]]
Wrong = tuple[Place, str]
Named = TypeVar("Named", FragmentDefinitionNode, OperationDefinitionNode)


@dataclass(slots=True)
class _Folder:
    fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    operations: dict[str, OperationDefinitionNode] = field(default_factory=dict)
    files: dict[str, DocumentNode] = field(default_factory=dict)
    wrong: list[Wrong] = field(default_factory=list)


def documents_of(files: Mapping[str, str]) -> tuple[list[Made], list[Wrong]]:
    """Texts and where their lines come from; and what is wrong."""
    folder = _Folder()
    for name, text in files.items():
        try:
            node = parse(Source(text, name), allow_empty_selection_sets=False)
        except GraphQLSyntaxError as error:
            at = (error.locations or [SourceLocation(1, 1)])[0]
            folder.wrong.append((Place(name, at.line, at.column), error.message))
            continue
        except RecursionError:
            folder.wrong.append((Place(name), "it is nested too deep"))
            continue
        folder.files[name] = node
        for definition in node.definitions:
            _add(folder, definition)
    made = [_document(folder, operation) for operation in folder.operations.values()]
    return made, folder.wrong


def _add(folder: _Folder, definition: DefinitionNode) -> None:
    if isinstance(definition, FragmentDefinitionNode):
        _keep(folder, folder.fragments, definition, "fragment")
    elif isinstance(definition, OperationDefinitionNode):
        _keep(folder, folder.operations, definition, "operation")
    else:
        folder.wrong.append((_place(definition), "only operations and fragments are published"))


def _keep(folder: _Folder, known: dict[str, Named], definition: Named, what: str) -> None:
    if definition.name is None:
        folder.wrong.append((_place(definition), "an operation of a folder has a name"))
        return
    name = definition.name.value
    if name in known:
        message = f"the {what} {name} is at {_place(known[name])} already"
        folder.wrong.append((_place(definition), message))
        return
    known[name] = definition


def _document(folder: _Folder, operation: OperationDefinitionNode) -> Made:
    needed = _needed(folder, operation)
    whole = folder.files[_place(operation).file]
    parts: list[Node] = [operation, *(folder.fragments[name] for name in sorted(needed))]
    if {id(part) for part in parts} == {id(each) for each in whole.definitions}:
        return _text(operation), [Piece(1, Place(_place(operation).file, 1, 1))]
    text, pieces = "", []
    for part in parts:
        text += "\n\n" if text else ""
        pieces.append(Piece(text.count("\n") + 1, _place(part)))
        text += _text(part)[_loc(part).start : _loc(part).end]
    return text + "\n", pieces


def _needed(folder: _Folder, operation: OperationDefinitionNode) -> set[str]:
    """Names of fragments that there are and that it spreads, however deep."""
    needed: set[str] = set()
    waiting: list[Node] = [operation]
    while waiting:
        for name in _spread(waiting.pop()):
            if name in folder.fragments and name not in needed:
                needed.add(name)
                waiting.append(folder.fragments[name])
    return needed


def _spread(node: Node) -> set[str]:
    found: set[str] = set()

    class Spreads(Visitor):
        def enter_fragment_spread(self, spread: FragmentSpreadNode, *_: object) -> None:
            found.add(spread.name.value)

    visit(node, Spreads())
    return found


def _loc(node: Node) -> Location:
    if node.loc is None:
        raise ValueError("a parsed node has its place")
    return node.loc


def _text(node: Node) -> str:
    return _loc(node).source.body


def _place(node: Node) -> Place:
    at = _loc(node)
    return Place(at.source.name, at.start_token.line, at.start_token.column)
