"""Each root field as one document that shows all there is below it, made of the schema."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from graphql import (
    GraphQLField,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

Parent: TypeAlias = GraphQLObjectType | GraphQLInterfaceType

THINGS_DEEP = 3  # things below one another; pages and what is no thing of its own do not count
PLAIN = ("PageInfo", "Money", "SyncCounts", "Provider", "OptionTerms")  # shown wherever they are


@dataclass(frozen=True, slots=True)
class Argument:
    """`at` is its coordinate, such as Query.link.id; `is_own` that it is the root field's."""

    at: str
    type: GraphQLInputType
    is_own: bool
    is_required: bool

    @property
    def declared(self) -> str:
        """Of the variable, which may be left out where the argument may."""
        return str(self.type) if self.is_required else str(self.type).removesuffix("!")


@dataclass(frozen=True, slots=True)
class RootField:
    root: str
    name: str
    text: str
    arguments: Mapping[str, Argument]  # by the variable that carries it

    @property
    def at(self) -> str:
        return f"{self.root}.{self.name}"


def root_fields(schema: GraphQLSchema) -> Iterator[RootField]:
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    for root in filter(None, roots):
        for name, declared in root.fields.items():
            writer = _Writer(schema)
            said = writer.shown(root, name, declared, (), ())
            given = ", ".join(f"${name}: {a.declared}" for name, a in writer.arguments.items())
            text = f"{root.name.lower()} Asked{f'({given})' if given else ''} {{ {said} }}"
            yield RootField(root.name, name, text, writer.arguments)


@dataclass(slots=True)
class _Writer:
    schema: GraphQLSchema
    arguments: dict[str, Argument] = field(default_factory=dict)

    def shown(
        self,
        of: Parent,
        name: str,
        declared: GraphQLField,
        path: tuple[str, ...],
        above: tuple[str, ...],
        *,
        alias: str = "",
    ) -> str:
        """The field with all of its arguments and all that is below it; "" where ways end."""
        kind = get_named_type(declared.type)
        if not is_leaf_type(kind) and not _goes_on(of, kind, above):
            return ""
        path = (*path, f"{alias}{name}")
        given = []
        for arg, one in declared.args.items():
            variable = "_".join((*path, arg))
            given.append(f"{arg}: ${variable}")
            self.arguments[variable] = Argument(
                f"{of.name}.{name}.{arg}",
                one.type,
                is_own=len(path) == 1,
                is_required=is_required_argument(one),
            )
        said = f"{alias}{name}: {name}" if alias else name
        said += f"({', '.join(given)})" if given else ""
        return said if is_leaf_type(kind) else f"{said} {{ {self._below(kind, path, above)} }}"

    def _below(self, kind: GraphQLNamedType, path: tuple[str, ...], above: tuple[str, ...]) -> str:
        if isinstance(kind, GraphQLInterfaceType):
            # Fields of one name are of different types here and there, so each gets its own.
            seen = (*above, kind.name)
            said = [self._fields(kind, path, above)]
            for one in self.schema.get_possible_types(kind):
                more = {n: f for n, f in one.fields.items() if n not in kind.fields}
                if more:
                    below = self._fields(one, path, seen, fields=more, alias=f"{one.name}_")
                    said.append(f"... on {one.name} {{ {below} }}")
            return " ".join(("__typename", *said))
        assert isinstance(kind, GraphQLObjectType), f"{kind} is of a sort that nobody shows yet"
        return self._fields(kind, path, above)

    def _fields(
        self,
        of: Parent,
        path: tuple[str, ...],
        above: tuple[str, ...],
        *,
        fields: Mapping[str, GraphQLField] | None = None,
        alias: str = "",
    ) -> str:
        seen = (*above, of.name)
        said = (
            self.shown(of, name, declared, path, seen, alias=alias)
            for name, declared in (of.fields if fields is None else fields).items()
        )
        return " ".join(filter(None, said)) or "__typename"


def _goes_on(of: Parent, kind: GraphQLNamedType, above: tuple[str, ...]) -> bool:
    if of.name.endswith("Edge") or kind.name in above:  # an edge's node is in `nodes` too
        return False
    if kind.name in PLAIN or not above:
        return True
    things = [name for name in above if not name.endswith(("Connection", "Payload"))]
    return of.name not in PLAIN and len(things) < THINGS_DEEP
