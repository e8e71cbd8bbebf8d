"""Changing one's password, and what it ends."""

from dataclasses import replace

import pytest

from domain.commands.passwords import ChangePassword, change_password
from domain.errors import DomainError, ErrorCode, InvalidInput, NotPermitted, RateLimited
from domain.identity import Role
from domain.limits import Limit
from domain.secret import Secret
from tests.engine.sessions import enter
from tests.engine.world import PASSWORD, Engine

NEW = "another-horse-battery-staple"


async def change(engine: Engine, *, current: str = PASSWORD, new: str = NEW) -> None:
    cmd = ChangePassword(
        actor=engine.actor, current=Secret(current), new=Secret(new), at=engine.clock()
    )
    await change_password(engine.app, cmd)


async def test_the_new_password_signs_in_and_nothing_of_the_old_one_goes_on(
    engine: Engine,
) -> None:
    device = (await enter(engine)).device
    await enter(engine)
    await enter(engine)
    [_, here, _] = await engine.rows("sessions", order="created_at, id")
    engine.actor = replace(engine.actor, session_id=here["id"], role=Role.READONLY)

    await change(engine)

    live = await engine.rows("sessions", "ended_at IS NULL")
    assert [row["id"] for row in live] == [here["id"]]
    assert (await engine.events())[-3:] == ["session.revoked"] * 2 + ["password.changed"]
    assert await engine.audit("password.change") == [("ATTEMPTED", None), ("SUCCEEDED", None)]
    jobs = await engine.rows("jobs.pgqueuer", "entrypoint = 'mail'")
    assert [b"password_changed" in row["payload"] for row in jobs] == [True]
    assert not any(PASSWORD.encode() in row["payload"] for row in jobs)
    with pytest.raises(NotPermitted):
        await enter(engine)
    user = (await enter(engine, password=NEW)).user
    assert device is not None
    assert not engine.app.devices.known(device.reveal(), user, engine.clock())


async def test_what_is_wrong_is_refused_where_it_stands_and_changes_nothing(
    engine: Engine,
) -> None:
    before = await engine.written("users", "sessions", "events")

    wrong: tuple[tuple[dict[str, str], ErrorCode, str], ...] = (
        ({"current": "no"}, ErrorCode.SIGN_IN_FAILED, "currentPassword"),
        ({"new": "short"}, ErrorCode.WEAK_PASSWORD, "newPassword"),
        ({"new": "password1234567"}, ErrorCode.WEAK_PASSWORD, "newPassword"),
        ({"new": "I am ann@example.com"}, ErrorCode.WEAK_PASSWORD, "newPassword"),
        ({"new": PASSWORD}, ErrorCode.INVALID_INPUT, "newPassword"),
    )
    for said, code, at in wrong:
        with pytest.raises(DomainError) as refused:
            await change(engine, **said)
        assert (refused.value.code, refused.value.field) == (code, ("input", at))

    assert await engine.written("users", "sessions", "events") == before


async def test_eight_characters_are_enough_where_a_second_factor_is_asked_for(
    engine: Engine,
) -> None:
    with pytest.raises(InvalidInput, match="at least 15"):
        await change(engine, new="kWz9!rt4")
    await engine.spy.execute("UPDATE users SET totp_enabled = true")
    with pytest.raises(InvalidInput, match="at least 8"):
        await change(engine, new="kWz9!rt")
    await change(engine, new="kWz9!rt4")


async def test_guesses_at_ones_own_password_are_counted_apart_from_those_to_sign_in(
    engine: Engine,
) -> None:
    twice = Limit(name="sign-in-account", burst=2, per_seconds=86_400)
    limits = replace(engine.app.limit_settings, sign_in_account=twice)
    engine.app = replace(engine.app, limit_settings=limits)
    for _ in range(2):
        with pytest.raises(NotPermitted):
            await enter(engine, password="no")
    with pytest.raises(RateLimited):
        await enter(engine)

    with pytest.raises(NotPermitted):
        await change(engine, current="no")
    await change(engine)  # whoever attacks from outside does not keep the owner from it

    with pytest.raises(RateLimited):
        await change(engine, current=NEW, new=PASSWORD)
