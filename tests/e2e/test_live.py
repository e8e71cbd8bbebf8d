"""Runs followed while a worker does them, over sockets of a gateway that is another process."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import websockets

from schema import ids
from tests.e2e.linking import connect, connect_scenario, linked, sync
from tests.e2e.live import PROGRESS, Live, live, live_of
from tests.e2e.stack import (
    PASSWORD,
    Client,
    Program,
    Stack,
    a_free_port,
    environment,
    running,
    until_ready,
)

REQUEST = """mutation Request($input: SyncInput!) { sync(input: $input) {
  runs { id status } errors { code } } }"""
CANCEL = "mutation ($id: ID!) { cancelSync(runId: $id) { run { id status } errors { code } } }"


def in_order(states: list[dict[str, Any]]) -> None:
    """A run never goes back, and each state is of one instant."""
    order = ["QUEUED", "RUNNING", "SUCCEEDED"]
    at = [order.index(state["status"]) for state in states]
    assert at == sorted(at)
    assert [s["progress"] for s in states] == sorted(s["progress"] for s in states)
    for state in states:
        last = state["link"]["lastRun"]
        assert last == {name: state[name] for name in ("id", "status", "progress")}
    said = [{k: v for k, v in state.items() if k != "link"} for state in states]
    assert all(one != two for one, two in pairwise(said))


async def test_a_first_sync_is_followed_to_its_end(stack: Stack, alice: Client) -> None:
    async with live_of(alice, stack.gateway) as socket:
        run_id = (await connect(alice))["link"]["lastRun"]["id"]
        states = await socket.follow(run_id)

    in_order(states)
    assert states[-1]["status"] == "SUCCEEDED"
    assert states[-1]["progress"] == 1
    assert states[-1]["transactions"]["created"] > 400
    assert len(states[-1]["link"]["accounts"]) == 6
    assert {state["id"] for state in states} == {run_id}


async def test_many_follow_the_same_run_on_sockets_of_their_own(
    stack: Stack, alice: Client
) -> None:
    run_id = (await connect_scenario(alice, "large"))["link"]["lastRun"]["id"]

    async def follow() -> list[dict[str, Any]]:
        async with live_of(alice, stack.gateway) as socket:
            return await socket.follow(run_id)

    for states in await asyncio.gather(*(follow() for _ in range(10))):
        in_order(states)
        assert states[-1]["status"] == "SUCCEEDED"


async def test_one_socket_follows_several_runs_and_asks_meanwhile(
    stack: Stack, alice: Client
) -> None:
    async with live_of(alice, stack.gateway) as socket:
        runs = [
            (await connect_scenario(alice, scenario))["link"]["lastRun"]["id"]
            for scenario in ("default", "empty")
        ]
        for number, run_id in enumerate(runs):
            await socket.subscribe(PROGRESS, str(number), id=run_id)
        await socket.subscribe("{ viewer { email } }", "q")
        ended: set[str] = set()
        last: dict[str, Any] = {}
        while len(ended) < 3:
            message = await socket.next()
            if message["type"] == "complete":
                ended.add(message["id"])
            else:
                last[message["id"]] = message["payload"]["data"]

    assert last["q"] == {"viewer": {"email": alice.email}}
    assert [last[n]["syncProgress"]["status"] for n in "01"] == ["SUCCEEDED", "SUCCEEDED"]


async def test_a_run_that_is_over_is_said_once(stack: Stack, alice: Client) -> None:
    await linked(alice)
    [run] = (await sync(alice, force=True))["runs"]
    async with live_of(alice, stack.gateway) as socket:
        states = await socket.follow(run["id"])

    assert [(s["id"], s["status"]) for s in states] == [(run["id"], "SUCCEEDED")]


async def test_a_run_that_is_cancelled_is_seen_to_end(stack: Stack, alice: Client) -> None:
    async with live_of(alice, stack.gateway) as socket:
        run_id = (await connect_scenario(alice, "large"))["link"]["lastRun"]["id"]
        await socket.subscribe(PROGRESS, id=run_id)
        assert (await socket.next())["type"] == "next"
        assert (await alice.do(CANCEL, id=run_id))["errors"] == []
        states = await socket.states()

    assert states[-1]["status"] == "CANCELLED"


async def test_a_strangers_run_looks_like_none_at_all(
    stack: Stack, alice: Client, bob: Client
) -> None:
    run_id = (await connect(alice))["link"]["lastRun"]["id"]
    unknown = "U3luY1J1bjo" + "0" * 8
    said: list[Any] = []
    async with live_of(bob, stack.gateway) as socket:
        for asked in (run_id, unknown, "x", ""):
            await socket.subscribe(
                "subscription ($id: ID!) { syncProgress(runId: $id) { id } }", id=asked
            )
            message = await socket.next()
            [error] = message.pop("payload")
            error["extensions"].pop("traceId")
            said.append((message, error))

    assert all(answer == said[0] for answer in said)
    assert said[0][0]["type"] == "error"
    assert said[0][1]["extensions"] == {"code": "NOT_FOUND"}
    assert said[0][1]["path"] == ["syncProgress"]


async def test_signed_out_no_run_is_followed(stack: Stack) -> None:
    async with live(stack.gateway) as socket:
        await socket.subscribe('subscription { syncProgress(runId: "x") { id } }')
        message = await socket.next()

    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_the_cookie_opens_a_socket_for_pages_of_ours_only(stack: Stack) -> None:
    async with stack.nobody() as browser:
        email = await stack.a_user()
        await browser.sign_in(email, delivery="COOKIE")
        cookie = {"cookie": f"dashtam={browser.http.cookies['dashtam']}"}
        for origin in (stack.gateway.url, stack.settings.public_url):
            async with live(stack.gateway, headers=cookie | {"origin": origin}) as socket:
                payload = await socket.ask("{ viewer { email } }")
                assert payload == {"data": {"viewer": {"email": email}}}
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with live(stack.gateway, headers=cookie | {"origin": "https://evil.example"}):
                pass

    assert refused.value.response.status_code == 403


async def test_no_cookie_is_given_out_over_a_socket(stack: Stack) -> None:
    email = await stack.a_user()
    document = """mutation ($input: SignInInput!) { signIn(input: $input) {
      accessToken errors { code field } } }"""
    async with live(stack.gateway) as socket:
        for delivery, codes in (("COOKIE", ["INVALID_INPUT"]), ("BODY", [])):
            said = {"email": email, "password": PASSWORD, "delivery": delivery}
            payload = (await socket.ask(document, input=said))["data"]["signIn"]
            assert [error["code"] for error in payload["errors"]] == codes
            assert (payload["accessToken"] is None) is bool(codes)


# ── the end of a session ────────────────────────────────────────────────────


async def test_a_session_that_ends_elsewhere_closes_its_sockets_within_a_second(
    stack: Stack, alice: Client, tmp_path: Path
) -> None:
    environ = environment(stack.database, stack.folder, a_free_port())
    async with running("serve", environ, tmp_path) as other:
        await until_ready(other)
        async with (
            stack.nobody() as phone,
            live_of(alice, other) as elsewhere,
            live_of(alice, stack.gateway) as here,
        ):
            await phone.sign_in(alice.email)
            async with live_of(phone, other) as phones:
                began = time.monotonic()
                await alice.do("mutation { signOut { signedOut errors { code } } }")
                codes = [await socket.closed(within_s=1) for socket in (elsewhere, here)]

                assert codes == [4401, 4401]
                assert time.monotonic() - began < 1
                payload = await phones.ask("{ viewer { email } }")
                assert payload["data"]["viewer"]["email"] == alice.email


async def test_signing_out_over_the_socket_is_answered_and_then_closes_it(
    stack: Stack, alice: Client
) -> None:
    async with live_of(alice, stack.gateway) as socket:
        payload = await socket.ask("mutation { signOut { signedOut errors { code } } }")

        assert payload == {"data": {"signOut": {"signedOut": True, "errors": []}}}
        assert await socket.closed(within_s=1) == 4401


async def test_a_socket_ends_with_its_access_token(stack: Stack, alice: Client) -> None:
    known = await stack.wired.app.doors.user_by_email(alice.email)
    assert known is not None
    claims = stack.wired.tokens.read(alice.token or "", now=datetime.now(UTC))
    lives = timedelta(minutes=15) - timedelta(seconds=2)
    ending = stack.wired.tokens.issue(
        user_id=known.user.id,
        session_id=claims.session_id,
        version=claims.version,
        generation=claims.generation,
        now=datetime.now(UTC) - lives,
    )
    async with live(stack.gateway, ending) as socket:
        assert await socket.ask("{ viewer { email } }")
        assert await socket.closed(within_s=4) == 4401


async def test_a_token_of_no_session_opens_nothing(stack: Stack, alice: Client) -> None:
    known = await stack.wired.app.doors.user_by_email(alice.email)
    assert known is not None
    forged = stack.wired.tokens.issue(
        user_id=known.user.id, session_id=uuid4(), version=0, generation=0, now=datetime.now(UTC)
    )
    url = stack.gateway.url.replace("http", "ws", 1) + "/graphql"
    async with websockets.connect(
        url, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]
    ) as raw:
        socket = Live(raw)
        await socket.say(type="connection_init", payload={"authorization": f"Bearer {forged}"})
        assert await socket.closed(within_s=2) == 4401


# ── what it costs ───────────────────────────────────────────────────────────


@asynccontextmanager
async def held_up(stack: Stack, client: Client) -> AsyncIterator[str]:
    """A run that waits: its link is leased to a worker that is not there."""
    link_id = await linked(client)
    lease = "UPDATE links SET lease_until = $2, lease_holder = gen_random_uuid() WHERE id = $1"
    key = ids.key("Link", link_id)
    spy = await asyncpg.connect(stack.database.superuser_url)
    try:
        await spy.execute(lease, key, datetime.now(UTC) + timedelta(hours=1))
        [run] = (await client.do(REQUEST, input={"linkId": link_id, "force": True}))["runs"]
        yield run["id"]
        await spy.execute(lease, key, datetime.now(UTC))
        await client.do(CANCEL, id=run["id"])
    finally:
        await spy.close()


@asynccontextmanager
async def many(client: Client, gateway: Program, count: int) -> AsyncIterator[list[Live]]:
    async with AsyncExitStack() as opened:
        yield [await opened.enter_async_context(live_of(client, gateway)) for _ in range(count)]


async def test_the_sockets_of_a_person_take_no_connection_of_the_database(
    stack: Stack, alice: Client, tmp_path: Path
) -> None:
    """Of a gateway alone: one connection listens, and whoever waits holds no snapshot."""
    name = "gateway-of-this-test"
    url = f"{stack.database.app_url}&application_name={name}"
    environ = environment(stack.database, stack.folder, a_free_port(), DASHTAM_DATABASE_URL=url)
    query = "SELECT query, state FROM pg_stat_activity WHERE application_name = $1"
    spy = await asyncpg.connect(stack.database.superuser_url)
    async with held_up(stack, alice) as run_id, running("serve", environ, tmp_path) as gateway:
        await until_ready(gateway)
        before = len(await spy.fetch(query, name))
        async with many(alice, gateway, 40) as sockets:
            for socket in sockets:
                await socket.subscribe(PROGRESS, id=run_id)
            for socket in sockets:
                assert (await socket.next())["type"] == "next"
            await asyncio.sleep(0.5)
            rows = await spy.fetch(query, name)

            assert len(rows) == before
            assert sum(row["query"].startswith("LISTEN") for row in rows) == 1
            assert {row["state"] for row in rows} == {"idle"}
    await spy.close()


async def test_a_gateway_that_is_asked_to_end_sends_its_sockets_away_and_ends(
    stack: Stack, alice: Client, tmp_path: Path
) -> None:
    environ = environment(stack.database, stack.folder, a_free_port())
    async with held_up(stack, alice) as run_id, running("serve", environ, tmp_path) as gateway:
        await until_ready(gateway)
        async with many(alice, gateway, 20) as sockets:
            for socket in sockets:
                await socket.subscribe(PROGRESS, id=run_id)
            began = time.monotonic()
            gateway.process.send_signal(signal.SIGTERM)

            codes = await asyncio.gather(*(socket.closed(within_s=5) for socket in sockets))
            assert set(codes) == {1012}
            await asyncio.wait_for(gateway.process.wait(), 5)
            assert time.monotonic() - began < 5
        assert [line for line in gateway.lines() if line["level"] in ("error", "critical")] == []
