"""The executor against graphql-core's own: the same answer, to the order of its keys."""

import asyncio
import gc
import json
import os
import weakref
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import Any, cast

import pytest
from graphql import (
    DocumentNode,
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

from gateway.documents.store import Documents
from gateway.operations.execution import Engine
from gateway.operations.executor import PlainExecutor, Readers
from gateway.operations.guard import Limits
from gateway.operations.parameters import Parameters
from schema.plain import Plain

EXAMPLES = 20_000 if os.environ.get("DASHTAM_TEST_LONG") else 400


# graphql-core itself now and then leaves a coroutine that nobody awaits beside a field that fails.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")


@pytest.fixture(autouse=True, scope="module")
def what_it_leaves() -> Iterator[None]:
    """Found here, and not in the middle of another test."""
    yield
    gc.collect()


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


@dataclass(frozen=True)
class Other:
    id: Any = "o"
    name: Any = "other"


ELSEWHERE = {"holes": "things", "node": "child", "nodes": "things"}


def schema() -> GraphQLSchema:
    made = build_schema("""
        scalar Decimal
        scalar Date
        enum Kind { A B }
        type Money { amount: Decimal! currency: String! }
        interface Node { id: ID! }
        type Other implements Node { id: ID! name: String }
        type Thing implements Node {
            id: ID! name: String count: Int! kind: Kind! day: Date
            money: Money! maybe: Money child: Thing things: [Thing!]! holes: [Thing]
            later: [Thing!] now: Thing! node: Node nodes: [Node!]!
        }
        type Query { thing: Thing things: [Thing!]! }
    """)
    for kind in made.type_map.values():
        if isinstance(kind, GraphQLObjectType) and kind.name in ("Money", "Thing", "Other"):
            for name, field in kind.fields.items():
                field.resolve = Plain(attrgetter(ELSEWHERE.get(name, name)))
    thing, query = made.type_map["Thing"], made.type_map["Query"]
    other = made.type_map["Other"]
    assert isinstance(thing, GraphQLObjectType)
    assert isinstance(other, GraphQLObjectType)
    other.is_type_of = lambda value, _: isinstance(value, Other)
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

# An exception of its own each time: one that is raised again and again keeps every frame it was in.
odd = st.sampled_from([None, object(), 7, 2**40, "text", Decimal("NaN"), [1]]) | st.builds(
    ValueError, st.just("no")
)


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
        child=st.one_of(st.none(), others, mostly(children)),
        things=mostly(st.one_of(lists, lists.map(tuple), st.lists(others, max_size=2))),
        later=mostly(lists),
    )


others = st.builds(Other, name=mostly(st.text(max_size=3)))
sources = st.recursive(st.builds(Thing, money=money), things, max_leaves=6)

# ── documents ───────────────────────────────────────────────────────────────

LEAVES = ("id", "name", "count", "kind", "day", "__typename")
aliases = st.sampled_from(["", "", "", "a: ", "b: "])
conditions = st.sampled_from(
    ["", "", "", " @include(if: $yes)", " @skip(if: $no)", " @skip(if: $yes)"]
)


def selections(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    leaf = st.builds("{}{}{}".format, aliases, st.sampled_from(LEAVES), conditions)
    worth = st.builds(
        "{}{} {{ amount currency }}".format, st.sampled_from(["money", "maybe"]), conditions
    )
    nested = st.builds(
        "{}{}{} {{ {} }}".format,
        aliases,
        st.sampled_from(["child", "things", "holes", "later", "now"]),
        conditions,
        inner,
    )
    spread = st.builds("...{}{{ {} }}".format, st.sampled_from([" on Thing ", " "]), inner)
    shared = st.just("...Shared")
    abstract = st.builds(
        "{} {{ id ... on Other {{ name }} ... on Thing {{ {} }} }}".format,
        st.sampled_from(["node", "nodes"]),
        inner,
    )
    part = st.one_of(leaf, leaf, worth, nested, spread, shared, abstract)
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
    return await _answer(executor)


async def _answer(executor: Executor[Any]) -> str:
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


@settings(max_examples=EXAMPLES, deadline=None)
@given(one=bodies, two=bodies, sources=st.lists(sources, min_size=2, max_size=3))
def test_the_readers_of_a_document_serve_all_of_its_operations_in_any_order(
    one: str, two: str, sources: list[Thing]
) -> None:
    texts = [text.replace(" @include(if: $yes)", "") for text in (one, two)]
    texts = [text.replace(" @skip(if: $no)", "").replace(" @skip(if: $yes)", "") for text in texts]
    node = parse(
        "query A {{ thing {{ ...Shared {} }} }} query B {{ things {{ {} ...Shared }} }}"
        "fragment Shared on Thing {{ name money {{ amount }} child {{ id }} }}".format(*texts)
    )
    readers = Readers()

    async def answers(kind: type[Executor[Any]]) -> list[str]:
        found = []
        for source in sources:
            for name in ("A", "B", "A"):
                executor = kind.build(SCHEMA, node, root_value=source, operation_name=name)
                assert isinstance(executor, Executor)
                if isinstance(executor, PlainExecutor):
                    executor.readers = readers
                found.append(await _answer(executor))
        return found

    with asyncio.Runner() as runner:
        assert runner.run(answers(PlainExecutor)) == runner.run(answers(Executor))


async def asked_of(
    kind: type[Executor[Any]], node: DocumentNode, source: Any, readers: Readers
) -> str:
    executor = kind.build(SCHEMA, node, root_value=source)
    assert isinstance(executor, Executor)
    if isinstance(executor, PlainExecutor):
        executor.readers = readers
    return await _answer(executor)


class Asking:
    trace_id = "0" * 32

    async def close(self) -> None:
        raise AssertionError("it is whoever opened it who closes it")


async def test_what_is_given_up_leaves_nothing_for_the_collector() -> None:
    slow = build_schema("type Thing { id: ID name: ID } type Query { thing: Thing }")
    thing, query = slow.type_map["Thing"], slow.query_type
    assert isinstance(thing, GraphQLObjectType)
    assert query is not None
    query.fields["thing"].resolve = _root
    for field in thing.fields.values():
        field.resolve = lambda *_: asyncio.sleep(60)
    document = await Documents(slow, limits=Limits()).load("{ thing { id name } }")
    engine, context = Engine(schema=slow, hide_suggestions=False), Asking()
    left = weakref.ref(context)
    gc.disable()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await engine.run(document, Parameters(query=""), context, event=Thing())
        del context
        await asyncio.sleep(0.05)
        assert left() is None
    finally:
        gc.enable()


async def test_all_that_a_document_needs_can_be_made_before_it_ever_runs() -> None:
    text = """{ things {
        id later { day money { amount } } things { id name } node { id ... on Thing { count } }
        now { nodes { id ... on Other { name } ... on Thing { child { kind } } } __typename }
    } }"""
    child = Thing(things=[Thing(), Thing()])
    source = Thing(
        money=Money(Decimal(1), "USD"), child=replace(child, child=child), things=[child]
    )
    node, readers = parse(text), Readers()
    executor = PlainExecutor.build(SCHEMA, node)
    assert isinstance(executor, PlainExecutor)
    executor.readers = readers
    executor.prepare()
    made = dict(readers)

    assert await asked_of(PlainExecutor, node, source, readers) == await asked_of(
        Executor, node, source, {}
    )
    assert readers == made


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
