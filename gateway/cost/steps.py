"""The fields of a schema that can lead to an object with an id: the only ones that cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeGuard

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_abstract_type,
    is_list_type,
)

from schema.paging import FIRST_MAX
from schema.sizes import Size, size_of

UNKNOWN = Size(most=FIRST_MAX)  # of a list without a rule, of which a test knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A field. `first` is the default of its argument of that name, and None where it has none;
    `size` is of a list without it. `weighs` is what each of a page costs at least, since it is
    read even where only its cursors are asked for.
    """

    name: str
    of: str  # the type that it leads to
    first: int | None = None
    size: Size | None = None
    is_list: bool = False
    weighs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """By the names of types. `weights` is 1 for objects that have an id; `possible` are the object
    types of an abstract one, and of an object type itself; `abstract` those that are not one."""

    fields: Mapping[str, Mapping[str, Step]]
    weights: Mapping[str, int]
    possible: Mapping[str, frozenset[str]]
    abstract: frozenset[str]


@lru_cache(maxsize=8)
def steps_of(schema: GraphQLSchema) -> Steps:
    composite = [t for t in schema.type_map.values() if _has_fields(t)]
    weights = {t.name: int("id" in t.fields) for t in composite}
    possible = {t.name: _possible(schema, t) for t in schema.type_map.values() if _is_composite(t)}
    leading = _leading(composite, weights, possible)
    fields = {
        t.name: {
            name: _step(t.name, name, field, weights)
            for name, field in t.fields.items()
            if get_named_type(field.type).name in leading
        }
        for t in composite
    }
    abstract = frozenset(t.name for t in schema.type_map.values() if is_abstract_type(t))
    return Steps(fields=fields, weights=weights, possible=possible, abstract=abstract)


def lists_without_a_size(schema: GraphQLSchema) -> Iterator[str]:
    """The coordinates of lists that lead to objects with an id, and have neither `first` nor a
    line in `schema.sizes`."""
    for type_name, steps in steps_of(schema).fields.items():
        for step in steps.values():
            if step.is_list and step.size is UNKNOWN:
                yield f"{type_name}.{step.name}"


def _has_fields(t: GraphQLNamedType) -> TypeGuard[GraphQLObjectType | GraphQLInterfaceType]:
    known = isinstance(t, GraphQLObjectType | GraphQLInterfaceType)
    return known and not t.name.startswith("__")


def _is_composite(t: GraphQLNamedType) -> bool:
    return isinstance(t, GraphQLObjectType) or is_abstract_type(t)


def _possible(schema: GraphQLSchema, t: GraphQLNamedType) -> frozenset[str]:
    if is_abstract_type(t):
        return frozenset(o.name for o in schema.get_possible_types(t))
    return frozenset({t.name})


def _leading(
    composite: Sequence[GraphQLObjectType | GraphQLInterfaceType],
    weights: Mapping[str, int],
    possible: Mapping[str, frozenset[str]],
) -> set[str]:
    """The types from which an object with an id can be reached, those with one included."""
    found = {name for name, weight in weights.items() if weight}
    while True:
        more = {name for name, objects in possible.items() if objects & found}
        more |= {
            t.name
            for t in composite
            if any(get_named_type(f.type).name in found for f in t.fields.values())
        }
        if more <= found:
            return found
        found |= more


def _step(type_name: str, name: str, field: GraphQLField, weights: Mapping[str, int]) -> Step:
    of = get_named_type(field.type)
    is_list = _is_list(field.type)
    first = field.args.get("first")
    if first is not None:
        default = first.default_value
        weighs = 0 if is_list else _item_weight(of, weights)
        return Step(
            name=name,
            of=of.name,
            first=default if isinstance(default, int) else FIRST_MAX,
            is_list=is_list,
            weighs=weighs,
        )
    size = (size_of(type_name, name) or UNKNOWN) if is_list else None
    return Step(name=name, of=of.name, size=size, is_list=is_list)


def _is_list(of: GraphQLOutputType) -> bool:
    return is_list_type(get_nullable_type(of))


def _item_weight(of: GraphQLNamedType, weights: Mapping[str, int]) -> int:
    """What one of a connection's page weighs."""
    if not isinstance(of, GraphQLObjectType):
        return 1
    items = [
        get_named_type(field.type).name
        for name, field in of.fields.items()
        if (size := size_of(of.name, name)) is not None and size.is_page
    ]
    return max((weights.get(item, 1) for item in items), default=1)
