"""The SQL that the gateway runs for each workload, so that the raw handler runs the same.

It is recorded from the gateway's own code while it answers one person; what was that person's is
told from what is constant. Nothing of it is written down here, so it cannot drift.
"""

from datetime import UTC, date, datetime
from inspect import isawaitable
from typing import Any
from uuid import UUID

from graphql import execute, parse

from adapters.postgres.snapshot import Snapshot
from domain.identity import Actor, Role, UserId
from domain.queries.budget import Budget
from gateway.bench.database import BenchError, Person
from gateway.bench.statements import (
    Accounts,
    Argument,
    Day,
    Instant,
    Recorded,
    Statement,
    Viewer,
    Whole,
)
from gateway.bench.workloads import Workload
from gateway.wiring.root import Wired
from schema.context import Context
from schema.schema import schema


class _Recording(Snapshot):
    said: list[tuple[str, tuple[object, ...]]]

    async def fetch(self, sql: str, *arguments: object) -> list[Any]:
        self.said.append((sql, arguments))
        return await super().fetch(sql, *arguments)


async def recorded(wired: Wired, person: Person, workloads: dict[str, Workload]) -> Recorded:
    """In the order in which they were run.

    Raises:
        BenchError: a workload failed, or a statement has an argument of a kind unknown here.
    """
    return {
        name: [statement_of(person, said) for said in await _said(wired, person, workload)]
        for name, workload in workloads.items()
    }


async def _said(
    wired: Wired, person: Person, workload: Workload
) -> list[tuple[str, tuple[object, ...]]]:
    actor = Actor(user_id=UserId(person.user_id), role=Role.USER)
    reads = _Recording(wired.pool, actor.user_id)
    reads.said = []
    context = Context(
        app=wired.app,
        viewer=actor,
        now=datetime.now(UTC),
        trace_id="bench",
        snapshot=lambda _: reads,
        budget=Budget(objects=1_000_000),
    )
    try:
        # By graphql-core alone: what is asked of the database does not hang on how leaves are made.
        result: Any = execute(
            schema,
            parse(workload.document),
            context_value=context,
            variable_values={**workload.variables},
        )
        result = await result if isawaitable(result) else result
    finally:
        await context.close()
    if result.errors:
        raise BenchError(f"{workload.name}: {result.errors[0]}")
    return reads.said


def statement_of(person: Person, said: tuple[str, tuple[object, ...]]) -> Statement:
    sql, arguments = said
    return Statement(sql, [_argument(person, argument) for argument in arguments])


def _argument(person: Person, said: object) -> Argument:
    match said:
        case UUID() if said == person.user_id:
            return Viewer()
        case [*ids] if ids and all(isinstance(id, UUID) for id in ids):
            return Accounts()
        case bool():
            pass
        case int():
            return Whole(said)
        case datetime():
            return Instant(said)
        case date():
            return Day(said)
    raise BenchError(
        f"the gateway gives PostgreSQL an argument that the bench does not know: {said!r}"
    )
