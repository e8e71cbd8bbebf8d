from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.commands.links import UpdateLink, update_link
from domain.commands.people import CreateUser, actor_to_be, create_user
from domain.commands.sessions import (
    RefreshSession,
    SignedIn,
    SignOut,
    actor_of_token,
    refresh_session,
    sign_out,
)
from domain.commands.settings import UpdateSettings, update_settings
from domain.errors import Conflict, ErrorCode, InvalidInput, NotFound, NotPermitted
from domain.identity import UNSET, Actor, Role, new_id
from domain.links import LinkId
from domain.secret import Secret
from tests.engine.sessions import enter, nobody
from tests.engine.world import PASSWORD, Engine

EMAIL = "ann@example.com"


async def refresh(engine: Engine, token: Secret | None) -> SignedIn:
    assert token is not None
    actor = await actor_of_token(engine.app, token.reveal(), nobody())
    cmd = RefreshSession(actor=actor, refresh_token=token, at=engine.clock())
    return await refresh_session(engine.app, cmd)


async def test_the_right_password_begins_a_session(engine: Engine) -> None:
    signed_in = await enter(engine)
    assert signed_in.access_token
    assert signed_in.refresh_token
    session = await engine.one("sessions")
    assert (session["device"], session["ip_address"]) == ("Phone", "192.0.2.7")
    assert signed_in.refresh_token.reveal().encode() not in bytes(session["refresh_hash"])
    assert (await engine.audit("session.start")) == [("ATTEMPTED", None), ("SUCCEEDED", None)]
    assert await engine.events() == ["session.started"]


async def test_a_wrong_password_and_an_unknown_address_are_refused_alike(engine: Engine) -> None:
    refusals = []
    for email, password in ((EMAIL, "wrong-horse-battery"), ("nobody@example.com", PASSWORD)):
        with pytest.raises(NotPermitted) as refused:
            await enter(engine, email=email, password=password)
        refusals.append((refused.value.code, refused.value.message, refused.value.field))
    assert refusals[0] == refusals[1]
    assert refusals[0][0] is ErrorCode.SIGN_IN_FAILED
    tried = [("ATTEMPTED", None), ("FAILED", "SIGN_IN_FAILED")]
    assert await engine.audit("session.start") == tried * 2
    rows = await engine.rows("audit_log", "action = 'session.start'", order="seq")
    assert {r["user_id"] for r in rows} == {engine.actor.user_id, type(new_id())(int=0)}
    assert await engine.count("sessions") == 0


async def test_the_session_used_longest_ago_ends_when_there_are_too_many(engine: Engine) -> None:
    app = engine.app
    engine.app = replace(app, session_limit=2)
    for _ in range(3):
        engine.clock.turn(minutes=1)
        await enter(engine)
    rows = await engine.rows("sessions", order="created_at")
    assert [r["ended_at"] is None for r in rows] == [False, True, True]
    cmd = UpdateSettings(
        actor=engine.actor,
        base_currency=UNSET,
        time_zone=UNSET,
        session_limit=1,
        at=engine.clock(),
    )
    await update_settings(engine.app, cmd)
    engine.clock.turn(minutes=1)
    await enter(engine)
    assert await engine.count("sessions", "ended_at IS NULL") == 1


async def test_a_refresh_token_is_exchanged_once_and_its_repeat_gets_the_same_successor(
    engine: Engine,
) -> None:
    first = await enter(engine)
    engine.clock.turn(minutes=1)
    second = await refresh(engine, first.refresh_token)
    assert second.refresh_token != first.refresh_token
    engine.clock.turn(seconds=9)
    repeat = await refresh(engine, first.refresh_token)
    assert repeat.refresh_token == second.refresh_token
    third = await refresh(engine, second.refresh_token)
    assert third.refresh_token not in (first.refresh_token, second.refresh_token)
    assert await engine.count("sessions") == 1


async def test_a_token_that_is_used_again_ends_its_session(engine: Engine) -> None:
    first = await enter(engine)
    second = await refresh(engine, first.refresh_token)
    engine.clock.turn(seconds=11)
    with pytest.raises(InvalidInput) as refused:
        await refresh(engine, first.refresh_token)
    assert refused.value.code is ErrorCode.TOKEN_REUSED
    assert (await engine.one("sessions"))["ended_at"] is not None
    with pytest.raises(InvalidInput):
        await refresh(engine, second.refresh_token)
    assert (await engine.events())[-2:] == ["token.reused", "session.revoked"]
    assert ("FAILED", "TOKEN_REUSED") in await engine.audit("session.refresh")


async def test_a_token_that_nobody_was_given_is_refused(engine: Engine) -> None:
    with pytest.raises(InvalidInput) as refused:
        await refresh(engine, Secret("not-a-token"))
    assert refused.value.code is ErrorCode.TOKEN_INVALID


async def test_a_session_ends_a_month_after_it_was_last_used(engine: Engine) -> None:
    first = await enter(engine)
    engine.clock.turn(days=29)
    second = await refresh(engine, first.refresh_token)
    engine.clock.turn(days=29)
    third = await refresh(engine, second.refresh_token)
    engine.clock.turn(days=31)
    with pytest.raises(InvalidInput) as refused:
        await refresh(engine, third.refresh_token)
    assert refused.value.code is ErrorCode.TOKEN_EXPIRED


async def test_signing_out_ends_the_session_once(engine: Engine) -> None:
    signed_in = await enter(engine)
    assert signed_in.refresh_token
    actor = await actor_of_token(engine.app, signed_in.refresh_token.reveal(), nobody())
    for _ in range(2):
        await sign_out(engine.app, SignOut(actor=actor, at=engine.clock()))
    assert (await engine.one("sessions"))["ended_at"] is not None
    assert (await engine.events()).count("session.revoked") == 1
    with pytest.raises(InvalidInput):
        await refresh(engine, signed_in.refresh_token)


async def test_a_cookies_secret_is_no_refresh_token(engine: Engine) -> None:
    signed_in = await enter(engine, cookie=True)
    assert signed_in.access_token is signed_in.refresh_token is None
    with pytest.raises(InvalidInput):
        await refresh(engine, signed_in.cookie_secret)


async def test_an_address_belongs_to_one_person(engine: Engine) -> None:
    def cmd(email: str, password: str = PASSWORD) -> CreateUser:
        return CreateUser(
            actor=actor_to_be(Role.USER),
            email=email,
            password=Secret(password),
            role=Role.USER,
            at=engine.clock(),
        )

    with pytest.raises(Conflict) as refused:
        await create_user(engine.app, cmd(" ANN@example.com "))
    assert refused.value.field == ("input", "email")
    with pytest.raises(InvalidInput):
        await create_user(engine.app, cmd("bob@example.com", "short"))
    assert await engine.count("users") == 1
    assert [o for o, _ in await engine.audit("user.create")] == [
        *("ATTEMPTED", "SUCCEEDED"),
        *("ATTEMPTED", "FAILED"),
        *("ATTEMPTED", "FAILED"),
    ]


async def test_every_attempt_has_one_outcome_in_the_audit_log(engine: Engine) -> None:
    link, _ = await engine.linked()
    reader = Actor(user_id=engine.actor.user_id, role=Role.READONLY)
    for id, actor in ((link.id, engine.actor), (LinkId(new_id()), engine.actor), (link.id, reader)):
        cmd = UpdateLink(
            actor=actor, link_id=id, alias="Mine", sync_every_s=UNSET, at=engine.clock()
        )
        with suppress(NotFound, NotPermitted):
            await update_link(engine.app, cmd)
    assert await engine.audit("link.update") == [
        ("ATTEMPTED", None),
        ("SUCCEEDED", None),
        ("ATTEMPTED", None),
        ("FAILED", "NOT_FOUND"),
        ("ATTEMPTED", None),
        ("FAILED", "NOT_PERMITTED"),
    ]
    outcomes = await engine.spy.fetch(
        "SELECT action, count(*) FILTER (WHERE outcome = 'ATTEMPTED') AS tried,"
        " count(*) FILTER (WHERE outcome <> 'ATTEMPTED') AS told FROM audit_log GROUP BY 1"
    )
    assert all(row["tried"] == row["told"] for row in outcomes)
    assert {row["action"] for row in outcomes} >= {"user.create", "link.connect", "sync.run"}


async def test_a_reader_may_not_connect_sync_or_import(engine: Engine) -> None:
    engine.actor = replace(engine.actor, role=Role.READONLY)
    for refused in (engine.connect(), engine.request(), engine.bring_in(b"x")):
        with pytest.raises(NotPermitted):
            await refused


async def test_a_session_that_has_expired_makes_no_room_for_itself(engine: Engine) -> None:
    engine.app = replace(engine.app, session_limit=1)
    await enter(engine)
    engine.clock.turn(days=40)
    await enter(engine)
    rows = await engine.rows("sessions", order="created_at")
    assert rows[0]["expires_at"] < engine.clock.at + timedelta(0)
    assert [r["ended_at"] for r in rows] == [None, None]
