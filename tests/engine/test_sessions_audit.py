"""What the audit log says of a command whose end nobody saw, and of one that made way."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from domain.commands.running import Busy
from domain.commands.settings import UpdateSettings, update_settings
from domain.errors import Unavailable
from domain.handling import command
from domain.identity import UNSET, Actor, User, new_id
from domain.ports import App
from tests.engine.world import Engine

# Runs inside of the COMMIT that brings a SUCCEEDED.
AT_COMMIT = """
CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN {does}; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON audit_log DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.outcome = 'SUCCEEDED') EXECUTE FUNCTION at_commit()"""
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


async def test_a_connection_lost_at_commit_leaves_it_unknown(engine: Engine) -> None:
    await engine.spy.execute(
        AT_COMMIT.format(does="PERFORM pg_terminate_backend(pg_backend_pid())")
    )
    with pytest.raises(Unavailable):
        await update(engine)
    assert await engine.audit("settings.update") == [TRIED, ("FAILED", "UNKNOWN")]


async def test_a_command_that_is_cancelled_at_commit_leaves_it_unknown(engine: Engine) -> None:
    await engine.spy.execute(AT_COMMIT.format(does="PERFORM pg_sleep(60)"))
    task = update(engine)
    await until_active(engine, "COMMIT%")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await engine.audit("settings.update") == [TRIED, ("FAILED", "UNKNOWN")]


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
