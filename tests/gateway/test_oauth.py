"""Browsers that come back from a provider, and those that were sent by somebody else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.applications import Starlette

from adapters.postgres.doors import PostgresDoors
from domain.errors import Unavailable
from domain.limits import Limit
from domain.providers import Consent
from gateway.routes.oauth import Callback
from gateway.telemetry.tracing import Traced
from tests.e2e.stack import Client
from tests.engine.world import known
from tests.gateway.oauth import APP, BEGIN, COMPLETE, Begun, Gateway, a_gateway, fragment
from tests.providers.authorized import Bank
from tests.servers import Postgres

BANK, TRUST = "/oauth/bank/callback", "/oauth/trust/callback"


@pytest.fixture(scope="module")
async def gateway(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    folder: Path = tmp_path_factory.mktemp("oauth")
    async with postgres.fresh_database() as database, a_gateway(database, folder) as running:
        yield running


@pytest.fixture
async def ann(gateway: Gateway) -> AsyncIterator[Client]:
    """With the cookie of a session."""
    gateway.server.owner = f"ann-{gateway.server.token_calls}"
    gateway.strict.owner = f"ann-{gateway.strict.token_calls}"
    async with gateway.person() as client:
        yield client


@pytest.fixture(scope="module")
async def victim(gateway: Gateway) -> AsyncIterator[Client]:
    """Whose answers are tampered with, one after another, who is never linked."""
    async with gateway.person() as client:
        yield client


@pytest.fixture
async def nobody(gateway: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    async with gateway.browser() as browser:
        yield browser


def is_our_page(answer: httpx2.Response, *, status: int = 400) -> bool:
    said = answer.headers
    assert answer.status_code == status, answer.text
    assert said["content-type"] == "text/html; charset=utf-8"
    assert said["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert "script-src" not in said["content-security-policy"]
    assert (said["cache-control"], said["referrer-policy"]) == ("no-store", "no-referrer")
    assert "<script" not in answer.text
    return True


async def complete(client: Client, begun: Begun, **said: Any) -> dict[str, Any]:
    values = {"state": begun.state, "code": begun.said.get("code"), "iss": begun.said.get("iss")}
    given = values | said
    if "error" in said:
        given["code"] = None
    return await client.do(COMPLETE, input=given)


async def code_of(payload: dict[str, Any]) -> str:
    [error] = payload["errors"]
    assert payload["link"] is None
    code: str = error["code"]
    return code


async def test_with_the_cookie_that_began_the_link_is_completed(
    gateway: Gateway, ann: Client
) -> None:
    begun = await gateway.begin(ann, return_to=APP)
    place, told = fragment(await ann.http.get(begun.url))
    assert (place, told) == (APP, {"link": begun.link_id})
    link = (await ann.ask("{ links { id status connectedAt } }"))["links"][0]
    assert (link["id"], link["status"]) == (begun.link_id, "ACTIVE")
    assert gateway.server.complaints == []


async def test_without_an_app_to_go_back_to_our_page_says_so(gateway: Gateway, ann: Client) -> None:
    begun = await gateway.begin(ann, "trust")
    assert begun.said["iss"] == gateway.strict.url
    answer = await ann.http.get(begun.url)
    assert is_our_page(answer, status=200)
    assert "<h1>The Trust &amp; &lt;Sons&gt; is linked</h1>" in answer.text
    again = await ann.http.get(begun.url)  # somebody loads it again
    assert is_our_page(again)
    assert "Nothing is under way" in again.text
    assert gateway.strict.complaints == []


@pytest.mark.parametrize("return_to", [APP, "com.example.app:/done"])
async def test_without_it_the_app_that_began_is_told_and_completes(
    gateway: Gateway, nobody: httpx2.AsyncClient, return_to: str
) -> None:
    async with gateway.person(delivery="BODY") as bearer:
        begun = await gateway.begin(bearer, "trust", return_to=return_to)
        gateway.strict.owner = return_to
        place, told = fragment(await nobody.get(begun.url))
        assert (place, told) == (return_to, dict(begun.said))
        payload = await complete(bearer, begun)
        assert payload["errors"] == []
        assert payload["link"] == {
            "id": begun.link_id,
            "status": "ACTIVE",
            "provider": {"slug": "trust"},
            "lastRun": {"trigger": "CONNECT"},
        }
        assert await code_of(await complete(bearer, begun)) == "TOKEN_INVALID"


async def test_a_cookie_of_another_session_completes_nothing(gateway: Gateway) -> None:
    """Be it the same person's, or whom somebody else's link was sent to."""
    async with (
        gateway.person(delivery="BODY") as bearer,
        gateway.person() as other,
        gateway.person(email=bearer.email) as own_browser,
    ):
        begun = await gateway.begin(bearer, return_to=APP)
        before = await gateway.counts()
        for browser in (own_browser, other):
            place, told = fragment(await browser.http.get(begun.url))
            assert (place, told["state"]) == (APP, begun.state)
            assert await code_of(await complete(browser, begun)) == "TOKEN_INVALID"
        assert await gateway.counts() == before
        assert (await complete(bearer, begun))["link"]["status"] == "ACTIVE"


async def test_a_dialogue_of_the_providers_own_is_begun_by_a_token(
    gateway: Gateway, ann: Client
) -> None:
    payload = await ann.do(BEGIN, input={"provider": "dialogue", "using": {"oauth": {}}})
    ends = gateway.clock() + timedelta(hours=4)
    assert payload == {
        "link": None,
        "authorizationUrl": None,
        "state": None,
        "linkToken": "link-1",
        "expiresAt": ends.isoformat().replace("+00:00", "Z"),
        "errors": [],
    }


async def test_a_cookie_lives_on_by_coming_back(gateway: Gateway, ann: Client) -> None:
    gateway.clock.turn(minutes=55)
    begun = await gateway.begin(ann)
    gateway.clock.turn(minutes=5)
    secret = ann.http.cookies["dashtam"]
    answer = await ann.http.get(begun.url)
    assert answer.headers["set-cookie"].startswith(f"dashtam={secret}; Path=/; Max-Age=2592000")


async def test_the_same_login_again_is_named(gateway: Gateway, ann: Client) -> None:
    first = await gateway.begin(ann, return_to=APP)
    await ann.http.get(first.url)
    second = await gateway.begin(ann, return_to=APP)
    place, told = fragment(await ann.http.get(second.url))
    assert (place, told) == (APP, {"error": "CONFLICT"})
    [error] = (await complete(ann, await gateway.begin(ann)))["errors"]
    assert (error["__typename"], error["existingId"]) == ("Conflict", first.link_id)
    assert [link["id"] for link in (await ann.ask("{ links { id } }"))["links"]] == [first.link_id]


async def test_two_that_come_at_once_are_one(gateway: Gateway, ann: Client) -> None:
    begun = await gateway.begin(ann)
    before = await gateway.counts()
    answers = await asyncio.gather(*(ann.http.get(begun.url) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    after = await gateway.counts()
    assert {name: after[name] - before[name] for name in after} == dict.fromkeys(after, 1)


async def test_an_owner_who_does_not_consent_is_told_in_our_words(
    gateway: Gateway, ann: Client, nobody: httpx2.AsyncClient
) -> None:
    gateway.server.error = "access_denied"
    try:
        own, page, handed = (
            await gateway.begin(ann, return_to=APP),
            await gateway.begin(ann),
            await gateway.begin(ann, return_to=APP),
        )
    finally:
        gateway.server.error = None
    assert fragment(await ann.http.get(own.url)) == (APP, {"error": "CREDENTIALS_REJECTED"})
    answer = await ann.http.get(page.url)
    assert is_our_page(answer)
    assert "access at The Bank &amp; &lt;Sons&gt; was not granted." in answer.text
    place, told = fragment(await nobody.get(handed.url))
    assert (place, told) == (APP, {"state": handed.state, "error": "access_denied"})
    payload = await complete(ann, handed, error=told["error"])
    assert await code_of(payload) == "CREDENTIALS_REJECTED"
    assert (await ann.ask("{ links { id } }"))["links"] == []


# ── what was tampered with ──────────────────────────────────────────────────

Query = Callable[[Begun], str]


def said(begun: Begun, *but: str, **more: str) -> str:
    return urlencode({n: t for n, t in begun.said.items() if n not in but} | more)


NO_STATE_OF_OURS: dict[str, tuple[str, Query]] = {
    "nothing at all": (BANK, lambda b: ""),
    "no state": (BANK, lambda b: said(b, "state")),
    "an empty state": (BANK, lambda b: said(b, state="")),
    "an unknown state": (BANK, lambda b: said(b, state="s" * 43)),
    "less of the state": (BANK, lambda b: said(b, state=b.state[:-1])),
    "more than the state": (BANK, lambda b: said(b, state=b.state + "=")),
    "the state turned round": (BANK, lambda b: said(b, state=b.state[::-1])),
    "a state with a NUL": (BANK, lambda b: said(b, state=b.state[:-1] + "\x00")),
    "a state of markup": (BANK, lambda b: said(b, state="<script>alert(1)</script>")),
    "a state that is no UTF-8": (BANK, lambda b: said(b, "state") + "&state=%ff%fe"),
    "an endless state": (BANK, lambda b: said(b, state=b.state * 500)),
    "the state twice": (BANK, lambda b: said(b) + f"&state={b.state}"),
    "two states": (BANK, lambda b: said(b) + f"&state={'s' * 43}"),
    "another provider's path": (TRUST, said),
    "no provider's path": ("/oauth/%3Cscript%3E/callback", said),
    "the code twice": (BANK, lambda b: said(b) + "&code=c"),
    "no code": (BANK, lambda b: said(b, "code")),
    "an empty code": (BANK, lambda b: said(b, code="")),
    "an endless code": (BANK, lambda b: said(b, code="c" * 5_000)),
    "a code with a NUL": (BANK, lambda b: said(b, code="c\x00de")),
    "a code with a new line": (BANK, lambda b: said(b, code="c\r\nx: y")),
    "a code and an error": (BANK, lambda b: said(b, error="access_denied")),
    "an error twice": (BANK, lambda b: said(b, "code", error="x") + "&error=x"),
    "an error of markup": (BANK, lambda b: said(b, "code", error="<script>alert(1)</script>")),
    "an error": (BANK, lambda b: said(b, "code", error="access_denied")),
    "somebody's own iss": (BANK, lambda b: said(b, iss="https://evil.example")),
    "iss twice": (BANK, lambda b: said(b) + "&iss=https://a.example&iss=https://a.example"),
    "an iss that is none": (BANK, lambda b: said(b, iss="javascript:alert(1)")),
}
NO_ISSUER_OF_OURS: dict[str, Query] = {
    "no iss where there has to be one": lambda b: said(b, "iss"),
    "an empty iss": lambda b: said(b, iss=""),
    "another's iss": lambda b: said(b, iss="https://bank.example"),
    "nearly the iss": lambda b: said(b, iss=b.said["iss"] + "/"),
    "the iss twice": lambda b: said(b) + "&" + urlencode({"iss": b.said["iss"]}),
}


@pytest.mark.parametrize("what", NO_STATE_OF_OURS)
async def test_what_was_tampered_with_links_nothing_and_asks_nobody(
    gateway: Gateway, victim: Client, what: str
) -> None:
    path, query = NO_STATE_OF_OURS[what]
    begun = await gateway.begin(victim)
    before = await gateway.counts()
    answer = await victim.http.get(f"{path}?{query(begun)}")
    assert is_our_page(answer)
    assert "evil" not in answer.text
    assert begun.said["code"] not in answer.text
    assert await gateway.counts() == before


@pytest.mark.parametrize("what", NO_ISSUER_OF_OURS)
async def test_an_answer_that_says_it_is_of_another_is_not_taken(
    gateway: Gateway, victim: Client, what: str
) -> None:
    begun = await gateway.begin(victim, "trust")
    before = await gateway.counts()
    assert is_our_page(await victim.http.get(f"{TRUST}?{NO_ISSUER_OF_OURS[what](begun)}"))
    assert await gateway.counts() == before


async def test_a_state_is_of_one_session_of_one_person_for_ten_minutes(
    gateway: Gateway, ann: Client, nobody: httpx2.AsyncClient
) -> None:
    begun = await gateway.begin(ann)
    before = await gateway.counts()
    async with gateway.person() as other, gateway.person(email=ann.email) as elsewhere:
        for browser in (nobody, other.http, elsewhere.http):
            answer = await browser.get(begun.url)
            assert is_our_page(answer)
            assert "cannot go on here" in answer.text
        assert is_our_page(await other.http.get(begun.url.replace("bank", "trust")))
    gateway.clock.turn(minutes=10)
    assert is_our_page(await ann.http.get(begun.url))
    assert await code_of(await complete(ann, begun)) == "TOKEN_EXPIRED"
    assert await gateway.counts() == before


@pytest.mark.parametrize("whose", ["somebody else's", "nobody's"])
async def test_a_code_that_was_not_given_for_this_state_is_refused_by_the_provider(
    gateway: Gateway, ann: Client, whose: str
) -> None:
    """It is bound to a verifier that only we have, and is not that of this state."""
    async with gateway.person() as attacker:
        theirs = await gateway.begin(attacker)
    own = await gateway.begin(ann)
    code = theirs.said["code"] if whose == "somebody else's" else "invented"
    before = await gateway.counts()
    answer = await ann.http.get(f"{BANK}?{said(own, code=code)}")
    assert is_our_page(answer)
    assert "Nothing was linked" in answer.text
    assert await gateway.counts() == before | {"tokens": before["tokens"] + 1}
    assert await code_of(await complete(ann, own)) == "TOKEN_INVALID"
    assert (await ann.ask("{ links { id } }"))["links"] == []


async def test_nobody_is_sent_to_where_no_app_of_ours_is(gateway: Gateway, ann: Client) -> None:
    for place in ("https://evil.example/", "//app.example.com", "https://app.example.com@evil/"):
        using = {"oauth": {"returnTo": place}}
        payload = await ann.do(
            'mutation($u: ConnectUsing!) { connectProvider(input: {provider: "bank", using: $u}) '
            "{ link { id } authorizationUrl errors { code field } } }",
            u=using,
        )
        where = ["input", "using", "oauth", "returnTo"]
        assert payload == {
            "link": None,
            "authorizationUrl": None,
            "errors": [{"code": "INVALID_INPUT", "field": where}],
        }


async def test_who_only_looks_spends_nothing(gateway: Gateway, ann: Client) -> None:
    begun = await gateway.begin(ann)
    for method in ("HEAD", "POST", "OPTIONS"):
        assert (await ann.http.request(method, begun.url)).status_code == 405
    assert (await ann.http.get(begun.url)).status_code == 200


async def test_signed_out_there_is_nothing_to_complete(gateway: Gateway) -> None:
    async with gateway.browser() as http:
        [error] = await Client(http).errors(COMPLETE, input={"state": "s" * 43, "code": "c"})
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


class Away(PostgresDoors):
    async def authorization_by_state(self, *_: object) -> NoReturn:
        raise Unavailable("the database is away", retry_after_s=3)


async def get(callback: Callback, begun: Begun, client: Client) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=Traced(Starlette(routes=callback.routes())))
    async with httpx2.AsyncClient(transport=transport, cookies=client.http.cookies) as browser:
        return await browser.get(begun.url)


async def test_what_cannot_be_done_now_can_be_done_a_little_later(
    gateway: Gateway, ann: Client
) -> None:
    app, first = gateway.wired.app, await gateway.begin(ann)
    few = replace(app.limit_settings, connect=Limit(name="connect", burst=1, per_seconds=60))
    away = await get(
        replace(gateway.callback, app=replace(app, doors=Away(gateway.wired.pool))), first, ann
    )
    assert is_our_page(away, status=503)
    assert away.headers["retry-after"] == "3"
    limited = replace(gateway.callback, app=replace(app, limit_settings=few))
    assert is_our_page(await get(limited, first, ann), status=200)
    gateway.server.owner = "ann again"
    second = await gateway.begin(ann)
    refused = await get(limited, second, ann)
    assert is_our_page(refused, status=429)
    assert 0 < int(refused.headers["retry-after"]) <= 60
    few = replace(app.limit_settings, callback=Limit(name="callback", burst=1, per_seconds=60))
    limited = replace(gateway.callback, app=replace(app, limit_settings=few))
    unknown = replace(second, url=second.url.replace(second.state, "s" * 43))
    assert is_our_page(await get(limited, unknown, ann))
    assert is_our_page(await get(limited, second, ann), status=429)  # of this address
    assert is_our_page(await get(gateway.callback, second, ann), status=200)


class Cut(Bank):
    async def exchange(self, code: str, consent: Consent, at: datetime) -> NoReturn:
        raise Unavailable("the database is away", retry_after_s=3)


async def test_what_was_cut_off_once_its_state_was_spent_is_not_said_to_go_on(
    gateway: Gateway, ann: Client
) -> None:
    app, begun = gateway.wired.app, await gateway.begin(ann)
    cut = Cut(gateway.server)
    callback = replace(gateway.callback, app=replace(app, providers=known(cut)))
    try:
        away = await get(callback, begun, ann)
    finally:
        await cut.http.aclose()
    assert is_our_page(away, status=503)
    assert "this attempt is over" in away.text
    assert "Nothing is under way" in (await get(gateway.callback, begun, ann)).text
