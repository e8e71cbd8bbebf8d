"""Events of one person have their places in the order of their commits, however many come at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from adapters.postgres.connections import open_engine
from adapters.postgres.doors import PostgresDoors
from adapters.postgres.pool import Pool, open_pool
from adapters.postgres.snapshot import Snapshot
from adapters.postgres.store import PostgresStore
from domain.events import EVENTS_KEPT, Event, EventId, EventName
from domain.identity import Actor, UserId, new_id
from domain.told import Told
from tests.builders import NOW, a_mac
from tests.postgres.writes.world import connected
from tests.servers import Database

WRITERS = 200


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    opened = await open_pool(database.app_url, 2)
    yield opened
    await opened.close()


def signed_in(actor: Actor, **facts: str) -> Event:
    return Event(name=EventName.SIGNIN_FAILED, user_id=actor.user_id, at=NOW, facts=facts)


async def record(store: PostgresStore, actor: Actor, *words: str) -> None:
    async with store.begin(actor, None) as work:
        for word in words:
            work.record(signed_in(actor, ip_address=word))


async def events_after(pool: Pool, actor: Actor, place: int = 0, limit: int = 10_000) -> list[Told]:
    reads = Snapshot(pool, actor.user_id)
    try:
        return [*(await reads.events(place, limit=limit)).events]
    finally:
        await reads.close()


def words(events: list[Told]) -> list[Any]:
    return [getattr(event, "detail", None) for event in events]


async def insert(db: asyncpg.Connection, actor: Actor, word: str) -> None:
    """As a gateway of the release before does it: it knows of no ids."""
    await db.execute(
        "INSERT INTO events (user_id, name, at, facts) VALUES ($1, $2, $3, $4)",
        *(actor.user_id, EventName.SIGNIN_FAILED.value, NOW, f'{{"ip_address": "{word}"}}'),
    )


async def test_who_has_the_later_place_commits_later(
    database: Database, pool: Pool, alice: Actor
) -> None:
    async with connected(database.app_url) as first, connected(database.app_url) as second:
        one, two = first.transaction(), second.transaction()
        for db, transaction in ((first, one), (second, two)):
            await transaction.start()
            await db.execute("SELECT enter($1)", alice.user_id)
        await insert(first, alice, "first")
        waiting = asyncio.create_task(insert(second, alice, "second"))
        done, _ = await asyncio.wait({waiting}, timeout=0.2)
        assert not done  # nor has it a place yet

        await one.commit()
        assert words(await events_after(pool, alice)) == ["first"]
        await waiting
        await two.commit()
        assert words(await events_after(pool, alice)) == ["first", "second"]


async def test_who_gives_up_leaves_the_next_place_to_the_others(
    database: Database, store: PostgresStore, pool: Pool, alice: Actor
) -> None:
    async with connected(database.app_url) as first:
        transaction = first.transaction()
        await transaction.start()
        await first.execute("SELECT enter($1)", alice.user_id)
        await insert(first, alice, "never")
        recording = asyncio.create_task(record(store, alice, "one", "two"))
        await asyncio.sleep(0.05)
        await transaction.rollback()
        await recording
    assert words(await events_after(pool, alice)) == ["one", "two"]


async def test_nobody_waits_for_another_person(
    database: Database, store: PostgresStore, pool: Pool, alice: Actor, bob: Actor
) -> None:
    async with connected(database.app_url) as db, db.transaction():
        await db.execute("SELECT enter($1)", alice.user_id)
        await insert(db, alice, "hers")
        async with asyncio.timeout(2):
            await record(store, bob, "his")
        assert words(await events_after(pool, bob)) == ["his"]


async def test_who_polls_while_many_write_sees_each_event_once_and_in_order(
    database: Database, pool: Pool, alice: Actor, bob: Actor
) -> None:
    async with AsyncExitStack() as stack:
        engine = open_engine(database.app_url, 12)
        stack.push_async_callback(engine.dispose)
        store = PostgresStore(engine, mac=a_mac)

        async def write(number: int) -> None:
            """Two at once, after some that hold rows of the user, and some that hold none."""
            actor = bob if number % 10 == 0 else alice
            async with store.begin(actor, None) as work:
                if number % 3 == 0:
                    await work.users.get(lock=True)
                work.later("sync", key=f"job:{number % 7}", payload={})
                work.record(signed_in(actor, ip_address=f"{number}a"))
                work.record(signed_in(actor, ip_address=f"{number}b"))

        writing = asyncio.gather(*(write(number) for number in range(WRITERS)))
        seen: list[Told] = []
        async with asyncio.timeout(30):
            while len(seen) < WRITERS * 2 * 9 // 10:
                place = seen[-1].seq if seen else 0
                seen += await events_after(pool, alice, place, limit=7)
        await writing

    heard = words(seen)
    assert len(heard) == len(set(heard)) == WRITERS * 2 * 9 // 10
    assert [event.seq for event in seen] == sorted(event.seq for event in seen)
    assert await events_after(pool, alice) == seen
    for one, two in zip(heard[::2], heard[1::2], strict=True):  # those of one unit stay together
        assert (one[:-1], one[-1], two[-1]) == (two[:-1], "a", "b")
    assert len(await events_after(pool, bob)) == WRITERS * 2 // 10


async def test_a_gateway_of_the_release_before_adds_events_that_can_be_found_by_cursor(
    database: Database, pool: Pool, alice: Actor
) -> None:
    async with connected(database.app_url) as db, db.transaction():
        await db.execute("SELECT enter($1)", alice.user_id)
        await insert(db, alice, "old")
    [event] = await events_after(pool, alice)
    reads = Snapshot(pool, alice.user_id)
    assert await reads.event_place(event.id) == event.seq
    await reads.close()


async def test_a_cursor_of_another_person_leads_nowhere(
    store: PostgresStore, pool: Pool, alice: Actor, bob: Actor
) -> None:
    await record(store, alice, "hers")
    [hers] = await events_after(pool, alice)
    reads = Snapshot(pool, bob.user_id)
    assert await reads.event_place(hers.id) is None
    assert await reads.event_place(EventId(new_id())) is None
    assert await reads.last_event() == 0
    await reads.close()
    assert await events_after(pool, bob) == []


async def test_what_is_of_a_newer_version_or_unreadable_holds_up_nothing(
    store: PostgresStore, pool: Pool, alice: Actor, superuser: asyncpg.Connection
) -> None:
    await record(store, alice, "one", "two", "three", "four")
    change = "UPDATE events SET {} WHERE facts->>'ip_address' = '{}'"
    await superuser.execute(change.format("name = 'moon.landed'", "two"))
    await superuser.execute(change.format("name = 'account.balance_changed'", "three"))
    assert words(await events_after(pool, alice)) == ["one", "four"]


async def test_the_last_place_of_each_is_known_without_their_identity(
    store: PostgresStore, pool: Pool, alice: Actor, bob: Actor
) -> None:
    doors = PostgresDoors(pool)
    await record(store, alice, "one", "two")
    [*_, last] = await events_after(pool, alice)
    asked = [alice.user_id, bob.user_id, UserId(new_id())]
    assert await doors.latest_events(asked) == {alice.user_id: last.seq}
    assert await doors.latest_events([]) == {}


async def test_events_are_kept_for_ninety_days_and_forgotten_the_oldest_first(
    store: PostgresStore, pool: Pool, alice: Actor, bob: Actor, superuser: asyncpg.Connection
) -> None:
    doors = PostgresDoors(pool)
    await record(store, alice, "older", "old", "kept", "new")
    await record(store, bob, "old")
    age = "UPDATE events SET at = now() - $2::interval WHERE facts->>'ip_address' = $1"
    hour = timedelta(hours=1)
    aged = {"older": EVENTS_KEPT * 2, "old": EVENTS_KEPT + hour, "kept": EVENTS_KEPT - hour}
    for word, old in aged.items():
        await superuser.execute(age, word, old)
    logged = await superuser.fetchval("SELECT count(*) FROM audit_log")

    assert await doors.forget_events(1) == 1
    assert words(await events_after(pool, alice)) == ["old", "kept", "new"]
    assert await doors.forget_events(100) == 2
    assert await doors.forget_events(100) == 0
    assert words(await events_after(pool, alice)) == ["kept", "new"]
    assert await events_after(pool, bob) == []
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == logged
