"""What changed between two versions of the schema, and what that does to those who use it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    OperationType,
    Undefined,
    is_non_null_type,
)
from graphql.utilities import find_schema_changes
from graphql.utilities.find_schema_changes import BreakingChange, DangerousChange, SafeChangeType

COORDINATE = re.compile(r"@?\b[A-Za-z_]\w*(?:\.\w+)?(?:\(\w+:\))?")
MEMBER_OF = re.compile(r"(?:union type|implemented by) (\w+)\.$")
NO_ADDITION = frozenset({SafeChangeType.DESCRIPTION_CHANGED})


class Severity(IntEnum):
    """Of a document that was valid: it is no longer; it is, but may meet what it does not know or
    mean something else; nothing changes for it.
    """

    BREAKING = 0
    DANGEROUS = 1
    SAFE = 2


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """`line` is of the old schema, where what changed is defined there."""

    severity: Severity
    line: int
    says: str


def compare(old: GraphQLSchema, new: GraphQLSchema) -> list[Change]:
    """Breaking ones first, then as they stand in the old schema. Both are built from SDL."""
    found = {(says, severity) for severity, says in (*_known(old, new), *_missed(old, new))}
    said: dict[str, Severity] = {}
    for says, severity in found:
        said[says] = min(severity, said.get(says, severity))
    return sorted(Change(severity, _line(old, says), says) for says, severity in said.items())


def _known(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[tuple[Severity, str]]:
    """What graphql-core finds. Descriptions are for people, and break nothing."""
    for change in find_schema_changes(old, new):
        if isinstance(change, BreakingChange):
            yield Severity.BREAKING, change.description
        elif isinstance(change, DangerousChange):
            yield Severity.DANGEROUS, change.description
        elif change.type.name.endswith("DEFAULT_VALUE_ADDED"):
            yield Severity.DANGEROUS, change.description  # for whoever leaves it out
        elif change.type not in NO_ADDITION:
            yield Severity.SAFE, change.description


def _missed(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[tuple[Severity, str]]:
    yield from _roots(old, new)
    for name, before in old.type_map.items():
        after = new.type_map.get(name)
        if name.startswith("__") or after is None or type(before) is not type(after):
            continue
        yield from _of_type(before, after)
    for name, after in new.type_map.items():
        if isinstance(after, GraphQLObjectType) and name not in old.type_map:
            for interface in after.interfaces:
                if isinstance(old.type_map.get(interface.name), GraphQLInterfaceType):
                    says = f"{interface.name} may be a {name} too, which is new."
                    yield Severity.DANGEROUS, says


def _roots(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[tuple[Severity, str]]:
    """Documents name no root type: it may be called otherwise, as long as it is the same kind."""
    for kind in OperationType:
        before, after = old.get_root_type(kind), new.get_root_type(kind)
        if before is not None and after is None:
            yield Severity.BREAKING, f"{before.name} is no longer the type of a {kind.value}."
        elif before is not None and after is not None and before.name != after.name:
            said = f"The type of a {kind.value} changed from {before.name} to {after.name}."
            yield Severity.BREAKING, said


def _of_type(before: GraphQLNamedType, after: GraphQLNamedType) -> Iterator[tuple[Severity, str]]:
    name = before.name
    if isinstance(before, GraphQLScalarType) and isinstance(after, GraphQLScalarType):
        if before.specified_by_url != after.specified_by_url:
            yield Severity.DANGEROUS, f"{name} is specified by something else."
        return
    if isinstance(before, GraphQLEnumType) and isinstance(after, GraphQLEnumType):
        for value, now in after.values.items():
            yield from _deprecated(f"{name}.{value}", before.values.get(value), now)
        return
    if isinstance(before, GraphQLInputObjectType) and isinstance(after, GraphQLInputObjectType):
        if after.is_one_of and not before.is_one_of:
            yield Severity.BREAKING, f"{name} takes exactly one of its fields now (@oneOf)."
        for field, given in after.fields.items():
            at = f"{name}.{field}"
            yield from _deprecated(at, before.fields.get(field), given)
            yield from _required(at, before.fields.get(field), given)
        return
    fields = getattr(before, "fields", {})
    for field, now in getattr(after, "fields", {}).items():
        was = fields.get(field)
        yield from _deprecated(f"{name}.{field}", was, now)
        known = {} if was is None else was.args
        for argument, given in now.args.items():
            at = f"{name}.{field}({argument}:)"
            yield from _deprecated(at, known.get(argument), given)
            yield from _required(at, known.get(argument), given)


def _required(
    at: str,
    before: GraphQLArgument | GraphQLInputField | None,
    after: GraphQLArgument | GraphQLInputField,
) -> Iterator[tuple[Severity, str]]:
    """Whoever left it out can no longer."""
    lost = before is not None and _default(before) and not _default(after)
    if lost and is_non_null_type(after.type):
        yield Severity.BREAKING, f"{at} has no default value any more, and is required."


def _default(of: GraphQLArgument | GraphQLInputField) -> bool:
    return of.default_value is not Undefined or of.default is not None


def _deprecated(at: str, before: object, after: object) -> Iterator[tuple[Severity, str]]:
    was, now = (getattr(each, "deprecation_reason", None) is not None for each in (before, after))
    if before is not None and now and not was:
        yield Severity.SAFE, f"{at} is deprecated now."


def _line(old: GraphQLSchema, says: str) -> int:
    """Of the first thing that is named and stands in the old schema; 0 where none does."""
    for found in (*MEMBER_OF.findall(says), *COORDINATE.findall(says)):
        node = _node(old, found)
        if node is not None and node.loc is not None:
            return int(node.loc.start_token.line)
    return 0


def _node(old: GraphQLSchema, coordinate: str) -> Any:
    whole, _, argument = coordinate.partition("(")
    if whole.startswith("@"):
        found: Any = old.get_directive(whole[1:])
    else:
        name, _, member = whole.partition(".")
        found = old.type_map.get(name)
        if found is not None and member:
            members = getattr(found, "fields", None) or getattr(found, "values", {})
            found = members.get(member) or found
    if argument:
        found = getattr(found, "args", {}).get(argument.rstrip(":)")) or found
    return getattr(found, "ast_node", None)
