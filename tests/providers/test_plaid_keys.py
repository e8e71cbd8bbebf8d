"""The keys of Plaid's webhooks, and somebody who has us ask for others."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from adapters.providers.plaid import Plaid
from domain.errors import ProviderUnavailable
from domain.providers import Forged, Notice
from tests.providers.conformance import AT
from tests.providers.fakes import Clock
from tests.providers.simplefin import Roomy
from tests.providers.simulators.base import Trouble
from tests.providers.simulators.plaid import PlaidServer
from tests.providers.test_plaid_conformance import a_client

PATH = "/webhook_verification_key/get"
BODY = b'{"webhook_type": "ITEM"}'


@pytest.fixture
def sim() -> PlaidServer:
    return PlaidServer(now=lambda: AT)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plaid(sim: PlaidServer, clock: Clock) -> Plaid:
    return Plaid(a_client(sim), replace(sim.inside(clock), budgets=Roomy()))


async def told(sim: PlaidServer, plaid: Plaid, at: datetime = AT) -> Notice:
    signed = sim.signed(BODY, iat=int(at.timestamp()))
    headers = {name.lower(): value for name, value in signed.items()}
    return await plaid.notice(headers, BODY, at)


async def test_keys_that_nobody_knows_push_none_out_that_is_known(
    sim: PlaidServer, plaid: Plaid
) -> None:
    await told(sim, plaid)
    known = sim.kid
    for number in range(300):
        sim.kid = f"forged-{number}"
        signed = sim.signed(BODY)["Plaid-Verification"]
        sim.kid = known
        with pytest.raises(Forged):
            await plaid.notice({"plaid-verification": signed}, BODY, AT)
    asked = len(sim.asked(PATH))
    await told(sim, plaid)
    assert len(sim.asked(PATH)) == asked


async def test_a_key_is_good_for_some_hours_more_while_plaid_cannot_be_asked(
    sim: PlaidServer, plaid: Plaid, clock: Clock
) -> None:
    await told(sim, plaid)
    sim.fault(Trouble.AWAY, path=PATH, times=99)
    await told(sim, plaid, AT + timedelta(hours=23))
    with pytest.raises(ProviderUnavailable):
        await told(sim, plaid, AT + timedelta(hours=25))
    sim.mend()
    clock.seconds += 3_600
    sim.key_expired_at = int(AT.timestamp())  # which is told as soon as it can be asked for
    with pytest.raises(Forged):
        await told(sim, plaid, AT + timedelta(hours=13))


async def test_a_key_is_asked_for_once_however_many_wait_for_it(
    sim: PlaidServer, plaid: Plaid
) -> None:
    await asyncio.gather(*(told(sim, plaid) for _ in range(20)))
    assert len(sim.asked(PATH)) == 1
