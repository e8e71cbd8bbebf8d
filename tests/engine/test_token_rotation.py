"""Breach rotation: what was issued before is refused, of everybody or of one person."""

from dataclasses import replace

import pytest

from domain.commands.rotation import (
    RotateAllTokens,
    RotateUserTokens,
    rotate_all_tokens,
    rotate_user_tokens,
)
from domain.errors import ErrorCode, InvalidInput, NotFound, NotPermitted
from domain.identity import Actor, Role, SecurityConfig, SessionId, UserId, new_id
from tests.engine.sessions import enter, is_good, refresh, refused
from tests.engine.world import Engine

TRIED = ("ATTEMPTED", None)


@pytest.fixture
def admin() -> Actor:
    id = UserId(new_id())
    return Actor(user_id=id, role=Role.ADMIN, session_id=SessionId(new_id()), trace_id="a trace")


async def rotate(
    engine: Engine, admin: Actor, grace_s: int | None = None, reason: str = "a leak"
) -> SecurityConfig:
    cmd = RotateAllTokens(actor=admin, reason=reason, grace_s=grace_s, at=engine.clock())
    return await rotate_all_tokens(engine.app, cmd)


async def rotate_user(engine: Engine, admin: Actor, user_id: UserId, reason: str = "lost") -> None:
    cmd = RotateUserTokens(actor=admin, user_id=user_id, reason=reason, at=engine.clock())
    await rotate_user_tokens(engine.app, cmd)


async def test_without_a_grace_everything_is_refused_at_once_and_signing_in_works(
    engine: Engine, admin: Actor
) -> None:
    tokens, cookie = await enter(engine), await enter(engine, cookie=True)

    config = await rotate(engine, admin, grace_s=0)

    assert config == SecurityConfig(
        global_token_version=1,
        grace_seconds=0,
        last_rotated_at=engine.clock(),
        last_rotation_reason="a leak",
    )
    assert not await is_good(engine, tokens)
    assert not await is_good(engine, cookie)
    assert await refused(engine, tokens.refresh_token) is ErrorCode.TOKEN_EXPIRED
    after, after_cookie = await enter(engine), await enter(engine, cookie=True)
    token = after.refresh_token
    for _ in range(3):
        engine.clock.turn(days=1)
        token = await refresh(engine, token)
    assert await is_good(engine, after_cookie)
    assert await engine.audit("tokens.rotate_all") == [TRIED, ("SUCCEEDED", "a leak")]


async def test_within_the_grace_old_tokens_work_and_what_is_refreshed_lives_on(
    engine: Engine, admin: Actor
) -> None:
    idle, cookie, first = await enter(engine), await enter(engine, cookie=True), await enter(engine)
    assert (await rotate(engine, admin)).grace_seconds == 300

    engine.clock.turn(seconds=299)
    for session in (idle, cookie, first):
        assert await is_good(engine, session)
    second = await refresh(engine, first.refresh_token)
    assert await refresh(engine, first.refresh_token) == second  # its answer was lost

    engine.clock.turn(seconds=1)
    for session in (idle, cookie, first):
        assert not await is_good(engine, session)
    assert await refused(engine, idle.refresh_token) is ErrorCode.TOKEN_EXPIRED
    await refresh(engine, second)


async def test_an_answer_that_a_rotation_overtook_on_its_way_is_given_again_as_of_now(
    engine: Engine, admin: Actor
) -> None:
    first = (await enter(engine)).refresh_token
    second = await refresh(engine, first)
    await rotate(engine, admin)
    assert await refresh(engine, first) == second
    engine.clock.turn(seconds=301)
    await refresh(engine, second)


async def test_a_second_rotation_ends_what_the_first_one_left_a_grace(
    engine: Engine, admin: Actor
) -> None:
    oldest = await enter(engine)
    await rotate(engine, admin, grace_s=86_400)
    older = await enter(engine)
    assert await is_good(engine, oldest)

    await rotate(engine, admin, grace_s=86_400)

    assert not await is_good(engine, oldest)
    assert await refused(engine, oldest.refresh_token) is ErrorCode.TOKEN_EXPIRED
    assert await is_good(engine, older)


async def test_sessions_that_were_overtaken_take_no_room(engine: Engine, admin: Actor) -> None:
    engine.app = replace(engine.app, session_limit=2)
    await enter(engine)
    await enter(engine)
    await rotate(engine, admin, grace_s=0)
    both = [await enter(engine), await enter(engine)]
    assert [await is_good(engine, session) for session in both] == [True, True]
    assert await engine.count("events", "name = 'session.revoked'") == 0


async def test_one_persons_tokens_go_at_once_and_their_next_ones_stay_good(
    engine: Engine, admin: Actor
) -> None:
    """Probe 11: in the reference, the next ones are refused at their first use, for ever."""
    tokens, cookie = await enter(engine), await enter(engine, cookie=True)

    await rotate_user(engine, admin, engine.actor.user_id)

    assert not await is_good(engine, tokens)
    assert not await is_good(engine, cookie)
    assert await refused(engine, tokens.refresh_token) is ErrorCode.TOKEN_EXPIRED
    assert (await engine.events())[-2:] == ["session.revoked"] * 2
    after = await enter(engine)
    token = after.refresh_token
    for _ in range(3):
        assert await is_good(engine, await enter(engine))
        engine.clock.turn(days=20)
        token = await refresh(engine, token)
    await rotate(engine, admin)
    token = await refresh(engine, token)
    engine.clock.turn(seconds=301)
    await refresh(engine, token)


async def test_the_audit_log_says_who_rotated_whose_tokens_and_why(
    engine: Engine, admin: Actor
) -> None:
    whose = engine.actor.user_id
    await rotate_user(engine, admin, whose, " they lost their phone ")

    rows = await engine.rows("audit_log", "action = 'tokens.rotate_user'", order="seq")
    said = [(row["outcome"], row["detail"]) for row in rows]
    assert said == [TRIED, ("SUCCEEDED", "they lost their phone")]
    for row in rows:
        assert (row["user_id"], row["actor_id"]) == (whose, admin.user_id)
        assert (row["resource"], row["trace_id"]) == (f"user:{whose}", "a trace")


@pytest.mark.parametrize("role", [Role.USER, Role.READONLY])
async def test_only_an_administrator_rotates(engine: Engine, role: Role) -> None:
    session, somebody = await enter(engine), Actor(user_id=UserId(new_id()), role=role)
    with pytest.raises(NotPermitted):
        await rotate(engine, somebody)
    with pytest.raises(NotPermitted):
        await rotate_user(engine, somebody, engine.actor.user_id)
    assert await is_good(engine, session)
    assert await engine.audit("tokens.rotate_all") == [TRIED, ("FAILED", "NOT_PERMITTED")]


@pytest.mark.parametrize(
    ("reason", "grace_s", "field"),
    [
        ("", 0, "reason"),
        (" \n ", 0, "reason"),
        ("x" * 501, 0, "reason"),
        ("a leak", -1, "graceSeconds"),
        ("a leak", 86_401, "graceSeconds"),
    ],
)
async def test_a_rotation_has_a_reason_and_a_grace_of_a_day_at_most(
    engine: Engine, admin: Actor, reason: str, grace_s: int, field: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        await rotate(engine, admin, grace_s, reason)
    assert refusal.value.field == ("input", field)
    assert (await engine.one("security_config"))["global_token_version"] == 0
    if field == "reason":
        with pytest.raises(InvalidInput):
            await rotate_user(engine, admin, engine.actor.user_id, reason)


async def test_nobody_is_not_found(engine: Engine, admin: Actor) -> None:
    with pytest.raises(NotFound):
        await rotate_user(engine, admin, UserId(new_id()))
