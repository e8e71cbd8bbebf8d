"""Fields whose resolvers return the domain's values, and arguments that may be left out."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import date
from functools import wraps
from inspect import isawaitable
from typing import Annotated, Any, TypeAlias, TypeVar, cast

import strawberry

from domain.handling import permit
from domain.identity import UNSET, Maybe, Permission
from schema.context import Info

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

RULE = "rule"  # where a root field keeps its own, in Strawberry's metadata
NOT_GIVEN: Any = strawberry.UNSET  # printed as no default at all

Since: TypeAlias = Annotated[
    date | None, strawberry.argument(name="from", description="The first day, inclusive.")
]
Until: TypeAlias = Annotated[
    date | None, strawberry.argument(name="to", description="The last day, inclusive.")
]
First: TypeAlias = Annotated[
    int, strawberry.argument(description="How many at most, from 1 to 500.")
]
After: TypeAlias = Annotated[
    str | None, strawberry.argument(description="The cursor after which to begin.")
]


def field(of: Any, description: str | None = None) -> Callable[[F], F]:
    """`strawberry.field` for a resolver that returns the domain's values; it keeps the type."""

    def decorate(resolver: F) -> F:
        made = strawberry.field(resolver=resolver, graphql_type=of, description=description)
        return cast("F", made)

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Who may ask a root field: whom the policy permits this, with None everyone who is signed in,
    and with `signed_out` everyone. `command` is the action that a mutation runs, which asks."""

    permits: Permission | None
    signed_out: bool = False
    command: str | None = None


def query(
    of: Any, description: str | None = None, *, permits: Permission | None
) -> Callable[[F], F]:
    """A root field of Query, which asks the policy before its resolver runs; with None it is for
    everyone, signed in or not."""
    rule = Rule(permits=permits, signed_out=permits is None)

    def decorate(resolver: F) -> F:
        @wraps(resolver)
        async def asked(self: Any, info: Info, **arguments: Any) -> Any:
            permit(info.context.app, info.context.actor, permits)
            return await resolver(self, info, **arguments)

        made = strawberry.field(
            resolver=resolver if permits is None else asked,
            graphql_type=of,
            description=description,
            metadata={RULE: rule},
        )
        return cast("F", made)

    return decorate


def subscription(of: Any, description: str, *, permits: Permission) -> Callable[[F], F]:
    """The same of Subscription, for an asynchronous generator, or a coroutine that gives one: what
    that does is done before the client can know that it has subscribed. It asks once, before."""

    def decorate(resolver: F) -> F:
        @wraps(resolver)
        async def asked(self: Any, info: Info, **arguments: Any) -> AsyncGenerator[Any, None]:
            permit(info.context.app, info.context.actor, permits)
            found: Any = resolver(self, info, **arguments)
            return await found if isawaitable(found) else found  # type: ignore[no-any-return]

        made = strawberry.subscription(
            resolver=asked,
            graphql_type=of,
            description=description,
            metadata={RULE: Rule(permits=permits)},
        )
        return cast("F", made)

    return decorate


def described(description: str, *, name: str | None = None) -> Any:
    """A plain attribute; `name` where it is called otherwise in the domain."""
    return strawberry.field(name=name, description=description)


def optional(description: str | None = None, *, name: str | None = None) -> Any:
    """An input's field that may be left out, which is not the same as null."""
    return strawberry.field(name=name, description=description, default=strawberry.UNSET)


def given(value: T | None) -> T | None:
    """For a query: left out is null."""
    return None if value is strawberry.UNSET else value


def said(value: T | None) -> Maybe[T]:
    """For a command: left out leaves alone, null clears."""
    return UNSET if value is strawberry.UNSET else value
