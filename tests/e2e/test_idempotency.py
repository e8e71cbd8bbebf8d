"""Mutations with an Idempotency-Key, over HTTP: each is done once, whoever dies or hangs up."""

import asyncio
import json
import os
import secrets
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import httpx2
import pytest

from domain.commands.attempts import user_of
from domain.identity import Role
from gateway.asgi import _sessions, create_app, graphql_view
from gateway.operations.idempotency import ANSWERS, WAITING_MAX
from gateway.settings import Settings
from tests.e2e.linking import checking
from tests.e2e.stack import (
    Client,
    Stack,
    a_free_port,
    environment,
    running,
    served_here,
    until_ready,
)
from tests.engine.cut import cut
from tests.gateway.http.served import served

CREATE = "mutation Create($input: CreateManualAccountInput!) { createManualAccount(input: $input) { account { id name asOf } errors { code message } } }"
TWICE = "mutation Twice($input: CreateManualAccountInput!) { a: createManualAccount(input: $input) { account { id } } b: createManualAccount(input: $input) { account { id } } }"
CONNECT = "mutation($input: ConnectProviderInput!) { connectProvider(input: $input) { link { id } errors { code } } }"
RENAME = "mutation($input: UpdateAccountInput!) { updateAccount(input: $input) { account { nickname } errors { code } } }"
SETTINGS = "mutation($input: UpdateSettingsInput!) { updateSettings(input: $input) { viewer { timeZone } errors { code field } } }"
IMPORT = 'mutation($file: Upload!) { importStatement(input: {provider: "file", file: $file}) { run { id status } errors { code message } } }'
ACCOUNTS = "{ accounts { id name } }"
HOUSE = {"name": "House", "type": "OTHER", "currency": "USD", "balance": "250000.00"}
NOW = {"claimed_until": "now() - interval '1 second'"}


@pytest.fixture
async def spy(stack: Stack) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(stack.database.superuser_url)
    yield connection
    await connection.close()


def a_key() -> str:
    return secrets.token_urlsafe(16)


async def post(
    client: Client, key: str, query: str = CREATE, variables: Any = None
) -> httpx2.Response:
    """Again where the gateway has no place for it, as clients do."""
    said = {"input": HOUSE} if variables is None else variables
    while True:
        answer = await client.post(query, said, idempotency_key=key)
        if answer.status_code != 503:
            return answer
        await asyncio.sleep(0.1)


def refusal(answer: httpx2.Response) -> tuple[int, str, str]:
    [error] = answer.json()["errors"]
    assert error["extensions"]["traceId"]
    return answer.status_code, error["extensions"]["code"], error["message"]


def replayed(answer: httpx2.Response) -> bool:
    assert answer.status_code == 200, answer.text
    return answer.headers.get("idempotency-replayed") == "true"


async def accounts(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.ask(ACCOUNTS))["accounts"]
    return found


async def age(spy: asyncpg.Connection, client: Client, **columns: str) -> None:
    said = ", ".join(f"{name} = {value}" for name, value in columns.items())
    whose = "(SELECT user_id FROM users WHERE email = $1)"
    await spy.execute(f"UPDATE idempotency_keys SET {said} WHERE user_id = {whose}", client.email)


async def until_held(spy: asyncpg.Connection) -> None:
    """Until another waits for the row that the spy holds."""
    held = (
        "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    )
    async with asyncio.timeout(30):
        while not await spy.fetchval(held):  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.01)


# ── once ────────────────────────────────────────────────────────────────────


async def test_fifty_at_once_make_one_account_and_get_one_answer(alice: Client) -> None:
    key = a_key()
    answers = await asyncio.gather(*(post(alice, key) for _ in range(50)))
    assert sorted(map(replayed, answers)) == [False] + [True] * 49
    [body] = {answer.content for answer in answers}
    [account] = await accounts(alice)
    assert account["id"].encode() in body

    legacy = await alice.post(
        CREATE, {"input": HOUSE}, idempotency_key=key, accept="application/json"
    )
    assert replayed(legacy)
    assert legacy.content == body
    assert legacy.headers["content-type"].startswith("application/json")
    assert len(await accounts(alice)) == 1


async def test_the_same_key_with_another_request_is_a_conflict(alice: Client) -> None:
    key = a_key()
    assert not replayed(await post(alice, key))
    for query, said in (
        (CREATE, {**HOUSE, "name": "Car"}),
        (CREATE.replace("asOf", ""), HOUSE),
        (CREATE.replace("mutation Create", "mutation Make"), HOUSE),
    ):
        status, code, message = refusal(await post(alice, key, query, {"input": said}))
        assert (status, code) == (409, "CONFLICT")
        assert "another request" in message
    [account] = await accounts(alice)

    other = {"input": {"accountId": account["id"], "nickname": "Home"}}
    assert not replayed(await post(alice, key, RENAME, other))  # another operation, its own keys
    assert replayed(await post(alice, key))
    again = await post(alice, key, variables={"input": dict(reversed(HOUSE.items()))})
    assert replayed(again)  # the same, in another order


async def test_another_persons_key_is_another_one(alice: Client, bob: Client) -> None:
    key = a_key()
    hers, his = await asyncio.gather(post(alice, key), post(bob, key))
    assert not replayed(hers)
    assert not replayed(his)
    assert hers.content != his.content
    assert len(await accounts(alice)) == len(await accounts(bob)) == 1


async def test_a_refusal_is_an_answer_and_too_often_is_none(alice: Client, stack: Stack) -> None:
    bad = {"input": {"timeZone": "Mars/Olympus"}}
    key = a_key()
    first, second = [await post(alice, key, SETTINGS, bad) for _ in range(2)]
    assert (replayed(first), replayed(second)) == (False, True)
    assert first.content == second.content
    async with stack.somebody(Role.READONLY) as reader:
        for is_replayed in (False, True):
            answer = await post(reader, key)
            assert replayed(answer) is is_replayed
            [error] = answer.json()["data"]["createManualAccount"]["errors"]
            assert error["code"] == "NOT_PERMITTED"


async def test_what_was_refused_for_being_too_often_may_come_again(alice: Client) -> None:
    wrong = [{"name": "scenario", "value": "no such scenario"}]
    said = {"input": {"provider": "sandbox", "using": {"credentials": wrong}}}
    codes, key = [], ""
    while "RATE_LIMITED" not in codes:
        key = a_key()
        payload = (await post(alice, key, CONNECT, said)).json()["data"]["connectProvider"]
        codes.append(payload["errors"][0]["code"])
    assert set(codes) == {"INVALID_INPUT", "RATE_LIMITED"}
    assert not replayed(await post(alice, key, CONNECT, said))


async def test_what_is_no_answer_is_not_remembered(alice: Client) -> None:
    key = a_key()
    broken = await post(alice, key, variables={"input": {**HOUSE, "balance": "a lot"}})
    assert broken.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert not replayed(await post(alice, key))
    assert len(await accounts(alice)) == 1


async def test_several_fields_are_done_once_together(alice: Client) -> None:
    key = a_key()
    first, second = [await post(alice, key, TWICE) for _ in range(2)]
    assert (replayed(first), replayed(second)) == (False, True)
    assert first.content == second.content
    assert len(await accounts(alice)) == 2


async def test_an_upload_is_known_by_its_bytes(alice: Client) -> None:
    async def upload(key: str, file: bytes) -> httpx2.Response:
        operations = {"query": IMPORT, "variables": {"file": None}}
        form = {"operations": json.dumps(operations), "map": '{"0": ["variables.file"]}'}
        headers = {
            "authorization": f"Bearer {alice.token}",
            "idempotency-key": key,
            "graphql-preflight": "1",
        }
        files = {"0": ("january.ofx", file, "application/x-ofx")}
        return await alice.http.post("/graphql", data=form, files=files, headers=headers)

    key = a_key()
    first, second = [await upload(key, checking("-1.00")) for _ in range(2)]
    assert (replayed(first), replayed(second)) == (False, True)
    assert first.content == second.content
    assert first.json()["data"]["importStatement"]["run"]["status"] == "SUCCEEDED"
    assert refusal(await upload(key, checking("-2.00")))[:2] == (409, "CONFLICT")


async def test_who_only_waits_for_an_answer_holds_nobody_else_up(
    alice: Client, bob: Client, stack: Stack, spy: asyncpg.Connection
) -> None:
    """Her repeats are more than there are places in the process: they wait without."""
    limits = replace(stack.settings.limits, operations=20)
    wired = replace(stack.wired, settings=replace(stack.settings, limits=limits))
    key, limit = a_key(), WAITING_MAX
    async with (
        _sessions(wired) as authenticator,
        served(graphql_view(wired, authenticator)) as url,
        httpx2.AsyncClient(base_url=url, timeout=40) as http,
    ):
        hers, his = Client(http, alice.token), Client(http, bob.token)
        async with spy.transaction():
            await spy.execute("SELECT FROM users WHERE email = $1 FOR NO KEY UPDATE", alice.email)
            first = asyncio.create_task(post(hers, key))
            await until_held(spy)
            repeats = [asyncio.create_task(post(hers, key)) for _ in range(limit + 1)]
            [over], waiting = await asyncio.wait(repeats, return_when=asyncio.FIRST_COMPLETED)
            assert "still being done" in refusal(await over)[2]
            assert await his.ask(ACCOUNTS) == {"accounts": []}
        assert not replayed(await first)
        assert [replayed(await each) for each in waiting] == [True] * limit
    assert len(await accounts(alice)) == 1


# ── keys ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["", "x" * 256, "clé", "a\tb", "\x7f"])
async def test_a_malformed_key_is_a_bad_request(alice: Client, key: str) -> None:
    head = [
        (b"authorization", f"Bearer {alice.token}".encode()),
        (b"idempotency-key", key.encode("utf-8")),
    ]
    body = {"query": CREATE, "variables": {"input": HOUSE}}
    answer = await alice.http.post("/graphql", json=body, headers=head)
    assert refusal(answer)[:2] == (400, "BAD_REQUEST")
    assert await accounts(alice) == []


async def test_two_keys_are_a_bad_request_and_the_longest_is_none(alice: Client) -> None:
    head = [("authorization", f"Bearer {alice.token}")]
    body = {"query": CREATE, "variables": {"input": HOUSE}}
    two = [*head, ("idempotency-key", "a"), ("idempotency-key", "a")]
    answer = await alice.http.post("/graphql", json=body, headers=two)
    assert refusal(answer)[:2] == (400, "BAD_REQUEST")
    assert not replayed(await post(alice, "k" * 255))
    assert not replayed(await post(alice, "' OR 1=1 --\"{};"))


async def test_signed_out_and_identity_mutations_ignore_keys(alice: Client, nobody: Client) -> None:
    key = a_key()
    out = await post(nobody, key)
    assert out.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    enable = "mutation { enableTotp { secret errors { code } } }"
    first, second = [await alice.post(enable, None, idempotency_key=key) for _ in range(2)]
    assert (
        first.json()["data"]["enableTotp"]["secret"]
        != second.json()["data"]["enableTotp"]["secret"]
    )
    query = await alice.post(ACCOUNTS, None, idempotency_key="")
    assert query.json() == {"data": {"accounts": []}}


async def test_answers_are_sealed_and_forgotten_after_a_day(
    alice: Client, spy: asyncpg.Connection, stack: Stack
) -> None:
    key = a_key()
    name = f"House {a_key()}"
    said = {"input": {**HOUSE, "name": name}}
    assert not replayed(await post(alice, key, variables=said))
    whose = "user_id = (SELECT user_id FROM users WHERE email = $1)"
    [row] = await spy.fetch(f"SELECT * FROM idempotency_keys WHERE {whose}", alice.email)
    for word in (name, key):
        assert word.encode() not in row["sealed"] + row["fingerprint"] + row["id"].bytes
    await age(spy, alice, created_at="now() - interval '23 hours 59 minutes'")
    assert replayed(await post(alice, key, variables=said))
    await age(spy, alice, created_at="now() - interval '24 hours 1 second'")
    assert not replayed(await post(alice, key, variables=said))
    assert len(await accounts(alice)) == 2

    doors, now = stack.wired.app.doors, stack.wired.app.now()
    await age(spy, alice, created_at="'2020-01-01'")
    assert await doors.clear_idempotency_keys(now.replace(year=2021), 1_000) == 1
    assert await doors.clear_idempotency_keys(now.replace(year=2021), 1_000) == 0


async def test_of_one_person_so_much_is_kept_and_no_more(
    alice: Client, stack: Stack, spy: asyncpg.Connection
) -> None:
    alices = await spy.fetchval("SELECT user_id FROM users WHERE email = $1", alice.email)
    room = stack.wired.app.limits.take(user_of(alices), ANSWERS, ANSWERS.burst)
    assert (await room).allowed
    async with (
        _sessions(stack.wired) as authenticator,
        served(graphql_view(stack.wired, authenticator)) as url,
        httpx2.AsyncClient(base_url=url, timeout=40) as http,
    ):
        here, key = Client(http, alice.token), a_key()
        assert not replayed(await post(here, key))
        status, code, message = refusal(await post(here, key))
        assert (status, code) == (409, "CONFLICT")
        assert "not kept" in message
    assert len(await accounts(alice)) == 1


async def test_nobody_can_look_for_a_request_among_those_that_are_known(
    alice: Client, spy: asyncpg.Connection
) -> None:
    for _ in range(2):
        assert not replayed(await post(alice, a_key()))
    known = """SELECT count(DISTINCT fingerprint) FROM idempotency_keys
        WHERE user_id = (SELECT user_id FROM users WHERE email = $1)"""
    assert await spy.fetchval(known, alice.email) == 2


# ── whoever dies, or hangs up ───────────────────────────────────────────────


async def test_a_client_that_hangs_up_finds_the_answer_later(
    alice: Client, spy: asyncpg.Connection
) -> None:
    key = a_key()
    async with spy.transaction():
        await spy.execute("SELECT FROM users WHERE email = $1 FOR NO KEY UPDATE", alice.email)
        hung_up = asyncio.create_task(post(alice, key))
        await until_held(spy)
        hung_up.cancel()
        await asyncio.gather(hung_up, return_exceptions=True)
    answer = await post(alice, key)
    assert replayed(answer)
    assert len(await accounts(alice)) == 1


async def test_a_key_whose_claim_went_wrong_may_be_used_again(alice: Client, stack: Stack) -> None:
    async with cut(stack.database) as way:
        settings = Settings.read(environment(way.database, stack.folder, a_free_port()))
        async with (
            served_here(create_app(settings)) as url,
            httpx2.AsyncClient(base_url=url, timeout=40) as http,
        ):
            here = Client(http, alice.token)
            await here.ask(ACCOUNTS)
            way.arm(before=0)
            key = a_key()
            away = await here.post(CREATE, {"input": HOUSE}, idempotency_key=key)
            assert away.status_code == 503
            assert not replayed(await post(here, key))
            assert replayed(await post(here, key))
    assert len(await accounts(alice)) == 1


async def test_whoever_was_taken_over_commits_nothing(
    alice: Client, spy: asyncpg.Connection
) -> None:
    async with spy.transaction():
        await spy.execute("SELECT FROM users WHERE email = $1 FOR NO KEY UPDATE", alice.email)
        slow = asyncio.create_task(post(alice, a_key()))
        await until_held(spy)
        await age(spy, alice, claim="gen_random_uuid()")
    payload = (await slow).json()["data"]["createManualAccount"]
    assert (payload["account"], payload["errors"][0]["code"]) == (None, "CONFLICT")
    assert await accounts(alice) == []


@pytest.mark.parametrize(("commits", "is_done"), [(1, False), (2, True)])
async def test_what_was_killed_before_its_commit_is_done_and_after_it_is_told(
    alice: Client, stack: Stack, spy: asyncpg.Connection, commits: int, is_done: bool
) -> None:
    """Its claim, what is attempted, and what it does are a transaction each."""
    key = a_key()
    async with cut(stack.database) as way:
        environ = environment(way.database, stack.folder, a_free_port())
        async with running("serve", environ, stack.folder) as gateway, stack.nobody(gateway) as at:
            await until_ready(gateway)
            at.token = alice.token
            await at.ask(ACCOUNTS)

            async def kill() -> None:
                os.kill(gateway.process.pid, signal.SIGKILL)
                await gateway.process.wait()

            way.arm(kill, before=commits)
            with pytest.raises(httpx2.TransportError):
                await post(at, key)
    whose = "user_id = (SELECT user_id FROM users WHERE email = $1)"
    state = f"SELECT done_at IS NOT NULL FROM idempotency_keys WHERE {whose}"
    assert await spy.fetchval(state, alice.email) is is_done
    assert len(await accounts(alice)) == int(is_done)
    await age(spy, alice, **NOW)
    again = await post(alice, key)
    if is_done:
        status, code, message = refusal(again)
        assert (status, code) == (409, "CONFLICT")
        assert "its answer is lost" in message
    else:
        assert not replayed(again)
        assert replayed(await post(alice, key))
    assert len(await accounts(alice)) == 1
