"""Global ids: base64 of `Kind:uuid`. A malformed, a foreign and an absent one look the same."""

import base64
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import strawberry
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema

from domain.errors import BadQuery
from schema.plain import Plain

IDS_MAX = 500
ABSENT = UUID(int=0)
"""What commands are given for a malformed id, so that they refuse it as any other unknown one."""


@strawberry.interface(description="Anything that has an id of its own, for `node` and `nodes`.")
class Node:
    id: strawberry.ID = strawberry.field(description="Globally unique, and opaque.")


def describes(model: type[object]) -> Callable[[object, object], bool]:
    """For a type with interfaces: its values are the domain's, not instances of the type."""
    return lambda value, _: isinstance(value, model)


def global_id(kind: str, id: UUID) -> strawberry.ID:
    return strawberry.ID(base64.b64encode(f"{kind}:{id}".encode()).decode())


def parts(id: str) -> tuple[str, UUID] | None:
    """Kind and key; None for what is not written exactly as we write it."""
    try:
        kind, _, key = base64.b64decode(id, validate=True).decode().partition(":")
        found = UUID(key)
    except ValueError:
        return None
    return (kind, found) if global_id(kind, found) == id else None


def key(kind: str, id: str) -> UUID | None:
    match parts(id):
        case (str(found), UUID() as of) if found == kind:
            return of
        case _:
            return None


def keys(kind: str, ids: Sequence[str] | None) -> tuple[UUID, ...] | None:
    """For a filter: what is no such id is left out, None stays None.

    Raises BadQuery: over IDS_MAX of them.
    """
    if ids is None:
        return None
    counted(ids)
    return tuple(found for id in dict.fromkeys(ids) if (found := key(kind, id)) is not None)


def counted(ids: Sequence[str]) -> Sequence[str]:
    if len(ids) > IDS_MAX:
        raise BadQuery(f"at most {IDS_MAX} ids at a time")
    return ids


def install(schema: GraphQLSchema) -> None:
    """Give `id` of every Node type its resolver, without what Strawberry wraps around one."""
    node = schema.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)  # noqa: S101 - narrows the type for the checker
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and node in kind.interfaces:
            kind.fields["id"].resolve = Plain(_reader(kind.name))


def _reader(kind: str) -> Callable[[Any], str]:
    def read(entity: Any) -> str:
        return b2a_base64(f"{kind}:{entity.id}".encode(), newline=False).decode()

    return read
