"""The relay: every event at least once, the oldest first, and never twice at the same time."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.postgres.pool import Pool, open_pool
from adapters.postgres.relay import BATCH, relay
from adapters.postgres.store import PostgresStore
from domain.events import Event, EventName
from domain.identity import Actor
from tests.builders import NOW
from tests.servers import Database


@pytest.fixture
async def app_pool(database: Database) -> AsyncIterator[Pool]:
    opened = await open_pool(database.app_url, 3)
    yield opened
    await opened.close()


async def record(store: PostgresStore, actor: Actor, count: int, start: int = 0) -> list[Event]:
    events = [
        Event(
            name=EventName.BALANCE_CHANGED,
            user_id=actor.user_id,
            at=NOW,
            facts={"n": str(number)},
        )
        for number in range(start, start + count)
    ]
    async with store.begin(actor, None) as work:
        for event in events:
            work.record(event)
    return events


class Receiver:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.fail_at: int | None = None

    async def __call__(self, seq: int, event: Event) -> None:
        if len(self.events) == self.fail_at:
            self.fail_at = None
            raise ConnectionError("the receiver is away")
        self.events.append(event)


async def test_events_of_all_users_are_sent_once_the_oldest_first(
    store: PostgresStore, app_pool: Pool, alice: Actor, bob: Actor
) -> None:
    events = await record(store, alice, 2) + await record(store, bob, 1)
    receive = Receiver()
    assert await relay(app_pool, receive) == 3
    assert await relay(app_pool, receive) == 0
    assert receive.events == events


async def test_a_batch_has_an_end(store: PostgresStore, app_pool: Pool, alice: Actor) -> None:
    await record(store, alice, BATCH + 1)
    receive = Receiver()
    assert [await relay(app_pool, receive) for _ in range(3)] == [BATCH, 1, 0]


async def test_what_was_not_sent_to_its_end_is_sent_again(
    store: PostgresStore, app_pool: Pool, alice: Actor
) -> None:
    events = await record(store, alice, 3)
    receive = Receiver()
    receive.fail_at = 2
    with pytest.raises(ConnectionError):
        await relay(app_pool, receive)
    async with asyncio.timeout(5):  # until the server has noticed that its client went away
        while (sent := await relay(app_pool, receive)) == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert sent == 3
    assert receive.events == events[:2] + events


async def test_two_relays_never_send_the_same_event_at_once(
    store: PostgresStore, app_pool: Pool, alice: Actor
) -> None:
    await record(store, alice, BATCH * 2)
    first_sends, go_on = asyncio.Event(), asyncio.Event()
    slow, fast = Receiver(), Receiver()

    async def slowly(seq: int, event: Event) -> None:
        first_sends.set()
        await go_on.wait()
        await slow(seq, event)

    task = asyncio.create_task(relay(app_pool, slowly))
    await first_sends.wait()
    assert await relay(app_pool, fast) == BATCH
    go_on.set()
    assert await task == BATCH
    sent = [e.facts["n"] for e in (*slow.events, *fast.events)]
    assert sent == [str(n) for n in range(BATCH * 2)]


async def test_a_relay_that_dies_leaves_its_events_to_another(
    store: PostgresStore, app_pool: Pool, alice: Actor
) -> None:
    events = await record(store, alice, 2)
    began = asyncio.Event()

    async def hang(seq: int, event: Event) -> None:
        began.set()
        await asyncio.sleep(3_600)

    task = asyncio.create_task(relay(app_pool, hang))
    await began.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    receive = Receiver()
    async with asyncio.timeout(5):
        while not receive.events:
            await asyncio.sleep(0.01)  # until the server has seen the connection go
            await relay(app_pool, receive)
    assert receive.events == events


async def test_an_event_of_a_newer_version_is_left_to_its_workers(
    store: PostgresStore, app_pool: Pool, alice: Actor, superuser: asyncpg.Connection
) -> None:
    await record(store, alice, 2)
    await superuser.execute("UPDATE events SET name = 'moon.landed' WHERE facts->>'n' = '0'")
    assert await relay(app_pool, Receiver()) == 1
    waiting = await superuser.fetch("SELECT name FROM events WHERE relayed_at IS NULL")
    assert [row["name"] for row in waiting] == ["moon.landed"]
