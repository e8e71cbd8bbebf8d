"""What is found before anyone is known, and what belongs to all."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from adapters.postgres.doors import PostgresDoors
from adapters.postgres.jobs import forget_finished
from adapters.postgres.pool import Pool, open_pool
from adapters.postgres.store import PostgresStore
from domain.errors import Unavailable
from domain.identity import Actor, Role, SessionId, UserId, new_id
from domain.storage.doors import KnownUser, LiveSession
from domain.sync import SyncStatus
from tests.builders import NOW, a_link, a_run
from tests.postgres.writes.world import a_session, connected
from tests.servers import Database


@pytest.fixture
async def app_pool(database: Database) -> AsyncIterator[Pool]:
    opened = await open_pool(database.app_url, 2)
    yield opened
    await opened.close()


async def test_what_was_noted_of_jobs_is_forgotten_a_batch_at_a_time(
    app_pool: Pool, superuser: asyncpg.Connection
) -> None:
    await superuser.execute(
        "INSERT INTO jobs.pgqueuer_log (job_id, status, priority, entrypoint, created) "
        "SELECT n, 'successful', 0, 'mail', $1::timestamptz - n * interval '1 day' "
        "FROM generate_series(1, 5) n",
        NOW,
    )
    before = NOW - timedelta(days=1)

    assert [await forget_finished(app_pool, before, 3) for _ in range(3)] == [3, 1, 0]
    assert await superuser.fetchval("SELECT count(*) FROM jobs.pgqueuer_log") == 1


@pytest.fixture
def doors(app_pool: Pool) -> PostgresDoors:
    return PostgresDoors(app_pool)


async def test_a_user_is_found_by_address(
    store: PostgresStore, doors: PostgresDoors, alice: Actor
) -> None:
    async with store.begin(alice, None) as work:
        user = await work.users.get()
    assert await doors.user_by_email(user.email) == KnownUser(user=user, password_hash="a hash")
    assert await doors.user_by_email("who@example.com") is None


async def test_a_session_is_found_by_its_secret_and_all_before_and_when_it_has_ended(
    store: PostgresStore, doors: PostgresDoors, alice: Actor
) -> None:
    session = a_session(alice, refresh_hash=b"second")
    ended = a_session(alice, refresh_hash=b"third", ended_at=NOW)
    async with store.begin(alice, None) as work:
        await work.sessions.add(session)
        await work.sessions.add(ended)
        for digest in (b"zeroth", b"first", b"second"):
            await work.sessions.spend(session.id, digest, NOW)
    live = LiveSession(session=session, role=alice.role, token_version=2)

    assert await doors.session_by_hash(b"second") == live
    assert await doors.session_by_hash(b"first") == live
    assert await doors.session_by_hash(b"zeroth") == live
    assert await doors.session_by_hash(b"third") == replace(live, session=ended)
    assert await doors.session_by_hash(b"fourth") is None
    assert await doors.session_by_id(alice.user_id, session.id) == live


async def test_a_session_id_opens_only_with_its_own_user(
    store: PostgresStore, doors: PostgresDoors, alice: Actor, bob: Actor
) -> None:
    session = a_session(alice)
    async with store.begin(alice, None) as work:
        await work.sessions.add(session)
    assert await doors.session_by_id(bob.user_id, session.id) is None
    assert await doors.session_by_id(UserId(new_id()), SessionId(new_id())) is None


async def test_links_of_all_users_are_due_the_longest_waiting_first(
    store: PostgresStore, doors: PostgresDoors, alice: Actor, bob: Actor
) -> None:
    links = {}
    for actor, minutes in ((alice, 1), (bob, 2), (alice, -1), (alice, None)):
        at = None if minutes is None else NOW - timedelta(minutes=minutes)
        links[minutes] = a_link(user_id=actor.user_id, next_sync_at=at)
        async with store.begin(actor, None) as work:
            await work.links.add(links[minutes])
    due = [(bob.user_id, links[2].id), (alice.user_id, links[1].id)]
    assert await doors.due_links(NOW, 10) == due
    assert await doors.due_links(NOW, 1) == due[:1]


async def test_links_of_all_users_whose_end_is_near_are_looked_at_when_they_are_due(
    store: PostgresStore, doors: PostgresDoors, alice: Actor, bob: Actor
) -> None:
    ends = {"soon": 40, "over": -1, "far": 50, "told": 30, "due": 10}
    links = {
        name: a_link(
            user_id=(bob if name == "over" else alice).user_id,
            credentials_expire_at=NOW + timedelta(hours=hours),
            expiry_due_at=NOW + timedelta(hours=1 if name == "told" else -1)
            if name in ("told", "due")
            else None,
        )
        for name, hours in ends.items()
    }
    lapsed = a_link(user_id=alice.user_id, credentials_expire_at=NOW).lapsed()
    for link in (*links.values(), lapsed, a_link(user_id=alice.user_id)):
        async with store.begin(Actor(user_id=link.user_id, role=Role.USER), None) as work:
            await work.links.add(link)
    near = [(links[name].user_id, links[name].id) for name in ("over", "due", "soon")]
    assert await doors.expiring_links(NOW, 10) == near
    assert await doors.expiring_links(NOW, 1) == near[:1]


async def test_runs_that_nobody_works_on_are_stalled(
    store: PostgresStore, doors: PostgresDoors, database: Database, alice: Actor, bob: Actor
) -> None:
    runs = []
    for actor, status in ((alice, SyncStatus.QUEUED), (bob, SyncStatus.SUCCEEDED)):
        link = a_link(user_id=actor.user_id)
        runs.append(a_run(user_id=actor.user_id, link_id=link.id, status=status))
        async with store.begin(actor, None) as work:
            await work.links.add(link)
            await work.runs.add(runs[-1])
    mine = (alice.user_id, runs[0].id)
    assert await doors.stalled_runs(NOW + timedelta(seconds=1), 10) == [mine]
    assert await doors.stalled_runs(NOW, 10) == []

    async with store.begin(alice, None) as work:
        await work.runs.save(runs[0].started(NOW))  # which touches it
    async with connected(database.app_url) as db:
        now = await db.fetchval("SELECT clock_timestamp()")
    assert await doors.stalled_runs(now - timedelta(minutes=1), 10) == []
    assert await doors.stalled_runs(now + timedelta(minutes=1), 10) == [mine]


async def test_a_closed_pool_is_unavailable(doors: PostgresDoors, app_pool: Pool) -> None:
    await app_pool.close()
    with pytest.raises(Unavailable):
        await doors.user_by_email("who@example.com")
