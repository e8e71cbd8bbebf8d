"""Signing in: by tokens, by cookie, and how often."""

import asyncio
from dataclasses import replace

import httpx2
import pytest

from gateway.asgi import create_app
from tests.e2e.stack import PASSWORD, SIGN_IN, Client, Stack, served_here

VIEWER = "{ viewer { email } }"


async def test_the_right_password_gives_tokens_that_are_good(stack: Stack, nobody: Client) -> None:
    email = await stack.a_user()

    payload = await nobody.sign_in(email.upper())

    assert payload["errors"] == []
    assert payload["viewer"]["email"] == email
    assert payload["expiresInSeconds"] == 900
    assert await nobody.ask(VIEWER) == {"viewer": {"email": email}}


async def test_a_cookie_is_set_instead_of_tokens_and_is_enough(
    stack: Stack, nobody: Client
) -> None:
    email = await stack.a_user()
    said = {"email": email, "password": PASSWORD, "delivery": "COOKIE"}

    answer = await nobody.post(SIGN_IN, {"input": said})

    payload = answer.json()["data"]["signIn"]
    assert payload["errors"] == []
    assert payload["viewer"]["email"] == email
    assert payload["accessToken"] is payload["refreshToken"] is payload["expiresInSeconds"] is None
    cookie, _known_device = answer.headers.get_list("set-cookie")
    name, _, rest = cookie.partition("=")
    secret, *attributes = rest.split("; ")
    assert name == "dashtam"  # __Host- needs https
    assert len(secret) == 43
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"} == set(attributes)
    assert await nobody.ask(VIEWER) == {"viewer": {"email": email}}


async def test_the_cookie_is_not_honoured_for_another_site(stack: Stack, nobody: Client) -> None:
    await nobody.sign_in(await stack.a_user(), delivery="COOKIE")

    crossing: tuple[dict[str, str], ...] = (
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "https://other.example"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    )
    for cross in crossing:
        refused = await nobody.post(VIEWER, None, **cross)
        assert refused.status_code == 403
        assert refused.json()["errors"][0]["extensions"]["code"] == "NOT_PERMITTED"
        assert "data" not in refused.json()
    read = await nobody.http.get("/graphql", params={"query": VIEWER})
    assert read.status_code == 403  # an image's or a link's request, with nothing that asks first

    own = await nobody.post(VIEWER, sec_fetch_site="same-origin", origin=stack.gateway.url)
    assert own.json()["data"]["viewer"]["email"] == nobody.email


async def test_where_clients_come_by_https_the_cookie_is_bound_to_the_host(stack: Stack) -> None:
    settings = replace(stack.settings, public_url="https://money.example.com")
    said = {"email": await stack.a_user(), "password": PASSWORD, "delivery": "COOKIE"}
    async with served_here(create_app(settings)) as url, httpx2.AsyncClient(base_url=url) as http:
        body = {"query": SIGN_IN, "variables": {"input": said}}
        answer = await http.post("/graphql", json=body)

        cookie, device = answer.headers.get_list("set-cookie")
        assert device.startswith("__Host-dashtam-device=")
        assert device.endswith("; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure")
        name, _, rest = cookie.partition("=")
        secret, *attributes = rest.split("; ")
        assert name == "__Host-dashtam"
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"} == {*attributes}
        headers = {"cookie": f"{name}={secret}"}
        read = await http.post("/graphql", json={"query": VIEWER}, headers=headers)
        assert read.json() == {"data": {"viewer": {"email": said["email"]}}}


async def test_signing_out_clears_the_cookie_and_ends_it(stack: Stack, nobody: Client) -> None:
    await nobody.sign_in(await stack.a_user(), delivery="COOKIE")
    secret = nobody.http.cookies["dashtam"]

    answer = await nobody.post("mutation { signOut { signedOut errors { code } } }")

    assert answer.json()["data"]["signOut"] == {"signedOut": True, "errors": []}
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert "dashtam" not in nobody.http.cookies
    nobody.http.cookies.clear()  # or they would be sent in place of the header
    stolen = await nobody.post(VIEWER, cookie=f"dashtam={secret}")
    assert stolen.status_code == 401


async def test_the_eleventh_attempt_on_an_account_has_to_wait(stack: Stack, nobody: Client) -> None:
    email = await stack.a_user()
    wrong = {"email": email, "password": "wrong"}
    failed = [(await nobody.do(SIGN_IN, input=wrong))["errors"][0]["code"] for _ in range(10)]
    assert failed == ["SIGN_IN_FAILED"] * 10

    for said in (wrong, {"email": email, "password": PASSWORD}):
        [error] = (await nobody.do(SIGN_IN, input=said))["errors"]
        assert error["__typename"] == "RateLimited"
        assert error["code"] == "RATE_LIMITED"
        assert (
            60 < error["retryAfterSeconds"] <= 91
        )  # ten in fifteen minutes: one in ninety seconds

    assert (await nobody.sign_in(await stack.a_user()))["errors"] == []  # others are not held up


async def test_many_sign_ins_at_once_are_counted_one_by_one(stack: Stack, nobody: Client) -> None:
    email = await stack.a_user()
    wrong = {"email": email, "password": "wrong"}

    payloads = await asyncio.gather(*(nobody.do(SIGN_IN, input=wrong) for _ in range(15)))

    codes = [payload["errors"][0]["code"] for payload in payloads]
    assert sorted(codes) == ["RATE_LIMITED"] * 5 + ["SIGN_IN_FAILED"] * 10


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("mutation { signOut { signedOut } again: signOut { signedOut } }", "twice"),
        ("mutation { out: signOut { signedOut } }", "an alias"),
        (
            "mutation { signOut { signedOut } updateSettings(input: {}) { errors { code } } }",
            "beside another",
        ),
        (
            "mutation { ...A } fragment A on Mutation { signOut { signedOut } b: signOut { signedOut } }",
            "in a fragment",
        ),
    ],
)
async def test_identity_mutations_stand_alone(alice: Client, document: str, why: str) -> None:
    for accept, status in (("application/graphql-response+json", 400), ("application/json", 200)):
        refused = await alice.post(document, accept=accept)

        assert refused.status_code == status, why
        assert "data" not in refused.json()
        [error] = refused.json()["errors"]
        assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"

    assert await alice.ask(VIEWER) == {"viewer": {"email": alice.email}}
    typename = await alice.ask("mutation { __typename signOut { signedOut } }")
    assert typename == {"__typename": "Mutation", "signOut": {"signedOut": True}}


async def test_settings_are_changed_cleared_or_left_alone(alice: Client) -> None:
    change = """mutation($input: UpdateSettingsInput!) { updateSettings(input: $input) {
      viewer { baseCurrency timeZone sessionLimit } errors { __typename code message field } } }"""

    first = await alice.do(
        change, input={"baseCurrency": "EUR", "timeZone": "Europe/Berlin", "sessionLimit": 3}
    )
    kept = await alice.do(change, input={})
    cleared = await alice.do(change, input={"sessionLimit": None})

    changed = {"baseCurrency": "EUR", "timeZone": "Europe/Berlin", "sessionLimit": 3}
    assert first == kept == {"viewer": changed, "errors": []}
    assert cleared["viewer"] == {**changed, "sessionLimit": None}


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
        ({"timeZone": "../../etc/passwd"}, "timeZone"),
        ({"sessionLimit": 0}, "sessionLimit"),
        ({"sessionLimit": 101}, "sessionLimit"),
    ],
)
async def test_a_setting_that_is_none_is_refused_where_it_stands(
    alice: Client, said: dict[str, object], at: str
) -> None:
    payload = await alice.do(
        """mutation($input: UpdateSettingsInput!) { updateSettings(input: $input) {
        viewer { email } errors { __typename code message field } } }""",
        input=said,
    )

    assert payload["viewer"] is None
    [error] = payload["errors"]
    assert (error["__typename"], error["code"]) == ("InvalidInput", "INVALID_INPUT")
    assert error["field"] == ["input", at]


async def test_a_currency_that_is_none_does_not_coerce(alice: Client) -> None:
    [error] = await alice.errors(
        "mutation($c: Currency) { updateSettings(input: {baseCurrency: $c}) { errors { code } } }",
        c="XYZ",
    )

    assert error["extensions"]["code"] == "BAD_USER_INPUT"
