"""Sessions over HTTP: a cookie that is used lives on, and whose address an attempt came from."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import HTTPConnection

from domain.audit import Attempt, AuditOutcome
from domain.commands.passwords import ChangePassword, change_password
from domain.commands.sessions import actor_of_token
from domain.errors import Unavailable
from domain.identity import Actor
from domain.secret import Secret
from gateway.asgi import _sessions, graphql_view
from tests.engine.sessions import nobody
from tests.engine.world import PASSWORD, Engine, running_engine
from tests.gateway.http.served import served
from tests.servers import Database

SIGN_IN = """mutation ($delivery: TokenDelivery!) { signIn(input: {email: "ann@example.com",
  password: "%s", delivery: $delivery}) { accessToken errors { code } } }""".replace("%s", PASSWORD)
MONTH = timedelta(days=30)
AGAIN = "Max-Age=2592000"


@pytest.fixture
async def engine(database: Database, tmp_path: Path) -> AsyncIterator[Engine]:
    async with running_engine(database, tmp_path) as running:
        yield running


@asynccontextmanager
async def browsing(engine: Engine) -> AsyncIterator[httpx2.AsyncClient]:
    """At a gateway that has nothing in memory yet."""
    async with (
        _sessions(engine.wired) as authenticator,
        served(graphql_view(engine.wired, authenticator)) as url,
        httpx2.AsyncClient(base_url=url) as browser,
    ):
        yield browser


@pytest.fixture
async def browser(engine: Engine) -> AsyncIterator[httpx2.AsyncClient]:
    async with browsing(engine) as client:
        yield client


async def sign_in(client: httpx2.AsyncClient, delivery: str = "COOKIE", **headers: str) -> Any:
    asked = {"query": SIGN_IN, "variables": {"delivery": delivery}}
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    payload = (await client.post("/graphql", json=asked, headers=sent)).json()["data"]["signIn"]
    assert payload["errors"] == []
    return payload["accessToken"]


async def look(client: httpx2.AsyncClient, token: str | None = None) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    asked = {"query": "{ viewer { email } }"}
    return await client.post("/graphql", json=asked, headers=headers)


async def noted(engine: Engine) -> Any:
    """The session that was used now, once that is written."""
    now = engine.clock()
    async with asyncio.timeout(5):
        while not (used := await engine.rows("sessions", "last_used_at = $1", now)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return used[0]


# ── whose turn a request takes ────────────────────────────────────────────────


async def test_a_request_is_counted_by_what_nobody_makes_up(engine: Engine) -> None:
    def said(**headers: str) -> HTTPConnection:
        sent = {"x-forwarded-for": "203.0.113.9", **headers}
        raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in sent.items()]
        return HTTPConnection({"type": "http", "headers": raw, "client": ("127.0.0.1", 1)})

    settings = replace(engine.wired.settings, trusted_proxies=(ip_network("127.0.0.1"),))
    engine.wired = replace(engine.wired, settings=settings)
    async with (
        _sessions(engine.wired) as authenticator,
        served(graphql_view(engine.wired, authenticator)) as url,
        httpx2.AsyncClient(base_url=url) as app,
        httpx2.AsyncClient(base_url=url) as browser,
    ):
        token = await sign_in(app, "BODY")
        await sign_in(browser)
        cookie = f"a=b; dashtam={browser.cookies['dashtam']}; c=d"
        device = (await _signed_in(app)).headers["dashtam-device"]
        again = (await _signed_in(app)).headers["dashtam-device"]
        known = f"dashtam-device={browser.cookies['dashtam-device']}"
        whose, stranger = authenticator.whose, authenticator.whose(said())

        assert stranger == "address:203.0.113.9"
        for made_up in (token, token[:-1], "x", "", "x" * 60_000):
            assert whose(said(authorization=f"Bearer {made_up}")) == stranger
            assert whose(said(cookie=f"dashtam={made_up}")) == stranger
            assert whose(said(dashtam_device=made_up)) == stranger
        assert whose(said(x_forwarded_for="2001:db8::1")) == whose(
            said(x_forwarded_for="2001:db8::ffff:1")
        )
        first = whose(said(dashtam_device=device))
        assert first != stranger
        assert whose(said(dashtam_device=again)) == whose(said(cookie=known)) == first
        assert whose(said(dashtam_device=f"{device[:-2]}AA")) == stranger

        await look(app, token)
        await look(browser)

        [user] = await engine.rows("users")
        assert whose(said(authorization=f"Bearer {token}")) == user["user_id"]
        assert whose(said(cookie=cookie)) == user["user_id"]
        made_up = said(authorization="Bearer x", cookie=cookie, dashtam_device=device)
        assert whose(made_up) == first


async def _signed_in(client: httpx2.AsyncClient) -> httpx2.Response:
    asked = {"query": SIGN_IN, "variables": {"delivery": "BODY"}}
    return await client.post("/graphql", json=asked)


# ── a session that is used ────────────────────────────────────────────────────


async def test_a_cookie_that_is_used_lives_30_days_more(engine: Engine) -> None:
    async with browsing(engine) as browser:
        await sign_in(browser)
        cookies = browser.cookies
    for _ in range(3):
        engine.clock.turn(days=29)
        async with browsing(engine) as browser:
            browser.cookies = cookies
            answer = await look(browser)
        assert answer.json() == {"data": {"viewer": {"email": "ann@example.com"}}}
        assert f"dashtam={cookies['dashtam']};" in answer.headers["set-cookie"]
        assert AGAIN in answer.headers["set-cookie"]
        session = await engine.one("sessions")  # a gateway that stops has noted every use
        assert session["last_used_at"] == engine.clock()
        assert session["expires_at"] == engine.clock() + MONTH

    engine.clock.turn(days=31)
    async with browsing(engine) as browser:
        browser.cookies = cookies
        assert (await look(browser)).status_code == 401


async def test_a_use_is_noted_once_an_hour(engine: Engine, browser: httpx2.AsyncClient) -> None:
    await sign_in(browser)
    [before] = (await engine.written("sessions")).values()

    engine.clock.turn(minutes=59)
    assert "set-cookie" not in (await look(browser)).headers
    assert (await engine.written("sessions"))["sessions"] == before

    engine.clock.turn(minutes=1)
    answers = [await look(browser) for _ in range(5)]
    assert [AGAIN in a.headers.get("set-cookie", "") for a in answers] == [True, *4 * [False]]
    await noted(engine)
    assert {row["action"] for row in await engine.rows("audit_log")} == {
        "user.create",
        "session.start",
    }


async def test_the_browser_that_is_used_is_not_the_one_that_is_evicted(
    engine: Engine, browser: httpx2.AsyncClient
) -> None:
    await engine.spy.execute("UPDATE users SET session_limit = 2")
    await sign_in(browser)
    engine.clock.turn(hours=1)
    async with browsing(engine) as idle, browsing(engine) as third:
        await sign_in(idle)
        engine.clock.turn(hours=1)
        assert (await look(browser)).status_code == 200
        await noted(engine)
        await sign_in(third)

    ended = await engine.one("sessions", "ended_at IS NOT NULL")
    assert ended["last_used_at"] == engine.clock() - timedelta(hours=1)


async def test_a_use_is_not_waited_for(engine: Engine, browser: httpx2.AsyncClient) -> None:
    await sign_in(browser)
    engine.clock.turn(hours=2)
    transaction = engine.spy.transaction()
    await transaction.start()
    await engine.spy.execute("SELECT FROM sessions FOR UPDATE")
    async with asyncio.timeout(5):
        assert (await look(browser)).status_code == 200
    await transaction.rollback()
    await noted(engine)


async def test_a_use_that_cannot_be_noted_fails_no_request(engine: Engine) -> None:
    class ReadOnly:
        """What is left while no server takes writes."""

        def begin(self, actor: Actor, settles: Attempt | None) -> Any:
            raise Unavailable("the database is away")

        async def audit(
            self, attempt: Attempt, outcome: AuditOutcome, detail: str | None = None
        ) -> bool:
            raise Unavailable("the database is away")

    async with browsing(engine) as first:
        await sign_in(first)
        cookies = first.cookies
    engine.clock.turn(hours=2)
    engine.wired = replace(engine.wired, app=replace(engine.wired.app, store=ReadOnly()))
    async with browsing(engine) as browser:
        browser.cookies = cookies
        assert (await look(browser)).status_code == 200
    assert (await engine.one("sessions"))["last_used_at"] == engine.clock() - timedelta(hours=2)


async def test_signing_out_only_clears_the_cookie(
    engine: Engine, browser: httpx2.AsyncClient
) -> None:
    await sign_in(browser)
    engine.clock.turn(hours=2)
    asked = {"query": "mutation { signOut { signedOut } }"}
    answer = await browser.post("/graphql", json=asked)
    assert ["Max-Age=0" in c for c in answer.headers.get_list("set-cookie")] == [True]


async def test_a_token_gets_no_cookie(engine: Engine, browser: httpx2.AsyncClient) -> None:
    token = await sign_in(browser, "BODY")
    await engine.spy.execute("UPDATE sessions SET last_used_at = last_used_at - interval '2 h'")
    expires_at = (await engine.one("sessions"))["expires_at"]

    answer = await look(browser, token)

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    session = await noted(engine)
    assert session["expires_at"] == expires_at


async def test_a_session_that_was_prolonged_elsewhere_is_not_refused_from_memory(
    engine: Engine, browser: httpx2.AsyncClient
) -> None:
    await sign_in(browser)
    assert (await look(browser)).status_code == 200
    await engine.spy.execute("UPDATE sessions SET expires_at = expires_at + interval '1 day'")
    engine.clock.turn(days=30, seconds=1)
    assert (await look(browser)).status_code == 200


async def test_a_session_that_expired_is_refused_without_a_look(
    engine: Engine, browser: httpx2.AsyncClient
) -> None:
    """Whoever goes on asking with what is long over costs the database nothing."""
    await sign_in(browser)
    engine.clock.turn(days=31)
    assert (await look(browser)).status_code == 401
    await engine.spy.execute("UPDATE sessions SET expires_at = expires_at + interval '9 days'")
    assert (await look(browser)).status_code == 401, "it is remembered for five seconds"


async def test_a_token_that_is_remembered_is_refused_once_it_expires(
    engine: Engine, browser: httpx2.AsyncClient
) -> None:
    token = await sign_in(browser, "BODY")
    for minutes, status in ((14, 200), (1, 401)):
        engine.clock.turn(minutes=minutes)
        assert (await look(browser, token)).status_code == status


async def test_a_rotation_of_which_no_news_came_is_kept_by_what_was_looked_up(
    engine: Engine, browser: httpx2.AsyncClient
) -> None:
    """A gateway that remembers a session knows when its grace is over."""
    token = await sign_in(browser, "BODY")
    await engine.spy.execute(
        "UPDATE security_config SET global_token_version = 1, grace_seconds = 60,"
        " last_rotated_at = $1",
        engine.clock(),
    )
    assert (await look(browser, token)).status_code == 200
    engine.clock.turn(seconds=60)
    assert (await look(browser, token)).status_code == 401


async def test_what_changes_about_a_user_is_told_and_counts_at_once(
    engine: Engine, browser: httpx2.AsyncClient
) -> None:
    token = await sign_in(browser, "BODY")
    asked = {"query": 'mutation { updateSettings(input: {timeZone: "UTC"}) { errors { code } } }'}

    async def codes() -> list[str]:
        headers = {"authorization": f"Bearer {token}"}
        answer = (await browser.post("/graphql", json=asked, headers=headers)).json()
        return [error["code"] for error in answer["data"]["updateSettings"]["errors"]]

    await engine.spy.execute("SELECT pg_notify('dashtam_user_changed', 'no id')")  # is survived
    assert await codes() == []
    await engine.spy.execute("UPDATE users SET role = 'READONLY'")
    async with asyncio.timeout(1):
        while not await codes():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await codes() == ["NOT_PERMITTED"]


CHANGE_PASSWORD = """mutation ($now: String!) { changePassword(input: {currentPassword: "%s",
  newPassword: $now}) { changed errors { code } } }""".replace("%s", PASSWORD)


async def test_a_cookie_gets_a_new_secret_with_the_password_and_the_old_one_is_dead_everywhere(
    engine: Engine, browser: httpx2.AsyncClient
) -> None:
    await sign_in(browser)
    old = browser.cookies["dashtam"]
    async with browsing(engine) as elsewhere:
        elsewhere.cookies = browser.cookies
        assert (await look(elsewhere)).status_code == 200
        stolen = {"cookie": f"dashtam={old}"}

        new = {"query": CHANGE_PASSWORD, "variables": {"now": "another of fifteen or more"}}
        answer = (await browser.post("/graphql", json=new)).json()
        assert answer == {"data": {"changePassword": {"changed": True, "errors": []}}}

        assert browser.cookies["dashtam"] != old
        assert (await look(browser)).status_code == 200
        elsewhere.cookies.clear()
        asked = {"query": "{ viewer { email } }"}
        async with asyncio.timeout(1):
            while (await elsewhere.post("/graphql", json=asked, headers=stolen)).is_success:
                pass


async def test_where_no_cookie_can_be_set_the_one_there_is_stays(engine: Engine) -> None:
    """Such as over a socket: whoever changed their password there is not thrown out."""
    async with browsing(engine) as browser:
        await sign_in(browser)
        here = await actor_of_token(engine.app, browser.cookies["dashtam"], nobody())
        cmd = ChangePassword(
            actor=here,
            current=Secret(PASSWORD),
            new=Secret("another of fifteen or more"),
            at=engine.clock(),
        )
        await change_password(engine.app, cmd)
        assert (await look(browser)).status_code == 200


# ── addresses ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:5678", "203.0.113.9"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:443", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.7:1234, ::ffff:10.0.0.8", "203.0.113.9"),
        ("203.0.113.9, unknown", None),
        ("x" * 3_000, None),
        ("", "127.0.0.1"),
    ],
)
async def test_an_address_is_written_as_an_address(
    engine: Engine, forwarded: str, address: str | None
) -> None:
    trusted = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"))
    settings = replace(engine.wired.settings, trusted_proxies=trusted)
    engine.wired = replace(engine.wired, settings=settings)
    async with browsing(engine) as browser:
        await sign_in(browser, x_forwarded_for=forwarded)
    assert (await engine.one("sessions"))["ip_address"] == address


async def test_who_is_not_behind_a_trusted_proxy_is_not_believed(
    engine: Engine, browser: httpx2.AsyncClient
) -> None:
    await sign_in(browser, x_forwarded_for="203.0.113.9")
    assert (await engine.one("sessions"))["ip_address"] == "127.0.0.1"
