"""Setup tokens and access URLs: claimed once, and followed only where it is allowed."""

import base64
from dataclasses import replace

import pytest
import structlog

from adapters.providers.configuration import Configuration
from adapters.providers.simplefin import SimpleFin
from domain.errors import (
    CredentialsRejected,
    ErrorCode,
    InvalidInput,
    ProviderUnavailable,
)
from domain.sync import Login
from tests.providers.conformance import AT, pulled
from tests.providers.fakes import Clock
from tests.providers.simplefin import a_provider, a_request, a_server
from tests.providers.simulators.base import Trouble

TODAY = AT.date()


async def test_a_setup_token_is_claimed_once_for_credentials_in_parts() -> None:
    sim = a_server()
    with structlog.testing.capture_logs() as logs:
        login = await a_provider(sim).connect({"setup_token": sim.setup_token("s3cret")}, AT)

    assert dict(login.credentials) == sim.credentials("s3cret")
    assert login.expire_at is None
    assert not sim.complaints
    assert [r.path for r in sim.requests] == ["/simplefin/claim/s3cret"]
    assert "s3cret" not in f"{login!r} {logs}"
    assert [log["path"] for log in logs] == ["/claim"]


async def test_a_token_that_was_claimed_before_may_be_compromised_and_its_owner_is_told() -> None:
    sim = a_server()
    token = sim.setup_token()
    await a_provider(sim).connect({"setup_token": token}, AT)

    with pytest.raises(CredentialsRejected, match="disable it at SimpleFIN") as refused:
        await a_provider(sim).connect({"setup_token": f" {token[:20]}\n{token[20:]} "}, AT)

    assert refused.value.code is ErrorCode.CREDENTIALS_REJECTED
    assert len(sim.requests) == 2


async def test_a_claim_whose_answer_is_lost_is_not_made_again_and_says_what_that_means() -> None:
    sim = a_server()
    sim.fault(Trouble.AWAY)
    token = sim.setup_token()

    with pytest.raises(ProviderUnavailable, match="may have been used up"):
        await a_provider(sim).connect({"setup_token": token}, AT)
    assert len(sim.requests) == 1

    sim.fault(Trouble.FORBIDDEN_PAGE)  # of what stands before it: nothing was refused
    with pytest.raises(ProviderUnavailable, match="may have been used up"):
        await a_provider(sim).connect({"setup_token": token}, AT)
    await a_provider(sim).connect({"setup_token": token}, AT)


async def test_claims_that_fail_do_not_stop_the_pulls_of_others() -> None:
    sim = a_server()
    provider = a_provider(sim)
    assert await pulled(provider, a_request(sim))

    sim.fault(Trouble.AWAY, times=6)
    for _ in range(6):
        with pytest.raises(ProviderUnavailable, match="may have been used up"):
            await provider.connect({"setup_token": sim.setup_token()}, AT)

    assert await pulled(provider, a_request(sim))


def coded(url: str) -> str:
    return base64.b64encode(url.encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "",
        "not base64!",
        coded("hello"),
        coded("ftp://bridge.simplefin.org/claim/x"),
        coded("http://bridge.simplefin.org/claim/x"),
        coded("https://bridge.simplefin.org.evil.example/claim/x"),
        coded("https://evil.example/simplefin.org/claim/x"),
        coded("https://evilsimplefin.org/claim/x"),
        coded("https://bridge.simplefin.org@evil.example/claim/x"),
        coded("https://user:pass@bridge.simplefin.org/claim/x"),
        coded("https://evil.example#@bridge.simplefin.org/claim/x"),
        coded("https://evil.example\\@bridge.simplefin.org/claim/x"),
        coded("https://bridge.simplefin.org:8443/claim/x"),
        coded("https://bridge.simplefin.org:99999/claim/x"),
        coded("https://127.0.0.1/claim/x"),
        coded("https://[::1]/claim/x"),
        coded("http://127.0.0.1:1/claim/x"),
        coded("https://bridge.simplefin.org/claim/x?to=evil"),
        coded("https://bridge.simplefin.org/claim/x\r\nHost: evil.example"),
        coded("https://\uff42ridge.simplefin.org/claim/x"),
        coded("https:///claim/x"),
        coded("x" * 5_000),
    ],
)
async def test_nothing_is_asked_where_nothing_may_be_asked(token: str) -> None:
    sim = a_server()
    outside = sim.inside(Clock())
    hosts = (sim.host, "*.simplefin.org")
    provider = SimpleFin(outside, Configuration(simplefin_hosts=hosts))

    with pytest.raises(InvalidInput) as refused:
        await provider.connect({"setup_token": token}, AT)

    assert refused.value.field == ("input", "using", "credentials")
    assert not sim.requests


async def test_a_loopback_server_is_asked_only_where_the_operator_named_it_and_may() -> None:
    sim = a_server()
    for hosts, private in [((), (sim.host,)), ((sim.host,), ())]:
        outside = replace(sim.inside(Clock()), private=frozenset(private))
        provider = SimpleFin(outside, Configuration(simplefin_hosts=hosts))
        with pytest.raises(InvalidInput):
            await provider.connect({"setup_token": sim.setup_token()}, AT)
        with pytest.raises(ProviderUnavailable, match="may not be asked"):
            await pulled(provider, a_request(sim))
    assert not sim.requests


@pytest.mark.parametrize(
    "said",
    [
        "Forbidden",
        "https://user:pass@evil.example/simplefin",
        "https://bridge.simplefin.org/simplefin",
        "http://user:pass@bridge.simplefin.org/simplefin",
        "https://user:@bridge.simplefin.org/simplefin",
        "",
    ],
)
async def test_an_access_url_is_looked_at_as_closely_and_never_shown(said: str) -> None:
    sim = a_server(access_url=said)
    if not said:
        sim.fault(Trouble.EMPTY)
    with pytest.raises(ProviderUnavailable, match="may have been used up") as refused:
        await a_provider(sim).connect({"setup_token": sim.setup_token()}, AT)
    assert "pass@" not in str(refused.value)
    assert len(sim.requests) == 1


async def test_the_same_access_is_the_same_login_and_another_token_another() -> None:
    sim = a_server()
    provider = a_provider(sim)

    async def claimed(code: str) -> Login:
        return await provider.connect({"setup_token": sim.setup_token(code)}, AT)

    assert (await claimed("a")).identity == (await claimed("a")).identity
    assert (await claimed("a")).identity != (await claimed("b")).identity
