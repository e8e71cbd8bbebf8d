"""Whoever attacks an account keeps nobody out who signed in from their device before."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.security.devices import SignedDevices
from adapters.security.keyring import Keyring
from domain.commands.people import CreateUser, actor_to_be, create_user
from domain.errors import NotPermitted, RateLimited
from domain.identity import Role
from domain.limits import Limit
from domain.mail import Template
from domain.secret import Secret
from tests.engine.mailing import OTHER_PASSWORD, Outbox, forget, reset, worked_off
from tests.engine.sessions import EMAIL, enter
from tests.engine.world import PASSWORD, Engine

ATTACKER = "198.51.100.9"


def tighten(engine: Engine) -> None:
    """Two attempts on an account, two from a device that it knows, in a day."""
    figures = engine.app.limit_settings
    two = Limit(name="two", burst=2, per_seconds=86_400)
    engine.app = replace(
        engine.app,
        limit_settings=replace(
            figures,
            sign_in_account=replace(two, name="sign-in-account"),
            sign_in_device=replace(two, name="sign-in-device"),
        ),
    )


async def attack(engine: Engine) -> None:
    for _ in range(2):
        with pytest.raises(NotPermitted):
            await enter(engine, password="no", ip=ATTACKER)
    with pytest.raises(RateLimited):
        await enter(engine, ip=ATTACKER)


async def test_the_owner_gets_in_while_the_account_is_attacked(engine: Engine) -> None:
    first = (await enter(engine)).device
    engine.clock.turn(days=300)
    tighten(engine)
    await attack(engine)
    with pytest.raises(RateLimited):
        await enter(engine)

    again = (await enter(engine, known_device=first)).device

    assert again is not None
    assert first is not None
    assert again != first  # its year begins anew
    engine.clock.turn(days=60)
    with pytest.raises(NotPermitted):
        await enter(engine, password="no", known_device=again)
    for device in (first, again):
        with pytest.raises(RateLimited):
            await enter(engine, known_device=device)


async def test_with_many_devices_there_are_no_more_attempts_than_with_one(engine: Engine) -> None:
    devices = [(await enter(engine)).device for _ in range(3)]
    tighten(engine)

    for device in devices[:2]:
        with pytest.raises(NotPermitted):
            await enter(engine, password="no", known_device=device)

    with pytest.raises(RateLimited):
        await enter(engine, known_device=devices[2])


async def test_an_address_has_one_count_in_all_of_its_forms(engine: Engine) -> None:
    tighten(engine)
    composed, apart = "zo\u00eb@example.com", "zoe\u0308@example.com"
    for email in (composed, apart):
        with pytest.raises(NotPermitted):
            await enter(engine, email=email)

    for email in (composed, apart, f" {apart.upper()}"):
        with pytest.raises(RateLimited):
            await enter(engine, email=email)


async def test_what_is_no_device_of_the_account_is_none(engine: Engine) -> None:
    his = CreateUser(
        actor=actor_to_be(Role.USER),
        email="bob@example.com",
        password=Secret(PASSWORD),
        role=Role.USER,
        at=engine.clock(),
    )
    await create_user(engine.app, his)
    bobs = (await enter(engine, email="bob@example.com")).device
    mine = (await enter(engine)).device
    assert bobs is not None
    assert mine is not None
    user, at = (await enter(engine)).user, engine.clock()
    last = "A" if mine.reveal()[-2] != "A" else "B"
    forged = mine.reveal()[:-2] + last + mine.reveal()[-1]
    elsewhere = SignedDevices(Keyring.new())

    known = engine.app.devices.known
    assert known(mine.reveal(), user, at)
    assert known(mine.reveal(), user, at + timedelta(days=365))
    assert not known(mine.reveal(), user, at + timedelta(days=366))
    assert not known(mine.reveal(), None, at)
    assert not known(mine.reveal(), replace(user, totp_enabled=True), at)
    assert not elsewhere.known(mine.reveal(), user, at)
    for said in (bobs.reveal(), forged, "", "é", "=" * 75, mine.reveal() + "=", "A" * 200, None):
        assert not known(said, user, at)

    tighten(engine)
    await attack(engine)
    for other in (bobs, Secret(forged)):
        with pytest.raises(RateLimited):
            await enter(engine, known_device=other)


async def test_the_owner_is_mailed_of_a_sign_in_from_a_device_that_is_not_known(
    engine: Engine,
) -> None:
    outbox = Outbox()
    engine.app = replace(engine.app, mail=outbox)
    device = (await enter(engine)).device  # the first with this password
    await enter(engine)  # a client that keeps no device
    await enter(engine, ip=ATTACKER, known_device=device)
    await worked_off(engine)
    assert outbox.letters == []

    await enter(engine, ip=ATTACKER, client="Another")
    await worked_off(engine)

    [letter] = outbox.letters
    assert (letter.template, letter.to) == (Template.NEW_DEVICE, EMAIL)
    assert letter.values == {"device": "Another", "ip_address": ATTACKER, "location": ""}


async def test_nobody_is_mailed_of_the_first_sign_in_with_a_new_password(engine: Engine) -> None:
    outbox = Outbox()
    engine.app = replace(engine.app, mail=outbox)
    await enter(engine)
    await forget(engine, EMAIL)
    await worked_off(engine)
    await reset(engine, outbox.tokens(Template.RESET_PASSWORD)[0])
    await enter(engine, password=OTHER_PASSWORD, ip=ATTACKER)
    await worked_off(engine)

    assert Template.NEW_DEVICE not in {letter.template for letter in outbox.letters}


async def test_after_a_wait_the_account_is_open_again_without_anybody_unlocking_it(
    engine: Engine,
) -> None:
    tighten(engine)
    figures = engine.app.limit_settings
    soon = replace(figures.sign_in_account, per_seconds=1)
    limits = replace(figures, sign_in_account=soon)
    engine.app = replace(engine.app, limit_settings=limits)
    await attack(engine)

    await asyncio.sleep(0.6)  # one of two in a second

    assert (await enter(engine)).access_token
    with pytest.raises(RateLimited):  # that one was used, and no more than one
        await enter(engine)
