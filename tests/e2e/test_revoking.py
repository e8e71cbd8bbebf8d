"""Sessions that are seen, revoked and rotated, on two gateways that share nothing but the database.

Probes 7 to 9 and 11 to 13 of what the reference system fails, over the network.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from domain.identity import Role
from tests.e2e.live import live
from tests.e2e.mailbox import Mailbox, text_of
from tests.e2e.stack import (
    Client,
    Program,
    Stack,
    a_free_port,
    a_stack,
    environment,
    running,
    until_ready,
)
from tests.e2e.test_sessions import REFRESH, VIEWER, unauthenticated
from tests.places.places import LONDON, SWISS, a_file
from tests.servers import Postgres

LIMIT = 3
CHOSEN = "a-cookie-that-somebody-else-chose-and-knows"
CHROME = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/130.0.0.0 Safari/537.36"
SESSIONS = """{ viewer { id sessions { id current device location ipAddress createdAt lastUsedAt
  expiresAt providersAccessed } } }"""
REVOKE = """mutation Revoke($id: ID!) { revokeSession(id: $id) {
  revokedId errors { __typename code message field } } }"""
OTHERS = "mutation { revokeOtherSessions { revokedCount errors { code } } }"
CONFIG = "securityConfig { globalTokenVersion graceSeconds lastRotatedAt lastRotationReason }"
ROTATE_ALL = f"""mutation Rotate($input: RotateAllTokensInput!) {{ rotateAllTokens(input: $input) {{
  {CONFIG} errors {{ __typename code field }} }} }}"""
ROTATE_USER = f"""mutation Rotate($input: RotateUserTokensInput!) {{
  rotateUserTokens(input: $input) {{ {CONFIG} errors {{ __typename code field }} }} }}"""


@pytest.fixture(scope="module")
async def stack(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """Of this module alone, since all tokens on it are rotated."""
    folder = tmp_path_factory.mktemp("revoking")
    async with (
        postgres.fresh_database() as database,
        a_stack(database, folder, **asked_for(folder)) as started,
    ):
        yield started


def asked_for(folder: Path) -> dict[str, str]:
    return {
        "DASHTAM_SESSION_LIMIT": str(LIMIT),
        "DASHTAM_GEOIP_DB": str(a_file(folder / "city.mmdb")),
        "DASHTAM_TRUSTED_PROXIES": "127.0.0.1",
        "DASHTAM_LIMIT_REFRESH": "1000",
    }


@pytest.fixture(scope="module")
async def other(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    """A second gateway."""
    environ = environment(stack.database, stack.folder, a_free_port(), **asked_for(stack.folder))
    async with running("serve", environ, tmp_path_factory.mktemp("other")) as program:
        await until_ready(program)
        yield program


@pytest.fixture
async def admin(stack: Stack) -> AsyncIterator[Client]:
    async with stack.somebody(Role.ADMIN) as client:
        yield client


async def sessions_of(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.ask(SESSIONS))["viewer"]["sessions"]
    return found


async def rows(stack: Stack, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(stack.database.superuser_url)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


async def over(stack: Stack, at: Program, token: str | None) -> None:
    """Within the second that news may take to reach every process."""
    give_up_at = time.monotonic() + 1
    async with stack.nobody(at) as client:
        client.token = token
        while (answer := await client.post(VIEWER)).status_code == 200:
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.01)
    unauthenticated(answer)


async def refresh_code(client: Client, token: str | None) -> str | None:
    """Why a refresh is refused; None where it is not."""
    client.token = None
    errors = (await client.do(REFRESH, token=token))["errors"]
    return errors[0]["code"] if errors else None


async def test_sessions_are_listed_with_client_and_place_the_last_used_first(
    stack: Stack, other: Program
) -> None:
    email = await stack.a_user()
    async with stack.nobody() as laptop, stack.nobody(other) as phone:
        laptop.headers = {"user-agent": CHROME, "x-forwarded-for": f"9.9.9.9, {LONDON}"}
        phone.headers = {"user-agent": "curl/8.5.0", "x-forwarded-for": SWISS}
        await laptop.sign_in(email)
        await phone.sign_in(email)
        await laptop.do(
            'mutation { connectProvider(input: {provider: "sandbox", using: {nothing: true}}) { errors { code } } }'
        )

        newest, oldest = await sessions_of(laptop)

        assert (newest["device"], oldest["device"]) == ("curl/8.5.0", "Chrome on macOS")
        assert (newest["location"], oldest["location"]) == ("CH", "London, GB")
        assert (newest["ipAddress"], oldest["ipAddress"]) == (SWISS, LONDON)
        assert (newest["current"], oldest["current"]) == (False, True)
        assert (newest["providersAccessed"], oldest["providersAccessed"]) == ([], ["sandbox"])
        assert [s["current"] for s in await sessions_of(phone)] == [True, False]
        node = await laptop.ask(
            "query($id: ID!) { node(id: $id) { ... on Session { id device current } } }",
            id=newest["id"],
        )
        assert node["node"] == {"id": newest["id"], "device": "curl/8.5.0", "current": False}
        async with stack.somebody() as stranger:
            found = await stranger.ask("query($id: ID!) { node(id: $id) { id } }", id=newest["id"])
            assert found == {"node": None}


async def test_a_revoked_session_stops_everywhere_with_its_tokens_cookie_and_socket(
    stack: Stack, other: Program
) -> None:
    """Probe 8."""
    email = await stack.a_user()
    async with (
        stack.nobody() as laptop,
        stack.nobody() as phone,
        stack.nobody() as browser,
    ):
        await laptop.sign_in(email)
        await phone.sign_in(email)
        async with live(stack.gateway, phone.token) as here, live(other, phone.token) as there:
            await browser.sign_in(email, delivery="COOKIE")
            secret = browser.http.cookies["dashtam"]
            elsewhere = Client(browser.http)
            assert (await elsewhere.ask(VIEWER))["viewer"]
            for session in await sessions_of(laptop):
                if not session["current"]:
                    payload = await laptop.do(REVOKE, id=session["id"])
                    assert payload == {"revokedId": session["id"], "errors": []}
            began = time.monotonic()

            assert [await s.closed(within_s=1) for s in (here, there)] == [4401, 4401]
            for program in (stack.gateway, other):
                await over(stack, program, phone.token)
                async with stack.nobody(program) as thief:
                    stolen = await thief.post(VIEWER, cookie=f"dashtam={secret}")
                    assert stolen.status_code == 401
            assert time.monotonic() - began < 2
            assert await refresh_code(phone, phone.refresh_token) == "TOKEN_EXPIRED"
            assert [s["current"] for s in await sessions_of(laptop)] == [True]


async def test_signing_out_ends_a_session_everywhere(
    stack: Stack, other: Program, alice: Client
) -> None:
    """Probe 9."""
    async with live(other, alice.token) as socket:
        signed_out = await alice.do("mutation { signOut { signedOut errors { code } } }")

        assert signed_out == {"signedOut": True, "errors": []}
        assert await socket.closed(within_s=1) == 4401
    for program in (stack.gateway, other):
        await over(stack, program, alice.token)
    assert await refresh_code(alice, alice.refresh_token) == "TOKEN_EXPIRED"
    assert (await alice.sign_in(alice.email))["errors"] == []
    assert len(await sessions_of(alice)) == 1

    async with live(other, alice.token) as socket:
        await socket.subscribe("mutation { signOut { signedOut } }")
        assert (await socket.next())["payload"] == {"data": {"signOut": {"signedOut": True}}}
        assert await socket.closed(within_s=1) == 4401
    ends = await rows(stack, "SELECT trace_id FROM audit_log WHERE action = 'session.end'")
    traces = [row["trace_id"] for row in ends]  # two rows of a request, by HTTP or by a socket
    assert len(traces) == 2 * len(set(traces))
    assert all(len(trace) == 32 for trace in traces)


async def test_what_is_no_session_of_ones_own_is_not_found_in_the_same_words(
    stack: Stack, alice: Client, bob: Client
) -> None:
    [his] = await sessions_of(bob)
    absent = base64.b64encode(f"Session:{uuid4()}".encode()).decode()
    viewer = (await alice.ask(SESSIONS))["viewer"]["id"]

    answers = [await alice.do(REVOKE, id=id) for id in (his["id"], absent, "hello", viewer)]

    assert all(answer == answers[0] for answer in answers)
    [error] = answers[0]["errors"]
    assert (error["__typename"], error["field"]) == ("NotFound", ["id"])
    assert await bob.ask(VIEWER)


async def test_revoking_the_cookies_own_session_clears_it_and_others_are_counted(
    stack: Stack,
) -> None:
    email = await stack.a_user()
    async with stack.nobody() as browser, stack.nobody() as phone:
        await phone.sign_in(email)
        await browser.sign_in(email, delivery="COOKIE")

        assert await browser.do(OTHERS) == {"revokedCount": 1, "errors": []}
        await over(stack, stack.gateway, phone.token)
        [own] = await sessions_of(browser)
        answer = await browser.post(REVOKE, {"id": own["id"]})

        assert answer.json()["data"]["revokeSession"]["revokedId"] == own["id"]
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert "dashtam" not in browser.http.cookies


async def test_a_cookie_that_was_there_before_is_replaced_and_dead_everywhere(
    stack: Stack, other: Program
) -> None:
    """T13: nobody signs in with a cookie that somebody else chose."""
    email, strangers = await stack.a_user(), await stack.a_user()
    async with stack.nobody() as browser:
        browser.http.cookies.set("dashtam", CHOSEN, domain="127.0.0.1")
        await browser.sign_in(strangers, delivery="COOKIE")
        old = [browser.http.cookies["dashtam"]]
        for who in (email, email):
            await browser.sign_in(who, delivery="COOKIE")
            old.append(browser.http.cookies["dashtam"])
        assert len(set(old)) == 3
        assert len(await sessions_of(browser)) == 1
        for program in (stack.gateway, other):
            for secret in (CHOSEN, *old[:-1]):
                async with stack.nobody(program) as thief:
                    unauthenticated(await thief.post(VIEWER, cookie=f"dashtam={secret}"))
        assert await browser.ask(VIEWER) == {"viewer": {"email": email}}


async def test_one_session_too_many_ends_the_oldest_with_its_tokens(
    stack: Stack, other: Program
) -> None:
    """Probe 13, in terms of one limit."""
    email = await stack.a_user()
    async with stack.nobody() as first, stack.nobody(other) as newer:
        await first.sign_in(email)
        for _ in range(LIMIT):
            assert (await newer.sign_in(email))["errors"] == []
        for program in (stack.gateway, other):
            await over(stack, program, first.token)
        assert await refresh_code(first, first.refresh_token) == "TOKEN_EXPIRED"
        assert len(await sessions_of(newer)) == LIMIT


async def refreshed(client: Client, token: str | None) -> dict[str, Any]:
    """The payload; of so many at once some may be told to come again in a second."""
    for _ in range(5):
        answer = await client.post(REFRESH, {"token": token})
        if answer.status_code != 503:
            break
        await asyncio.sleep(float(answer.headers["retry-after"]))
    payload: dict[str, Any] = answer.json()["data"]["refreshSession"]
    return payload


async def test_a_token_refreshed_a_hundred_times_at_once_on_two_gateways_has_one_successor(
    stack: Stack, other: Program, alice: Client
) -> None:
    async with stack.nobody(other) as elsewhere:
        token, alice.token = alice.refresh_token, None
        payloads = await asyncio.gather(
            *(refreshed(each, token) for each in (alice, elsewhere) for _ in range(50))
        )

        assert [payload["errors"] for payload in payloads] == [[]] * 100
        assert len({payload["refreshToken"] for payload in payloads}) == 1


async def test_a_token_used_again_ends_what_came_of_it_and_its_owner_is_told(
    stack: Stack, other: Program, alice: Client
) -> None:
    """Probe 7, after eleven seconds."""
    stolen = alice.refresh_token
    payload = await alice.do(REFRESH, token=stolen)
    await rows(stack, "UPDATE refresh_tokens SET rotated_at = rotated_at - interval '11 s'")

    async with stack.nobody(other) as thief:
        assert await refresh_code(thief, stolen) == "TOKEN_REUSED"
        assert await refresh_code(thief, payload["refreshToken"]) == "TOKEN_EXPIRED"
    for program in (stack.gateway, other):
        await over(stack, program, payload["accessToken"])
    mail = await Mailbox(stack.folder, alice.email).newest(1)
    assert str(stolen) not in str(mail)
    assert "session" in text_of(mail)


async def test_one_persons_tokens_are_rotated_and_only_theirs(
    stack: Stack, other: Program, admin: Client, alice: Client, bob: Client
) -> None:
    """Probe 11."""
    people = (await admin.ask("{ admin { users(first: 500) { nodes { id email } } } }"))["admin"]
    [alices] = [p["id"] for p in people["users"]["nodes"] if p["email"] == alice.email]
    before = (await admin.ask(f"{{ admin {{ {CONFIG} }} }}"))["admin"]["securityConfig"]
    async with live(other, alice.token) as socket:
        said = {"userId": alices, "reason": "their laptop was stolen"}
        payload = await admin.do(ROTATE_USER, input=said)

        assert payload == {"securityConfig": before, "errors": []}
        assert await socket.closed(within_s=1) == 4401
    for program in (stack.gateway, other):
        await over(stack, program, alice.token)
    assert await refresh_code(alice, alice.refresh_token) == "TOKEN_EXPIRED"
    assert await bob.ask(VIEWER)

    assert (await alice.sign_in(alice.email))["errors"] == []
    for _ in range(3):
        payload = await alice.do(REFRESH, token=alice.refresh_token)
        assert payload["errors"] == []
        alice.token, alice.refresh_token = payload["accessToken"], payload["refreshToken"]
        assert await alice.ask(VIEWER)

    for id in ("hello", base64.b64encode(f"User:{uuid4()}".encode()).decode()):
        [error] = (await admin.do(ROTATE_USER, input={"userId": id, "reason": "x"}))["errors"]
        assert (error["__typename"], error["field"]) == ("NotFound", ["input", "userId"])
    [error] = (await bob.do(ROTATE_USER, input=said))["errors"]
    assert error["code"] == "NOT_PERMITTED"


async def test_all_tokens_are_rotated_with_a_grace_that_every_gateway_keeps(
    stack: Stack, other: Program, admin: Client, alice: Client, bob: Client
) -> None:
    """Probe 12."""
    async with stack.nobody() as browser:
        await browser.sign_in(alice.email, delivery="COOKIE")
        secret = browser.http.cookies["dashtam"]
        async with live(other, bob.token) as idle:
            said = {"reason": "a leak", "graceSeconds": 4}
            config = (await admin.do(ROTATE_ALL, input=said))["securityConfig"]
            rotated = time.monotonic()
            assert (config["graceSeconds"], config["lastRotationReason"]) == (4, "a leak")

            async with stack.nobody(other) as elsewhere:
                elsewhere.token = bob.token
                assert await elsewhere.ask(VIEWER), "it is within the grace"
                assert (await elsewhere.post(VIEWER, cookie=f"dashtam={secret}")).is_success
            refreshed = await alice.do(REFRESH, token=alice.refresh_token)
            assert refreshed["errors"] == []
            assert time.monotonic() - rotated < 4, "too slow to tell"

            assert await idle.closed(within_s=5) == 4401
            assert time.monotonic() - rotated > 3.5
    for program in (stack.gateway, other):
        for token in (alice.token, bob.token, admin.token):
            await over(stack, program, token)
        async with stack.nobody(program) as client:
            unauthenticated(await client.post(VIEWER, cookie=f"dashtam={secret}"))
            client.token = refreshed["accessToken"]
            assert await client.ask(VIEWER) == {"viewer": {"email": alice.email}}
    assert await refresh_code(bob, bob.refresh_token) == "TOKEN_EXPIRED"
    again = await alice.do(REFRESH, token=refreshed["refreshToken"])
    assert again["errors"] == []


async def test_all_tokens_are_rotated_without_a_grace_at_once_on_every_gateway(
    stack: Stack, other: Program, admin: Client, alice: Client
) -> None:
    async with live(stack.gateway, alice.token) as here, live(other, alice.token) as there:
        said = {"reason": "a leak", "graceSeconds": 0}
        first = (await admin.do(ROTATE_ALL, input=said))["securityConfig"]
        assert [await s.closed(within_s=1) for s in (here, there)] == [4401, 4401]
    for program in (stack.gateway, other):
        await over(stack, program, alice.token)
        await over(stack, program, admin.token)
    assert await refresh_code(alice, alice.refresh_token) == "TOKEN_EXPIRED"
    assert (await alice.sign_in(alice.email))["errors"] == []
    assert await alice.ask(VIEWER)

    assert (await admin.sign_in(admin.email))["errors"] == []
    shown = (await admin.ask(f"{{ admin {{ {CONFIG} }} }}"))["admin"]["securityConfig"]
    assert shown == first
    for wrong, field in (
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "x", "graceSeconds": -1}, "graceSeconds"),
    ):
        [error] = (await admin.do(ROTATE_ALL, input=wrong))["errors"]
        assert (error["__typename"], error["field"]) == ("InvalidInput", ["input", field])
    [error] = (await alice.do(ROTATE_ALL, input=said))["errors"]
    assert error["code"] == "NOT_PERMITTED"
