"""What is published has been run for nobody before anybody asks: only counts are looked at."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from adapters.postgres.rehearsal import Rehearsal, prepare
from domain.identity import NOBODY, Actor, Role
from gateway.documents import builtin
from gateway.documents.ours import documents_of
from gateway.documents.reading import Document
from gateway.documents.store import Documents
from gateway.documents.warming import Warming
from gateway.operations.execution import Engine
from gateway.operations.parameters import Parameters
from gateway.settings import Settings
from gateway.wiring.root import Wired, wire
from schema.context import Context
from schema.schema import schema
from tests.e2e.stack import environment
from tests.postgres.reads.rows import Owner
from tests.servers import Database, Postgres

ENGINE = Engine(schema=schema, hide_suggestions=False)
OURS = [each.text for each in builtin.manifest() if each.text.startswith("query")]
NESTED = """query Nested {
    links { id status accounts { id name } }
    transactions(first: 5, orderBy: AMOUNT_DESC) { nodes { id account { name } security { name } } }
    accounts { id holdings(first: 2) { totalCount nodes { id account { id } } } }
}"""
GIVEN = """query Given($ids: [ID!]!, $day: Date!, $filter: TransactionFilter) {
    transactions(first: 2, filter: $filter) { totalCount nodes { id } }
    nodes(ids: $ids) { id }
    accounts { balanceHistory(from: $day, to: $day) { balance { amount } } }
}"""
INTROSPECTION = "{ __schema { types { name } } }"  # which takes long, and asks nothing
OTHERS = "mutation SignsOut { signOut { signedOut } } query Once { viewer { id email } }"


@pytest.fixture(scope="module")
async def database(postgres: Postgres) -> AsyncIterator[Database]:
    async with postgres.fresh_database() as fresh:
        yield fresh


@pytest.fixture
async def wired(database: Database, tmp_path: Path) -> AsyncIterator[Wired]:
    settings = Settings.read(environment(database, tmp_path, 8000, DASHTAM_DB_READ_POOL="2"))
    async with wire(settings) as opened:
        async with asyncio.timeout(10):
            while await prepare(opened.pool, {"SELECT 1": ()}) < 2:
                pass  # one is in use by what else began
        yield opened


@pytest.fixture
def documents(wired: Wired) -> Documents:
    return documents_of(wired.settings, hide_suggestions=False)


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[Owner]:
    """Who has one of each."""
    db = await asyncpg.connect(database.superuser_url)
    made = Owner(db)
    await made.user()
    account = await made.account(fed_by=(await made.link(),))
    await made.holding(account, await made.security())
    await made.transaction(account)
    yield made
    await db.close()


async def known(pool: asyncpg.Pool) -> dict[int, set[str]]:
    """The statements that each of the connections has prepared."""
    found = {}
    async with AsyncExitStack() as stack:
        size = pool.get_max_size()
        for each in [await stack.enter_async_context(pool.acquire()) for _ in range(size)]:
            rows = await each.fetch("SELECT statement FROM pg_prepared_statements")
            found[each.get_server_pid()] = {row["statement"] for row in rows}
    return found


async def run(wired: Wired, document: Document, owner: Owner) -> None:
    context = Context(
        app=wired.app,
        viewer=Actor(user_id=owner.id, role=Role.USER),
        now=wired.app.now(),
        trace_id=uuid4().hex,
        snapshot=wired.snapshot,
    )
    try:
        result = await ENGINE.run(document, Parameters(), context)
    finally:
        await context.close()
    assert result.errors is None


def told(logs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [each for each in logs if each["event"] == "documents.warmed"]


async def test_the_first_request_prepares_nothing_on_any_connection(
    wired: Wired, documents: Documents, owner: Owner
) -> None:
    published = [await documents.load(text) for text in (*OURS, NESTED)]
    async with asyncio.timeout(10):
        await Warming(wired, ENGINE)(published)
        while min(len(each) for each in (await known(wired.pool)).values()) <= len(published):
            await Warming(wired, ENGINE)(published)  # one was in use by what else began
    await known(wired.pool)  # which is prepared itself
    before, readers = await known(wired.pool), [dict(each.readers) for each in published]
    assert [len(each) > len(published) for each in before.values()] == [True, True]

    for document in published:
        async with wired.pool.acquire():  # so that the other one is used
            await run(wired, document, owner)
        await run(wired, document, owner)

    assert await known(wired.pool) == before
    assert [each.readers for each in published] == readers
    assert all(readers)


async def test_what_has_to_be_given_is_made_up_and_what_writes_is_not_run(
    wired: Wired, documents: Documents, database: Database
) -> None:
    warming, used = Warming(wired, ENGINE), []
    documents.used = lambda document, _: used.append(document)

    with capture_logs() as logs:
        await warming([await documents.load(text) for text in (GIVEN, OTHERS, INTROSPECTION)])

    assert [each["count"] for each in told(logs)] == [2]
    assert "documents.not_warmed" not in [each["event"] for each in logs]
    statements = "\n".join(set[str]().union(*(await known(wired.pool)).values()))
    assert "FROM balance_snapshots" in statements
    assert "SELECT count(*) FROM transactions" in statements
    assert "sessions SET" not in statements
    db = await asyncpg.connect(database.superuser_url)
    try:
        assert await db.fetchval("SELECT count(*) FROM document_uses") == 0
        about = "SELECT count(*) FROM audit_log WHERE user_id = $1"
        assert await db.fetchval(about, NOBODY) == 0
    finally:
        await db.close()
    assert used == []


async def test_only_what_is_new_is_said_when_more_is_published(
    wired: Wired, documents: Documents
) -> None:
    warming = Warming(wired, ENGINE)
    with capture_logs() as logs:
        for text in (OURS[0], OURS[0], NESTED):
            await warming([await documents.load(text)])

    first, again, more = [each["statements"] for each in told(logs)]
    assert first > more > again == 0


async def test_what_fails_with_nobodys_values_is_prepared_all_the_same(wired: Wired) -> None:
    fails, works = "SELECT 1 / $1::int AS nothing", "SELECT $1::int AS something"

    async with asyncio.timeout(10):
        while await prepare(wired.pool, {fails: (0,), works: (0,)}) < 2:
            pass

    for statements in (await known(wired.pool)).values():
        assert {fails, works} <= statements


async def test_a_connection_that_is_in_use_is_not_waited_for(
    wired: Wired, documents: Documents
) -> None:
    warming = Warming(wired, ENGINE)
    async with wired.pool.acquire(), wired.pool.acquire():
        await warming([await documents.load(NESTED)])
    assert not any("transactions" in " ".join(each) for each in (await known(wired.pool)).values())

    await warming([await documents.load(NESTED)])
    assert any("transactions" in " ".join(each) for each in (await known(wired.pool)).values())


async def test_a_rehearsal_says_nothing_to_the_server(wired: Wired) -> None:
    async with wired.pool.acquire(), wired.pool.acquire():  # it would wait for ever
        rehearsal = Rehearsal(wired.pool)
        await rehearsal.begin()
        await rehearsal.close()

    assert any("FROM accounts" in sql for sql in rehearsal.said)
