"""Being a client of an OAuth 2 server, by either proof, and reading what it grants."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from adapters.providers.kit.oauth import Grant, granted
from domain.errors import CredentialsRejected, ErrorCode, LinkAction, ProviderUnavailable
from domain.providers import Consent
from tests.providers.authorized import Bank
from tests.providers.simulators.authorization import AuthorizationServer
from tests.providers.simulators.base import Trouble

CALLBACK = "https://money.example.com/oauth/bank/callback"
AT = datetime(2026, 3, 1, tzinfo=UTC)
TOKEN = {"access_token": "a", "token_type": "bearer"}


@pytest.fixture(params=[False, True], ids=["by Basic", "by form"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[AuthorizationServer]:
    async with AuthorizationServer(redirect_uris=[CALLBACK], by_form=request.param) as running:
        yield running


def consent() -> Consent:
    return Consent(
        state=secrets.token_urlsafe(32), verifier=secrets.token_urlsafe(32), redirect_uri=CALLBACK
    )


async def consented(bank: Bank, asked: Consent) -> str:
    """The code that the owner's browser brings back."""
    async with httpx2.AsyncClient() as browser:
        sent_back = await browser.get(bank.authorization_url(asked))
    said = parse_qs(urlsplit(sent_back.headers["location"]).query)
    assert said["state"] == [asked.state]
    return said["code"][0]


async def test_a_code_is_exchanged_once_and_only_with_its_verifier_and_address(
    server: AuthorizationServer,
) -> None:
    asked = consent()
    bank = Bank(server)
    code = await consented(bank, asked)
    other = Consent(state=asked.state, verifier="v" * 43, redirect_uri=CALLBACK)
    elsewhere = Consent(
        state=asked.state, verifier=asked.verifier, redirect_uri=f"{CALLBACK}/elsewhere"
    )
    for wrong in (other, elsewhere):
        with pytest.raises(CredentialsRejected) as refused:
            await bank.exchange(code, wrong, AT)
        assert refused.value.code is ErrorCode.AUTHORIZATION_EXPIRED
        assert refused.value.action is LinkAction.REAUTHORIZE

    login = await bank.exchange(code, asked, AT)

    assert (login.identity, login.renew_at) == ("ann", AT + timedelta(minutes=30))
    with pytest.raises(CredentialsRejected, match=r"authorize again \(invalid_grant\)"):
        await bank.exchange(code, asked, AT)
    assert server.complaints == []
    await bank.http.aclose()


async def test_a_grant_is_renewed_and_its_token_rotates(server: AuthorizationServer) -> None:
    asked = consent()
    bank = Bank(server)
    login = await bank.exchange(await consented(bank, asked), asked, AT)
    before = login.credentials["refresh_token"]

    grant = await bank.oauth.renewed(before)

    assert grant.refresh_token not in (None, before)
    with pytest.raises(CredentialsRejected):
        await bank.oauth.renewed(before)
    assert server.complaints == []
    await bank.http.aclose()


@pytest.mark.parametrize("trouble", [Trouble.BROKEN, Trouble.CUT, Trouble.NOT_JSON])
async def test_a_code_is_presented_once_whatever_the_answer(trouble: Trouble) -> None:
    async with AuthorizationServer(redirect_uris=[CALLBACK]) as server:
        bank, asked = Bank(server), consent()
        code = await consented(bank, asked)
        server.fault(trouble, path="/oauth/token", times=2)
        with pytest.raises(ProviderUnavailable):
            await bank.exchange(code, asked, AT)
        assert server.token_calls == 1
        await bank.http.aclose()


async def test_a_secret_that_the_server_does_not_know_is_the_operators_to_mend() -> None:
    async with AuthorizationServer(redirect_uris=[CALLBACK], by_form=True) as server:
        bank, asked = Bank(server), consent()
        code = await consented(bank, asked)
        server.by_form = False
        with pytest.raises(ProviderUnavailable) as refused:
            await bank.exchange(code, asked, AT)
        assert refused.value.action is None
        await bank.http.aclose()


def test_what_a_token_endpoint_grants_is_read() -> None:
    assert granted(TOKEN, "bank") == Grant(access_token="a")
    whole = {"refresh_token": "r", "expires_in": Decimal(1800), "scope": "read", "id_token": "i"}
    assert granted(TOKEN | whole, "bank") == Grant(
        access_token="a", refresh_token="r", lifetime=timedelta(minutes=30), scope="read"
    )
    assert granted(TOKEN | {"expires_in": "1800", "refresh_token": ""}, "bank").ends_at(
        AT
    ) == AT + timedelta(minutes=30)
    assert "s3cret" not in repr(granted(TOKEN | {"access_token": "s3cret"}, "bank"))


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        {"access_token": "a"},
        TOKEN | {"token_type": "mac"},
        TOKEN | {"token_type": None},
        TOKEN | {"access_token": ""},
        TOKEN | {"access_token": None},
        TOKEN | {"access_token": Decimal(1)},
        TOKEN | {"access_token": "a b"},
        TOKEN | {"access_token": "a\r\nx-evil: 1"},
        TOKEN | {"access_token": "é"},
        TOKEN | {"access_token": "a" * 8_193},
        TOKEN | {"refresh_token": "r\x00"},
        TOKEN | {"refresh_token": {}},
        TOKEN | {"expires_in": Decimal(-1)},
        TOKEN | {"expires_in": Decimal("NaN")},
        TOKEN | {"expires_in": "soon"},
        TOKEN | {"expires_in": True},
    ],
    ids=lambda said: str(list(said.items())[-2:])[-40:] if said else str(said),
)
def test_what_is_no_grant_is_refused_without_being_repeated(said: Any) -> None:
    with pytest.raises(ProviderUnavailable, match=r"^bank answered without a usable token$"):
        granted(said, "bank")


def test_a_token_that_never_ends_for_us_ends_in_ten_years() -> None:
    assert granted(TOKEN | {"expires_in": Decimal("1e30")}, "bank").lifetime == timedelta(3_650)
