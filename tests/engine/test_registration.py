"""Registering, verifying and forgetting: once, twice, at once, and cut off in the middle."""

import asyncio
import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adapters.security.passwords import WAITING_MAX
from domain.errors import (
    DomainError,
    ErrorCode,
    InvalidInput,
    NotPermitted,
    RateLimited,
    Unavailable,
)
from domain.identity import NOBODY, User
from domain.limits import LimitSettings
from domain.mail import Template
from gateway.worker.chores import mail
from tests.engine.mailing import (
    NEW,
    OTHER_PASSWORD,
    Outbox,
    ask_to_register,
    forget,
    reset,
    verify,
    waiting,
    worked_off,
)
from tests.engine.sessions import EMAIL, enter
from tests.engine.test_unknown_addresses import heard
from tests.engine.world import PASSWORD, Engine


@pytest.fixture
def outbox(engine: Engine) -> Outbox:
    box = Outbox()
    engine.app = replace(engine.app, mail=box)
    return box


async def codes(*attempts: Any) -> list[str]:
    """What each of these came to, as many at once as may wait for a hash."""
    at_once = asyncio.Semaphore(WAITING_MAX)

    async def one(attempt: Any) -> None:
        async with at_once:
            await attempt

    said = []
    for found in await asyncio.gather(*map(one, attempts), return_exceptions=True):
        assert found is None or isinstance(found, DomainError), found
        said.append("OK" if found is None else found.code.value)
    return said


async def test_a_hundred_registrations_of_one_address_at_once_make_one_user(
    engine: Engine, outbox: Outbox
) -> None:
    assert await codes(*(ask_to_register(engine) for _ in range(100))) == ["OK"] * 100
    await worked_off(engine)

    assert await engine.count("users", "email = $1", NEW) == 1
    tokens = outbox.tokens(Template.VERIFY_EMAIL)
    assert 1 <= len(tokens) <= 1 + 5  # of the first, and as many again as one address gets an hour
    assert await codes(*(verify(engine, tokens[0]) for _ in range(20))) == ["OK"] * 20
    assert (await enter(engine, email=NEW)).access_token


async def test_nothing_that_waits_or_is_stored_shows_what_is_secret_in_it(
    engine: Engine, outbox: Outbox
) -> None:
    await ask_to_register(engine)
    [asked] = await waiting(engine, "registration")
    await asked.run(engine)
    [mailed] = await waiting(engine, "mail")
    await mailed.run(engine)
    [token] = outbox.tokens(Template.VERIFY_EMAIL)
    user = await engine.one("users", "email = $1", NEW)

    shown = str([asked.said, mailed.said]) + str(await engine.said("email_tokens", "audit_log"))
    for secret in (token, base64.b64encode(token.encode()).decode(), NEW, PASSWORD):
        assert secret not in shown
    assert user["password_hash"] not in str([asked.said, mailed.said])
    assert asked.said["user"] == str(NOBODY)


async def test_a_worker_that_was_killed_after_its_commit_makes_no_second_token(
    engine: Engine, outbox: Outbox
) -> None:
    await ask_to_register(engine)
    [job] = await waiting(engine, "registration")
    await job.run(engine)
    await job.run(engine)  # taken up again by another worker

    assert await engine.count("email_tokens") == 1
    assert len(await waiting(engine, "mail")) == 1


@pytest.mark.parametrize("first", ["stranger", "owner"])
async def test_the_password_is_of_the_registration_whose_mail_was_used(
    engine: Engine, outbox: Outbox, first: str
) -> None:
    passwords = [OTHER_PASSWORD, PASSWORD] if first == "stranger" else [PASSWORD, OTHER_PASSWORD]
    for password in passwords:
        await ask_to_register(engine, password=password)
        await worked_off(engine)
    tokens = outbox.tokens(Template.VERIFY_EMAIL)

    await verify(engine, tokens[passwords.index(PASSWORD)])

    assert (await enter(engine, email=NEW)).access_token
    with pytest.raises(NotPermitted):
        await enter(engine, email=NEW, password=OTHER_PASSWORD)
    with pytest.raises(InvalidInput, match="no longer"):
        await verify(engine, tokens[passwords.index(OTHER_PASSWORD)])
    assert await engine.count("email_tokens", "password_hash IS NOT NULL") == 0


async def test_who_registers_again_before_confirming_is_told_so_by_the_newer_password(
    engine: Engine, outbox: Outbox
) -> None:
    for password in (OTHER_PASSWORD, PASSWORD):
        await ask_to_register(engine, password=password)
        await worked_off(engine)

    assert await codes(enter(engine, email=NEW)) == ["EMAIL_NOT_VERIFIED"]
    assert await codes(enter(engine, email=NEW, password=OTHER_PASSWORD)) == ["SIGN_IN_FAILED"]
    await ask_to_register(engine, EMAIL, password=OTHER_PASSWORD)  # which is confirmed
    await worked_off(engine)
    assert (await enter(engine)).access_token


async def test_links_are_good_for_as_long_as_the_mail_says(engine: Engine, outbox: Outbox) -> None:
    await ask_to_register(engine)
    await forget(engine, EMAIL)
    await worked_off(engine)
    [to_verify], [to_reset] = (
        outbox.tokens(Template.VERIFY_EMAIL),
        outbox.tokens(Template.RESET_PASSWORD),
    )

    engine.clock.turn(minutes=15)
    assert await codes(reset(engine, to_reset)) == ["TOKEN_EXPIRED"]
    engine.clock.turn(hours=23, minutes=44)
    await verify(engine, to_verify)
    engine.clock.turn(minutes=1)
    assert await codes(verify(engine, to_verify)) == ["TOKEN_EXPIRED"]


async def test_a_mail_whose_link_has_expired_is_not_sent(engine: Engine, outbox: Outbox) -> None:
    await forget(engine, EMAIL)
    [asked] = await waiting(engine, "password_reset")
    await asked.run(engine)
    [mailed] = await waiting(engine, "mail")
    engine.clock.turn(minutes=16)
    await mailed.run(engine)

    assert outbox.letters == []


async def test_a_mail_is_tried_for_a_day_and_then_given_up(engine: Engine, outbox: Outbox) -> None:
    await ask_to_register(engine, EMAIL)
    [asked] = await waiting(engine, "registration")
    await asked.run(engine)
    [mailed] = await waiting(engine, "mail")
    outbox.failing = Unavailable("the mail server refused the address, not for good: 450")

    with pytest.raises(Unavailable):
        await mailed.run(engine)
    engine.clock.turn(hours=23)
    with pytest.raises(Unavailable):
        await mailed.run(engine)
    engine.clock.turn(hours=2)
    await mailed.run(engine)
    assert outbox.letters == []


async def test_where_nothing_can_be_mailed_nobody_is_told_to_wait_for_it(engine: Engine) -> None:
    engine.app = replace(engine.app, mail=None)

    asked = [await codes(ask_to_register(engine, who), forget(engine, who)) for who in (EMAIL, NEW)]
    await mail(engine.app, engine.actor.user_id, {"template": "role_changed"})

    assert asked == [["NOT_PERMITTED"] * 2] * 2
    assert await waiting(engine) == []


async def test_of_many_resets_with_one_link_at_once_one_is_done(
    engine: Engine, outbox: Outbox
) -> None:
    await forget(engine, EMAIL)
    await forget(engine, EMAIL)
    await worked_off(engine)
    first, second = outbox.tokens(Template.RESET_PASSWORD)
    before = await engine.one("users", "email = $1", EMAIL)

    said = await codes(*(reset(engine, first, f"{OTHER_PASSWORD} {n}") for n in range(20)))
    after = await engine.one("users", "email = $1", EMAIL)

    assert sorted(said) == ["OK"] + ["TOKEN_INVALID"] * 19
    assert (await enter(engine, password=f"{OTHER_PASSWORD} {said.index('OK')}")).access_token
    assert await codes(reset(engine, second)) == ["TOKEN_INVALID"]
    assert after["token_version"] == before["token_version"] + 1
    assert after["password_changed_at"] is not None


async def test_a_reset_ends_every_session_with_its_event_and_leaves_its_trace(
    engine: Engine, outbox: Outbox
) -> None:
    await enter(engine)
    await enter(engine, cookie=True)
    await forget(engine, EMAIL)
    await worked_off(engine)
    await reset(engine, outbox.tokens(Template.RESET_PASSWORD)[0])
    await worked_off(engine)

    assert await engine.count("sessions", "ended_at IS NULL") == 0
    told = (await engine.events())[2:]
    assert sorted(told) == ["password.changed", "session.revoked", "session.revoked"]
    assert outbox.letters[-1].template is Template.PASSWORD_CHANGED
    assert await engine.audit("password.reset") == [("ATTEMPTED", None), ("SUCCEEDED", None)]
    assert await engine.audit("password_reset.mail") == [("ATTEMPTED", None), ("SUCCEEDED", None)]


async def test_a_reset_of_what_somebody_else_registered_takes_it_from_them(
    engine: Engine, outbox: Outbox
) -> None:
    """The mail came to the owner of the address, whoever gave the first password."""
    await ask_to_register(engine, password=OTHER_PASSWORD)
    await worked_off(engine)
    await forget(engine, NEW)
    await worked_off(engine)

    await reset(engine, outbox.tokens(Template.RESET_PASSWORD)[0], PASSWORD)

    assert (await enter(engine, email=NEW)).access_token
    assert await codes(verify(engine, outbox.tokens(Template.VERIFY_EMAIL)[0])) == ["TOKEN_INVALID"]
    with pytest.raises(NotPermitted):
        await enter(engine, email=NEW, password=OTHER_PASSWORD)


async def test_a_weak_password_spends_no_link(engine: Engine, outbox: Outbox) -> None:
    await forget(engine, EMAIL)
    await worked_off(engine)
    [token] = outbox.tokens(Template.RESET_PASSWORD)

    weak = ["short", "a" * 257, f"{EMAIL} and more", "\ud800" * 20]
    assert await codes(*(reset(engine, token, said) for said in weak)) == ["WEAK_PASSWORD"] * 4
    await reset(engine, token, "é" * 8 + " and 256 or less")


async def test_each_place_and_each_address_asks_so_often_and_no_more(engine: Engine) -> None:
    engine.app = replace(engine.app, limit_settings=LimitSettings(), mail=Outbox())

    for who in (EMAIL, NEW):
        for _ in range(5):
            await forget(engine, who)
    with pytest.raises(RateLimited) as too_often:
        await forget(engine, "a.third@example.com")
    for n in range(10):
        await ask_to_register(engine, f"{n}@example.com")
    with pytest.raises(RateLimited):
        await ask_to_register(engine)

    assert too_often.value.retry_after_s > 60
    assert len(await waiting(engine, "password_reset")) == 3 + 3


async def test_a_database_that_goes_away_in_the_middle_is_no_half_of_it(
    engine: Engine, outbox: Outbox
) -> None:
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dashtam_app'"

    async def killing() -> None:
        for _ in range(10):
            await engine.spy.execute(kill)
            await asyncio.sleep(0.01)

    asked = [ask_to_register(engine, f"{n}@example.com") for n in range(30)]
    killed, *found = await asyncio.gather(killing(), *asked, return_exceptions=True)
    assert killed is None
    assert all(isinstance(one, Unavailable | None) for one in found), found
    done = found.count(None)
    jobs = await waiting(engine, "registration")
    assert done <= len(jobs) <= 30  # one whose answer was lost may have been kept

    for n in range(30):
        await ask_to_register(engine, f"{n}@example.com")
    await worked_off(engine)
    assert await engine.count("users", "email LIKE '%@example.com' AND NOT email_verified") == 30
    assert len({letter.to for letter in outbox.letters}) == 30


async def test_old_tokens_are_cleared_for_everybody(engine: Engine, outbox: Outbox) -> None:
    await ask_to_register(engine)
    await forget(engine, EMAIL)
    await worked_off(engine)
    engine.clock.turn(days=1)

    assert await engine.app.doors.clear_email_tokens(engine.clock(), 1_000) == 1
    assert await engine.app.doors.clear_email_tokens(engine.clock(), 1_000) == 0
    assert await engine.count("email_tokens") == 1


async def test_an_address_that_nobody_confirmed_is_forgotten_once_no_link_leads_to_it(
    engine: Engine, outbox: Outbox
) -> None:
    doors = engine.app.doors
    for who in (NEW, "mine@example.com"):
        await ask_to_register(engine, who)
        await worked_off(engine)
    await verify(engine, outbox.tokens(Template.VERIFY_EMAIL)[1])
    engine.clock.turn(days=3)

    assert await doors.forget_unverified(engine.clock(), 1_000) == 0  # its link is kept
    await doors.clear_email_tokens(engine.clock(), 1_000)
    assert await doors.forget_unverified(engine.clock() - timedelta(days=3), 1_000) == 0
    assert await doors.forget_unverified(engine.clock(), 1_000) == 1
    assert sorted(row["email"] for row in await engine.rows("users")) == [EMAIL, "mine@example.com"]


async def test_who_registers_is_a_user_of_no_special_kind(engine: Engine, outbox: Outbox) -> None:
    await ask_to_register(engine)
    await worked_off(engine)
    known = await engine.app.doors.user_by_email(NEW)

    assert known is not None
    assert known.user == User(
        id=known.user.id,
        email=NEW,
        email_verified=False,
        role=known.user.role,
        created_at=engine.clock(),
        base_currency=known.user.base_currency,
        time_zone="UTC",
    )
    assert (known.user.role.value, known.user.base_currency) == ("USER", "USD")
    assert ErrorCode.EMAIL_NOT_VERIFIED.value in await codes(enter(engine, email=NEW))


@pytest.mark.parametrize("do", [ask_to_register, forget])
async def test_a_known_and_an_unknown_address_take_the_same_statements(
    engine: Engine, outbox: Outbox, do: Any
) -> None:
    await ask_to_register(engine, "not@example.com")  # known by then, and not verified
    await worked_off(engine)
    said = []
    for email in (EMAIL, "not@example.com", "who@example.com"):
        with heard(engine) as statements:
            await do(engine, email)
        said.append(statements)

    assert len(said[0]) >= 4
    assert said[0] == said[1] == said[2]
    assert len({len(str(job.said)) for job in await waiting(engine)}) == 1
