"""Descriptions of what has no place for one where it is declared, or shares it with many."""

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
)

from schema.descriptions.fields import FIELDS, INPUTS
from schema.descriptions.values import VALUES


def install(schema: GraphQLSchema) -> None:
    """Describe what says nothing itself."""
    for table, names, of in parts(schema):
        if of.description is None:
            of.description = next((table[name] for name in names if name in table), None)


def parts(schema: GraphQLSchema) -> Iterator[tuple[Mapping[str, str], list[str], Any]]:
    """Whatever has a description beside its type: the table that it may be in, its coordinates
    there, most exact first, and itself.
    """
    for kind in schema.type_map.values():
        if not kind.name.startswith("__"):
            yield from _parts(kind)


def _parts(kind: GraphQLNamedType) -> Iterator[tuple[Mapping[str, str], list[str], Any]]:
    if isinstance(kind, GraphQLEnumType):
        for name, value in kind.values.items():
            yield VALUES.get(kind.name, {}), [name], value
    elif isinstance(kind, GraphQLInputObjectType):
        for name, given in kind.fields.items():
            yield INPUTS, [f"{kind.name}.{name}", f"*.{name}"], given
    elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in kind.fields.items():
            yield FIELDS, [f"{kind.name}.{name}", f"*.{name}"], field
            for argument, given in field.args.items():
                at = f"({argument}:)"
                yield FIELDS, [f"{kind.name}.{name}{at}", f"*.{name}{at}", f"*.*{at}"], given
