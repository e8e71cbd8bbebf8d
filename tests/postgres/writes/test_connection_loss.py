"""The server goes away under us and comes back: refusals in between, then all is well."""

import asyncio

import asyncpg
import pytest

from adapters.postgres.connections import open_engine
from adapters.postgres.store import PostgresStore
from domain.audit import AuditOutcome
from domain.errors import Unavailable
from domain.events import Event, EventName
from domain.identity import Actor
from gateway import embedded
from tests.builders import NOW, a_link, a_mac
from tests.postgres.writes.world import a_person, an_attempt
from tests.servers import Database, running_postgres


def test_an_engine_survives_a_restart_of_the_server() -> None:
    """A server of its own, which only the main thread may start, between two words of one loop."""
    with running_postgres() as server, asyncio.Runner() as runner:
        fresh = server.fresh_database()
        database = runner.run(fresh.__aenter__())
        engine = open_engine(database.app_url, 3)
        store = PostgresStore(engine, mac=a_mac)
        alice = runner.run(a_person(store))

        async def look() -> None:
            async with store.begin(alice, None) as work:
                assert (await work.users.get()).id == alice.user_id

        embedded.stop(server.server)
        for _ in range(2):  # the second finds an empty pool
            with pytest.raises(Unavailable):
                runner.run(look())
        again = embedded.start(server.server.pgdata.parents[1], durable=False)
        try:
            runner.run(look())
            runner.run(engine.dispose())
        finally:
            embedded.stop(again)


@pytest.mark.parametrize("moment", ["between statements", "before the commit"])
async def test_a_connection_that_ends_inside_of_a_unit_of_work_is_unavailable_and_leaves_nothing(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection, moment: str
) -> None:
    async def work_on() -> None:
        async with store.begin(alice, None) as work:
            link = a_link(user_id=alice.user_id)
            await work.links.add(link)
            await superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'dashtam_app' AND datname = current_database()"
            )
            if moment == "between statements":
                await work.links.get(link.id)

    with pytest.raises(Unavailable):
        await work_on()
    assert await superuser.fetchval("SELECT count(*) FROM links") == 0
    async with store.begin(alice, None) as work:
        assert (await work.users.get()).id == alice.user_id


async def test_a_connection_that_ends_before_a_job_is_enqueued_is_unavailable(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    async def work_on() -> None:
        async with store.begin(alice, None) as work:
            work.record(Event(name=EventName.SYNC_STARTED, user_id=alice.user_id, at=NOW, facts={}))
            work.later("sync", key="run:1", payload={})
            await superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'dashtam_app' AND datname = current_database()"
            )

    with pytest.raises(Unavailable):
        await work_on()
    assert await superuser.fetchval("SELECT count(*) FROM jobs.pgqueuer") == 0
    assert await superuser.fetchval("SELECT count(*) FROM events") == 0


async def test_connections_that_died_while_idle_are_not_noticed(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    await store.audit(an_attempt(alice), AuditOutcome.ATTEMPTED)
    await superuser.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = 'dashtam_app' AND datname = current_database()"
    )
    await store.audit(an_attempt(alice), AuditOutcome.SUCCEEDED)
    kept = await superuser.fetch("SELECT outcome FROM audit_log ORDER BY seq")
    assert [row["outcome"] for row in kept] == ["ATTEMPTED", "SUCCEEDED"]


async def test_a_server_that_is_not_there_is_unavailable_and_its_password_is_not_told(
    database: Database, alice: Actor
) -> None:
    url = database.app_url.replace("?host=", "?host=/nowhere")
    engine = open_engine(url, 1)
    with pytest.raises(Unavailable) as refusal:
        await PostgresStore(engine, mac=a_mac).audit(an_attempt(alice), AuditOutcome.ATTEMPTED)
    assert str(refusal.value) == "the database cannot be reached"
    assert url.split(":")[2].split("@")[0] not in repr(engine)
    await engine.dispose()
