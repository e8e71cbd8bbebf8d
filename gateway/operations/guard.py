"""Limits on a document, in one linear pass between parsing and validation.

Validation itself is quadratic at best (https://github.com/graphql/graphql-js/issues/2185), so a
document is measured before it. A fragment is measured once, however often it is spread, and counts
stop at `CAP`, so that neither doubling fragments nor cycles cost more than they are long.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

CAP = 1_000_000
INTROSPECTION = frozenset({"__schema", "__type"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one document may come to."""

    characters: int = 128 << 10  # 2,000 tokens of a megabyte take the lexer up to 0.3 s
    tokens: int = 2_000
    fields: int = 1_000  # after fragments are spread
    depth: int = 15  # fields inside one another
    aliases: int = 30  # as written
    root_fields: int = 20  # after fragments are spread
    directives: int = 50  # as written
    fragments: int = 60
    introspection_depth: int = 16  # below and with __schema or __type
    duplicates: int = 20  # fields of one response name in one selection set
    nesting: int = 100  # selection sets inside one another, inline fragments too
    body: int = 1 << 20  # bytes of JSON, the document's and its variables'
    cost: int = 50_000  # of one operation, as `gateway.cost` prices it


class Refused(Exception):
    """A document that will not run: an error code, and what the client is told."""

    def __init__(self, code: str, errors: list[GraphQLError]) -> None:
        super().__init__(code)
        self.code, self.errors = code, errors

    def again(self) -> "Refused":
        """The same for another request: a raised exception grows and keeps its traceback."""
        return Refused(self.code, [error.with_traceback(None) for error in self.errors])


class Shape(NamedTuple):
    """What a selection set comes to once its fragments are spread; no count exceeds `CAP`."""

    fields: int = 0
    depth: int = 0
    introspection_depth: int = 0
    roots: int = 0  # fields at its own level
    named: int = 0  # those of them that are not __typename
    alone: bool = False  # one of them stands alone in its operation
    aliased: bool = False  # and has an alias

    def beside(self, other: "Shape") -> "Shape":
        """Both in one selection set."""
        return Shape(
            min(self.fields + other.fields, CAP),
            max(self.depth, other.depth),
            max(self.introspection_depth, other.introspection_depth),
            min(self.roots + other.roots, CAP),
            min(self.named + other.named, CAP),
            self.alone or other.alone,
            self.aliased or other.aliased,
        )


NOTHING = Shape()


@dataclass(frozen=True, slots=True)
class Measured:
    """A document within its limits."""

    introspects: bool
    directives: int
    root_fields: Mapping[str | None, frozenset[str]]  # by the operation's name


def check(document: DocumentNode, limits: Limits, alone: frozenset[str] = frozenset()) -> Measured:
    """Measure every operation and fragment.

    `alone` are the mutations that share their operation with no other field but `__typename`,
    and take no alias: so that one request is one attempt.

    Raises:
        Refused: TOO_COMPLEX, or GRAPHQL_VALIDATION_FAILED for a mutation in company.
    """
    walk = _Walk(document, limits, alone)
    for name in walk.fragments:
        walk.fragment(name, 0)
    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            walk.operation(operation)
    walk.written()
    return Measured(walk.introspects, walk.directives, walk.root_fields)


class _Walk:
    def __init__(self, document: DocumentNode, limits: Limits, alone: frozenset[str]) -> None:
        self._limits, self._alone = limits, alone
        self.fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        within("fragments", len(self.fragments), limits.fragments)
        self._shapes: dict[str, Shape] = {}
        self._named: dict[str, frozenset[str]] = {}
        self._open: set[str] = set()
        self.aliases = self.directives = 0
        self.introspects = False
        self.root_fields: dict[str | None, frozenset[str]] = {}

    def operation(self, node: OperationDefinitionNode) -> None:
        self._count(node.directives)
        for variable in node.variable_definitions or ():
            self._count(variable.directives)
        shape = self._selection_set(node.selection_set, 0, {})
        limits = self._limits
        within("fields", shape.fields, limits.fields)
        within("depth", shape.depth, limits.depth)
        within("introspection depth", shape.introspection_depth, limits.introspection_depth)
        within("root fields", shape.roots, limits.root_fields)
        crowded = shape.alone and (shape.named > 1 or shape.aliased)
        if crowded and node.operation is OperationType.MUTATION:
            raise Refused(
                "GRAPHQL_VALIDATION_FAILED",
                [GraphQLError("An identity mutation stands alone in its operation.", node)],
            )
        name = node.name.value if node.name else None
        self.root_fields[name] = self._names(node.selection_set)

    def written(self) -> None:
        """What is counted once, as the document has it."""
        within("aliases", self.aliases, self._limits.aliases)
        within("directives", self.directives, self._limits.directives)

    def fragment(self, name: str, level: int) -> Shape:
        """An unknown fragment and a cycle are nothing here; validation refuses both."""
        if name not in self._shapes and name in self.fragments and name not in self._open:
            self._open.add(name)
            node = self.fragments[name]
            self._count(node.directives)
            self._shapes[name] = self._selection_set(node.selection_set, level, {})
            self._open.remove(name)
        return self._shapes.get(name, NOTHING)

    def _selection_set(self, node: SelectionSetNode, level: int, seen: dict[str, int]) -> Shape:
        """`seen` counts the response names of the set that this one is flattened into."""
        within("nesting", level, self._limits.nesting)
        total = NOTHING
        for selection in node.selections:
            self._count(selection.directives)
            if isinstance(selection, FieldNode):
                shape = self._field(selection, level, seen)
            elif isinstance(selection, InlineFragmentNode):
                shape = self._selection_set(selection.selection_set, level + 1, seen)
            elif isinstance(selection, FragmentSpreadNode):
                shape = self.fragment(selection.name.value, level + 1)
            total = total.beside(shape)
        return total

    def _field(self, node: FieldNode, level: int, seen: dict[str, int]) -> Shape:
        name = node.name.value
        response_name = node.alias.value if node.alias else name
        seen[response_name] = times = seen.get(response_name, 0) + 1
        within("duplicates", times, self._limits.duplicates)
        self.aliases += node.alias is not None
        below = NOTHING
        if node.selection_set:
            below = self._selection_set(node.selection_set, level + 1, {})
        introspects = name in INTROSPECTION
        self.introspects |= introspects
        depth, alone = 1 + below.depth, name in self._alone
        return Shape(
            fields=1 + below.fields,
            depth=1 if introspects else depth,
            introspection_depth=max(below.introspection_depth, depth if introspects else 0),
            roots=1,
            named=int(name != "__typename"),
            alone=alone,
            aliased=alone and node.alias is not None,
        )

    def _names(self, node: SelectionSetNode) -> frozenset[str]:
        """The names of the fields at its level."""
        names: set[str] = set()
        for selection in node.selections:
            if isinstance(selection, FieldNode):
                names.add(selection.name.value)
            elif isinstance(selection, InlineFragmentNode):
                names |= self._names(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode):
                names |= self._names_of(selection.name.value)
        return frozenset(names)

    def _names_of(self, name: str) -> frozenset[str]:
        """Each fragment is looked into once; within a cycle, which validation refuses, no name of
        what is open is known yet."""
        if name not in self._named:
            self._named[name] = frozenset()
            if name in self.fragments:
                self._named[name] = self._names(self.fragments[name].selection_set)
        return self._named[name]

    def _count(self, directives: tuple[DirectiveNode, ...] | None) -> None:
        self.directives += len(directives or ())


def within(what: str, count: int, most: int) -> None:
    if count > most:
        raise Refused("TOO_COMPLEX", [GraphQLError(f"The document's {what} exceed {most}.")])
