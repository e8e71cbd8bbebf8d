"""A connection that is lent again carries nobody's identity, whatever became of the last one."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.connections import open_engine
from adapters.postgres.pool import Pool, open_pool
from adapters.postgres.snapshot import Snapshot
from adapters.postgres.store import PostgresStore
from domain.identity import Actor, UserId
from tests.builders import a_mac
from tests.postgres.writes.world import a_person
from tests.servers import Database

OPERATIONS = 5_000 if os.environ.get("DASHTAM_TEST_LONG") == "1" else 500
PEOPLE, POOL, AT_ONCE = 50, 5, 20
IDENTITY = "SELECT coalesce(current_setting('app.user_id', true), '')"


class Wrong(Exception):
    """What an operation raises by itself."""


class Lent:
    """Asks each connection, as it is lent, whose it is."""

    def __init__(self) -> None:
        self.reads, self.writes = 0, 0
        self.carried: list[str] = []

    async def read(self, connection: Any) -> None:
        self.reads += 1
        self._look(await connection.fetchval(IDENTITY))

    def write(self, connection: Any, *_: Any) -> None:
        self.writes += 1
        cursor = connection.cursor()
        cursor.execute(IDENTITY)
        self._look(cursor.fetchone()[0])
        cursor.close()
        connection.rollback()

    def _look(self, identity: str) -> None:
        if identity:
            self.carried.append(identity)


@asynccontextmanager
async def _pools(
    database: Database, size: int, lent: Lent | None = None
) -> AsyncIterator[tuple[Pool, AsyncEngine]]:
    engine = open_engine(database.app_url, size)
    if lent is not None:
        event.listen(engine.sync_engine, "checkout", lent.write)
    pool = await open_pool(database.app_url, size, lending=lent.read if lent else None)
    try:
        yield pool, engine
    finally:
        await pool.close()
        await engine.dispose()


async def _read(pool: Pool, actor: Actor, dice: Random) -> UserId:
    reads = Snapshot(pool, actor.user_id)
    try:
        if dice.random() < 0.2:
            await reads.fetch("SELECT pg_sleep(0.01)")
        if dice.random() < 0.1:
            await reads.fetch("SELECT 1 / 0")
        # No condition: row-level security alone says whose row it is.
        [row] = await reads.fetch("SELECT user_id FROM users")
        return UserId(row["user_id"])
    finally:
        await reads.close()


async def _write(store: PostgresStore, actor: Actor, dice: Random) -> UserId:
    async with store.begin(actor, None) as work:
        user = await work.users.get(lock=dice.random() < 0.5)
        if dice.random() < 0.2:
            await asyncio.sleep(0.01)
        if dice.random() < 0.1:
            raise Wrong
        return user.id


async def test_of_5_000_operations_cut_off_anyhow_none_meets_anothers_identity(
    database: Database,
) -> None:
    lent, dice, right, wrong = Lent(), Random(4), 0, 0
    async with _pools(database, POOL, lent) as (pool, engine):
        store = PostgresStore(engine, mac=a_mac)
        people = [await a_person(store) for _ in range(PEOPLE)]
        places = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            nonlocal right, wrong
            own = Random(number)
            actor = own.choice(people)
            async with places:
                with suppress(TimeoutError, Wrong, asyncpg.DivisionByZeroError):
                    async with asyncio.timeout(own.choice((0.002, 0.02, 20, 20))):
                        if own.random() < 0.5:
                            found = await _read(pool, actor, own)
                        else:
                            found = await _write(store, actor, own)
                        right += found == actor.user_id
                        wrong += found != actor.user_id

        tasks = [asyncio.create_task(one(number)) for number in range(OPERATIONS)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.01)
            under_way = [task for task in tasks if not task.done()]
            if under_way and dice.random() < 0.5:
                dice.choice(under_way[:AT_ONCE]).cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [e for e in ended if e and not isinstance(e, asyncio.CancelledError)] == []
    assert wrong == 0
    assert lent.carried == []
    assert right > OPERATIONS / 5
    assert min(lent.reads, lent.writes) > OPERATIONS / 8


async def test_the_first_words_on_a_connection_are_refused_where_it_carries_an_identity(
    database: Database,
) -> None:
    """So production looks at each check-out, too, and for nothing: `enter` does."""
    poison = "SELECT set_config('app.user_id', '{}', false)"
    async with _pools(database, 1) as (pool, engine):
        store = PostgresStore(engine, mac=a_mac)
        ann, bob = await a_person(store), await a_person(store)
        await pool.execute(poison.format(bob.user_id))
        reads = Snapshot(pool, ann.user_id)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="has an identity already"):
            await reads.viewer()
        await reads.close()
        again = Snapshot(pool, ann.user_id)
        assert (await again.viewer()).id == ann.user_id  # on a connection that is new
        await again.close()

        async with engine.begin() as connection:
            await connection.execute(text(poison.format(bob.user_id)))
        with pytest.raises(DBAPIError, match="has an identity already"):
            async with store.begin(ann, None):
                pass
