"""A session's life: its tokens, their successors, and its end."""

import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx2
import pytest

from adapters.security.keyring import Keyring
from adapters.security.tokens import Tokens
from tests.e2e.stack import (
    Client,
    Stack,
)

VIEWER = "{ viewer { email } }"
REFRESH = """mutation Refresh($token: String!) { refreshSession(refreshToken: $token) {
  accessToken refreshToken viewer { email } errors { __typename code field } } }"""
CROWD = """
INSERT INTO sessions (user_id, id, created_at, last_used_at, expires_at, refresh_hash, is_cookie,
    device)
SELECT user_id, gen_random_uuid(), now(), now(), now() + interval '30 days',
    sha256(number::text::bytea), false, 'crowd'
FROM users, generate_series(1, 10000) AS number WHERE email = $1"""


def unauthenticated(answer: httpx2.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    [error] = answer.json()["errors"]
    assert error["extensions"]["code"] == "UNAUTHENTICATED"
    assert "data" not in answer.json()


async def test_nobody_gets_field_errors_and_200(nobody: Client) -> None:
    for document in (
        VIEWER,
        "{ accounts { name } }",
        'mutation { updateSettings(input: {timeZone: "UTC"}) { errors { code } } }',
        "mutation { signOut { signedOut } }",
    ):
        answer = await nobody.post(document)

        assert answer.status_code == 200
        assert answer.json()["data"] is None
        [error] = answer.json()["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
        assert error["path"]


async def test_nobody_may_see_what_is_offered(nobody: Client) -> None:
    data = await nobody.ask("{ providers { slug enabled } importFormats { extension maxBytes } }")

    assert "sandbox" in [provider["slug"] for provider in data["providers"]]
    assert {"extension": "qfx", "maxBytes": 10 * 2**20} in data["importFormats"]


@pytest.mark.parametrize("kind", ["expired", "garbled", "truncated", "of another key", "a word"])
async def test_a_token_that_is_no_good_is_401_everywhere_but_at_the_door(
    stack: Stack, alice: Client, tmp_path: Path, kind: str
) -> None:
    good = alice.token or ""
    wired = stack.wired
    known = await wired.app.doors.user_by_email(alice.email)
    assert known is not None
    whose: dict[str, Any] = {
        "user_id": known.user.id,
        "session_id": uuid4(),
        "version": 0,
        "generation": 0,
    }
    now, issuer = datetime.now(UTC), stack.settings.public_url
    stranger = Tokens(
        Keyring.load_or_create(tmp_path / "keys.json"), issuer=issuer, audience=issuer
    )
    bad = {
        "expired": wired.tokens.issue(**whose, now=now - timedelta(minutes=16)),
        "garbled": good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"),
        "truncated": good[: len(good) // 2],
        "of another key": stranger.issue(**whose, now=now),
        "a word": "hello",
    }[kind]

    unauthenticated(await alice.post(VIEWER, authorization=f"Bearer {bad}"))
    unauthenticated(await alice.post(VIEWER, authorization=f"bearer {bad}"))
    unauthenticated(
        await alice.post("mutation { signOut { signedOut } }", authorization=f"Bearer {bad}")
    )
    alice.headers["authorization"] = f"Bearer {bad}"
    alice.token = None
    assert (await alice.sign_in(alice.email))["errors"] == []
    assert (await alice.ask("{ providers { slug } }"))["providers"]


async def test_basic_credentials_are_not_ours(alice: Client) -> None:
    unauthenticated(await alice.post(VIEWER, authorization="Basic YTpi"))


async def test_a_token_of_a_session_that_never_was_is_401(stack: Stack, alice: Client) -> None:
    known = await stack.wired.app.doors.user_by_email(alice.email)
    assert known is not None
    token = stack.wired.tokens.issue(
        user_id=known.user.id, session_id=uuid4(), version=0, generation=0, now=datetime.now(UTC)
    )

    unauthenticated(await alice.post(VIEWER, authorization=f"Bearer {token}"))


async def test_the_other_sessions_of_a_person_go_on(stack: Stack, alice: Client) -> None:
    async with stack.nobody() as phone:
        await phone.sign_in(alice.email)

        await alice.do("mutation { signOut { signedOut } }")

        unauthenticated(await alice.post(VIEWER))
        assert await phone.ask(VIEWER) == {"viewer": {"email": alice.email}}


async def test_the_eleventh_session_ends_the_one_used_longest_ago(
    stack: Stack, alice: Client
) -> None:
    await alice.do("mutation { updateSettings(input: {sessionLimit: 2}) { errors { code } } }")
    async with stack.nobody() as second, stack.nobody() as third:
        await second.sign_in(alice.email)
        await third.sign_in(alice.email)

        assert await second.ask(VIEWER)
        assert await third.ask(VIEWER)
        give_up_at = time.monotonic() + 1
        while (answer := await alice.post(VIEWER)).status_code == 200:
            assert time.monotonic() < give_up_at
        unauthenticated(answer)


async def test_a_refresh_token_is_exchanged_for_its_successor(alice: Client) -> None:
    presented, before = alice.refresh_token, alice.token
    alice.token = None

    payload = await alice.do(REFRESH, token=presented)
    repeated = await alice.do(REFRESH, token=presented)  # the answer was lost on the way

    assert payload["errors"] == []
    assert payload["viewer"]["email"] == alice.email
    assert payload["refreshToken"] not in (presented, None)
    assert payload["accessToken"] != before
    assert repeated["refreshToken"] == payload["refreshToken"]
    alice.token = payload["accessToken"]
    assert await alice.ask(VIEWER) == {"viewer": {"email": alice.email}}
    following = await alice.do(REFRESH, token=payload["refreshToken"])
    assert following["errors"] == []
    assert following["refreshToken"] != payload["refreshToken"]


async def test_a_refresh_token_used_again_after_the_grace_ends_its_session(
    stack: Stack, alice: Client
) -> None:
    presented = alice.refresh_token
    payload = await alice.do(REFRESH, token=presented)
    assert payload["errors"] == []
    connection = await asyncpg.connect(stack.database.superuser_url)
    try:  # eleven seconds go by
        await connection.execute(
            "UPDATE refresh_tokens SET rotated_at = rotated_at - interval '11 s'"
        )
    finally:
        await connection.close()

    reused = await alice.do(REFRESH, token=presented)

    assert reused["accessToken"] is reused["refreshToken"] is None
    assert [e["code"] for e in reused["errors"]] == ["TOKEN_REUSED"]
    assert reused["errors"][0]["field"] == ["refreshToken"]
    alice.token = payload["accessToken"]
    give_up_at = time.monotonic() + 1
    while (answer := await alice.post(VIEWER)).status_code == 200:
        assert time.monotonic() < give_up_at
    unauthenticated(answer)
    thief = await alice.http.post(
        "/graphql", json={"query": REFRESH, "variables": {"token": payload["refreshToken"]}}
    )
    assert [e["code"] for e in thief.json()["data"]["refreshSession"]["errors"]] == [
        "TOKEN_EXPIRED"
    ]


async def test_a_refresh_token_of_two_exchanges_ago_ends_its_session(alice: Client) -> None:
    oldest = alice.refresh_token
    second = await alice.do(REFRESH, token=oldest)
    third = await alice.do(REFRESH, token=second["refreshToken"])
    assert third["errors"] == []

    reused = await alice.do(REFRESH, token=oldest)

    assert [e["code"] for e in reused["errors"]] == ["TOKEN_REUSED"]
    alice.token = None
    after = await alice.do(REFRESH, token=third["refreshToken"])
    assert [e["code"] for e in after["errors"]] == ["TOKEN_EXPIRED"]


async def test_a_refresh_token_nobody_gave_out_is_refused(nobody: Client) -> None:
    for token in ("x", "A" * 43, "", "ü" * 400):
        payload = await nobody.do(REFRESH, token=token)

        assert [e["code"] for e in payload["errors"]] == ["TOKEN_INVALID"]


async def test_a_cookies_secret_is_no_refresh_token(stack: Stack, nobody: Client) -> None:
    await nobody.sign_in(await stack.a_user(), delivery="COOKIE")
    secret = nobody.http.cookies["dashtam"]
    nobody.http.cookies.clear()

    payload = await nobody.do(REFRESH, token=secret)

    assert payload["accessToken"] is None
    assert payload["errors"]


async def test_a_refresh_among_ten_thousand_live_tokens_takes_as_long_as_among_few(
    stack: Stack, alice: Client
) -> None:
    """Probe 6: the reference took 27 s among fifty."""
    few = await refreshes(alice, 15)
    connection = await asyncpg.connect(stack.database.superuser_url)
    try:
        await connection.execute(CROWD, await stack.a_user())
        many = await refreshes(alice, 15)
        await connection.execute("DELETE FROM sessions WHERE device = 'crowd'")
    finally:
        await connection.close()
    assert min(many) < 0.05, many
    assert statistics.median(many) < 2 * statistics.median(few) + 0.01, (few, many)


async def refreshes(client: Client, count: int) -> list[float]:
    """The seconds that each of them took."""
    took, client.token = [], None
    for _ in range(count):
        began = time.perf_counter()
        payload = await client.do(REFRESH, token=client.refresh_token)
        took.append(time.perf_counter() - began)
        assert payload["errors"] == []
        client.refresh_token = payload["refreshToken"]
    return took
