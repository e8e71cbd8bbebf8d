"""Subscriptions over server-sent events: production's wiring, gateway and worker as processes."""

import asyncio
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.e2e.linking import connect
from tests.e2e.live import PROGRESS, live_of
from tests.e2e.stack import Client, Stack, a_free_port, environment, running, until_ready
from tests.e2e.streaming import EVENTS, asked, streaming
from tests.gateway.sse.served import COMPLETE, Said, read

CREATE = """mutation ($input: CreateManualAccountInput!) { createManualAccount(input: $input) {
  account { id } errors { code } } }"""
APP = "https://app.example"


async def spend(client: Client, count: int) -> None:
    """Each account that is made is at least one event."""
    for number in range(count):
        house = {"name": f"House {number}", "type": "OTHER", "currency": "USD", "balance": "1.00"}
        assert (await client.do(CREATE, input=house))["errors"] == []


def cursor(said: Said | None) -> str:
    """Of an event, which its message has as its id."""
    assert said is not None
    event = said.data["data"]["events"]
    assert said.id == event["cursor"]
    return str(said.id)


def code(said: Said | None) -> str:
    assert said is not None
    [error] = said.data["errors"]
    assert error["extensions"]["traceId"]
    return str(error["extensions"]["code"])


async def test_a_run_is_followed_to_its_end(stack: Stack, alice: Client) -> None:
    run_id = (await connect(alice))["link"]["lastRun"]["id"]
    async with streaming(alice, PROGRESS, id=run_id) as stream:
        *states, end = await stream.rest(within_s=30)

    runs = [said.data["data"]["syncProgress"] for said in states]
    assert runs[-1]["status"] == "SUCCEEDED"
    assert {run["id"] for run in runs} == {run_id}
    assert [said.id for said in states] == [None] * len(states)  # a run's cursor is for us alone
    assert end == COMPLETE


async def test_who_comes_back_gets_what_was_missed_once_and_in_order(
    stack: Stack, alice: Client
) -> None:
    """As EventSource does it: the same URL again, and the last id in a header."""
    async with live_of(alice, stack.gateway) as socket:
        await socket.subscribe(EVENTS, "all")
        async with streaming(alice, EVENTS, by="GET") as stream:
            await spend(alice, 2)
            first = [cursor(await stream.next()) for _ in range(2)]
        await spend(alice, 3)  # while it is away
        there = [(await socket.next())["payload"]["data"]["events"]["cursor"] for _ in range(5)]
        last = {"last-event-id": first[-1]}
        async with streaming(alice, EVENTS, by="GET", headers=last, after=first[0]) as stream:
            missed = [cursor(await stream.next()) for _ in range(3)]
            await spend(alice, 1)
            new = cursor(await stream.next())

    assert [*first, *missed] == there
    assert new not in there


async def test_an_id_that_is_no_cursor_is_bad_input(
    stack: Stack, alice: Client, bob: Client
) -> None:
    async with streaming(bob, EVENTS) as stream:
        await spend(bob, 1)
        of_somebody_else = cursor(await stream.next())
    for last in ("x", "0", of_somebody_else, "' OR 1=1"):
        async with streaming(alice, EVENTS, headers={"last-event-id": last}) as stream:
            refused, end = await stream.rest()
        assert code(refused) == "BAD_USER_INPUT"
        assert end == COMPLETE


async def test_the_cookie_opens_a_stream_for_pages_of_ours_only(stack: Stack) -> None:
    async with stack.nobody() as browser:
        email = await stack.a_user()
        await browser.sign_in(email, delivery="COOKIE")
        own = {"sec-fetch-site": "same-origin"}
        async with streaming(browser, EVENTS, by="GET", headers=own) as stream:
            await spend(browser, 1)
            assert cursor(await stream.next())
        foreign = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
        async with asked(browser, EVENTS, by="GET", headers=foreign) as refused:
            assert refused.status_code == 403
            assert "access-control-allow-origin" not in refused.headers


async def test_signed_out_there_are_no_events(stack: Stack, nobody: Client) -> None:
    async with streaming(nobody, EVENTS) as stream:
        refused, end = await stream.rest()
    assert code(refused) == "UNAUTHENTICATED"
    assert end == COMPLETE
    nobody.token = "stolen"
    async with asked(nobody, EVENTS) as response:
        assert response.status_code == 401
        assert response.headers["www-authenticate"]


async def test_a_session_that_ends_elsewhere_ends_its_streams_within_a_second(
    stack: Stack, alice: Client
) -> None:
    async with stack.nobody() as phone:
        await phone.sign_in(alice.email)
        async with streaming(alice, EVENTS) as stream, streaming(phone, EVENTS) as other:
            began = time.monotonic()
            await alice.do("mutation { signOut { signedOut errors { code } } }")
            *_, told, end = await stream.rest(within_s=1)
            assert code(told) == "UNAUTHENTICATED"
            assert end == COMPLETE
            assert time.monotonic() - began < 1
            await spend(phone, 1)
            names = [
                said.data["data"]["events"]["name"]
                for _ in range(2)
                if (said := await other.next())
            ]
            assert names[-1].partition(".")[0] in ("account", "networth")


async def test_a_stream_ends_with_its_access_token(stack: Stack, alice: Client) -> None:
    known = await stack.wired.app.doors.user_by_email(alice.email)
    assert known is not None
    claims = stack.wired.tokens.read(alice.token or "", now=datetime.now(UTC))
    lives = timedelta(minutes=15) - timedelta(seconds=2)
    alice.token = stack.wired.tokens.issue(
        user_id=known.user.id,
        session_id=claims.session_id,
        version=claims.version,
        generation=claims.generation,
        now=datetime.now(UTC) - lives,
    )
    async with streaming(alice, EVENTS) as stream:
        told, end = await stream.rest(within_s=4)
    assert code(told) == "UNAUTHENTICATED"
    assert end == COMPLETE


async def test_a_gateway_that_is_asked_to_end_sends_its_streams_away_and_ends(
    stack: Stack, alice: Client, tmp_path: Path
) -> None:
    environ = environment(stack.database, stack.folder, a_free_port(), DASHTAM_ALLOWED_ORIGINS=APP)
    async with running("serve", environ, tmp_path) as gateway, stack.nobody(gateway) as elsewhere:
        await until_ready(gateway)
        elsewhere.token, elsewhere.headers = alice.token, {"origin": APP}

        async def follow() -> list[Said]:
            found: list[Said] = []
            async with streaming(elsewhere, EVENTS) as stream:
                assert stream.response.headers["access-control-allow-origin"] == APP
                assert stream.response.headers["access-control-allow-credentials"] == "true"
                opened.release()
                while (said := await stream.any(within_s=10)) is not None:
                    found.append(said)
            return found

        opened = asyncio.Semaphore(0)
        following = [asyncio.create_task(follow()) for _ in range(20)]
        for _ in following:
            await opened.acquire()
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        last = await asyncio.gather(*following)
        assert all(len(found) == 1 for found in last)  # when to come back, and not `complete`
        assert len({found[0].retry_ms for found in last} - {None}) > 10
        await asyncio.wait_for(gateway.process.wait(), 5)
        assert time.monotonic() - began < 5
        assert [line for line in gateway.lines() if line["level"] in ("error", "critical")] == []


async def test_queries_and_mutations_come_as_streams_too(stack: Stack, alice: Client) -> None:
    said: list[list[Said]] = []
    for query in ("{ viewer { email } }", "mutation { signOut { signedOut errors { code } } }"):
        async with asked(alice, query) as response:
            text = (await response.aread()).decode()
            assert response.headers["ratelimit-policy"]
        said.append([read(each) for each in text.split("\n\n") if each])
    [[viewer, end], [gone, also_end]] = said
    assert viewer.data == {"data": {"viewer": {"email": alice.email}}}
    assert gone.data == {"data": {"signOut": {"signedOut": True, "errors": []}}}
    assert end == also_end == COMPLETE
