"""The executor against graphql-core's own: the same answer, to the order of its keys."""

import asyncio
import json
import os
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Any, cast

from graphql import (
    ExecutionResult,
    GraphQLEnumType,
    GraphQLField,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    parse,
)
from graphql.execution import Executor
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.executor import PlainExecutor, Readers
from schema.plain import Plain

EXAMPLES = 20_000 if os.environ.get("DASHTAM_TEST_LONG") else 400


class Kind(Enum):
    A = "A"
    B = "B"


@dataclass(frozen=True)
class Money:
    amount: Any
    currency: Any


@dataclass(frozen=True)
class Thing:
    id: Any = "t"
    name: Any = "name"
    count: Any = 1
    kind: Any = Kind.A
    day: Any = date(2026, 1, 2)
    money: Any = None
    maybe: Any = None
    child: Any = None
    things: Any = ()
    later: Any = ()


def schema() -> GraphQLSchema:
    made = build_schema("""
        scalar Decimal
        scalar Date
        enum Kind { A B }
        type Money { amount: Decimal! currency: String! }
        type Thing {
            id: ID! name: String count: Int! kind: Kind! day: Date
            money: Money! maybe: Money child: Thing things: [Thing!]! holes: [Thing]
            later: [Thing!] now: Thing!
        }
        type Query { thing: Thing things: [Thing!]! }
    """)
    for kind in made.type_map.values():
        if isinstance(kind, GraphQLObjectType) and kind.name in ("Money", "Thing"):
            for name, field in kind.fields.items():
                field.resolve = Plain(attrgetter("things" if name == "holes" else name))
    thing, query = made.type_map["Thing"], made.type_map["Query"]
    assert isinstance(thing, GraphQLObjectType)
    assert isinstance(query, GraphQLObjectType)
    thing.is_type_of = lambda value, _: isinstance(value, Thing)
    thing.fields["later"].resolve = _later
    thing.fields["now"].resolve = lambda source, _: source.child
    query.fields["thing"] = GraphQLField(query.fields["thing"].type, resolve=_root)
    query.fields["things"] = GraphQLField(
        query.fields["things"].type, resolve=lambda root, _: [root, root]
    )
    decimals, days, kinds = (made.type_map[name] for name in ("Decimal", "Date", "Kind"))
    assert isinstance(decimals, GraphQLScalarType)
    assert isinstance(days, GraphQLScalarType)
    decimals.coerce_output_value = lambda value: format(value, "f")
    days.coerce_output_value = date.isoformat
    assert isinstance(kinds, GraphQLEnumType)
    for name, value in kinds.values.items():
        value.value = Kind[name]
    return made


async def _later(source: Thing, _: object) -> Any:
    await asyncio.sleep(0)
    if isinstance(source.later, Exception):
        raise source.later
    return source.later


async def _root(root: Any, _: object) -> Any:
    return root


SCHEMA = schema()

# ── values, some of which no field of that type may have ────────────────────

odd = st.sampled_from([None, ValueError("no"), object(), 7, 2**40, "text", Decimal("NaN"), [1]])


def mostly(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(*[values] * 9, odd)


money = st.builds(
    Money,
    amount=mostly(st.decimals(allow_nan=False, allow_infinity=False)),
    currency=st.just("USD"),
)


def things(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(mostly(children), max_size=3)
    return st.builds(
        Thing,
        id=mostly(st.text(max_size=3)),
        name=st.one_of(st.none(), mostly(st.text(max_size=3))),
        count=mostly(st.integers(-5, 5)),
        kind=mostly(st.sampled_from(Kind)),
        day=st.one_of(st.none(), mostly(st.dates())),
        money=mostly(money),
        maybe=st.one_of(st.none(), money),
        child=st.one_of(st.none(), mostly(children)),
        things=mostly(st.one_of(lists, lists.map(tuple))),
        later=mostly(lists),
    )


sources = st.recursive(st.builds(Thing, money=money), things, max_leaves=6)

# ── documents ───────────────────────────────────────────────────────────────

LEAVES = ("id", "name", "count", "kind", "day", "__typename")
conditions = st.sampled_from(
    ["", "", "", " @include(if: $yes)", " @skip(if: $no)", " @skip(if: $yes)"]
)


def selections(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    leaf = st.builds("{}{}".format, st.sampled_from(LEAVES), conditions)
    worth = st.builds(
        "{}{} {{ amount currency }}".format, st.sampled_from(["money", "maybe"]), conditions
    )
    nested = st.builds(
        "{}{} {{ {} }}".format,
        st.sampled_from(["child", "things", "holes", "later", "now"]),
        conditions,
        inner,
    )
    spread = st.builds("...{}{{ {} }}".format, st.sampled_from([" on Thing ", " "]), inner)
    shared = st.just("...Shared")
    part = st.one_of(leaf, leaf, worth, nested, spread, shared)
    return st.lists(part, min_size=1, max_size=5).map(" ".join)


bodies = st.recursive(st.sampled_from(LEAVES), selections, max_leaves=12)
documents = st.builds(
    "query Q($yes: Boolean!, $no: Boolean!) {{ thing {{ ...Shared {} }} things {{ {} }} }} "
    "fragment Shared on Thing {{ name money {{ amount }} {} }}".format,
    bodies,
    bodies,
    st.sampled_from(["", "count", "child { id }", "later { day }"]),
)


async def asked(kind: type[Executor[Any]], text: str, source: Any, readers: Readers) -> Any:
    executor = kind.build(
        SCHEMA, parse(text), root_value=source, raw_variable_values={"yes": True, "no": False}
    )
    assert not isinstance(executor, list)
    if isinstance(executor, PlainExecutor):
        executor.readers = readers
    result: Any = executor.execute_operation()
    if isinstance(result, Awaitable):
        result = await result
    assert isinstance(result, ExecutionResult)
    if isinstance(executor, PlainExecutor):
        executor.forget()
    errors = [error.formatted for error in result.errors or ()]
    return json.dumps([result.data, sorted(errors, key=str)], default=str)


@settings(max_examples=EXAMPLES, deadline=None)
@given(text=documents, source=sources)
def test_any_document_over_any_values_is_answered_as_graphql_core_does(
    text: str, source: Thing
) -> None:
    with asyncio.Runner() as runner:
        theirs = runner.run(asked(Executor, text, source, {}))
        ours = runner.run(asked(PlainExecutor, text, source, {}))

    assert ours == theirs


async def test_readers_serve_the_next_operation_of_their_document() -> None:
    text = "{ things { id kind money { amount } things { name } } }"
    node, readers = parse(text), Readers()
    answers, made = [], []
    for amount in ("1.50", "2.50"):
        source = Thing(money=Money(Decimal(amount), "USD"), things=[Thing(name=amount)])
        executor = PlainExecutor.build(SCHEMA, node, root_value=source)
        assert isinstance(executor, PlainExecutor)
        executor.readers = readers
        answers.append(cast("ExecutionResult", executor.execute_operation()).data)
        made.append(len(readers))

    assert made[0] == made[1] > 0
    assert [data and data["things"][0]["things"] for data in answers] == [
        [{"name": "1.50"}],
        [{"name": "2.50"}],
    ]
