"""One unit of work: all of it commits, or none of it."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.connections import open_engine
from adapters.postgres.jobs import Job, enqueue
from adapters.postgres.store import EVENTS_CHANNEL, PostgresStore
from domain.audit import AuditOutcome, canonical
from domain.errors import NotFound, Unavailable
from domain.events import Event, EventName
from domain.identity import NOBODY, Actor, Role, SessionId, new_id
from domain.merging import Merge
from domain.storage.work import Work
from tests.builders import NOW, a_link, a_mac, an_account
from tests.postgres.writes.world import a_person, an_attempt, owning
from tests.servers import Database


class Stumble(Exception):
    pass


def an_event(actor: Actor) -> Event:
    return Event(
        name=EventName.LINK_CONNECTED, user_id=actor.user_id, at=NOW, facts={"amount": "1.10"}
    )


async def write_some_of_everything(work: Work, actor: Actor) -> None:
    await work.links.add(a_link(user_id=actor.user_id))
    await work.accounts.write(Merge(created=[an_account()]))
    work.record(an_event(actor))
    work.later("sync", key="run:1", payload={"run": "1"})


async def counts(superuser: asyncpg.Connection) -> list[int]:
    tables = ("links", "accounts", "events", "jobs.pgqueuer", "audit_log")
    return [await superuser.fetchval(f"SELECT count(*) FROM {t}") for t in tables]


async def test_rows_events_jobs_and_audit_commit_together(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    attempt = an_attempt(replace(alice, ip_address="192.0.2.1"))
    async with store.begin(alice, attempt) as work:
        await write_some_of_everything(work, alice)
        assert await counts(superuser) == [0, 0, 0, 0, 0]
        assert not attempt.settled

    assert attempt.settled
    assert await counts(superuser) == [1, 1, 1, 1, 1]
    event = await superuser.fetchrow("SELECT name, at, facts, relayed_at FROM events")
    assert tuple(event) == ("link.connected", NOW, '{"amount": "1.10"}', None)
    job = await superuser.fetchrow("SELECT entrypoint, payload FROM jobs.pgqueuer")
    assert job["entrypoint"] == "sync"
    assert json.loads(job["payload"]) == {"user": str(alice.user_id), "run": "1"}
    entry = await superuser.fetchrow(
        "SELECT user_id, at, action, outcome, resource, ip_address, detail FROM audit_log"
    )
    assert tuple(entry) == (
        alice.user_id,
        NOW,
        "link.rename",
        "SUCCEEDED",
        attempt.resource,
        "192.0.2.1",
        None,
    )


async def test_an_exception_after_the_last_write_leaves_nothing(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    attempt = an_attempt(alice)

    async def stumble() -> None:
        async with store.begin(alice, attempt) as work:
            await write_some_of_everything(work, alice)
            raise Stumble

    with pytest.raises(Stumble):
        await stumble()

    assert not attempt.settled
    assert await counts(superuser) == [0, 0, 0, 0, 0]
    assert await superuser.fetchval("SELECT sum(data_version) FROM users") == 0


async def test_a_cancelled_unit_of_work_leaves_nothing_and_its_connection_is_free(
    database: Database, store: PostgresStore, superuser: asyncpg.Connection
) -> None:
    alice = await a_person(store)
    engine = open_engine(database.app_url, 1)
    begun = asyncio.Event()

    async def work_for_ever() -> None:
        async with PostgresStore(engine, mac=a_mac).begin(alice, None) as work:
            await write_some_of_everything(work, alice)
            begun.set()
            await asyncio.sleep(3_600)

    task = asyncio.create_task(work_for_ever())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with PostgresStore(engine, mac=a_mac).begin(alice, None) as work:
        assert (await work.users.get(lock=True)).id == alice.user_id
    assert await counts(superuser) == [0, 0, 0, 0, 0]
    await engine.dispose()


async def test_an_event_about_somebody_else_is_refused(
    store: PostgresStore, alice: Actor, bob: Actor, superuser: asyncpg.Connection
) -> None:
    with pytest.raises(Exception, match="row-level security"):
        async with store.begin(alice, None) as work:
            work.record(an_event(bob))
    assert await counts(superuser) == [0, 0, 0, 0, 0]


async def test_two_identities_in_one_transaction_are_refused(
    engine: AsyncEngine, alice: Actor, bob: Actor
) -> None:
    async with engine.connect() as db:
        await db.execute(text("SELECT enter(:who)"), {"who": alice.user_id})
        with pytest.raises(Exception, match="an identity already"):
            await db.execute(text("SELECT enter(:who)"), {"who": bob.user_id})


async def test_an_identity_ends_with_its_transaction(
    database: Database, store: PostgresStore
) -> None:
    alice = await a_person(store)
    engine = open_engine(database.app_url, 1)  # the one connection is used again
    async with PostgresStore(engine, mac=a_mac).begin(alice, None) as work:
        await work.users.get()
    async with engine.connect() as db:
        assert (await db.execute(text("SELECT count(*) FROM users"))).scalar_one() == 0
    await engine.dispose()


async def test_attempts_and_failures_are_on_record_even_of_nobody(
    store: PostgresStore, superuser: asyncpg.Connection
) -> None:
    attempt = an_attempt(Actor(user_id=NOBODY, role=Role.READONLY))
    await store.audit(attempt, AuditOutcome.ATTEMPTED)
    await store.audit(attempt, AuditOutcome.FAILED, "SIGN_IN_FAILED")
    rows = await superuser.fetch("SELECT user_id, outcome, detail FROM audit_log ORDER BY seq")
    assert [tuple(row) for row in rows] == [
        (NOBODY, "ATTEMPTED", None),
        (NOBODY, "FAILED", "SIGN_IN_FAILED"),
    ]


async def test_an_attempt_has_one_outcome_whoever_was_cut_off_while_writing_it(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    """The second waits for the first, whose COMMIT nobody had an answer to."""
    for commits in (True, False):
        attempt = an_attempt(alice)
        await store.audit(attempt, AuditOutcome.ATTEMPTED)
        first = superuser.transaction()
        await first.start()
        await superuser.execute(
            "INSERT INTO audit_log (user_id, id, at, action, outcome)"
            " VALUES ($1, $2, now(), $3, 'SUCCEEDED')",
            *(alice.user_id, attempt.row_id(AuditOutcome.SUCCEEDED), attempt.action),
        )
        second = asyncio.create_task(store.audit(attempt, AuditOutcome.FAILED, "UNAVAILABLE"))
        await asyncio.sleep(0.05)
        assert not second.done()
        await (first.commit() if commits else first.rollback())
        assert await second is not commits
    rows = await superuser.fetch("SELECT outcome FROM audit_log ORDER BY seq")
    assert [row["outcome"] for row in rows if row["outcome"] != "ATTEMPTED"] == [
        "SUCCEEDED",
        "FAILED",
    ]


async def test_an_entry_says_who_in_which_session_from_where_and_by_which_trace(
    store: PostgresStore, superuser: asyncpg.Connection
) -> None:
    session = SessionId(new_id())
    alice = await a_person(store)
    alice = replace(alice, session_id=session, ip_address="192.0.2.1", trace_id="ab" * 16)
    attempt = an_attempt(alice)
    await store.audit(attempt, AuditOutcome.ATTEMPTED)
    row = await superuser.fetchrow("SELECT * FROM audit_log")
    assert (row["user_id"], row["actor_id"], row["session_id"]) == (
        alice.user_id,
        alice.user_id,
        session,
    )
    assert (row["ip_address"], row["trace_id"]) == ("192.0.2.1", "ab" * 16)
    assert row["mac"] == a_mac(canonical(row))

    worker = replace(alice, session_id=None, ip_address=None, trace_id=None)
    await store.audit(an_attempt(worker), AuditOutcome.ATTEMPTED)
    row = await superuser.fetchrow("SELECT * FROM audit_log ORDER BY seq DESC LIMIT 1")
    assert (row["user_id"], row["actor_id"]) == (alice.user_id, None)


async def test_the_same_job_waits_once_a_user(
    store: PostgresStore, alice: Actor, bob: Actor, superuser: asyncpg.Connection
) -> None:
    for actor in (alice, alice, bob):
        async with store.begin(actor, None) as work:
            work.later("sync", key="run:1", payload={})
            work.later("sync", key="run:1", payload={})
            work.later("mail", key="run:1", payload={})
    jobs = await superuser.fetch(
        "SELECT entrypoint, count(*) AS n FROM jobs.pgqueuer GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(job) for job in jobs] == [("mail", 2), ("sync", 2)]


async def test_a_job_is_not_enqueued_outside_of_a_transaction(engine: AsyncEngine) -> None:
    job = Job(name="sync", user_id=new_id(), key="run:1", payload={})
    async with engine.connect() as db:
        with pytest.raises(RuntimeError, match="inside a transaction"):
            await enqueue(db, [job])


async def test_the_relay_is_woken_by_a_commit_that_records_an_event(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    await superuser.add_listener(EVENTS_CHANNEL, lambda *said: heard.put_nowait(said[2]))
    async with store.begin(alice, None) as work:
        await work.links.add(a_link(user_id=alice.user_id))
    async with store.begin(alice, None) as work:
        work.record(an_event(alice))
        work.record(an_event(alice))
    assert await asyncio.wait_for(heard.get(), 5) == EVENTS_CHANNEL
    assert heard.empty()


async def test_a_data_version_is_taken_once_a_transaction_and_only_for_what_is_versioned(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    async def version() -> int:
        return int(
            await superuser.fetchval(
                "SELECT data_version FROM users WHERE user_id = $1", alice.user_id
            )
        )

    owned = await owning(store, alice)
    assert await version() == 1
    async with store.begin(alice, None) as work:
        user = await work.users.get(lock=True)
        await work.users.save(replace(user, time_zone="UTC"))
        link = await work.links.get(owned.link.id, lock=True)
        await work.links.save(link.synced(at=NOW, cursor="c1", again=True))
        await work.accounts.identify({owned.account.id: ("f", None)})
    assert await version() == 1
    async with store.begin(alice, None) as work:
        await work.links.save(replace(link, alias="mine"))
        await work.accounts.write(
            Merge(updated=[replace(owned.account, name="x")], before=[owned.account])
        )
    assert await version() == 2
    assert await superuser.fetchval("SELECT data_version FROM links") == 2
    assert await superuser.fetchval("SELECT data_version FROM accounts") == 2


async def test_data_versions_of_one_user_commit_in_their_order(
    store: PostgresStore, alice: Actor
) -> None:
    order: list[str] = []

    async def second() -> None:
        async with store.begin(alice, None) as work:
            await work.accounts.write(Merge(created=[an_account()]))
            order.append("second has its version")

    async with store.begin(alice, None) as work:
        await work.accounts.write(Merge(created=[an_account()]))
        task = asyncio.create_task(second())
        await asyncio.sleep(0.2)
        order.append("first commits")
    await task
    assert order == ["first commits", "second has its version"]


async def test_writing_for_a_user_who_is_gone_is_not_found(store: PostgresStore) -> None:
    with pytest.raises(NotFound):
        async with store.begin(Actor(user_id=new_id(), role=Role.USER), None) as work:  # type: ignore[arg-type]
            await work.accounts.write(Merge(created=[an_account()]))


async def test_a_pool_that_is_used_up_is_unavailable(
    database: Database, store: PostgresStore
) -> None:
    alice = await a_person(store)
    engine = open_engine(database.app_url, 1, wait_s_max=0.1)
    one = PostgresStore(engine, mac=a_mac)
    async with one.begin(alice, None):
        with pytest.raises(Unavailable, match="busy"):
            async with one.begin(alice, None):
                pass
    await engine.dispose()


async def test_whoever_is_cancelled_while_a_unit_of_work_closes_has_closed_it(
    store: PostgresStore, engine: AsyncEngine, alice: Actor
) -> None:
    opened = asyncio.Event()

    async def working() -> None:
        async with store.begin(alice, None) as work:
            await work.users.get(lock=True)
            opened.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(working())
    await opened.wait()
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    pool: Any = engine.pool
    assert pool.checkedout() == 0
