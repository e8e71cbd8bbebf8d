"""Every root field, asked as its type says it can be."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)

from schema import ids
from schema.schema import schema

ROOTS = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}
SCALARS = {
    "String": '"x"',
    "Int": "1",
    "Float": "1.0",
    "Boolean": "false",
    "Decimal": '"1.00"',
    "Currency": '"USD"',
    "Date": '"2026-01-02"',
    "DateTime": '"2026-01-02T03:04:05Z"',
    "Upload": "$file",
}
# What is of a type and still not plausible, or would end what other tests need.
SAID = {
    "connectProvider(using)": '{credentials: [{name: "scenario", value: "none such"}]}',
    "completeAuthorization(state)": f'"{"s" * 43}"',
    "completeAuthorization(code)": '"c"',
    "rotateAllTokens(graceSeconds)": "-1",
    "events(after)": '"none such"',  # or it would wait for one
}
LAST = ("signOut",)  # the session that asks ends with it


@dataclass(frozen=True, slots=True)
class Asked:
    """One root field in an operation of its own; `id` is what it is given for every id."""

    operation: str
    name: str
    id: str = "x"
    deep: int = 0

    @property
    def field(self) -> GraphQLField:
        root = cast("GraphQLObjectType", schema.type_map[ROOTS[self.operation]])
        found: GraphQLField = root.fields[self.name]
        return found

    @property
    def takes_id(self) -> bool:
        return any(_takes_id(argument.type) for argument in self.field.args.values())

    @property
    def _kind(self) -> str | None:
        """Of what the id is."""
        known = ids.parts(self.id)
        return None if known is None else known[0]

    @property
    def has_file(self) -> bool:
        return "$file" in self._arguments(self.field)

    @property
    def document(self) -> str:
        variables = "($file: Upload!)" if self.has_file else ""
        asked = self._asked(self.name, self.field, self.deep)
        return f"{self.operation} Asked{variables} {{ {asked} }}"

    def _asked(self, name: str, field: GraphQLField, deep: int) -> str:
        return f"{name}{self._arguments(field)} {self._selection(field.type, deep)}".strip()

    def _arguments(self, field: GraphQLField) -> str:
        given = [
            f"{name}: {self._literal(name, argument.type)}"
            for name, argument in field.args.items()
            if self._is_said(name, argument)
        ]
        return f"({', '.join(given)})" if given else ""

    def _is_said(self, name: str, of: GraphQLArgument | GraphQLInputField) -> bool:
        """What is required, what is said above, and with an id to try, whatever takes one."""
        required = (
            is_required_argument(of)
            if isinstance(of, GraphQLArgument)
            else is_required_input_field(of)
        )
        takes_id = self.id != "x" and _takes_id(of.type)
        return required or takes_id or f"{self.name}({name})" in SAID

    def _literal(self, name: str, of: GraphQLInputType) -> str:
        if (said := SAID.get(f"{self.name}({name})")) is not None:
            return said
        match of:
            case GraphQLNonNull():
                return self._literal(name, of.of_type)
            case GraphQLList():
                return f"[{self._literal(name, of.of_type)}]"
            case GraphQLEnumType():
                return str(next(iter(of.values)))
            case GraphQLInputObjectType():
                given = [
                    f"{key}: {self._literal(key, field.type)}"
                    for key, field in of.fields.items()
                    if self._is_said(key, field)
                ]
                return "{" + ", ".join(given) + "}"
        kind = get_named_type(of).name
        return json.dumps(self.id) if kind == "ID" else SCALARS[kind]

    def _selection(self, of: GraphQLOutputType, deep: int) -> str:
        kind = get_named_type(of)
        if is_leaf_type(kind):
            return ""
        selected = ["__typename", *self._below(kind, deep)]
        if isinstance(kind, GraphQLInterfaceType):
            selected += [
                f"... on {one.name} {{ {' '.join(self._below(one, deep))} }}"
                for one in schema.get_possible_types(kind)
                if one.name == self._kind
            ]
        return "{ " + " ".join(selected) + " }"

    def _below(self, kind: Any, deep: int) -> Iterator[str]:
        for name, field in getattr(kind, "fields", {}).items():
            required = any(is_required_argument(a) for a in field.args.values())
            is_leaf = is_leaf_type(get_named_type(field.type))
            if name == "errors":
                yield "errors { code }"
            elif not required and (deep > 1 or (deep and is_leaf)):
                yield self._asked(name, field, deep - 1)


def _takes_id(of: GraphQLInputType) -> bool:
    named = get_named_type(of)
    if isinstance(named, GraphQLInputObjectType):
        return any(_takes_id(field.type) for field in named.fields.values())
    return named.name == "ID"


def every(
    *, id: str = "x", deep: int = 0, operations: tuple[str, ...] = tuple(ROOTS)
) -> list[Asked]:
    """All root fields, by name; those that end the session come last."""
    found = [
        Asked(operation, name, id, deep)
        for operation, root in ROOTS.items()
        if operation in operations
        for name in cast("GraphQLObjectType", schema.type_map[root]).fields
    ]
    return sorted(found, key=lambda asked: (asked.name in LAST, asked.name))
