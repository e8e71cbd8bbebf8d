"""The permission matrix: what the fields declare is what really happens."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, GraphQLString

import schema
from adapters.security.casbin_policy import CasbinPolicy, default_policy
from domain.identity import Permission, Role
from schema.fields import Rule
from schema.identity import STANDS_ALONE
from schema.permissions import may, printed, root_fields
from tests.e2e.live import live
from tests.e2e.stack import Client, Program
from tests.roles.asking import Asked, every
from tests.roles.conftest import ROLES, Home, at_home
from tests.servers import Database

allows = CasbinPolicy(default_policy()).allows
RULES = {name: rule for rules in root_fields().values() for name, rule in rules.items()}
IDS = [role.value if role else "signed out" for role in ROLES]


def rule_of(name: str) -> Rule:
    rule = RULES[name]
    assert rule is not None, f"{name} declares no rule"
    return rule


def test_every_root_field_declares_a_rule() -> None:
    assert [name for name, rule in RULES.items() if rule is None] == []
    assert RULES.keys() == {asked.name for asked in every()}


def test_a_field_without_a_rule_would_be_found() -> None:
    bare = GraphQLObjectType("Query", {"new": GraphQLField(GraphQLString)})

    assert root_fields(GraphQLSchema(bare)) == {"Query": {"new": None}}


def test_the_matrix_is_the_one_that_is_checked_in() -> None:
    checked_in = Path(schema.__path__[0]) / "permissions.md"

    assert checked_in.read_text("utf-8") == printed(allows)


def test_what_anyone_may_ask_is_what_works_signed_out() -> None:
    signed_out = {name for name in RULES if may(rule_of(name), None, allows)}

    assert signed_out == {
        *("register", "verifyEmail", "signIn", "refreshSession"),
        *("requestPasswordReset", "resetPassword", "providers", "importFormats"),
    }


def test_readonly_looks_after_its_own_identity_reads_and_does_nothing_else() -> None:
    reading = {asked.name for asked in every(operations=("query", "subscription"))} - {"admin"}
    permitted = {name for name in RULES if may(rule_of(name), Role.READONLY, allows)}

    assert permitted == reading | STANDS_ALONE


def test_only_administrators_administer() -> None:
    administrative = {Permission.READ_ADMIN, Permission.ADMINISTER}
    theirs = {name for name in RULES if rule_of(name).permits in administrative}

    assert theirs == {"admin", "setRole", "rotateAllTokens", "rotateUserTokens"}
    assert {n for n in RULES if not may(rule_of(n), Role.USER, allows)} == theirs
    assert all(may(rule_of(name), Role.ADMIN, allows) for name in RULES)


@pytest.mark.parametrize("role", ROLES, ids=IDS)
async def test_every_root_field_lets_in_whom_its_rule_says(home: Home, role: Role | None) -> None:
    """So that a rule that is declared and not asked fails, and one that is asked otherwise."""
    met, wanted = {}, {}
    async with home.somebody(role) as client:
        for asked in every():
            met[asked.name] = await refusal(home, client, asked)
            permitted = may(rule_of(asked.name), role, allows)
            refused = "NOT_PERMITTED" if role else "UNAUTHENTICATED"
            wanted[asked.name] = None if permitted else refused

    assert met == wanted


async def test_where_the_policy_permits_nothing_every_field_that_asks_refuses(
    database: Database, tmp_path: Path
) -> None:
    """Denied by default, administrators too; and so that no rule goes unasked because all roles
    have it."""
    async with at_home(database, tmp_path) as own, own.somebody(Role.ADMIN) as client:
        await own.spy.execute("TRUNCATE casbin_rules")
        while await refusal(own, client, Asked("query", "admin")) is None:  # noqa: ASYNC110 - by HTTP
            await asyncio.sleep(0.02)
        met = {asked.name: await refusal(own, client, asked) for asked in every()}

    asking = {name for name in RULES if rule_of(name).permits is not None}
    assert {name for name, refused in met.items() if refused == "NOT_PERMITTED"} == asking
    assert {met[name] for name in RULES if name not in asking} == {None}


async def test_a_mutation_is_refused_in_the_command_that_it_declares(home: Home) -> None:
    async with home.somebody(Role.READONLY) as client:
        for asked in every(operations=("mutation",)):
            if not may(rule_of(asked.name), Role.READONLY, allows):
                await refusal(home, client, asked)
        rows = await home.spy.fetch(
            "SELECT l.action FROM audit_log l JOIN users u ON u.user_id = l.actor_id"
            " WHERE u.email = $1 AND l.detail = 'NOT_PERMITTED'",
            client.email,
        )

    refused = {n for n in RULES if not may(rule_of(n), Role.READONLY, allows)} - {"admin"}
    assert sorted(row["action"] for row in rows) == sorted(
        str(rule_of(name).command) for name in refused
    )


async def refusal(home: Home, client: Client, asked: Asked) -> str | None:
    """Why it was refused for who asks, or None; whatever else becomes of it."""
    if asked.operation == "subscription":
        answer = await over_a_socket(home, client, asked)
    elif asked.has_file:
        answer = await with_a_file(client, asked)
    else:
        answer = (await client.post(asked.document)).json()
    codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
    payload = (answer.get("data") or {}).get(asked.name)
    if asked.operation == "mutation" and payload is not None:
        codes += [error["code"] for error in payload["errors"]]
    assert not {*codes} & {"INTERNAL", "GRAPHQL_VALIDATION_FAILED", "UNAVAILABLE"}, answer
    return next((code for code in codes if code in {"NOT_PERMITTED", "UNAUTHENTICATED"}), None)


async def over_a_socket(home: Home, client: Client, asked: Asked) -> dict[str, Any]:
    async with live(cast("Program", SimpleNamespace(url=home.url)), client.token) as socket:
        await socket.subscribe(asked.document)
        message = await socket.next()
    payload = message["payload"]
    return {"errors": payload} if isinstance(payload, list) else dict(payload)


async def with_a_file(client: Client, asked: Asked) -> dict[str, Any]:
    said = {"query": asked.document, "variables": {"file": None}}
    form = {"operations": json.dumps(said), "map": '{"0": ["variables.file"]}'}
    headers = {"graphql-preflight": "1"}
    if client.token is not None:
        headers["authorization"] = f"Bearer {client.token}"
    answer = await client.http.post(
        "/graphql", data=form, files={"0": ("a.qfx", b"no statement")}, headers=headers
    )
    found: dict[str, Any] = answer.json()
    return found
