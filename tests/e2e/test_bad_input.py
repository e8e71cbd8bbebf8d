"""Whatever is sent, the answer is a refusal in JSON: never a 5xx, never another's data."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_required_argument,
    is_required_input_field,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.ids import global_id
from schema.schema import schema
from tests.e2e.linking import checking as a_statement
from tests.e2e.linking import import_file
from tests.e2e.stack import Client, Stack, a_free_port, environment, running, until_ready

NEW = "application/graphql-response+json"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
async def owner(stack: Stack) -> AsyncIterator[Client]:
    async with stack.somebody() as client:
        await import_file(client, a_statement("-1.00", "-2.00"))
        yield client


def code(error: dict[str, Any]) -> str:
    assert error["message"]
    assert error["extensions"]["traceId"]
    found: str = error["extensions"]["code"]
    return found


@pytest.mark.parametrize(
    "field",
    [
        "transactions(first: 0) { totalCount }",
        "transactions(first: -1) { totalCount }",
        "transactions(first: 501) { totalCount }",
        "holdings(first: 501) { totalCount }",
        "syncRuns(first: 0) { nodes { id } }",
        'transactions(after: "nonsense") { totalCount }',
        'transactions(after: "") { totalCount }',
        'holdings(after: "AAAA") { totalCount }',
        'syncRuns(after: "AAAA") { nodes { id } }',
        'balanceHistory(from: "2026-02-01", to: "2026-01-01") { at }',
        'netWorthHistory(from: "2026-02-01", to: "2026-01-01") { at }',
        "netWorthHistory(interval: RAW) { at }",
        'balanceHistory(from: "1900-01-01", to: "2026-01-01") { at }',
        'transactions(filter: {from: "0001-01-01"}, first: 0) { totalCount }',
    ],
)
async def test_an_argument_out_of_range_is_a_field_error_at_200(owner: Client, field: str) -> None:
    answer = await owner.post(f"{{ viewer {{ email }} {field} }}", accept=NEW)

    assert answer.status_code == 200
    [error] = answer.json()["errors"]
    assert code(error) == "BAD_USER_INPUT"
    assert error["path"] == [field.partition("(")[0]]


async def test_a_variable_out_of_range_is_the_same_as_a_literal(owner: Client) -> None:
    [error] = await owner.errors(
        "query($n: Int!) { accounts { transactions(first: $n) { totalCount } } }", n=0
    )

    assert code(error) == "BAD_USER_INPUT"
    assert error["path"] == ["accounts", 0, "transactions"]


@pytest.mark.parametrize("field", ["node", "account", "link", "syncRun"])
async def test_a_malformed_a_foreign_and_an_absent_id_get_the_same_bytes(
    owner: Client, bob: Client, field: str
) -> None:
    [account] = (await owner.ask("{ accounts { id link { id lastRun { id } } } }"))["accounts"]
    foreign = {
        "node": account["id"],
        "account": account["id"],
        "link": account["link"]["id"],
        "syncRun": account["link"]["lastRun"]["id"],
    }[field]
    kind = {"node": "Account", "account": "Account", "link": "Link", "syncRun": "SyncRun"}[field]
    query = f"query($id: ID!) {{ {field}(id: $id) {{ __typename id }} }}"
    said = [foreign, global_id(kind, UUID(int=7)), "nonsense", "", "💰", "A" * 5_000, 7]
    said += [global_id("User", UUID(int=7)), foreign + "\n", f" {foreign}"]

    answers = [await bob.post(query, {"id": id}, traceparent=TRACEPARENT) for id in said]

    assert {answer.content for answer in answers} == {
        json.dumps({"data": {field: None}}, separators=(",", ":")).encode()
    }


async def test_ids_that_are_not_theirs_match_nothing_in_a_filter(
    owner: Client, bob: Client
) -> None:
    [account] = (await owner.ask("{ accounts { id } }"))["accounts"]
    query = """query($ids: [ID!]!) {
      accounts(filter: {ids: $ids}) { id } balanceHistory(accountIds: $ids) { at }
      transactions(filter: {accountIds: $ids}) { totalCount }
      holdings(filter: {accountIds: $ids}) { totalCount } nodes(ids: $ids) { id } }"""

    found = await bob.ask(query, ids=[account["id"], "nonsense"])

    assert found == {
        "accounts": [],
        "balanceHistory": [],
        "transactions": {"totalCount": 0},
        "holdings": {"totalCount": 0},
        "nodes": [None, None],
    }
    mine = await owner.ask(query, ids=[account["id"], "nonsense"])
    assert mine["transactions"] == {"totalCount": 2}
    many = (await owner.post(query, {"ids": ["x"] * 501})).json()
    assert {code(e) for e in many["errors"]} == {"BAD_USER_INPUT"}
    assert await owner.ask("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["x"] * 500)


@pytest.mark.parametrize(
    ("declared", "use", "value"),
    [
        ("Decimal", "transactions(filter: {minAmount: $v}) { totalCount }", value)
        for value in (
            "NaN",
            "Infinity",
            "1e5",
            "1E-8",
            "+1",
            "01",
            ".5",
            "1.",
            "\u0661",
            1,
            1.5,
            True,
            "",
        )
    ]
    + [
        ("Date", "transactions(filter: {from: $v}) { totalCount }", value)
        for value in (
            "2026-02-30",
            "2026-1-1",
            "today",
            20260101,
            "2026-01-01T00:00:00Z",
            "",
            "9999-99-99",
        )
    ]
    + [
        ("Currency", "netWorth(currency: $v) { total { amount } }", value)
        for value in ("usd", "XXQ", "", "US$", 5)
    ]
    + [
        ("Int!", "transactions(first: $v) { totalCount }", value)
        for value in ("5", 1.5, 2**31, None, True)
    ]
    + [("Interval!", "balanceHistory(interval: $v) { at }", value) for value in ("day", 1, "YEAR")],
)
async def test_a_value_that_does_not_coerce_is_refused(
    owner: Client, declared: str, use: str, value: object
) -> None:
    refused = await owner.post(f"query($v: {declared}) {{ {use} }}", {"v": value}, accept=NEW)

    assert refused.status_code == 400
    assert "data" not in refused.json()
    assert [code(e) for e in refused.json()["errors"]] == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud800"])
async def test_text_that_no_database_holds_is_refused_everywhere(owner: Client, text: str) -> None:
    written = json.dumps(text)
    bodies = [
        {
            "query": "query($v: String) { transactions(filter: {search: $v}) { totalCount } }",
            "variables": {"v": text},
        },
        {"query": f"{{ transactions(filter: {{search: {written}}}) {{ totalCount }} }}"},
        {"query": "query($v: ID!) { node(id: $v) { id } }", "variables": {"v": text}},
        {"query": f"{{ node(id: {written}) {{ id }} }}"},
        {
            "query": "mutation($v: String!) { updateSettings(input: {timeZone: $v}) { errors { code } } }",
            "variables": {"v": text},
        },
    ]
    for body in bodies:
        headers = {"authorization": f"Bearer {owner.token}", "content-type": "application/json"}
        answer = await owner.http.post("/graphql", content=json.dumps(body), headers=headers)

        assert answer.status_code == 400, (body, answer.text)
        assert code(answer.json()["errors"][0]) == "BAD_USER_INPUT"


async def test_an_unknown_field_is_named_with_what_may_be_meant(owner: Client) -> None:
    answer = await owner.post("{ account { name } acounts { name } }", accept=NEW)

    assert answer.status_code == 400
    messages = [error["message"] for error in answer.json()["errors"]]
    assert any("Did you mean 'accounts'" in message for message in messages), messages


@pytest.mark.parametrize(
    "document",
    [
        "{ a: viewer { email } " + " ".join(f"a{n}: viewer {{ email }}" for n in range(40)) + "}",
        "{ accounts " + "{ link { accounts " * 8 + "{ id }" + " } }" * 8 + " }",
        "{ " + "viewer { email } " * 1_100 + "}",
        "query { viewer { ...A } } "
        + " ".join(f"fragment A{n} on Viewer {{ ...A{n + 1} ...A{n + 1} }}" for n in range(58))
        + " fragment A on Viewer { ...A0 ...A0 } fragment A58 on Viewer { email }",
        "{ viewer " + "@include(if: true) " * 60 + "{ email } }",
        "{" * 20_000,
        "{ __schema { types " + "{ fields { type " * 9 + "{ name }" + " } }" * 9 + " } }",
    ],
    ids=["aliases", "depth", "fields", "fragments", "directives", "braces", "introspection"],
)
async def test_a_bomb_is_refused_at_once(owner: Client, document: str) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    answer = await owner.post(document, accept=NEW)

    assert answer.status_code == 400
    assert code(answer.json()["errors"][0]) in ("TOO_COMPLEX", "GRAPHQL_PARSE_FAILED")
    assert loop.time() - began < 1


async def test_introspection_is_for_development(
    stack: Stack, owner: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    query = '{ __schema { queryType { name } } __type(name: "Viewer") { name } }'
    assert (await owner.ask(query))["__schema"] == {"queryType": {"name": "Query"}}

    folder = tmp_path_factory.mktemp("production")
    environ = environment(
        stack.database,
        folder,
        a_free_port(),
        DASHTAM_MODE="production",
        DASHTAM_KEYRING=str(stack.settings.keyring),
        DASHTAM_ARGON2="m=19456,t=2,p=1",
    )
    async with running("serve", environ, folder) as production:
        await until_ready(production)
        async with stack.nobody(production) as client:
            client.token = owner.token  # the same keys and the same public address

            for document in (query, "{ viewer { __typename email emial } }"):
                refused = await client.post(document, accept=NEW)
                assert refused.status_code == 400
                [error] = refused.json()["errors"]
                assert code(error) == "GRAPHQL_VALIDATION_FAILED"
                assert "Did you mean" not in error["message"]
            offered = await client.ask("{ viewer { __typename email } providers { slug } }")
            assert offered["viewer"] == {"__typename": "Viewer", "email": owner.email}
            assert "sandbox" not in [p["slug"] for p in offered["providers"]]


# ── whatever can be written in this schema ──────────────────────────────────

VALUES: dict[str, list[Any]] = {
    "String": ["", "x", "💰", "%_\\", "x" * 300, "2026-01-01"],
    "Int": [0, 1, -1, 5, 500, 501, 2**31 - 1, -(2**31)],
    "Float": [0, 1.5, -1e300],
    "Boolean": [True, False],
    "ID": ["", "x", global_id("Account", UUID(int=1)), global_id("Link", UUID(int=2)), 7],
    "Decimal": ["0", "-1.5", "9" * 28, "0." + "0" * 27 + "1", "NaN"],
    "Date": ["2026-01-01", "0001-01-01", "9999-12-31", "2026-02-29"],
    "DateTime": [
        "2026-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999+14:00",
    ],
    "Currency": ["USD", "EUR", "BTC", "usd"],
    "Upload": ["x"],
}


def values(of: GraphQLInputType, depth: int = 0) -> st.SearchStrategy[Any]:
    if isinstance(of, GraphQLNonNull):
        return present(of.of_type, depth)
    return st.one_of(st.none(), present(of, depth))


def present(of: Any, depth: int) -> st.SearchStrategy[Any]:
    if isinstance(of, GraphQLList):
        return st.lists(values(of.of_type, depth + 1), max_size=3)
    if isinstance(of, GraphQLEnumType):
        return st.sampled_from(sorted(of.values))
    if isinstance(of, GraphQLInputObjectType):
        fields = {name: values(field.type, depth + 1) for name, field in of.fields.items()}
        optional = {n: s for n, s in fields.items() if not is_required_input_field(of.fields[n])}
        needed = {n: s for n, s in fields.items() if n not in optional}
        return st.fixed_dictionaries(needed, optional=optional)
    return st.sampled_from(VALUES[of.name])


def selection(of: Any, depth: int) -> str:
    named = get_named_type(of)
    if isinstance(named, GraphQLInterfaceType | GraphQLUnionType):
        return "{ __typename }"
    if not isinstance(named, GraphQLObjectType):
        return ""
    shown = []
    for name, field in named.fields.items():
        if depth <= 0 and isinstance(
            get_named_type(field.type), GraphQLObjectType | GraphQLInterfaceType
        ):
            continue
        if not any(is_required_argument(a) for a in field.args.values()):
            shown.append(f"{name} {selection(field.type, depth - 1)}")
    return "{ __typename " + " ".join(shown) + " }"


@st.composite
def operations(draw: st.DrawFn) -> dict[str, Any]:
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    kind, root = draw(
        st.sampled_from([("query", schema.query_type), ("mutation", schema.mutation_type)])
    )
    # Signing in is hashing, and signing out ends the session of the test.
    spared = {"signIn", "signOut", "connectProvider", "sync"}
    name = draw(st.sampled_from(sorted(set(root.fields) - spared)))
    field = root.fields[name]
    given_ = {
        n: draw(values(a.type))
        for n, a in field.args.items()
        if is_required_argument(a) or draw(st.booleans())
    }
    declared = ", ".join(f"${n}: {field.args[n].type}" for n in given_)
    passed = ", ".join(f"{n}: ${n}" for n in given_)
    query = f"{kind}{f'({declared})' if declared else ''} {{ {name}{f'({passed})' if passed else ''} {selection(field.type, draw(st.integers(0, 2)))} }}"
    return {"query": query, "variables": given_}


@given(bodies=st.lists(operations(), min_size=8, max_size=8))
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
async def test_no_operation_of_the_schema_is_a_bug(
    owner: Client, bodies: list[dict[str, Any]]
) -> None:
    for body in bodies:
        answer = await owner.post(body["query"], body["variables"])

        assert answer.status_code in (200, 400), (body, answer.text)
        codes = [code(error) for error in answer.json().get("errors", [])]
        assert "INTERNAL" not in codes, (body, answer.text)
        assert "GRAPHQL_VALIDATION_FAILED" not in codes, (body, answer.text)
