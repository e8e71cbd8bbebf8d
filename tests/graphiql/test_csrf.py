"""Pages of other origins in real Chromium: they change nothing and read nothing (T20)."""

import json
import os
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.asgi import create_app
from gateway.processes import demo as person
from tests.e2e.stack import PASSWORD, Stack, a_free_port, served_here
from tests.graphiql.conftest import Browse

# A site is one label below .localhost and .test. The browser sends its Fetch Metadata only to what
# is trustworthy, as localhost is and .test is not: there the Origin alone decides.
PAIRS = {
    "the same site": ("gateway.bank.localhost", "evil.bank.localhost"),
    "the same site, untold": ("gateway.bank.test", "evil.bank.test"),
}
if os.environ.get("DASHTAM_TEST_LONG") == "1":  # by which less comes with the cookie, or the same
    PAIRS |= {
        "another site": ("gateway.bank.localhost", "evil.localhost"),
        "another site, untold": ("gateway.bank.test", "evil.test"),
        "another port": ("gateway.bank.localhost", "gateway.bank.localhost"),  # shares the cookie
    }
WITH_COOKIE_MIN = {"another site": 4, "another site, untold": 4}  # Lax: top-level GETs alone
SHAPES_MIN = 50
REFUSED = {403, 405, 415, 4403}
STATE = """
SELECT u.time_zone, u.base_currency,
    (SELECT array_agg(name ORDER BY name) FROM accounts WHERE user_id = u.user_id) AS accounts
FROM users u WHERE email = $1"""


class Seen:
    """What came to the gateway with a mark in its address, and how it was answered."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def around(self, app: ASGIApp) -> ASGIApp:
        async def seen(scope: Scope, receive: Receive, send: Send) -> None:
            said = parse_qs(scope.get("query_string", b"").decode())
            if "shape" not in said:
                await app(scope, receive, send)
                return
            number, _, shape = said["shape"][0].partition(".")
            found = {
                "pair": int(number),
                "shape": shape,
                "method": scope.get("method", "WEBSOCKET"),
                "cookie": "dashtam=" in Headers(scope=scope).get("cookie", ""),
                "status": None,
            }
            self.requests.append(found)

            async def sent(message: Message) -> None:
                found["status"] = message.get("status") or message.get("code") or found["status"]
                await send(message)

            await app(scope, receive, sent)

        return seen


async def state(stack: Stack, email: str) -> tuple[Any, ...]:
    db = await asyncpg.connect(stack.database.superuser_url)
    try:
        row = await db.fetchrow(STATE, email)
    finally:
        await db.close()
    assert row is not None, "the user was deleted"
    return tuple(row)


async def test_a_page_of_another_origin_changes_nothing_and_reads_nothing(
    demo: Stack, browse: Browse
) -> None:
    email, port, seen = await demo.a_user(), a_free_port(), Seen()
    before = await state(demo, email)
    page = f"http://app.bank.localhost:{port}"
    app = create_app(replace(demo.settings, allowed_origins=(page,)))
    app.add_middleware(seen.around)
    async with served_here(app) as url:
        pairs = [
            {"victim": f"http://{victim}:{urlsplit(url).port}", "attacker": f"http://{evil}:{port}"}
            for victim, evil in PAIRS.values()
        ]
        given = {
            "pairs": pairs,
            "port": port,
            "email": email,
            "password": PASSWORD,
            "other": {"email": person.EMAIL, "password": person.PASSWORD},
            "allowed": {"victim": pairs[0]["victim"], "page": page},
        }
        found = await browse("csrf.mjs", json.dumps(given))

    for number, (pair, attack) in enumerate(zip(PAIRS, found["attacks"], strict=True)):
        came = [one for one in seen.requests if one["pair"] == number]
        assert attack["read"] == [], pair
        assert len(attack["shapes"]) >= SHAPES_MIN
        assert {one["shape"] for one in came} == {*attack["shapes"]}
        # Whatever else may run there is nobody's.
        mine = [one for one in came if one["cookie"] or one["method"] == "WEBSOCKET"]
        assert [one for one in mine if one["status"] not in REFUSED] == [], pair
        assert len(mine) >= WITH_COOKIE_MIN.get(pair, SHAPES_MIN - 10)
        assert (attack["before"], attack["after"]) == (email, email), pair
    # The origin that is allowed: the canary sings.
    made = found["permitted"]["data"]["createManualAccount"]
    assert made["account"] == {"name": "allowed"}
    assert before[-1] is None
    assert await state(demo, email) == (*before[:-1], ["allowed"])
