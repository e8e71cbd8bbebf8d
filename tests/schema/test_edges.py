"""Edges: one batch a field, nothing remembered, nobody left waiting."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import strawberry
from graphql import ExecutionResult, execute, parse
from strawberry.schema.config import StrawberryConfig

from schema.context import Abandoned, Context, Info
from schema.edges import EDGES, edge
from schema.fields import field
from schema.schema import schema
from tests.schema.world import World

CALLS: list[list[int]] = []


async def doubles(context: Context, parents: Sequence[int], *, plus: int = 0) -> list[int]:
    """Twice the parent,
    and a little more.
    """
    CALLS.append(list(parents))
    await asyncio.sleep(0)
    return [2 * parent + plus for parent in parents]


async def cancelled(context: Context, parents: Sequence[int]) -> list[int]:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


async def misaligned(context: Context, parents: Sequence[int]) -> list[int]:
    return [1] * (len(parents) + 1)


async def one_fails(context: Context, parents: Sequence[int]) -> list[int | Exception]:
    return [ValueError("two") if parent == 2 else parent for parent in parents]


@strawberry.type
class Number:
    double: int = edge(doubles, of=int)
    gone: int | None = edge(cancelled, of=int | None)
    wrong: int | None = edge(misaligned, of=int | None)
    mixed: int | None = edge(one_fails, of=int | None)


@strawberry.type
class Query:
    @field(list[Number])
    def numbers(self, upto: int) -> Any:
        return list(range(1, upto + 1))


numbers = strawberry.Schema(Query, config=StrawberryConfig(info_class=Info))


@pytest.fixture
def context(world: World) -> Context:
    CALLS.clear()
    return world.context(world.ann)


async def ask(document: str, context: Context) -> ExecutionResult:
    result: Any = execute(numbers._schema, parse(document), context_value=context)
    done: ExecutionResult = await asyncio.wait_for(result, 5)
    return done


async def test_all_parents_of_a_field_are_one_call(context: Context) -> None:
    result = await ask("{ numbers(upto: 100) { double } }", context)

    assert result.errors is None
    assert result.data is not None
    assert [n["double"] for n in result.data["numbers"]] == [2 * n for n in range(1, 101)]
    assert len(CALLS) == 1


async def test_each_alias_is_a_field_of_its_own_with_its_arguments(context: Context) -> None:
    result = await ask("{ numbers(upto: 2) { a: double(plus: 1) b: double } }", context)

    assert result.data == {"numbers": [{"a": 3, "b": 2}, {"a": 5, "b": 4}]}
    assert CALLS == [[1, 2], [1, 2]]


async def test_a_fragment_spread_twice_is_one_field_of_each_place(context: Context) -> None:
    result = await ask(
        "{ x: numbers(upto: 1) { ...F } y: numbers(upto: 2) { ...F } } "
        "fragment F on Number { double }",
        context,
    )

    assert result.data == {"x": [{"double": 2}], "y": [{"double": 2}, {"double": 4}]}


async def test_nobody_waits_for_a_batch_that_was_cancelled(context: Context) -> None:
    result = await ask("{ numbers(upto: 3) { gone } }", context)

    assert result.data == {"numbers": [{"gone": None}] * 3}
    assert result.errors is not None
    assert [type(e.original_error) for e in result.errors] == [Abandoned] * 3


async def test_an_answer_of_another_length_fails_every_parent(context: Context) -> None:
    result = await ask("{ numbers(upto: 2) { wrong } }", context)

    assert result.data == {"numbers": [{"wrong": None}] * 2}
    assert result.errors is not None
    assert all("length" in e.message for e in result.errors)


async def test_an_error_in_the_place_of_a_value_fails_that_parent_only(context: Context) -> None:
    result = await ask("{ numbers(upto: 3) { mixed } }", context)

    assert result.data == {"numbers": [{"mixed": 1}, {"mixed": None}, {"mixed": 3}]}


def test_an_edge_is_described_by_its_batch_function_and_known_to_a_planner() -> None:
    number: Any = numbers.get_type_by_name("Number")
    double = number.fields[0]

    assert double.description == "Twice the parent, and a little more."
    assert EDGES[double.base_resolver.wrapped_func] is doubles


async def test_a_context_that_is_closed_opens_no_other_snapshot(world: World) -> None:
    context = world.context(world.ann)
    await context.reads.viewer()
    await context.close()
    await context.close()

    assert context.statements == 1
    with pytest.raises(Abandoned):
        _ = context.reads
    assert [reads.closed for reads in world.opened] == [True]


async def test_an_operation_that_is_given_up_leaves_nothing_open(world: World) -> None:
    context = world.context(world.ann)
    running: Any = execute(
        schema,
        parse("{ accounts { link { lastRun { id } } latestBalance { at } } viewer { id } }"),
        context_value=context,
    )
    task = asyncio.ensure_future(running)
    for _ in range(20):
        if not world.sent:
            await asyncio.sleep(0)
    assert world.sent
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await context.close()
    await asyncio.sleep(0.01)

    assert world.left_open == 0
