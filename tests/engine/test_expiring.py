"""What ends at a known time: announced 48 and 12 hours before, over then, and nobody is asked."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.commands.expiring import ExpireLink, expire_link
from domain.links import Link
from domain.sync import LEASE, SyncStatus
from tests.engine.scripted import Scripted, accounts, checking
from tests.engine.test_leases import until, working
from tests.engine.world import Engine

WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)


@pytest.fixture
async def link(engine: Engine, scripted: Scripted) -> Link:
    scripted.expire_at = engine.clock() + WEEK
    scripted.script = [accounts(checking())]
    link, _ = await engine.linked(provider="scripted", login="ann")
    return link


async def look(engine: Engine, at: datetime) -> None:
    """What a worker does with what a door shows it then."""
    engine.clock.at = at
    for _, link_id in await engine.app.doors.expiring_links(at, 100):
        await expire_link(engine.app, ExpireLink(actor=engine.actor, link_id=link_id, at=at))


async def told(engine: Engine) -> list[dict[str, Any]]:
    return [json.loads(e["facts"]) for e in await engine.rows("events", "name = 'link.expiring'")]


async def test_a_link_is_announced_twice_and_over_at_its_deadline_without_a_call(
    engine: Engine, scripted: Scripted, link: Link
) -> None:
    end, calls = engine.clock() + WEEK, len(scripted.asked)
    version = await engine.version()
    for hours in (49, 48, 47, 30, 12, 11, 1):
        await look(engine, end - HOUR * hours)
    assert [fact["hours"] for fact in await told(engine)] == ["48", "12"]
    assert {fact["expires_at"] for fact in await told(engine)} == {end.isoformat()}
    assert await engine.version() == version  # nobody reads when we look again
    assert (await engine.link(link.id))["status"] == "ACTIVE"

    for _ in range(3):
        await look(engine, end)
    now = await engine.link(link.id)
    assert (now["status"], now["next_sync_at"]) == ("NEEDS_REAUTHORIZATION", None)
    assert (now["error_code"], now["error_action"]) == ("AUTHORIZATION_EXPIRED", "REAUTHORIZE")
    assert (await engine.events()).count("link.needs_reauthorization") == 1
    assert len(scripted.asked) == calls


async def test_a_worker_that_slept_tells_the_nearer_mark_alone(engine: Engine, link: Link) -> None:
    await look(engine, engine.clock() + WEEK - HOUR * 5)
    assert [fact["hours"] for fact in await told(engine)] == ["12"]


async def test_a_mended_link_has_a_deadline_of_its_own(
    engine: Engine, scripted: Scripted, link: Link
) -> None:
    end = engine.clock() + WEEK
    await look(engine, end)
    scripted.expire_at = end + WEEK
    await engine.connect(provider="scripted", login="ann", link_id=link.id)
    [run] = await engine.run_waiting()
    assert run.status is SyncStatus.SUCCEEDED
    mended = await engine.link(link.id)
    assert (mended["status"], mended["error_code"]) == ("ACTIVE", None)
    await look(engine, end + HOUR)
    assert await told(engine) == []
    await look(engine, end + WEEK - HOUR * 48)
    assert [fact["hours"] for fact in await told(engine)] == ["48"]


async def test_a_run_at_the_deadline_ends_first_and_one_after_it_asks_nobody(
    engine: Engine, scripted: Scripted, link: Link
) -> None:
    end, calls = engine.clock() + WEEK, len(scripted.asked)
    [asked] = await engine.request(link_id=link.id, force=True)
    lease = "UPDATE links SET lease_holder = id, lease_until = $1, lease_fence = 9"
    await engine.spy.execute(lease, end + LEASE)
    await look(engine, end)
    assert (await engine.link(link.id))["status"] == "ACTIVE"

    await look(engine, end + LEASE)
    assert (await engine.link(link.id))["status"] == "NEEDS_REAUTHORIZATION"
    run = await engine.run(asked.id)
    assert (run.status, len(scripted.asked)) == (SyncStatus.FAILED, calls)
    assert (await engine.events()).count("link.needs_reauthorization") == 1


async def test_a_worker_looks_by_itself(engine: Engine, link: Link) -> None:
    ends = datetime.now(UTC) + HOUR
    await engine.spy.execute("UPDATE links SET credentials_expire_at = $1", ends)
    engine.clock.at = datetime.now(UTC)
    async with working(engine):
        await until(engine, "events", "name = 'link.expiring'")
    assert len(await told(engine)) == 1
