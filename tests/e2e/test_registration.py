"""From nobody to somebody and back, over the network, on real processes, with the mails read."""

import re
import secrets
import stat

import httpx2
import pytest

from tests.e2e.mailbox import Mailbox, html_of, link_of, text_of, token_of
from tests.e2e.stack import PASSWORD, Client, Stack

REGISTER = """mutation Register($email: String!, $password: String!) {
  register(input: {email: $email, password: $password}) { accepted errors { code message field } }
}"""
VERIFY = """mutation Verify($token: String!) {
  verifyEmail(token: $token) { verified errors { code message field } }
}"""
FORGOT = """mutation Forgot($email: String!) {
  requestPasswordReset(email: $email) { accepted errors { code message field } }
}"""
RESET = """mutation Reset($input: ResetPasswordInput!) {
  resetPassword(input: $input) { reset errors { code message field } }
}"""
DELETE = """mutation Delete($password: String!) {
  deleteViewer(password: $password) { deleted errors { code message field } }
}"""
VIEWER = "{ viewer { email emailVerified role baseCurrency timeZone } }"
ACCEPTED = {"accepted": True, "errors": []}
OTHER_PASSWORD = "quite another set of unlikely words"


def an_address() -> str:
    return f"new-{secrets.token_hex(6)}@example.com"


def codes(payload: dict[str, list[dict[str, str]]]) -> list[str]:
    return [error["code"] for error in payload["errors"]]


async def registered(stack: Stack, nobody: Client, email: str) -> Mailbox:
    """Somebody whose address is verified, with one mail by now."""
    mailbox = Mailbox(stack.settings.data_dir, email)
    assert await nobody.do(REGISTER, email=email, password=PASSWORD) == ACCEPTED
    token = token_of(await mailbox.newest(1))
    assert (await nobody.do(VERIFY, token=token))["verified"] is True
    return mailbox


async def test_register_read_the_mail_verify_sign_in_and_be_the_viewer(
    stack: Stack, nobody: Client
) -> None:
    email = an_address()
    mailbox = Mailbox(stack.settings.data_dir, email)

    assert await nobody.do(REGISTER, email=f" {email.upper()} ", password=PASSWORD) == ACCEPTED
    mail = await mailbox.newest(1)
    early = await nobody.sign_in(email)
    wrong = await nobody.sign_in(email, "not the password at all")
    verified = await nobody.do(VERIFY, token=token_of(mail))
    again = await nobody.do(VERIFY, token=token_of(mail))
    await nobody.sign_in(email)
    viewer = (await nobody.ask(VIEWER))["viewer"]

    assert codes(early) == ["EMAIL_NOT_VERIFIED"]
    assert codes(wrong) == ["SIGN_IN_FAILED"]  # whether it is verified is told to its owner only
    assert verified == again == {"verified": True, "errors": []}
    assert viewer == {
        "email": email,
        "emailVerified": True,
        "role": "USER",
        "baseCurrency": "USD",
        "timeZone": "UTC",
    }
    [(path, _)] = mailbox.files()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z-verify_email-[0-9a-f]{8}\.eml", path.name)


async def test_a_mail_is_text_and_html_with_a_link_to_the_gateways_own_page(
    stack: Stack, nobody: Client
) -> None:
    email = an_address()
    await nobody.do(REGISTER, email=email, password=PASSWORD)
    mail = await Mailbox(stack.settings.data_dir, email).newest(1)
    link = link_of(mail)

    assert link.startswith(f"{stack.settings.public_url}/verify-email?token=")
    assert len(token_of(mail)) == 43
    assert f'href="{link}"' in html_of(mail)
    assert "24 hours" in text_of(mail)
    assert mail["Subject"] == "Confirm your address"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["From"] == stack.settings.mail_from
    assert mail["Date"].datetime.utcoffset().total_seconds() == 0
    assert re.fullmatch(r"<[\w-]{36}@localhost>", mail["Message-ID"])


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("fourteen chars", "at least 15 characters"),
        ("correct horse battery staple " * 9, "at most 256"),
        ("passwordpassword", "common"),
        ("\ud800 is half a character", "400"),
    ],
)
async def test_a_weak_password_is_refused_with_the_reason(
    nobody: Client, password: str, why: str
) -> None:
    if why == "400":  # by the transport, whatever it stands in
        answer = await nobody.http.post(
            "/graphql",
            content='{"query": "mutation { register(input: {email: \\"a@b.co\\", password: '
            '\\"\\\\ud800\\"}) { accepted } }"}',
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 400
        return
    payload = await nobody.do(REGISTER, email=an_address(), password=password)

    assert payload["accepted"] is False
    assert codes(payload) == ["WEAK_PASSWORD"]
    assert why in payload["errors"][0]["message"]
    assert payload["errors"][0]["field"] == ["input", "password"]


async def test_registering_again_mails_again_and_the_password_is_of_the_mail_that_was_used(
    stack: Stack, nobody: Client
) -> None:
    """Whoever registers the address of a stranger first gains nothing."""
    email = an_address()
    mailbox = Mailbox(stack.settings.data_dir, email)
    await nobody.do(REGISTER, email=email, password=OTHER_PASSWORD)  # somebody else
    first = token_of(await mailbox.newest(1))
    await nobody.do(REGISTER, email=email, password=PASSWORD)  # the owner
    second = token_of(await mailbox.newest(2))

    verified = await nobody.do(VERIFY, token=second)
    void = await nobody.do(VERIFY, token=first)
    stranger = await nobody.sign_in(email, OTHER_PASSWORD)
    owner = await nobody.sign_in(email)

    assert verified["verified"] is True
    assert codes(void) == ["TOKEN_INVALID"]
    assert codes(stranger) == ["SIGN_IN_FAILED"]
    assert codes(owner) == []


async def test_registering_a_verified_address_answers_the_same_and_tells_its_owner_once(
    stack: Stack, nobody: Client
) -> None:
    email = an_address()
    mailbox = await registered(stack, nobody, email)

    answers = [
        await nobody.post(REGISTER, {"email": who, "password": OTHER_PASSWORD})
        for who in (email, an_address(), email)
    ]
    marker = an_address()
    await nobody.do(REGISTER, email=marker, password=PASSWORD)
    await Mailbox(stack.settings.data_dir, marker).mails(1)

    assert len({answer.content for answer in answers}) == 1
    _, told = await mailbox.mails(2)
    assert told["Subject"] == "You have an account already"
    assert len(mailbox.all()) == 2
    assert codes(await nobody.sign_in(email)) == []


async def test_a_forgotten_password_is_replaced_and_everything_that_was_signed_in_is_out(
    stack: Stack, nobody: Client
) -> None:
    email = an_address()
    mailbox = await registered(stack, nobody, email)
    async with stack.nobody() as phone, stack.nobody() as browser:
        await phone.sign_in(email)
        await browser.sign_in(email, delivery="COOKIE")
        assert (await phone.ask(VIEWER))["viewer"]["email"] == email
        assert (await browser.ask(VIEWER))["viewer"]["email"] == email

        assert await nobody.do(FORGOT, email=email) == ACCEPTED
        mail = await mailbox.newest(2)
        given = {"token": token_of(mail), "newPassword": OTHER_PASSWORD}
        weak = await nobody.do(RESET, input=given | {"newPassword": "too short"})
        done = await nobody.do(RESET, input=given)
        after = [(await client.post(VIEWER)).status_code for client in (phone, browser)]
        refreshed = await phone.do(
            "mutation R($t: String!) { refreshSession(refreshToken: $t) { errors { code } } }",
            t=phone.refresh_token,
        )
    twice = await nobody.do(RESET, input=given | {"newPassword": PASSWORD})
    old, new = await nobody.sign_in(email), await nobody.sign_in(email, OTHER_PASSWORD)

    assert link_of(mail).startswith(f"{stack.settings.public_url}/reset-password?token=")
    assert codes(weak) == ["WEAK_PASSWORD"]
    assert done == {"reset": True, "errors": []}
    assert after == [401, 401]
    assert codes(refreshed) == ["TOKEN_EXPIRED"]
    assert codes(twice) == ["TOKEN_INVALID"]
    assert (codes(old), codes(new)) == (["SIGN_IN_FAILED"], [])
    assert (await mailbox.newest(3))["Subject"] == "Your password was changed"


async def test_whoever_forgets_is_answered_the_same_known_or_not_and_too_often_too(
    stack: Stack, nobody: Client
) -> None:
    email = an_address()
    mailbox = await registered(stack, nobody, email)

    answers = [await nobody.post(FORGOT, {"email": email}) for _ in range(4)]
    answers += [await nobody.post(FORGOT, {"email": an_address()}) for _ in range(2)]
    last = an_address()
    await nobody.do(REGISTER, email=last, password=PASSWORD)
    await Mailbox(stack.settings.data_dir, last).mails(1)

    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["data"]["requestPasswordReset"] == ACCEPTED
    assert len(await mailbox.mails(1 + 3)) == 1 + 3


async def test_an_account_that_is_deleted_is_as_if_it_had_never_been(
    stack: Stack, nobody: Client
) -> None:
    email = an_address()
    mailbox = await registered(stack, nobody, email)
    async with stack.nobody() as other:
        await other.sign_in(email)
        await nobody.sign_in(email, delivery="COOKIE")
        wrong = await nobody.do(DELETE, password=OTHER_PASSWORD)
        answer = await nobody.post(DELETE, {"password": PASSWORD})
        assert (await other.post(VIEWER)).status_code == 401
    gone, unknown = await nobody.sign_in(email), await nobody.sign_in(an_address())

    assert codes(wrong) == ["SIGN_IN_FAILED"]
    assert answer.json()["data"]["deleteViewer"] == {"deleted": True, "errors": []}
    assert answer.headers["set-cookie"].startswith("dashtam=; Path=/; Max-Age=0")
    assert gone == unknown
    assert (await mailbox.newest(2))["Subject"] == "Your account was deleted"
    assert await nobody.do(REGISTER, email=email, password=PASSWORD) == ACCEPTED
    assert (await mailbox.newest(3))["Subject"] == "Confirm your address"


@pytest.mark.parametrize(
    "token",
    ["", "x", "a" * 43, "%_", "ä" * 43, "\u202e" * 43, "a" * 200_000, "' OR 1=1 --"],
    ids=["empty", "short", "unknown", "wild", "unicode", "bidi", "huge", "sql"],
)
async def test_a_token_that_was_never_mailed_is_refused(nobody: Client, token: str) -> None:
    verified = await nobody.do(VERIFY, token=token)
    reset = await nobody.do(RESET, input={"token": token, "newPassword": PASSWORD})

    assert codes(verified) == codes(reset) == ["TOKEN_INVALID"]
    assert [verified["errors"][0]["field"], reset["errors"][0]["field"]] == [
        ["token"],
        ["input", "token"],
    ]


async def test_a_token_is_good_for_what_it_was_mailed_for_only(
    stack: Stack, nobody: Client
) -> None:
    email = an_address()
    mailbox = Mailbox(stack.settings.data_dir, email)
    await nobody.do(REGISTER, email=email, password=PASSWORD)
    token = token_of(await mailbox.newest(1))

    crossed = await nobody.do(RESET, input={"token": token, "newPassword": OTHER_PASSWORD})
    await nobody.do(VERIFY, token=token)
    await nobody.do(FORGOT, email=email)
    other = await nobody.do(VERIFY, token=token_of(await mailbox.newest(2)))

    assert codes(crossed) == codes(other) == ["TOKEN_INVALID"]


@pytest.mark.parametrize(
    "address",
    [
        *("", "nobody", "a@b", "a b@c.de", '"a b"@c.de', "a@b.co,c@d.ef", "<a@b.co>", "a@[::1]"),
        *("a@b.co\r\nBcc: x@y.zz", "a\n@b.co", f"{'a' * 65}@b.co", f"a@{'b' * 250}.co"),
    ],
)
async def test_what_is_no_address_is_refused_by_both(nobody: Client, address: str) -> None:
    said = await nobody.do(REGISTER, email=address, password=PASSWORD)
    forgot = await nobody.do(FORGOT, email=address)

    assert codes(said) == codes(forgot) == ["INVALID_INPUT"]
    assert said["errors"][0]["field"] == ["input", "email"]
    assert forgot["errors"][0]["field"] == ["email"]


async def test_an_address_is_matched_to_the_letter(stack: Stack, nobody: Client) -> None:
    """`%` and `_` are letters of an address, not of a pattern."""
    stem = secrets.token_hex(6)
    await registered(stack, nobody, f"a{stem}x@example.com")

    for guess in (f"a{stem}_@example.com", f"a{stem}%@example.com", "%@example.com"):
        assert codes(await nobody.sign_in(guess)) == ["SIGN_IN_FAILED"]


async def test_no_log_holds_a_token_or_an_address(stack: Stack, nobody: Client) -> None:
    email = an_address()
    mailbox = await registered(stack, nobody, email)
    token = token_of(mailbox.all()[0])
    async with httpx2.AsyncClient(base_url=stack.gateway.url) as http:
        page = await http.get("/verify-email", params={"token": token})
    logs = stack.gateway.log.read_text() + stack.worker.log.read_text()

    assert page.status_code == 200
    assert token not in page.text
    assert "mail.sent" in logs
    assert token not in logs
    assert email not in logs
