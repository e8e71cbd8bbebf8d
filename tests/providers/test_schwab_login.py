"""Consent at Schwab: seven days from the owner's yes, whatever is renewed in between."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import pytest
from starlette.responses import JSONResponse

from adapters.providers import Client
from adapters.providers.schwab import Schwab
from domain.errors import (
    CredentialsRejected,
    ErrorCode,
    InvalidInput,
    LinkAction,
    ProviderUnavailable,
)
from domain.links import AuthMethod
from domain.providers import Authorizing, Consent, Renewing, Revoking
from domain.sync import Login
from tests.providers.conformance import AT, pulled
from tests.providers.fakes import outside
from tests.providers.schwab import a_request, a_schwab, a_sim
from tests.providers.simulators.base import Trouble
from tests.providers.simulators.schwab import CALLBACK, Rotation, SchwabSimulator

CONSENT = Consent(state="s" * 43, verifier="v" * 43, redirect_uri=CALLBACK)
WEEK = timedelta(days=7)


@dataclass
class World:
    """`at` is the time at Schwab and at ours."""

    sim: SchwabSimulator
    schwab: Schwab
    at: datetime = AT

    async def code(self, consent: Consent = CONSENT) -> str:
        """What the owner's browser brings back, as the query is read."""
        url = self.schwab.authorization_url(consent)
        transport = httpx2.ASGITransport(app=self.sim)
        async with httpx2.AsyncClient(transport=transport) as browser:
            answer = await browser.get(url)
        said = parse_qs(urlsplit(answer.headers["location"]).query)
        assert said["state"] == [consent.state]
        return said["code"][0]

    async def login(self) -> Login:
        return await self.schwab.exchange(await self.code(), CONSENT, self.at)


@pytest.fixture
def world() -> World:
    sim = a_sim()
    world = World(sim, a_schwab(sim))
    sim.now = lambda: world.at
    return world


def test_it_is_offered_by_oauth_alone_and_only_with_an_app_of_the_operators_own() -> None:
    schwab = Schwab(outside(), Client(base_url="https://api.schwabapi.com"))
    assert not schwab.info.enabled
    assert schwab.info.auth_methods == (AuthMethod.OAUTH2,)
    assert a_schwab(a_sim()).info.enabled
    assert isinstance(schwab, Authorizing)
    assert isinstance(schwab, Renewing)
    assert not isinstance(schwab, Revoking)  # its description has nothing to revoke with


async def test_credentials_are_not_its_way() -> None:
    with pytest.raises(InvalidInput, match="OAuth"):
        await a_schwab(a_sim()).connect({"access_token": "x"}, AT)


async def test_a_code_becomes_a_login_whose_end_is_known(world: World) -> None:
    login = await world.login()

    assert login.expire_at == AT + WEEK
    assert login.renew_at is not None
    assert AT + timedelta(minutes=10) <= login.renew_at <= AT + timedelta(minutes=25)
    assert login.institution == "Charles Schwab"
    assert login.credentials["access_token"] in world.sim.tokens
    assert "access_token" not in repr(login)
    assert not world.sim.complaints


async def test_a_code_is_taken_as_it_stood_in_the_url_too(world: World) -> None:
    code = await world.code()
    assert code.endswith("@")
    login = await world.schwab.exchange(quote(code), CONSENT, AT)
    assert login.expire_at == AT + WEEK


async def test_the_customer_is_the_same_whatever_accounts_they_let_us_read(world: World) -> None:
    first = await world.login()
    world.sim.books = world.sim.books[1:]
    assert (await world.login()).identity == first.identity

    world.sim.customer = "somebody else"
    assert (await world.login()).identity != first.identity


async def test_without_a_customers_name_the_first_account_tells_who_it_is(world: World) -> None:
    path = "/trader/v1/userPreference"
    world.sim.mutate(lambda _: b'{"streamerInfo": []}', path=path, times=9)
    first = await world.login()
    world.sim.books.reverse()
    assert (await world.login()).identity == first.identity

    for status in (404, 403):
        world.sim.mend()
        world.sim.fault(an_answer({"message": "no"}, status), path=path)
        assert (await world.login()).identity == first.identity

    world.sim.fault(an_answer({"message": "no"}, 404), path=path)
    world.sim.books = []
    with pytest.raises(ProviderUnavailable, match="no account"):
        await world.login()


async def test_a_customer_that_may_be_named_later_is_not_known_by_anything_else(
    world: World,
) -> None:
    world.sim.fault(Trouble.BROKEN, path="/trader/v1/userPreference", times=9)
    with pytest.raises(ProviderUnavailable):
        await world.login()


@pytest.mark.parametrize("late_s", [29, 31])
async def test_a_code_is_good_for_thirty_seconds_and_once(world: World, late_s: int) -> None:
    code = await world.code()
    world.at += timedelta(seconds=late_s)
    if late_s < 30:
        await world.schwab.exchange(code, CONSENT, world.at)
    with pytest.raises(CredentialsRejected) as refused:
        await world.schwab.exchange(code, CONSENT, world.at)
    assert refused.value.code is ErrorCode.AUTHORIZATION_EXPIRED


async def test_a_code_for_another_verifier_or_callback_is_none(world: World) -> None:
    for wrong in (
        replace(CONSENT, verifier="w" * 43),
        replace(CONSENT, redirect_uri=CALLBACK + "/x"),
    ):
        code = await world.code()
        with pytest.raises(CredentialsRejected):
            await world.schwab.exchange(code, wrong, AT)


@pytest.mark.parametrize("rotation", Rotation)
async def test_a_token_is_renewed_in_all_three_ways_and_the_deadline_stays(
    world: World, rotation: Rotation
) -> None:
    world.sim.rotation = rotation
    login = await world.login()
    credentials: Mapping[str, str] = login.credentials
    for _ in range(3):
        world.at += timedelta(hours=40)
        renewed = await world.schwab.renew(credentials, world.at)
        assert renewed.expire_at == login.expire_at
        assert renewed.renew_at is not None
        assert world.at < renewed.renew_at < world.at + timedelta(minutes=30)
        is_same = renewed.credentials["refresh_token"] == credentials["refresh_token"]
        assert is_same is (rotation is not Rotation.NEW)
        credentials = renewed.credentials
        assert await pulled(
            world.schwab, replace(a_request(world.sim), credentials=credentials, at=world.at)
        )
    assert not world.sim.complaints


async def test_after_seven_days_nothing_is_asked_and_its_owner_has_to_authorize_again(
    world: World,
) -> None:
    login = await world.login()
    world.at += WEEK
    asked = len(world.sim.requests)
    with pytest.raises(CredentialsRejected) as refused:
        await world.schwab.renew(login.credentials, world.at)
    assert refused.value.code is ErrorCode.AUTHORIZATION_EXPIRED
    assert refused.value.action is LinkAction.REAUTHORIZE
    assert len(world.sim.requests) == asked


@pytest.mark.parametrize("error", ["unsupported_token_type", "invalid_client", "invalid_grant"])
async def test_a_renewal_that_is_refused_is_for_its_owner_to_mend(world: World, error: str) -> None:
    login = await world.login()
    if error == "unsupported_token_type":
        world.sim.refresh_tokens.clear()
    else:
        said = {"error": error, "error_description": "refresh_token_authentication_error"}
        world.sim.fault(an_answer(said, 400 if error == "invalid_grant" else 401))
    with pytest.raises(CredentialsRejected) as refused:
        await world.schwab.renew(login.credentials, AT)
    assert refused.value.code is ErrorCode.AUTHORIZATION_EXPIRED
    assert "refresh_token_authentication" not in refused.value.message


async def test_a_wrong_secret_of_the_operators_is_not_the_owners_to_mend(world: World) -> None:
    client = Client(base_url=world.sim.url, id="nobody", secret="x")
    schwab = Schwab(world.sim.inside(), client)
    with pytest.raises(ProviderUnavailable):
        await schwab.exchange("c0de", CONSENT, AT)
    login = await world.login()
    with pytest.raises(ProviderUnavailable):
        await schwab.renew(login.credentials, AT)


@pytest.mark.parametrize("said", [0, None])
async def test_a_lifetime_that_cannot_be_is_taken_for_schwabs_own(
    world: World, said: int | None
) -> None:
    login = await world.login()
    answer = json.dumps({"access_token": "a", "token_type": "Bearer", "expires_in": said}).encode()
    world.sim.mutate(lambda _: answer, path="/v1/oauth/token")
    renewed = await world.schwab.renew(login.credentials, AT)
    assert renewed.renew_at == AT + timedelta(minutes=20)


async def test_codes_that_schwab_fails_over_keep_nobody_from_their_data(world: World) -> None:
    login = await world.login()
    world.sim.fault(Trouble.BROKEN, path="/v1/oauth/token", times=9)
    for _ in range(9):
        with pytest.raises(ProviderUnavailable):
            await world.schwab.exchange("c0de", CONSENT, AT)
    assert await pulled(
        world.schwab, replace(a_request(world.sim), credentials=login.credentials, at=AT)
    )


async def test_a_token_endpoint_is_asked_once(world: World) -> None:
    login, code = await world.login(), await world.code()
    world.sim.fault(Trouble.BROKEN, path="/v1/oauth/token", times=9)
    asked = len(world.sim.asked("/v1/oauth/token"))
    with pytest.raises(ProviderUnavailable):
        await world.schwab.renew(login.credentials, AT)
    with pytest.raises(ProviderUnavailable):
        await world.schwab.exchange(code, CONSENT, AT)
    assert len(world.sim.asked("/v1/oauth/token")) == asked + 2


def an_answer(said: Mapping[str, str], status: int) -> JSONResponse:
    return JSONResponse(dict(said), status)
