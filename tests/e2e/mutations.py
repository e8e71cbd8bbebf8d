"""Every mutation of the schema, asked with the least that it takes."""

from collections.abc import Callable
from secrets import token_hex, token_urlsafe
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
)

from schema.schema import schema
from tests.e2e.stack import PASSWORD

SAID: dict[str, Callable[[], Any]] = {
    "email": lambda: f"person-{token_hex(6)}@example.com",
    "token": lambda: token_urlsafe(32),
    "state": lambda: token_urlsafe(32),
    "password": lambda: PASSWORD,
    "currentPassword": lambda: PASSWORD,
    "newPassword": lambda: f"{PASSWORD}, and another",
    "provider": lambda: "sandbox",
    "using": lambda: {"nothing": True},
    "graceSeconds": lambda: 60,
    "file": lambda: None,  # which is uploaded beside
}
BESIDE = {"CompleteAuthorizationInput": "code"}  # of two, one is needed
OF_SCALAR: dict[str, Any] = {
    "ID": "an id of nothing",
    "String": "x",
    "Int": 1,
    "Boolean": True,
    "Date": "2026-01-01",
    "DateTime": "2026-01-01T00:00:00Z",
    "Decimal": "1.00",
    "Currency": "USD",
}


def mutations() -> dict[str, GraphQLField]:
    assert schema.mutation_type is not None
    return dict(schema.mutation_type.fields)


def asked(name: str) -> tuple[str, dict[str, Any]]:
    """The document and the variables of a mutation."""
    field = mutations()[name]
    needed = {n: a for n, a in field.args.items() if _is_needed(a)}
    declared = ", ".join(f"${n}: {a.type}" for n, a in needed.items())
    passed = ", ".join(f"{n}: ${n}" for n in needed)
    document = f"mutation({declared}) {{ {name}({passed})" if needed else f"mutation {{ {name}"
    variables = {n: _example(n, a.type) for n, a in needed.items()}
    return f"{document} {{ errors {{ code message }} }} }}", variables


def _is_needed(said: GraphQLArgument | GraphQLInputField) -> bool:
    return isinstance(said.type, GraphQLNonNull) and said.default_value not in (True, False, "BODY")


def _example(name: str, of: Any) -> Any:
    if name in SAID:
        return SAID[name]()
    match of:
        case GraphQLNonNull():
            return _example(name, of.of_type)
        case GraphQLList():
            return [_example(name, of.of_type)]
        case GraphQLEnumType():
            return next(iter(of.values))
        case GraphQLScalarType():
            return OF_SCALAR[of.name]
        case GraphQLInputObjectType():
            beside = BESIDE.get(of.name)
            needed = {n: f for n, f in of.fields.items() if _is_needed(f) or n == beside}
            return {n: _example(n, f.type) for n, f in needed.items()}
    raise AssertionError(f"{name} is of an unknown type, {of}")
