"""Which fields are only read, and which are left to graphql-core."""

from collections.abc import AsyncGenerator
from typing import Any

import strawberry
from graphql import ExecutionResult, parse, subscribe

from schema import plain


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "hello"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self) -> AsyncGenerator[int, None]:
        for number in range(2):
            yield number


async def test_the_events_of_a_subscription_without_arguments_are_what_it_yields() -> None:
    schema = strawberry.Schema(Query, subscription=Subscription)._schema
    plain.install(schema)

    found: Any = subscribe(schema, parse("subscription { ticks }"))
    events = await found

    assert [event async for event in events] == [
        ExecutionResult({"ticks": number}) for number in range(2)
    ]
