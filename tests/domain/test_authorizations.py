"""Where a browser may be sent on to, and what a provider's answer may look like."""

import pytest

from domain.authorizations import Answer, Returns
from domain.errors import InvalidInput

RETURNS = Returns(
    public_url="https://money.example.com",
    origins=frozenset(
        {"https://app.example.com", "http://localhost:3000", "https://[2001:db8::1]"}
    ),
    apps=frozenset({"com.example.app"}),
)
STATE = "s" * 43


@pytest.mark.parametrize(
    "said",
    [
        None,
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com:443/done?tab=links&x=%20",
        "HTTPS://APP.example.com/Done",
        "https://money.example.com/graphiql",
        "http://localhost:3000/a@b",
        "https://[2001:db8::1]/x",
        "com.example.app:/done",
        "com.example.app://done?x=1",
    ],
)
def test_a_browser_may_go_on_to_an_allowed_origin_or_app(said: str | None) -> None:
    assert RETURNS.checked(said) == said


@pytest.mark.parametrize(
    "said",
    [
        "",
        "/",
        "//app.example.com/",
        "//evil.example",
        "app.example.com",
        "https:app.example.com",
        "https:///app.example.com",
        "http://app.example.com/",
        "https://app.example.com:8443/",
        "https://app.example.com:0/",
        "https://app.example.com:99999/",
        "https://evil.example/",
        "https://app.example.com.evil.example/",
        "https://evil.example/https://app.example.com",
        "https://app.example.com@evil.example/",
        "https://app.example.com:443@evil.example/",
        "https://ann:pw@app.example.com/",
        "https://app.example.com\\@evil.example/",
        "https://app.example.com\\.evil.example/",
        "https://app.example.com%2eevil.example/",
        "https://app.example.com./",
        "https://app。example.com/",
        "https://app.example.com/#/done",
        "https://app.example.com/\r\nset-cookie: a=b",
        "https://app.example.com/\x00",
        "https://app.example.com/\t",
        " https://app.example.com/",
        "https://app.example.com/ü",
        'https://app.example.com/"><script>',
        "https://[::1",
        "javascript:alert(1)",
        "javascript://app.example.com/%0aalert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "intent://x#Intent;end",
        "com.example.other:/done",
        "com.example.app:done",
        "Com.Example.App:/done",
        "example:/done",
        "https://app.example.com/" + "a" * 2_000,
    ],
)
def test_a_browser_is_sent_nowhere_else(said: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        RETURNS.checked(said)
    assert refused.value.field == ("input", "using", "oauth", "returnTo")
    assert "evil" not in refused.value.message


def test_where_no_app_is_named_any_domain_name_turned_round_is_one() -> None:
    anyones = Returns(apps=None)
    assert anyones.checked("org.example.money:/x") == "org.example.money:/x"
    for other in ("javascript:/x", "https:/x", "org.example", "https://app.example.com"):
        with pytest.raises(InvalidInput):
            anyones.checked(other)


def test_each_provider_has_one_address_of_its_own() -> None:
    assert RETURNS.redirect_uri("bank") == "https://money.example.com/oauth/bank/callback"


def answer(state: str = STATE, **said: str | None) -> Answer:
    return Answer.of(state, **{"code": None, "iss": None, "error": None} | said)


def test_an_answer_is_a_code_or_an_error() -> None:
    code = answer(code="C0.a b@~")
    assert code.code is not None
    assert code.code.reveal() == "C0.a b@~"
    assert answer(error="access_denied", iss="https://bank.example").code is None
    assert "C0" not in repr(code) + str(code)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("", {"code": "c"}),
        ("s" * 42, {"code": "c"}),
        ("s" * 44, {"code": "c"}),
        ("s" * 42 + "\n", {"code": "c"}),
        ("\u017f" + "s" * 42, {"code": "c"}),
        (STATE, {}),
        (STATE, {"code": ""}),
        (STATE, {"code": "c\x00"}),
        (STATE, {"code": "c\n"}),
        (STATE, {"code": "é"}),
        (STATE, {"code": "c" * 4_097}),
        (STATE, {"code": "c", "error": "access_denied"}),
        (STATE, {"error": ""}),
        (STATE, {"error": "<script>alert(1)</script>"}),
        (STATE, {"error": "e" * 65}),
        (STATE, {"code": "c", "iss": ""}),
        (STATE, {"code": "c", "iss": "bank.example"}),
        (STATE, {"code": "c", "iss": "https://bank.example/ x"}),
    ],
)
def test_what_no_provider_says_is_no_answer(state: str, said: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        answer(state, **said)
    assert refused.value.field is not None
    assert "script" not in refused.value.message
