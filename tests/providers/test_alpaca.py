"""Who is logged in at Alpaca, where, and what its refusals mean."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from starlette.responses import JSONResponse

from adapters.providers.alpaca import Alpaca
from adapters.providers.configuration import Client
from domain.errors import (
    CredentialsRejected,
    ErrorCode,
    InvalidInput,
    LinkAction,
    ProviderUnavailable,
)
from domain.links import AuthMethod
from domain.providers import Authorizing, Consent
from domain.sync import Login, PullRequest, SyncScope
from tests.providers.alpaca_life import AT, a_request, a_simulator, in_process
from tests.providers.conformance import pulled
from tests.providers.fakes import Clock, outside
from tests.providers.simulators import alpaca_rules as rules
from tests.providers.simulators.alpaca import (
    CALLBACK,
    CLIENT_ID,
    CLIENT_SECRET,
    LIVE_KEY,
    PAPER_KEY,
    SECRET,
    AlpacaSimulator,
    traded,
)
from tests.providers.simulators.base import Trouble

CONSENT = Consent(state="a state of 256 bits", verifier="v" * 43, redirect_uri=CALLBACK)
THEIRS = "https://api.alpaca.markets"
LIVE = {"api_key": LIVE_KEY, "api_secret": SECRET}
PAPER = {"api_key": PAPER_KEY, "api_secret": SECRET}


class Hosts(httpx2.AsyncBaseTransport):
    """Alpaca's own hosts, which know different keys and tokens."""

    def __init__(self, *known: str) -> None:
        self.known, self.asked = known, list[str]()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.host)
        if request.url.path == "/oauth/token":
            grant = {"access_token": "tok", "token_type": "bearer", "scope": ""}
            return httpx2.Response(200, json=grant)
        if request.url.host in self.known:
            return httpx2.Response(200, json={"id": f"of {request.url.host}"})
        return httpx2.Response(403, json={"message": "forbidden."})


def at_alpacas(hosts: Hosts) -> Alpaca:
    ours = Client(base_url=THEIRS, id=CLIENT_ID, secret=CLIENT_SECRET)
    return Alpaca(outside(Clock(), transport=hosts), ours)


async def consented(sim: AlpacaSimulator, alpaca: Alpaca) -> str:
    """The code with which the owner's browser comes back."""
    transport = httpx2.ASGITransport(app=sim)
    async with httpx2.AsyncClient(transport=transport) as browser:
        answer = await browser.get(alpaca.authorization_url(CONSENT))
    came_back = urlsplit(answer.headers["location"])
    said = parse_qs(came_back.query)
    assert said["state"] == [CONSENT.state]
    return said["code"][0]


def answering(status: int, body: dict[str, object], reset: str | None = None) -> JSONResponse:
    headers = {} if reset is None else {"X-RateLimit-Reset": reset}
    return JSONResponse(body, status, headers)


def asking_with(login: Login) -> PullRequest:
    return PullRequest(credentials=login.credentials, scopes=frozenset(SyncScope), at=AT)


# ── keys ────────────────────────────────────────────────────────────────────


async def test_a_login_is_known_by_its_account() -> None:
    sim = a_simulator()
    login = await in_process(sim).connect(LIVE, AT)

    assert (login.identity, login.institution) == (sim.live.id, "Alpaca")
    assert (login.expire_at, login.renew_at) == (None, None)
    assert login.credentials["account"] == sim.live.id
    assert SECRET not in repr(login)
    assert sim.complaints == []


@pytest.mark.parametrize(
    ("credentials", "host"),
    [
        (LIVE, "api.alpaca.markets"),
        (PAPER, "paper-api.alpaca.markets"),
        ({**LIVE, "environment": "paper"}, "paper-api.alpaca.markets"),
        ({**PAPER, "environment": "LIVE "}, "api.alpaca.markets"),
        ({**LIVE, "api_key": "CKUNHEARDOF"}, "api.alpaca.markets"),
    ],
)
async def test_one_deployment_serves_paper_and_live(credentials: dict[str, str], host: str) -> None:
    hosts = Hosts("api.alpaca.markets", "paper-api.alpaca.markets")
    login = await at_alpacas(hosts).connect(credentials, AT)

    assert (login.identity, hosts.asked) == (f"of {host}", [host])


async def test_a_pull_asks_the_host_of_its_login() -> None:
    hosts = Hosts("paper-api.alpaca.markets")
    alpaca = at_alpacas(hosts)
    login = await alpaca.connect(PAPER, AT)
    accounts = frozenset({SyncScope.ACCOUNTS})
    await pulled(alpaca, replace(asking_with(login), scopes=accounts))

    assert {*hosts.asked} == {"paper-api.alpaca.markets"}


async def test_a_host_of_the_operators_own_is_asked_for_either() -> None:
    sim = a_simulator()
    alpaca = in_process(sim)

    assert (await alpaca.connect(LIVE, AT)).identity == sim.live.id
    assert (await alpaca.connect(PAPER, AT)).identity == sim.paper.id


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": "", "api_secret": SECRET},
        {"api_key": "AK\r\nx-evil: 1", "api_secret": SECRET},
        {"api_key": LIVE_KEY, "api_secret": "sécret"},
        {"api_key": LIVE_KEY, "api_secret": "s" * 300},
        {"api_key": LIVE_KEY},
        {**LIVE, "environment": "sandbox"},
    ],
)
async def test_what_can_be_no_key_is_asked_of_nobody(wrong: dict[str, str]) -> None:
    sim = a_simulator()
    with pytest.raises(InvalidInput) as caught:
        await in_process(sim).connect(wrong, AT)

    assert caught.value.field == ("input", "using", "credentials")
    assert sim.requests == []


@pytest.mark.parametrize("key", [LIVE_KEY, "AKNOSUCHKEY"])
async def test_a_wrong_key_or_secret_is_to_be_replaced(key: str) -> None:
    with pytest.raises(CredentialsRejected) as caught:
        await in_process(a_simulator()).connect({"api_key": key, "api_secret": "wrong"}, AT)

    assert caught.value.code is ErrorCode.CREDENTIALS_REJECTED
    assert caught.value.action is LinkAction.REPLACE_CREDENTIALS


async def test_what_is_no_login_of_alpaca_asks_nobody() -> None:
    sim = a_simulator()
    with pytest.raises(CredentialsRejected):
        await pulled(in_process(sim), replace(a_request(sim), credentials={"api_key": "AK"}))
    assert sim.requests == []


# ── consent ─────────────────────────────────────────────────────────────────


def test_consent_is_offered_where_alpaca_knows_us() -> None:
    sim = a_simulator()
    unknown = Alpaca(sim.inside(Clock()), Client(base_url=sim.url))
    known = in_process(sim)

    assert unknown.info.auth_methods == (AuthMethod.API_KEY,)
    assert known.info.auth_methods == (AuthMethod.API_KEY, AuthMethod.OAUTH2)
    assert unknown.info.enabled
    assert isinstance(known, Authorizing)


def test_people_sign_in_at_a_host_of_its_own_and_give_no_more_than_reading() -> None:
    url = urlsplit(at_alpacas(Hosts()).authorization_url(CONSENT))
    said = parse_qs(url.query)

    assert (url.scheme, url.netloc, url.path) == ("https", "app.alpaca.markets", "/oauth/authorize")
    assert said["client_id"] == [CLIENT_ID]
    assert said["redirect_uri"] == [CALLBACK]
    assert said["state"] == [CONSENT.state]
    assert "scope" not in said


async def test_consent_and_a_key_to_one_account_are_one_login() -> None:
    sim = a_simulator()
    alpaca = in_process(sim)
    login = await alpaca.exchange(await consented(sim, alpaca), CONSENT, AT)

    assert login.identity == (await alpaca.connect(LIVE, AT)).identity
    assert (login.expire_at, login.renew_at) == (None, None)
    pages = await pulled(alpaca, asking_with(login))
    assert pages == await pulled(alpaca, a_request(sim))
    assert sim.complaints == []


async def test_a_code_is_good_once() -> None:
    sim = a_simulator()
    alpaca = in_process(sim)
    code = await consented(sim, alpaca)
    await alpaca.exchange(code, CONSENT, AT)

    with pytest.raises(CredentialsRejected) as caught:
        await alpaca.exchange(code, CONSENT, AT)
    assert caught.value.action is LinkAction.REAUTHORIZE
    assert len(sim.asked("/oauth/token")) == 2


async def test_codes_that_alpaca_fails_over_keep_nobody_from_their_data() -> None:
    sim = a_simulator()
    alpaca = in_process(sim)
    sim.fault(Trouble.BROKEN, path="/oauth/token", times=9)
    for _ in range(9):
        with pytest.raises(ProviderUnavailable):
            await alpaca.exchange("code", CONSENT, AT)
    assert await pulled(alpaca, a_request(sim))


async def test_a_token_for_a_paper_account_alone_is_a_login_too() -> None:
    hosts = Hosts("paper-api.alpaca.markets")
    login = await at_alpacas(hosts).exchange("code", CONSENT, AT)

    assert login.identity == "of paper-api.alpaca.markets"
    assert login.credentials["environment"] == "paper"
    assert hosts.asked[0] == "api.alpaca.markets"  # where tokens are given


async def test_a_token_that_is_withdrawn_needs_its_owner() -> None:
    sim = a_simulator()
    alpaca = in_process(sim)
    login = await alpaca.exchange(await consented(sim, alpaca), CONSENT, AT)
    sim.tokens.clear()

    with pytest.raises(CredentialsRejected) as caught:
        await pulled(alpaca, asking_with(login))
    assert caught.value.code is ErrorCode.AUTHORIZATION_EXPIRED
    assert caught.value.action is LinkAction.REAUTHORIZE


# ── refusals ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "body", "action"),
    [
        (401, {"code": 40110000, "message": "x"}, LinkAction.REPLACE_CREDENTIALS),
        (401, {"message": "unauthorized"}, LinkAction.REPLACE_CREDENTIALS),
        (403, {"message": "forbidden."}, LinkAction.REPLACE_CREDENTIALS),
        (403, {"code": 40310000, "message": "x"}, LinkAction.REAUTHORIZE),
    ],
)
async def test_each_form_of_a_refusal_says_what_to_do(
    status: int, body: dict[str, object], action: LinkAction
) -> None:
    sim = a_simulator()
    sim.fault(answering(status, body))
    with pytest.raises(CredentialsRejected) as caught:
        await pulled(in_process(sim), a_request(sim))
    assert caught.value.action is action


async def test_what_we_ask_wrongly_is_not_asked_again() -> None:
    sim = a_simulator()
    sim.fault(answering(422, {"code": 40010001, "message": "invalid"}), path=rules.POSITIONS)
    with pytest.raises(ProviderUnavailable, match="40010001"):
        await pulled(in_process(sim), a_request(sim))
    assert len(sim.asked(rules.POSITIONS)) == 1


async def test_a_page_instead_of_an_answer_says_nothing_of_the_key() -> None:
    sim = a_simulator()
    sim.fault(Trouble.FORBIDDEN_PAGE, times=2)
    assert (await pulled(in_process(sim), a_request(sim)))[-1].progress == 1


async def test_it_waits_until_alpaca_may_be_asked_again() -> None:
    sim, clock = a_simulator(), Clock()
    reset = str(int(clock.timing.now().timestamp()) + 50)
    limited = answering(429, {"code": 42910000, "message": "x"}, reset)
    sim.fault(limited, path=rules.POSITIONS)
    pages = await pulled(in_process(sim, clock), a_request(sim))

    assert pages[-1].progress == 1
    assert clock.slept == [50.0]


async def test_a_traders_years_take_their_time_and_never_too_many_calls() -> None:
    clock = Clock()
    sim = AlpacaSimulator(now=clock.timing.now, page_size_served=1)
    traded(sim.live, AT.replace(month=1), 210)
    pages = await pulled(in_process(sim, clock), a_request(sim))

    assert sum(len(page.transactions) for page in pages) == 210
    assert len(sim.requests) > rules.CALLS_A_MINUTE
    assert sim.complaints == []
    assert clock.slept
