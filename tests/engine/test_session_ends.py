"""Sessions that are revoked, replaced, crowded out and forgotten."""

from dataclasses import replace

import pytest

from domain.commands.sessions import (
    RefreshSession,
    RevokeOtherSessions,
    RevokeSession,
    note_use,
    refresh_session,
    revoke_other_sessions,
    revoke_session,
)
from domain.commands.settings import UpdateSettings, update_settings
from domain.errors import ErrorCode, InvalidInput, NotFound
from domain.identity import UNSET, Actor, Role, SessionId, UserId, new_id
from tests.engine.files import account, bank, january
from tests.engine.sessions import actor_of, enter, is_good, leave, refresh, refused
from tests.engine.world import Engine

CHROME = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Chrome/130.0.0.0 Safari/537.36"


async def revoke(engine: Engine, actor: Actor, id: SessionId | None) -> None:
    assert id is not None
    cmd = RevokeSession(actor=actor, session_id=id, at=engine.clock())
    await revoke_session(engine.app, cmd)


async def limit(engine: Engine, most: int) -> None:
    cmd = UpdateSettings(
        actor=engine.actor,
        base_currency=UNSET,
        time_zone=UNSET,
        session_limit=most,
        at=engine.clock(),
    )
    await update_settings(engine.app, cmd)


async def test_a_revoked_session_is_over_with_all_that_was_issued_in_it(engine: Engine) -> None:
    laptop, phone, cookie = (
        await enter(engine),
        await enter(engine),
        await enter(engine, cookie=True),
    )
    here = await actor_of(engine, laptop)

    for other in (phone, cookie):
        await revoke(engine, here, (await actor_of(engine, other)).session_id)

    assert await is_good(engine, laptop)
    assert not await is_good(engine, phone)
    assert not await is_good(engine, cookie)
    assert await refused(engine, phone.refresh_token) is ErrorCode.TOKEN_EXPIRED
    assert (await engine.events())[-2:] == ["session.revoked"] * 2
    assert await engine.audit("session.revoke") == [("ATTEMPTED", None), ("SUCCEEDED", None)] * 2


async def test_a_session_whose_user_was_deleted_meanwhile_is_over_as_any_other(
    engine: Engine,
) -> None:
    signed_in = await enter(engine)
    actor, token = await actor_of(engine, signed_in), signed_in.refresh_token
    assert token is not None
    await engine.spy.execute("DELETE FROM users")

    cmd = RefreshSession(actor=actor, refresh_token=token, at=engine.clock())
    with pytest.raises(InvalidInput) as refusal:
        await refresh_session(engine.app, cmd)

    assert refusal.value.code is ErrorCode.TOKEN_EXPIRED


async def test_ones_own_session_may_be_revoked_once(engine: Engine) -> None:
    laptop = await enter(engine)
    here = await actor_of(engine, laptop)

    await revoke(engine, here, here.session_id)

    assert not await is_good(engine, laptop)
    with pytest.raises(NotFound):
        await revoke(engine, here, here.session_id)
    assert await engine.count("events", "name = 'session.revoked'") == 1


async def test_a_session_that_is_not_there_expired_or_is_somebody_elses_is_not_found(
    engine: Engine,
) -> None:
    laptop = await enter(engine)
    here = await actor_of(engine, laptop)
    stranger = Actor(user_id=UserId(new_id()), role=Role.USER)
    for who, which in ((here, SessionId(new_id())), (stranger, here.session_id)):
        with pytest.raises(NotFound):
            await revoke(engine, who, which)
    assert await is_good(engine, laptop)
    engine.clock.turn(days=31)
    with pytest.raises(NotFound):
        await revoke(engine, here, here.session_id)


async def test_all_other_sessions_end_and_are_counted(engine: Engine) -> None:
    await enter(engine)
    engine.clock.turn(days=31)  # it has expired, and is not counted
    here, *others = [await enter(engine) for _ in range(4)]
    gone = await enter(engine)
    await leave(engine, gone.refresh_token)

    cmd = RevokeOtherSessions(actor=await actor_of(engine, here), at=engine.clock())
    assert await revoke_other_sessions(engine.app, cmd) == 3
    assert await revoke_other_sessions(engine.app, cmd) == 0

    assert await is_good(engine, here)
    assert not any([await is_good(engine, other) for other in others])


async def test_of_too_many_sessions_the_one_used_longest_ago_ends_with_its_tokens(
    engine: Engine,
) -> None:
    """Probe 13, in terms of one limit: the setting's, or the person's own."""
    engine.app = replace(engine.app, session_limit=3)
    sessions = []
    for _ in range(5):
        sessions.append(await enter(engine))
        engine.clock.turn(minutes=1)
    assert [await is_good(engine, session) for session in sessions] == [False] * 2 + [True] * 3
    assert await refused(engine, sessions[0].refresh_token) is ErrorCode.TOKEN_EXPIRED

    await refresh(engine, sessions[2].refresh_token)  # now the last used
    await limit(engine, 2)
    newest = await enter(engine)
    assert not await is_good(engine, sessions[3])
    assert not await is_good(engine, sessions[4])
    assert await is_good(engine, sessions[2])
    assert await is_good(engine, newest)
    await limit(engine, 4)
    await enter(engine)
    assert await is_good(engine, sessions[2])


async def test_signing_in_again_in_a_browser_ends_the_session_that_its_cookie_was_of(
    engine: Engine,
) -> None:
    await limit(engine, 2)
    phone, before = await enter(engine), await enter(engine, cookie=True)
    replaced = (await actor_of(engine, before)).session_id

    after = await enter(engine, cookie=True, replaces=replaced)

    assert not await is_good(engine, before)
    assert await is_good(engine, after)
    assert await is_good(engine, phone), "the one that was replaced makes room enough"


async def test_what_is_long_over_is_forgotten_and_what_tells_a_thief_is_not(
    engine: Engine,
) -> None:
    stolen = (await enter(engine)).refresh_token
    current = await refresh(engine, stolen)
    first = await enter(engine)
    await leave(engine, (await enter(engine)).refresh_token)
    await engine.spy.execute("UPDATE refresh_tokens SET rotated_at = now() - interval '36 days'")
    await engine.spy.execute(
        "UPDATE sessions SET ended_at = now() - interval '6 days' WHERE ended_at IS NOT NULL"
    )

    assert await engine.app.doors.forget_sessions(100) == 0
    assert await refused(engine, stolen) is ErrorCode.TOKEN_REUSED
    assert await refused(engine, current) is ErrorCode.TOKEN_EXPIRED

    await engine.spy.execute("UPDATE sessions SET ended_at = ended_at - interval '8 days'")
    assert await engine.app.doors.forget_sessions(1) == 1
    assert await engine.app.doors.forget_sessions(100) == 1
    assert await engine.count("refresh_tokens") == 0
    assert await is_good(engine, first)
    await engine.spy.execute("UPDATE sessions SET expires_at = now() - interval '8 days'")
    assert await engine.app.doors.forget_sessions(100) == 1
    assert await engine.count("sessions") == 0


async def test_an_exchanged_token_is_forgotten_once_it_could_not_be_used_any_more(
    engine: Engine,
) -> None:
    token = (await enter(engine)).refresh_token
    for _ in range(3):
        token = await refresh(engine, token)
    await engine.spy.execute(
        "UPDATE refresh_tokens SET rotated_at = now() - interval '38 days' WHERE digest IN"
        " (SELECT digest FROM refresh_tokens LIMIT 2)"
    )
    assert await engine.app.doors.forget_sessions(100) == 2
    assert await engine.count("refresh_tokens") == 1
    await refresh(engine, token)


async def test_the_providers_that_a_session_had_to_do_with_are_noted_once(engine: Engine) -> None:
    engine.actor = await actor_of(engine, await enter(engine))
    await engine.connect()
    await engine.bring_in(bank(account(january(1, 2))))
    assert (await engine.one("sessions"))["providers_accessed"] == ["sandbox", "file"]

    noted = await engine.written("sessions")
    await engine.request(force=True)
    assert await engine.written("sessions") == noted


async def test_a_session_is_of_a_client_and_of_where_it_was_used_last(engine: Engine) -> None:
    places = {"192.0.2.1": "London, GB", "192.0.2.2": "CH"}
    engine.app = replace(engine.app, place_of=lambda ip: places.get(ip or ""))
    curl = await enter(engine, client="curl/8.5.0\n", ip="192.0.2.1")
    cookie = await enter(engine, client=CHROME, ip=None, cookie=True)
    await refresh(engine, curl.refresh_token, ip="192.0.2.2")
    for seconds in (59, 1, 59):  # noted a minute after the last use, and not again within one
        engine.clock.turn(seconds=seconds)
        here = await actor_of(engine, cookie, ip="192.0.2.1" if seconds == 1 else "192.0.2.2")
        await note_use(engine.app, here, engine.clock())

    rows = await engine.rows("sessions", order="id")
    assert [(row["device"], row["ip_address"], row["location"]) for row in rows] == [
        ("curl/8.5.0", "192.0.2.2", "CH"),
        ("Chrome on macOS", "192.0.2.1", "London, GB"),
    ]
