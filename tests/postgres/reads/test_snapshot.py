"""One transaction for one viewer: what it sees, who may be cancelled, how it ends."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from adapters.postgres.pool import Pool, open_pool
from adapters.postgres.snapshot import Abandoned, Snapshot
from domain.errors import Unauthenticated, Unavailable
from domain.holdings import HoldingFilter
from domain.identity import UserId, new_id
from domain.storage.reads import Counts, Reads
from tests.postgres.reads.rows import Owner, Recorded
from tests.servers import Database

# At run time: what is constant fails before the statement begins.
LATE_ERROR = "SELECT 1 / (pg_sleep(0.05) IS NULL)::int"


@pytest.fixture
async def single(shared: Database) -> AsyncIterator[Pool]:
    """A pool of one connection: whoever forgets it stops everyone."""
    opened = await open_pool(shared.app_url, 1)
    yield opened
    await asyncio.wait_for(opened.close(), 5)


async def pid_of(reads: Snapshot) -> int:
    return int((await reads.fetch("SELECT pg_backend_pid()"))[0][0])


async def state_of(owner: Owner, pid: int) -> str | None:
    state: str | None = await owner.db.fetchval(
        "SELECT state FROM pg_stat_activity WHERE pid = $1", pid
    )
    return state


async def works(pool: Pool, owner: Owner) -> bool:
    reads = Snapshot(pool, owner.id)
    viewer = await reads.viewer()
    await reads.close()
    return viewer.id == owner.id


async def test_a_snapshot_is_what_the_domain_reads_from(pool: Pool, owner: Owner) -> None:
    reads: Reads = Snapshot(pool, owner.id)
    assert (await reads.viewer()).id == owner.id
    await reads.close()


async def test_everything_is_of_one_instant(pool: Pool, owner: Owner) -> None:
    account = await owner.account()
    reads = Snapshot(pool, owner.id)
    assert len(await reads.accounts()) == 1

    await owner.holding(account, await owner.security())
    await owner.db.execute("UPDATE users SET data_version = 1 WHERE user_id = $1", owner.id)

    assert await reads.count_holdings(HoldingFilter()) == 0
    assert await reads.data_version() == 0
    await reads.close()
    later = Snapshot(pool, owner.id)
    assert await later.count_holdings(HoldingFilter()) == 1
    assert await later.data_version() == 1
    await later.close()


async def test_it_only_reads_repeatably_as_its_viewer(reads: Recorded, owner: Owner) -> None:
    (row,) = await reads.fetch(
        "SELECT current_setting('transaction_isolation'),"
        " current_setting('transaction_read_only'), current_setting('app.user_id'), current_user"
    )
    assert tuple(row) == ("repeatable read", "on", str(owner.id), "dashtam_app")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await reads.fetch("DELETE FROM accounts")


async def test_a_connection_forgets_its_viewer(single: Pool, owner: Owner) -> None:
    assert await works(single, owner)
    assert await works(single, owner)  # `enter` refuses where an identity is left over
    async with single.acquire() as connection:
        assert not await connection.fetchval("SELECT current_setting('app.user_id', true)")
        assert await connection.fetchval("SELECT count(*) FROM users") == 0


async def test_nothing_is_opened_before_the_first_read(single: Pool, owner: Owner) -> None:
    reads = Snapshot(single, owner.id)
    assert single.get_idle_size() == 1
    await reads.viewer()
    assert single.get_idle_size() == 0
    await reads.close()
    assert single.get_idle_size() == 1


async def test_only_reads_count_as_statements(reads: Recorded) -> None:
    assert reads.statements == 0
    await reads.viewer()
    await reads.accounts()
    await asyncio.gather(*(reads.count_holdings(HoldingFilter()) for _ in range(3)))
    assert reads.statements == 5
    await reads.close()
    assert reads.statements == 5


async def test_opening_is_one_round_trip(owner: Owner, single: Pool) -> None:
    said: list[str] = []
    async with single.acquire() as lent:
        connection = lent._con

    def listen(record: asyncpg.connection.LoggedQuery) -> None:
        said.append(record.query)

    connection.add_query_logger(listen)
    reads = Snapshot(single, owner.id)
    await reads.viewer()
    await reads.close()
    connection.remove_query_logger(listen)
    assert len(said) == 3
    assert said[0].startswith(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT enter_reading("
    )
    assert said[2] == "ROLLBACK"


async def test_opening_says_the_data_version_which_is_no_statement(
    pool: Pool, owner: Owner
) -> None:
    await owner.db.execute("UPDATE users SET data_version = 7 WHERE user_id = $1", owner.id)
    for before in (True, False):
        reads = Snapshot(pool, owner.id)
        if not before:
            await reads.accounts()
        assert await asyncio.gather(*(reads.data_version() for _ in range(3))) == [7] * 3
        assert reads.statements == (0 if before else 1)
        await reads.close()


async def test_a_pooler_that_passes_no_messages_on_costs_a_statement(
    pool: Pool, owner: Owner
) -> None:
    class Deaf(Snapshot):
        def _hear(self, *_: object) -> None:
            pass

    await owner.db.execute("UPDATE users SET data_version = 7 WHERE user_id = $1", owner.id)
    reads = Deaf(pool, owner.id)
    assert [await reads.data_version() for _ in range(2)] == [7, 7]
    assert reads.statements == 1
    await reads.close()


async def test_whoever_is_there_no_more_has_no_data_version(pool: Pool) -> None:
    reads = Snapshot(pool, UserId(new_id()))
    with pytest.raises(Unauthenticated):
        await reads.data_version()
    await reads.close()


async def test_counts_are_of_ones_own_in_whatever_state(pool: Pool, owner: Owner) -> None:
    reads = Snapshot(pool, owner.id)
    assert await reads.counts() == Counts()
    await reads.close()
    one, _ = await owner.link(), await owner.link(status="DISCONNECTED")
    for is_active in (True, False):
        await owner.account(fed_by=(one,), is_active=is_active)
    await owner.account()

    reads = Snapshot(pool, owner.id)
    assert await reads.counts() == Counts(links=2, accounts=3, accounts_of_link=2)
    assert reads.statements == 1
    await reads.close()


async def test_a_cancelled_sibling_leaves_the_others_their_transaction(reads: Recorded) -> None:
    pid = await pid_of(reads)
    slow = asyncio.create_task(reads.fetch("SELECT pg_sleep(0.2)"))
    waiting = asyncio.create_task(reads.fetch("SELECT 1"))
    await asyncio.sleep(0.05)
    slow.cancel()

    assert (await waiting)[0][0] == 1
    assert slow.cancelled()
    assert await pid_of(reads) == pid


async def test_a_failed_statement_fails_the_whole_operation(single: Pool, owner: Owner) -> None:
    reads = Snapshot(single, owner.id)
    await reads.viewer()
    slow = asyncio.create_task(reads.fetch(LATE_ERROR))
    waiting = asyncio.create_task(reads.accounts())

    with pytest.raises(asyncpg.DivisionByZeroError):
        await slow
    with pytest.raises(Abandoned):
        await waiting
    with pytest.raises(Abandoned):
        await reads.links()
    await reads.close()
    assert await works(single, owner)


async def test_a_mistake_of_ours_is_not_an_absent_server(reads: Recorded) -> None:
    with pytest.raises(asyncpg.InterfaceError):
        await reads.fetch("SELECT $1::int")


async def test_a_failure_that_nobody_awaits_any_more_is_no_noise(reads: Recorded) -> None:
    slow = asyncio.create_task(reads.fetch(LATE_ERROR))
    await asyncio.sleep(0.02)
    slow.cancel()
    await asyncio.sleep(0.1)
    assert slow.cancelled()


async def test_closing_cancels_what_runs_on_the_server(single: Pool, owner: Owner) -> None:
    reads = Snapshot(single, owner.id)
    pid = await pid_of(reads)
    slow = asyncio.create_task(reads.fetch("SELECT pg_sleep(30)"))
    waiting = asyncio.create_task(reads.accounts())
    await asyncio.sleep(0.05)
    assert await state_of(owner, pid) == "active"
    began = time.monotonic()

    await reads.close()

    assert time.monotonic() - began < 1
    assert await state_of(owner, pid) == "idle"
    for read in (slow, waiting):
        with pytest.raises(Abandoned):
            await read
    with pytest.raises(Abandoned):
        await reads.viewer()
    assert await works(single, owner)
    assert single.get_size() == 1


async def test_closing_gives_the_connection_back_even_if_cancelled(
    single: Pool, owner: Owner
) -> None:
    reads = Snapshot(single, owner.id)
    await reads.viewer()
    slow = asyncio.create_task(reads.fetch("SELECT pg_sleep(30)"))
    await asyncio.sleep(0.02)
    closing = asyncio.create_task(reads.close())
    for _ in range(3):
        await asyncio.sleep(0)
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(Abandoned):
        await slow
    assert await works(single, owner)


async def test_closing_twice_is_closing_once(single: Pool, owner: Owner) -> None:
    reads = Snapshot(single, owner.id)
    await reads.viewer()
    await asyncio.gather(reads.close(), reads.close())
    await reads.close()
    assert await works(single, owner)


@pytest.mark.parametrize("turns", range(12))
async def test_closing_at_any_moment_of_opening_loses_no_connection(
    single: Pool, owner: Owner, turns: int
) -> None:
    reads = Snapshot(single, owner.id)
    first = asyncio.create_task(reads.viewer())
    for _ in range(turns):
        await asyncio.sleep(0)
    await reads.close()
    await asyncio.gather(first, return_exceptions=True)
    assert first.done()
    assert await works(single, owner)


async def test_who_waits_for_a_connection_can_be_abandoned(single: Pool, owner: Owner) -> None:
    holding, waiting = Snapshot(single, owner.id), Snapshot(single, owner.id)
    await holding.viewer()
    read = asyncio.create_task(waiting.viewer())
    await asyncio.sleep(0.02)

    await waiting.close()

    with pytest.raises(Abandoned):
        await read
    await holding.close()
    assert await works(single, owner)


async def test_no_free_connection_in_time_is_unavailable(single: Pool, owner: Owner) -> None:
    holding, waiting = Snapshot(single, owner.id), Snapshot(single, owner.id)
    await holding.viewer()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await waiting.viewer()
    assert 2 < time.monotonic() - began < 5
    with pytest.raises(Unavailable):
        await waiting.accounts()
    await waiting.close()
    await holding.close()
    assert await works(single, owner)


async def test_a_connection_lost_in_the_middle_is_unavailable(single: Pool, owner: Owner) -> None:
    reads = Snapshot(single, owner.id)
    pid = await pid_of(reads)
    slow = asyncio.create_task(reads.fetch("SELECT pg_sleep(30)"))
    waiting = asyncio.create_task(reads.accounts())
    await asyncio.sleep(0.05)

    await owner.db.execute("SELECT pg_terminate_backend($1)", pid)

    for read in (slow, waiting):
        with pytest.raises(Unavailable):
            await read
    with pytest.raises(Unavailable):
        await reads.viewer()
    await reads.close()
    assert await works(single, owner)


async def test_a_connection_lost_between_two_reads_is_unavailable(
    single: Pool, owner: Owner
) -> None:
    reads = Snapshot(single, owner.id)
    pid = await pid_of(reads)
    await owner.db.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    with pytest.raises(Unavailable):
        await reads.viewer()
    await reads.close()
    assert await works(single, owner)


async def test_a_server_that_hangs_holds_nobody_up_for_long(single: Pool, owner: Owner) -> None:
    reads = Snapshot(single, owner.id)
    pid = await pid_of(reads)
    os.kill(pid, signal.SIGSTOP)
    try:
        slow = asyncio.create_task(reads.fetch("SELECT 1"))
        await asyncio.sleep(0.02)
        began = time.monotonic()
        await reads.close()
        assert time.monotonic() - began < 4
        with pytest.raises(Abandoned):
            await slow
        assert await works(single, owner)
    finally:
        os.kill(pid, signal.SIGCONT)
