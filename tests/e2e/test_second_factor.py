"""Passwords and the second factor as a client meets them, with a real authenticator's codes."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx2
import pyotp

from tests.e2e.stack import PASSWORD, SIGN_IN, Client, Stack

ERRORS = "errors { __typename code message field }"
ENABLE = f"mutation {{ enableTotp {{ secret uri {ERRORS} }} }}"
CONFIRM = f"mutation($code: String!) {{ confirmTotp(code: $code) {{ recoveryCodes {ERRORS} }} }}"
DISABLE = f"""mutation($password: String!, $code: String!) {{
  disableTotp(password: $password, code: $code) {{ disabled {ERRORS} }} }}"""
CHANGE = f"""mutation($input: ChangePasswordInput!) {{
  changePassword(input: $input) {{ changed {ERRORS} }} }}"""
VIEWER = "{ viewer { email totpEnabled } }"
NEW = "quite another password that nobody would guess"


def code(secret: str, *, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(datetime.now(UTC) + timedelta(seconds=30 * steps))


async def enter(client: Client, email: str, password: str = PASSWORD, **said: str) -> list[str]:
    """The codes of the refusals; the client is signed in where there are none."""
    payload = await client.do(SIGN_IN, input={"email": email, "password": password, **said})
    client.token = payload["accessToken"]
    return [error["code"] for error in payload["errors"]]


async def test_a_second_factor_from_its_first_code_to_its_last(
    stack: Stack, alice: Client, nobody: Client
) -> None:
    assert (await alice.ask(VIEWER))["viewer"]["totpEnabled"] is False
    begun = await alice.do(ENABLE)
    secret = begun["secret"]
    assert begun["uri"].endswith(f"?secret={secret}&issuer=Dashtam")

    confirmed = await alice.do(CONFIRM, code=code(secret))

    recovery = confirmed["recoveryCodes"]
    assert (len(set(recovery)), confirmed["errors"]) == (10, [])
    assert (await alice.ask(VIEWER))["viewer"]["totpEnabled"] is True
    assert await enter(nobody, alice.email) == ["MFA_REQUIRED"]
    assert await enter(nobody, alice.email, code="000000") == ["MFA_FAILED"]
    assert await enter(nobody, alice.email, "wrong", code=code(secret)) == ["SIGN_IN_FAILED"]
    at_once = await asyncio.gather(
        *(enter(nobody, alice.email, code=code(secret, steps=1)) for _ in range(4))
    )
    assert sorted(at_once) == [[], ["MFA_FAILED"], ["MFA_FAILED"], ["MFA_FAILED"]]
    assert await enter(nobody, alice.email, code=recovery[3].upper()) == []
    off = await alice.do(DISABLE, password=PASSWORD, code=recovery[3])
    assert (off["disabled"], off["errors"][0]["code"]) == (False, "MFA_FAILED")
    off = await alice.do(DISABLE, password=PASSWORD, code=recovery[4])
    assert off == {"disabled": True, "errors": []}
    assert (await nobody.post(VIEWER)).status_code == 401  # the session beside hers has ended
    assert (await alice.ask(VIEWER))["viewer"]["totpEnabled"] is False
    assert await enter(nobody, alice.email) == []


async def test_changing_the_password_ends_what_the_old_one_began(
    stack: Stack, alice: Client, nobody: Client
) -> None:
    assert await enter(nobody, alice.email) == []

    weak = await alice.do(CHANGE, input={"currentPassword": PASSWORD, "newPassword": "password1"})
    [error] = weak["errors"]
    assert (error["__typename"], error["code"]) == ("InvalidInput", "WEAK_PASSWORD")
    assert error["field"] == ["input", "newPassword"]
    wrong = await alice.do(CHANGE, input={"currentPassword": "no", "newPassword": NEW})
    assert wrong["errors"][0]["field"] == ["input", "currentPassword"]
    changed = await alice.do(CHANGE, input={"currentPassword": PASSWORD, "newPassword": NEW})

    assert changed == {"changed": True, "errors": []}
    assert (await nobody.post(VIEWER)).status_code == 401
    assert (await alice.ask(VIEWER))["viewer"]["email"] == alice.email
    assert await enter(nobody, alice.email) == ["SIGN_IN_FAILED"]
    assert await enter(nobody, alice.email, NEW) == []


async def test_the_owner_signs_in_from_a_known_device_while_the_account_is_attacked(
    stack: Stack, nobody: Client
) -> None:
    email = await stack.a_user()
    right = {"input": {"email": email, "password": PASSWORD}}
    cookie = {"input": {**right["input"], "delivery": "COOKIE"}}
    async with httpx2.AsyncClient(base_url=stack.gateway.url) as http:
        browser = Client(http)
        told = (await nobody.post(SIGN_IN, right)).headers
        kept = (await browser.post(SIGN_IN, cookie)).headers
        device = told["dashtam-device"]
        assert "set-cookie" not in told
        assert "dashtam-device" not in kept
        [text] = [c for c in kept.get_list("set-cookie") if c.startswith("dashtam-device=")]
        _, *attributes = text.split("; ")
        assert {*attributes} == {"Path=/", "Max-Age=31536000", "HttpOnly", "SameSite=Lax"}
        codes = [code for _ in range(11) for code in await enter(nobody, email, "no")]
        assert codes[-1] == "RATE_LIMITED"

        async def answered(by: Client, said: dict[str, dict[str, str]], **headers: str) -> object:
            answer = await by.post(SIGN_IN, said, **headers)
            return [error["code"] for error in answer.json()["data"]["signIn"]["errors"]]

        assert await answered(nobody, right) == ["RATE_LIMITED"]
        assert await answered(nobody, right, dashtam_device=device) == []
        assert await answered(nobody, right, dashtam_device=device[:-6] + "A" * 6) == [
            "RATE_LIMITED"
        ]
        assert await answered(browser, cookie) == []
