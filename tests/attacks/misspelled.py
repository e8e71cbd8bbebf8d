"""Documents that are nearly right: a letter is missing from one name of the schema."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    is_required_argument,
)

from gateway.documents.masking import EVERYBODYS
from schema.schema import schema

LETTERS_MIN = 5  # a shorter name is a word of English, as `id`, or of an error, as `type`
WORDS = frozenset(  # of the messages themselves
    {"field", "message", "value", "required", "expected", "error", "errors", "first"}
)


@dataclass(frozen=True, slots=True)
class Misspelled:
    query: str
    variables: dict[str, Any] = field(default_factory=dict)


def names() -> frozenset[str]:
    """All that the schema has, but for what everyone knows."""
    found = set[str]()
    for kind in schema.type_map.values():
        if kind.name.startswith("__"):
            continue
        found.add(kind.name)
        if isinstance(kind, GraphQLEnumType):
            found |= kind.values.keys()
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            found |= kind.fields.keys()
            for each in kind.fields.values():
                found |= getattr(each, "args", {}).keys()
    return frozenset(n for n in found if len(n) >= LETTERS_MIN) - EVERYBODYS - WORDS


def every(seed: int) -> list[Misspelled]:
    dice = random.Random(seed)
    found = [*_roots(dice), *_fields(dice), *_arguments(), *_inputs(dice), *_types(dice)]
    return [*found, *BY_HAND]


def _wrong(name: str, dice: random.Random) -> str:
    at = dice.randrange(1, len(name))
    return name[:at] + name[at + 1 :] if len(name) > 3 else name + "x"


def _objects() -> list[GraphQLObjectType]:
    return [
        kind
        for kind in schema.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__")
    ]


def _roots(dice: random.Random) -> Iterator[Misspelled]:
    for root in ("query", "mutation"):
        of = getattr(schema, f"{root}_type")
        for name in dice.sample(sorted(of.fields), 15):
            yield Misspelled(f"{root} {{ {_wrong(name, dice)} }}")
            yield Misspelled(f"{root} {{ {name} {{ {_wrong('nothing', dice)} }} }}")
            yield Misspelled(f"{root} {{ {name} }}")


def _fields(dice: random.Random) -> Iterator[Misspelled]:
    """By a fragment, whose type one has to know."""
    for kind in dice.sample(_objects(), 30):
        name = dice.choice(sorted(kind.fields))
        wrong = _wrong(name, dice)
        yield Misspelled(f"{{ node(id: 1) {{ ... on {kind.name} {{ {wrong} }} }} }}")


def _arguments() -> Iterator[Misspelled]:
    assert schema.query_type is not None
    for name, of in schema.query_type.fields.items():
        below = "" if not hasattr(get_named_type(of.type), "fields") else "{ __typename }"
        for arg in of.args:
            yield Misspelled(f"{{ {name}({arg}x: 1) {below} }}")
            yield Misspelled(f'{{ {name}({arg}: {{nothing: "it\'s"}}) {below} }}')
            yield Misspelled(f"{{ {name}({arg}: NOTHING) {below} }}")
        if any(map(is_required_argument, of.args.values())):
            yield Misspelled(f"{{ {name} {below} }}")


def _inputs(dice: random.Random) -> Iterator[Misspelled]:
    kinds = [k for k in schema.type_map.values() if isinstance(k, GraphQLInputObjectType)]
    for kind in kinds:
        wrong = _wrong(dice.choice(sorted(kind.fields)), dice)
        declared = f"query($a: {kind.name}) {{ providers(a: $a) {{ slug }} }}"
        used = f"query($a: {kind.name}! = {{{wrong}: 1}}) {{ __typename @skip(if: $a) }}"
        yield Misspelled(declared, {"a": {wrong: 1}})
        yield Misspelled(used)
    assert schema.mutation_type is not None
    for name, of in schema.mutation_type.fields.items():
        for arg, declared_ in of.args.items():
            said = f"mutation($a: {declared_.type}) {{ {name}({arg}: $a) {{ __typename }} }}"
            yield Misspelled(said, {"a": {"it's": "nothing", "nothing": [1]}})
            yield Misspelled(said, {"a": {}})


def _types(dice: random.Random) -> Iterator[Misspelled]:
    kinds = [name for name in schema.type_map if not name.startswith("__")]
    for name in dice.sample(sorted(kinds), 20):
        yield Misspelled(f"{{ ... on {_wrong(name, dice)} {{ id }} }}")
        yield Misspelled(f"query($a: {_wrong(name, dice)}) {{ __typename }}")
        yield Misspelled(f"{{ ... on {name} {{ __typename }} }}")


BY_HAND = [
    Misspelled("{ accounts { x: name } accounts { x: type } }"),
    Misspelled("{ transactions(orderBy: DATE_DES) { totalCount } }"),
    Misspelled('{ transactions(orderBy: "it\'s") { totalCount } }'),
    Misspelled("{ __typename @includ(if: true) }"),
    Misspelled("subscription { event { id } }"),
    Misspelled("subscription { events { id nam } }"),
    Misspelled("subscription { syncProgress { id } }"),
    Misspelled("query($first: String) { transactions(first: $first) { totalCount } }"),
]
