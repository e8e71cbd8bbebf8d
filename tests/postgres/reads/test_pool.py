"""Connections that the server ended, and a server that went away."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from adapters.postgres.pool import Pool, first_words, open_pool
from adapters.postgres.snapshot import Snapshot
from domain.errors import Unavailable
from domain.identity import UserId, new_id
from gateway import embedded
from tests.postgres.reads.rows import Owner
from tests.servers import Database

ENTER = """
CREATE FUNCTION enter_reading(who uuid) RETURNS void LANGUAGE sql AS
$$ SELECT set_config('app.user_id', who::text, true) $$"""


async def test_connections_that_the_server_ended_are_replaced(
    shared: Database, owner: Owner
) -> None:
    pool = await open_pool(shared.app_url, 4)
    for _ in range(2):
        ended = await owner.db.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE usename = 'dashtam_app' AND state = 'idle'"
        )
        assert ended >= 4
        snapshots = [Snapshot(pool, owner.id) for _ in range(4)]
        viewers = await asyncio.gather(*(reads.viewer() for reads in snapshots))
        assert {viewer.id for viewer in viewers} == {owner.id}
        assert [reads.statements for reads in snapshots] == [1] * 4
        for reads in snapshots:
            await reads.close()
    await pool.close()


async def test_who_gave_up_waiting_for_a_lock_holds_no_connection_of_the_server_for_long(
    shared: Database, owner: Owner
) -> None:
    pool = await open_pool(shared.app_url, 1)
    await owner.db.execute("SELECT pg_advisory_lock(4711)")
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND objid = 4711"
    said = asyncio.create_task(
        first_words(pool, lambda c: c.execute("SELECT pg_advisory_lock(4711)"))
    )
    async with asyncio.timeout(5):
        while not await owner.db.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        said.cancel()
        await asyncio.sleep(1.5)
    assert not await owner.db.fetchval(waiting)
    await owner.db.execute("SELECT pg_advisory_unlock(4711)")
    await pool.close()


async def test_a_pool_that_is_closed_is_unavailable(shared: Database) -> None:
    pool = await open_pool(shared.app_url, 1)
    await pool.close()
    reads = Snapshot(pool, UserId(new_id()))
    with pytest.raises(Unavailable):
        await reads.viewer()
    await reads.close()


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await open_pool(f"postgresql://nobody@/none?host={tmp_path}", 1)


async def test_array_parameters_are_known_before_the_first_snapshot(pool: Pool) -> None:
    said: list[str] = []
    connection, _ = await first_words(pool, lambda c: c.execute("BEGIN"))
    with connection.query_logger(lambda record: said.append(record.query)):
        await connection.fetch("SELECT $1::uuid[], $2::text[]", [new_id()], ["a"])
    await connection.execute("ROLLBACK")
    await pool.release(connection)
    assert len(said) == 1


async def test_what_goes_wrong_at_first_leaves_the_pool_whole(shared: Database) -> None:
    pool = await open_pool(shared.app_url, 1)
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await first_words(pool, lambda c: c.execute("BEGINN"))
    connection, status = await first_words(pool, lambda c: c.execute("SELECT 1"))
    assert status == "SELECT 1"
    await pool.release(connection)
    await pool.close()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[embedded.Server]:
    server = embedded.start(tmp_path)
    yield server
    embedded.stop(server)


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGQUIT])
def test_while_the_server_is_away_reads_are_unavailable_and_then_work_again(
    mortal: embedded.Server, tmp_path: Path, word: signal.Signals
) -> None:
    """Not a coroutine itself, since a server is started outside of an event loop."""
    again: embedded.Server | None = None
    with asyncio.Runner() as loop:
        pool, viewer = loop.run(open_pool(mortal.superuser_url, 3)), UserId(new_id())
        loop.run(pool.execute(ENTER))

        async def one() -> int:
            reads = Snapshot(pool, viewer)
            try:
                return int((await reads.fetch("SELECT 1"))[0][0])
            finally:
                await reads.close()

        async def some() -> list[int | BaseException]:
            return await asyncio.gather(*(one() for _ in range(5)), return_exceptions=True)

        half_way = Snapshot(pool, viewer)
        loop.run(half_way.fetch("SELECT 1"))
        assert mortal.process is not None
        mortal.process.send_signal(word)
        mortal.process.wait(30)

        assert [type(answer) for answer in loop.run(some())] == [Unavailable] * 5
        with pytest.raises(Unavailable):
            loop.run(half_way.fetch("SELECT 1"))
        loop.run(half_way.close())
        again = embedded.start(tmp_path)
        try:
            assert loop.run(some()) == [1] * 5
            loop.run(pool.close())
        finally:
            embedded.stop(again)
