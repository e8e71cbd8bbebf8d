"""Fields that only read their source, so that whoever executes can read a whole answer at once."""

import inspect
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema
from strawberry.types.field import StrawberryField


class Plain:
    """A resolver without arguments that waits for nothing; reading twice gives the same."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self.read = read

    def __call__(self, source: Any, _: object) -> Any:
        return self.read(source)


def install(schema: GraphQLSchema) -> None:
    """Resolve plain fields without what Strawberry wraps around a resolver."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType):
            for field in kind.fields.values():
                if (read := _reader(field)) is not None:
                    field.resolve = Plain(read)


def _reader(field: GraphQLField) -> Callable[[Any], Any] | None:
    """How to read it from its source alone; None where that is not enough."""
    declared = field.extensions.get("strawberry-definition")
    if not isinstance(declared, StrawberryField) or field.args or declared.extensions:
        return None
    if declared.base_resolver is None:
        return attrgetter(declared.python_name)
    read: Any = declared.base_resolver.wrapped_func
    alone = [*inspect.signature(read).parameters] == ["self"]
    waits = inspect.iscoroutinefunction(read) or inspect.isasyncgenfunction(read)
    return read if alone and not waits else None
