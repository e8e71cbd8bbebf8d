"""Fields whose resolvers return the domain's values, and arguments that may be left out."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, TypeAlias, TypeVar, cast

import strawberry

from domain.identity import UNSET, Maybe

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

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


def subscription(of: Any, description: str) -> Callable[[F], F]:
    """The same for an asynchronous generator of such values."""

    def decorate(resolver: F) -> F:
        made = strawberry.subscription(resolver=resolver, graphql_type=of, description=description)
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
