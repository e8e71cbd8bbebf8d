"""The audit log over the network: complete, nobody's else, nobody's to change, and verifiable."""

import asyncio
import importlib
import pkgutil
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import asyncpg
import httpx2
import pytest

import domain.commands
from domain.identity import Role
from gateway.audit.command import verify
from gateway.settings import SettingsError
from schema.permissions import root_fields
from tests.e2e.linking import checking, linked, upload
from tests.e2e.mutations import asked, mutations
from tests.e2e.stack import PASSWORD, SIGN_IN, Client, Stack, dashtam, environment

ACTIVITY = """query($first: Int!, $after: String) { viewer { activity(first: $first, after: $after) {
  nodes { id at action outcome resource ipAddress detail }
  edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage endCursor } } } }"""
AUDIT = """query($user: ID, $action: String, $first: Int!, $after: String) { admin {
  audit(userId: $user, action: $action, first: $first, after: $after) {
    nodes { id at action outcome resource ipAddress detail }
    pageInfo { hasNextPage endCursor } } } }"""
INTEGRITY = "{ admin { auditIntegrity { intact entries firstBrokenId } } }"
SETTINGS = """mutation($zone: String) { updateSettings(input: {timeZone: $zone}) {
  errors { code } } }"""
DISCONNECT = "mutation($id: ID!) { disconnect(linkId: $id) { errors { code } } }"
TRUNCATE = "TRUNCATE audit_log"
# What nobody asks for over the network: the shell, the worker, what a command leads to.
OF_THE_SHELL = {"user.create", "role.grant"}
OF_THE_WORKER = {"sync.schedule", "sync.run", "user.register", "password_reset.mail"}
OF_THE_WORKER |= {"link.renew", "link.expire"}
OF_PROVIDERS = {"link.notice"}  # their webhooks
BESIDE = {"link.authorize"}  # connectProvider, where consent is asked for first


@pytest.fixture
async def spy(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    """Sees every row."""
    connection = await asyncpg.connect(stack.database.superuser_url)
    yield connection
    await connection.close()


def every_action() -> set[str]:
    found = set()
    for module in pkgutil.walk_packages(domain.commands.__path__, "domain.commands."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(action := getattr(value, "action", None), str) and callable(value):
                found.add(action)
    return found


async def is_signed_in(client: Client) -> bool:
    return (await client.post("{ viewer { id } }")).status_code == 200


def traced(client: Client, trace: str) -> None:
    client.http.headers["traceparent"] = f"00-{trace}-{token_hex(8)}-01"


async def of_trace(spy: asyncpg.Connection, trace: str) -> list[asyncpg.Record]:
    rows: list[asyncpg.Record] = await spy.fetch(
        "SELECT * FROM audit_log WHERE trace_id = $1 ORDER BY seq", trace
    )
    return rows


def pairs(rows: list[asyncpg.Record]) -> list[tuple[str, str]]:
    """Action and outcome of each attempt, of which every one has exactly one outcome."""
    attempts = {r["id"].int: r for r in rows if r["outcome"] == "ATTEMPTED"}
    outcomes = {r["id"].int ^ 1: r for r in rows if r["outcome"] != "ATTEMPTED"}
    assert len(attempts) + len(outcomes) == len(rows)
    assert attempts.keys() == outcomes.keys(), rows
    for key, attempt in attempts.items():
        outcome = outcomes[key]
        for column in ("user_id", "actor_id", "session_id", "action", "resource", "ip_address"):
            assert attempt[column] == outcome[column], (column, attempt, outcome)
        assert attempt["seq"] < outcome["seq"]
    return [(row["action"], row["outcome"]) for row in outcomes.values()]


async def test_every_mutation_leaves_exactly_an_attempt_and_its_outcome(
    stack: Stack, spy: asyncpg.Connection
) -> None:
    rules = root_fields()["Mutation"]
    async with AsyncExitStack() as clients:
        client = await clients.enter_async_context(stack.somebody(Role.ADMIN))
        for name in mutations():
            if not await is_signed_in(client):  # the one before ended that
                client = await clients.enter_async_context(stack.somebody(Role.ADMIN))
            rule, trace = rules[name], token_hex(16)
            assert rule is not None
            assert rule.command is not None
            traced(client, trace)
            if name == "importStatement":
                answer = (await upload(client, checking("-1.00"))).json()
            else:
                answer = (await client.post(*asked(name))).json()
            assert "errors" not in answer, (name, answer)
            rows = [row for row in await of_trace(spy, trace) if row["action"] == rule.command]
            [(_, outcome)] = pairs(rows)
            assert outcome in {"SUCCEEDED", "FAILED"}, name
            assert {row["ip_address"] for row in rows} == {"127.0.0.1"}, name

    by_mutation = {rule.command for rule in rules.values() if rule is not None}
    assert every_action() == (by_mutation | OF_THE_SHELL | OF_THE_WORKER | OF_PROVIDERS | BESIDE)


async def test_what_a_person_did_is_on_record_with_its_outcome_and_nothing_twice(
    stack: Stack, spy: asyncpg.Connection
) -> None:
    trace = token_hex(16)
    async with stack.nobody() as client:
        traced(client, trace)
        email = await stack.a_user()
        wrong = await client.do(SIGN_IN, input={"email": email, "password": "not this one"})
        assert wrong["accessToken"] is None
        await client.sign_in(email)
        link = await linked(client)
        for _ in range(2):
            said = await client.do(DISCONNECT, id=link)
            assert said["errors"] == []
        await client.do("mutation { signOut { errors { code } } }")
    rows = await of_trace(spy, trace)
    assert pairs(rows) == [
        ("session.start", "FAILED"),
        ("session.start", "SUCCEEDED"),
        ("link.connect", "SUCCEEDED"),
        ("sync.request", "SUCCEEDED"),
        ("link.disconnect", "SUCCEEDED"),
        ("link.disconnect", "SUCCEEDED"),
        ("session.end", "SUCCEEDED"),
    ]
    assert [r["detail"] for r in rows if r["outcome"] == "FAILED"] == ["SIGN_IN_FAILED"]
    assert all(PASSWORD not in str(tuple(row)) for row in rows)
    of_run = await spy.fetch(
        "SELECT * FROM audit_log WHERE user_id = $1 AND action = 'sync.run'", rows[0]["user_id"]
    )
    assert pairs(of_run) == [("sync.run", "SUCCEEDED")]
    assert {row["actor_id"] for row in of_run} == {None}  # the worker did it


async def test_activity_is_what_is_about_the_viewer_page_by_page_the_newest_first(
    stack: Stack, alice: Client, bob: Client
) -> None:
    async with stack.nobody() as stranger:
        said = {"email": alice.email, "password": "a guess"}
        await stranger.do(SIGN_IN, input=said)
    await alice.do(SETTINGS, zone="Europe/Berlin")
    seen, after = [], None
    while True:
        page = (await alice.ask(ACTIVITY, first=2, after=after))["viewer"]["activity"]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert [edge["node"]["id"] for edge in page["edges"]] == [n["id"] for n in page["nodes"]]
        seen += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert [(n["action"], n["outcome"], n["detail"]) for n in seen] == [
        ("settings.update", "SUCCEEDED", None),
        ("settings.update", "ATTEMPTED", None),
        ("session.start", "FAILED", "SIGN_IN_FAILED"),
        ("session.start", "ATTEMPTED", None),
        ("session.start", "SUCCEEDED", None),
        ("session.start", "ATTEMPTED", None),
        ("user.create", "SUCCEEDED", None),
        ("user.create", "ATTEMPTED", None),
    ]
    assert len({n["id"] for n in seen}) == 8
    assert [n["ipAddress"] for n in seen] == ["127.0.0.1"] * 6 + [None] * 2

    one = "query($id: ID!) { node(id: $id) { id ... on AuditEntry { action } } }"
    assert (await alice.ask(one, id=seen[0]["id"]))["node"]["action"] == "settings.update"
    assert (await bob.ask(one, id=seen[0]["id"]))["node"] is None
    [cursor] = [edge["cursor"] for edge in page["edges"]][-1:]
    others = (await bob.ask(ACTIVITY, first=5, after=cursor))["viewer"]["activity"]
    assert others["nodes"] == []
    for bad in ("x", "WyJ4Il0="):
        [error] = await alice.errors(ACTIVITY, first=2, after=bad)
        assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_an_administrator_sees_everyones_by_person_and_action_and_nobody_else_does(
    stack: Stack, alice: Client
) -> None:
    await alice.do(SETTINGS, zone="Europe/Berlin")
    alices = (await alice.ask("{ viewer { id } }"))["viewer"]["id"]
    whose = b64encode(b64decode(alices).replace(b"Viewer:", b"User:")).decode()
    async with stack.somebody(Role.ADMIN) as admin:
        page = (await admin.ask(AUDIT, user=whose, action="settings.update", first=1))["admin"]
        [entry] = page["audit"]["nodes"]
        assert (entry["action"], entry["outcome"]) == ("settings.update", "SUCCEEDED")
        assert page["audit"]["pageInfo"]["hasNextPage"]
        after = page["audit"]["pageInfo"]["endCursor"]
        rest = (await admin.ask(AUDIT, user=whose, first=99, after=after))["admin"]["audit"]
        assert [n["action"] for n in rest["nodes"]] == [
            *("settings.update", "session.start", "session.start", "user.create", "user.create")
        ]
        everyones = (await admin.ask(AUDIT, first=3))["admin"]["audit"]["nodes"]
        assert len(everyones) == 3
        for nobody in ("x", whose[:-4]):
            assert (await admin.ask(AUDIT, user=nobody, first=9))["admin"]["audit"]["nodes"] == []
        async with asyncio.timeout(10):  # the worker's first round is soon over
            while not (found := await integrity(admin))["intact"]:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert found["firstBrokenId"] is None
    [error] = await alice.errors(AUDIT, first=3)
    assert error["extensions"]["code"] == "NOT_PERMITTED"


async def test_requests_at_once_never_have_each_others_address(
    stack: Stack, spy: asyncpg.Connection
) -> None:
    """From twelve addresses of this machine, signing in and changing something, all at once."""
    people = [await stack.a_user() for _ in range(12)]  # no more than may wait for a hash
    asked_from: dict[str, str] = {}

    async def live(number: int, email: str) -> None:
        address = f"127.0.0.{number + 10}"
        transport = httpx2.AsyncHTTPTransport(local_address=address)
        async with httpx2.AsyncClient(base_url=stack.gateway.url, transport=transport) as http:
            client = Client(http)
            for password in ("a guess", PASSWORD):
                asked_from[trace := token_hex(16)] = address
                traced(client, trace)
                await client.sign_in(email, password)
            for zone in ("Europe/Berlin", "Europe/Paris", "Asia/Tokyo"):
                asked_from[trace := token_hex(16)] = address
                traced(client, trace)
                assert (await client.do(SETTINGS, zone=zone))["errors"] == []

    await asyncio.gather(*(live(number, email) for number, email in enumerate(people)))
    rows = await spy.fetch(
        "SELECT * FROM audit_log WHERE trace_id = ANY ($1) ORDER BY seq", [*asked_from]
    )
    assert len(rows) == 12 * 5 * 2
    assert [row for row in rows if row["ip_address"] != asked_from[row["trace_id"]]] == []
    for trace in asked_from:
        assert len(pairs([row for row in rows if row["trace_id"] == trace])) == 1


async def test_nobody_rewrites_the_log_and_the_shell_verifies_it(
    stack: Stack, spy: asyncpg.Connection, tmp_path: Path
) -> None:
    for statement in ("UPDATE audit_log SET detail = 'x'", "DELETE FROM audit_log", TRUNCATE):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await spy.execute(statement)
    await until_sealed(spy)
    environ = environment(stack.database, stack.folder, 1)
    said = await dashtam("audit", "verify", environ=environ, folder=stack.folder)
    assert said.code == 0, said
    assert said.out.startswith("intact: ")
    assert "checkpoints agree" in said.out

    elsewhere = replace(stack.settings, audit_checkpoints=tmp_path)
    found, intact = await verify(elsewhere, print)
    assert not intact
    assert found.startswith("NOT VOUCHED FOR: ")
    (tmp_path / "audit-2026-01.jsonl").mkdir()
    with pytest.raises(SettingsError, match=r"2026-01\.jsonl cannot be read \(Is a directory\)"):
        await verify(elsewhere, print)

    row = await spy.fetchrow("SELECT * FROM audit_log ORDER BY seq LIMIT 1")
    await spy.execute("SET session_replication_role = replica")
    change = "UPDATE audit_log SET ip_address = $2 WHERE seq = $1"
    await spy.execute(change, row["seq"], "203.0.113.1")
    try:
        found, intact = await verify(stack.settings, print)
    finally:
        await spy.execute(change, row["seq"], row["ip_address"])
    assert not intact
    assert f"NOT INTACT at position 1, seq {row['seq']}, id {row['id']}: the row was" in found


async def integrity(admin: Client) -> dict[str, Any]:
    found: dict[str, Any] = (await admin.ask(INTEGRITY))["admin"]["auditIntegrity"]
    return found


async def until_sealed(spy: asyncpg.Connection) -> None:
    async with asyncio.timeout(10):
        while await spy.fetchval("SELECT count(*) FROM audit_unsealed"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
