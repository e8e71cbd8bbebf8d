"""What the audit log says of a command whose end nobody saw, and of one that made way."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from domain.commands.leases import Busy
from domain.commands.settings import UpdateSettings, update_settings
from domain.errors import NotPermitted, Unavailable
from domain.handling import command
from domain.identity import (
    UNSET,
    Actor,
    Permission,
    Role,
    SessionId,
    User,
    UserId,
    new_id,
)
from domain.ports import App
from tests.engine.world import Engine

# Runs inside of the COMMIT that brings a SUCCEEDED.
AT_COMMIT = """
CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN {does}; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON audit_log DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.outcome = 'SUCCEEDED') EXECUTE FUNCTION at_commit()"""
SLOWLY = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$;
GRANT EXECUTE ON FUNCTION slowly TO PUBLIC;
CREATE TRIGGER slowly AFTER INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION slowly()"""
TRIED = ("ATTEMPTED", None)


def update(engine: Engine) -> asyncio.Task[User]:
    cmd = UpdateSettings(
        actor=engine.actor,
        base_currency=UNSET,
        time_zone="Europe/Berlin",
        session_limit=UNSET,
        at=engine.clock(),
    )
    return asyncio.ensure_future(update_settings(engine.app, cmd))


async def until_active(engine: Engine, statement: str) -> None:
    running = "state = 'active' AND query LIKE $1"
    async with asyncio.timeout(5):
        while not await engine.count("pg_stat_activity", running, statement):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_connection_lost_at_commit_leaves_one_outcome(engine: Engine) -> None:
    """That there is a FAILED proves that the other one was not committed."""
    await engine.spy.execute(
        AT_COMMIT.format(does="PERFORM pg_terminate_backend(pg_backend_pid())")
    )
    with pytest.raises(Unavailable):
        await update(engine)
    assert await engine.audit("settings.update") == [TRIED, ("FAILED", "UNAVAILABLE")]


async def test_a_command_that_is_cancelled_at_commit_leaves_one_outcome(engine: Engine) -> None:
    await engine.spy.execute(AT_COMMIT.format(does="PERFORM pg_sleep(60)"))
    task = update(engine)
    await until_active(engine, "COMMIT%")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await engine.audit("settings.update") == [TRIED, ("FAILED", "CANCELLED")]


async def test_one_that_is_cancelled_twice_while_it_is_put_on_record_still_is(
    engine: Engine,
) -> None:
    await engine.spy.execute(SLOWLY)
    task = update(engine)
    for _ in range(2):  # within ATTEMPTED, and within the FAILED that follows
        await until_active(engine, "INSERT INTO audit_log%")
        task.cancel()
        await asyncio.sleep(0.15)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await engine.audit("settings.update") == [TRIED, ("FAILED", "CANCELLED")]


async def test_a_handler_that_settles_twice_is_a_bug_and_leaves_one_outcome(
    engine: Engine,
) -> None:
    with pytest.raises(RuntimeError, match=r"outside.twice has an outcome already"):
        await twice(engine.app, Ask(actor=engine.actor, at=engine.clock()))
    assert await engine.audit("outside.twice") == [TRIED, ("SUCCEEDED", None)]


async def test_whoever_may_not_act_on_another_writes_into_their_own_log_alone(
    engine: Engine,
) -> None:
    other = UserId(new_id())
    cmd = Bother(actor=engine.actor, user_id=other, at=engine.clock())
    with pytest.raises(NotPermitted):
        await bother(engine.app, cmd)
    rows = await engine.rows("audit_log", "action = 'outside.bother'", order="seq")
    assert [row["user_id"] for row in rows] == [engine.actor.user_id] * 2
    assert [row["resource"] for row in rows] == [f"user:{other}"] * 2

    administrator = replace(engine.actor, role=Role.ADMIN, session_id=SessionId(new_id()))
    await bother(engine.app, replace(cmd, actor=administrator))
    rows = await engine.rows("audit_log", "user_id = $1", other, order="seq")
    assert [row["outcome"] for row in rows] == ["ATTEMPTED", "SUCCEEDED"]
    assert [row["actor_id"] for row in rows] == [engine.actor.user_id] * 2


async def test_a_command_that_is_cancelled_before_has_surely_failed(engine: Engine) -> None:
    async with engine.app.store.begin(engine.actor, None) as work:
        await work.users.get(lock=True)
        task = update(engine)
        await until_active(engine, "%FOR NO KEY UPDATE%")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await engine.audit("settings.update") == [TRIED, ("FAILED", "CANCELLED")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    actor: Actor
    at: datetime


@command("outside.ask", permits=None)
async def ask(app: App, cmd: Ask) -> None:
    raise Unavailable("the limiter is away")


@command("outside.twice", permits=None)
async def twice(app: App, cmd: Ask) -> None:
    for _ in range(2):
        async with app.begin(cmd) as work:
            await work.users.get()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bother:
    actor: Actor
    user_id: UserId
    at: datetime


@command("outside.bother", permits=Permission.ADMINISTER)
async def bother(app: App, cmd: Bother) -> None:
    """Nothing."""


@command("outside.break", permits=None)
async def break_(app: App, cmd: Ask) -> None:
    raise ZeroDivisionError


async def test_a_bug_is_on_record_without_its_words(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError):
        await break_(engine.app, Ask(actor=engine.actor, at=engine.clock()))
    assert await engine.audit("outside.break") == [TRIED, ("FAILED", "INTERNAL")]


async def test_what_is_away_before_anything_was_written_is_unavailable(engine: Engine) -> None:
    with pytest.raises(Unavailable):
        await ask(engine.app, Ask(actor=engine.actor, at=engine.clock()))
    assert await engine.audit("outside.ask") == [TRIED, ("FAILED", "UNAVAILABLE")]


async def test_a_worker_that_makes_way_for_another_says_so(engine: Engine) -> None:
    link, _ = await engine.linked()
    [run] = await engine.request(link_id=link.id, force=True)
    await engine.spy.execute(
        "UPDATE links SET lease_holder = $1, lease_until = $2",
        new_id(),
        engine.clock() + timedelta(minutes=1),
    )
    with pytest.raises(Busy):
        await engine.run(run.id)
    assert (await engine.audit("sync.run"))[-2:] == [TRIED, ("FAILED", "BUSY")]
