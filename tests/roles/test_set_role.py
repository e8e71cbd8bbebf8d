"""Giving roles: who may, to whom, and that somebody is always left to do it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from domain.commands.people import GrantRole, SetRole, grant_role, set_role
from domain.errors import Conflict, NotFound, NotPermitted
from domain.identity import Actor, Role, UserId, new_id
from schema.ids import global_id
from tests.postgres.writes.world import within
from tests.roles.conftest import Home, at_home
from tests.servers import Database

SET = """mutation($user: ID!, $role: Role!) { setRole(input: {userId: $user, role: $role}) {
  user { id email role } errors { __typename code message field } } }"""


async def role_of(home: Home, actor: Actor) -> str:
    row = await home.spy.fetchrow("SELECT role FROM users WHERE user_id = $1", actor.user_id)
    assert row is not None
    return str(row["role"])


async def demote(home: Home, by: Actor, whom: Actor, role: Role = Role.USER) -> None:
    cmd = SetRole(actor=by, user_id=whom.user_id, role=role, at=home.wired.app.now())
    await set_role(home.wired.app, cmd)


@pytest.fixture
async def alone(database: Database, tmp_path: Path) -> AsyncIterator[Home]:
    """Where nobody else is an administrator; nobody asks over HTTP."""
    async with at_home(database, tmp_path) as opened:
        yield opened


async def test_a_role_is_given_recorded_and_told_to_whom_it_is_about(home: Home) -> None:
    email, whom = await home.person(Role.USER)
    async with home.somebody(Role.ADMIN) as admin:
        id = global_id("User", whom.user_id)

        payload = await admin.do(SET, user=id, role="READONLY")
        again = await admin.do(SET, user=id, role="READONLY")

        assert payload == {"user": {"id": id, "email": email, "role": "READONLY"}, "errors": []}
        assert again == payload
        who = await home.wired.app.doors.user_by_email(admin.email)
        assert who is not None
    rows = [row for row in await home.audited("role.set") if row["user_id"] == whom.user_id]
    assert [row["outcome"] for row in rows] == ["ATTEMPTED", "SUCCEEDED"] * 2
    said = [row["detail"] for row in rows]
    assert said == [None, "USER to READONLY", None, "READONLY to READONLY"]
    assert {row["actor_id"] for row in rows} == {who.user.id}
    assert {row["resource"] for row in rows} == {f"user:{whom.user_id}"}
    letters = await home.spy.fetch(
        "SELECT convert_from(payload, 'UTF8') AS said FROM jobs.pgqueuer WHERE entrypoint = 'mail'"
    )
    mine = [row["said"] for row in letters if str(whom.user_id) in row["said"]]
    assert len(mine) == 1
    assert "role_changed" in mine[0]
    assert "READONLY" in mine[0]


@pytest.mark.parametrize("role", [Role.USER, Role.READONLY])
async def test_nobody_else_gives_a_role_not_even_to_themselves(home: Home, role: Role) -> None:
    _, whom = await home.person(Role.USER)
    async with home.somebody(role) as client:
        me = await home.wired.app.doors.user_by_email(client.email)
        assert me is not None
        for id in (whom.user_id, me.user.id, UserId(new_id())):
            payload = await client.do(SET, user=global_id("User", id), role="ADMIN")
            assert payload["user"] is None
            assert [e["code"] for e in payload["errors"]] == ["NOT_PERMITTED"]
        assert await role_of(home, whom) == "USER"
        assert await role_of(home, Actor(user_id=me.user.id, role=role)) == role.value


async def test_whoever_is_not_there_is_not_found_whatever_their_id_looks_like(home: Home) -> None:
    _, whom = await home.person()
    async with home.somebody(Role.ADMIN) as admin:
        for id in ("", "x", "💥", global_id("User", new_id()), global_id("Viewer", whom.user_id)):
            payload = await admin.do(SET, user=id, role="ADMIN")
            assert payload["user"] is None
            [error] = payload["errors"]
            assert (error["__typename"], error["field"]) == ("NotFound", ["input", "userId"])
        assert await role_of(home, whom) == "USER"


@pytest.mark.parametrize("role", ["admin", "OWNER", "", None, 1])
async def test_a_role_that_there_is_not_is_refused(home: Home, role: object) -> None:
    async with home.somebody(Role.ADMIN) as admin:
        answer = await admin.post(SET, {"user": "x", "role": role})

    assert answer.status_code in (200, 400)
    codes = [error["extensions"]["code"] for error in answer.json()["errors"]]
    assert codes == ["BAD_USER_INPUT"]


async def test_an_administrator_gives_up_the_role_where_another_is_left(home: Home) -> None:
    async with home.somebody(Role.ADMIN) as admin, home.somebody(Role.ADMIN):
        me = await home.wired.app.doors.user_by_email(admin.email)
        assert me is not None
        id = global_id("User", me.user.id)

        payload = await admin.do(SET, user=id, role="USER")
        await asyncio.sleep(0.2)
        after = await admin.do(SET, user=id, role="ADMIN")

        # It is done, and its answer is still that of an administrator.
        assert payload["user"]["role"] == "USER"
        assert [e["code"] for e in after["errors"]] == ["NOT_PERMITTED"]


async def test_the_last_administrator_stays_one(alone: Home) -> None:
    _, last = await alone.person(Role.ADMIN)
    _, other = await alone.person(Role.USER)
    at = alone.wired.app.now()

    for role in (Role.USER, Role.READONLY):
        with pytest.raises(Conflict, match="last administrator"):
            await demote(alone, last, last, role)
        with pytest.raises(Conflict, match="last administrator"):
            await grant_role(alone.wired.app, GrantRole(actor=last, role=role, at=at))
    await demote(alone, last, last, Role.ADMIN)  # which changes nothing

    # One who has not verified their address cannot sign in.
    await demote(alone, last, other, Role.ADMIN)
    await alone.spy.execute(
        "UPDATE users SET email_verified = false WHERE user_id = $1", other.user_id
    )
    with pytest.raises(Conflict):
        await demote(alone, last, last)
    await alone.spy.execute("UPDATE users SET email_verified = true")
    await demote(alone, last, last)
    assert (await role_of(alone, last), await role_of(alone, other)) == ("USER", "ADMIN")


async def test_two_administrators_who_demote_each_other_leave_one(alone: Home) -> None:
    for _ in range(10):
        await alone.spy.execute("UPDATE users SET role = 'USER'")
        (_, one), (_, two) = await alone.person(Role.ADMIN), await alone.person(Role.ADMIN)

        ends = await asyncio.gather(
            demote(alone, one, two), demote(alone, two, one), return_exceptions=True
        )

        assert [type(end) for end in ends if end] == [Conflict]
        left = await alone.spy.fetchval("SELECT count(*) FROM users WHERE role = 'ADMIN'")
        assert left == 1
    failed = [row for row in await alone.audited("role.set") if row["outcome"] == "FAILED"]
    assert [row["detail"] for row in failed] == ["CONFLICT"] * 10


async def test_many_who_all_give_up_at_once_leave_one(alone: Home) -> None:
    """More than there are connections; each locks their own row first."""
    actors = [(await alone.person(Role.ADMIN))[1] for _ in range(12)]

    ends = await asyncio.gather(*(demote(alone, a, a) for a in actors), return_exceptions=True)

    assert [type(end) for end in ends if end] == [Conflict]
    left = await alone.spy.fetchval("SELECT count(*) FROM users WHERE role = 'ADMIN'")
    assert left == 1


async def test_a_role_of_the_token_or_of_the_request_counts_for_nothing(home: Home) -> None:
    """What counts is the role in the database, which the session is asked for."""
    async with home.somebody(Role.USER) as client:
        answer = await client.post(
            "{ admin { jobs { queued } } }", role="ADMIN", x_role="ADMIN", x_user_role="ADMIN"
        )
    assert [e["extensions"]["code"] for e in answer.json()["errors"]] == ["NOT_PERMITTED"]
    assert answer.json()["data"] == {"admin": None}


async def test_the_row_is_written_in_the_identity_of_whom_it_is_about(home: Home) -> None:
    """In anybody else's, the runtime role meets no row, so that there is no other way."""
    _, admin = await home.person(Role.ADMIN)
    _, whom = await home.person(Role.USER)

    said = f"UPDATE users SET role = 'ADMIN' WHERE user_id = '{whom.user_id}' RETURNING 1"
    assert await within(home.database.app_url, admin, said) == []
    await demote(home, admin, whom, Role.READONLY)
    assert await role_of(home, whom) == "READONLY"


async def test_a_stranger_to_the_policy_is_refused_before_anything_is_looked_at(
    home: Home,
) -> None:
    _, whom = await home.person(Role.USER)
    with pytest.raises(NotPermitted):
        await demote(home, replace(whom, role=Role.READONLY), whom)
    nobody = Actor(user_id=UserId(new_id()), role=Role.USER)
    cmd = GrantRole(actor=nobody, role=Role.ADMIN, at=home.wired.app.now())
    with pytest.raises(NotFound):
        await grant_role(home.wired.app, cmd)
