"""What a page costs: words to the database, which are the same whatever is in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import event

from adapters.postgres.connections import open_engine
from adapters.postgres.store import PostgresStore
from domain.ports import App
from domain.sync import ReceivedTransaction, SyncStatus
from tests.builders import a_mac, terms
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import DATA, Engine

ASKED_OF_A_PAGE = 12  # once all of it is known: the identity, three locks, what is stored, the run


@dataclass(slots=True)
class Counted:
    """Each statement once for every set of values that it was run with, COMMIT left out."""

    app: App
    said: list[str] = field(default_factory=list)

    def hear(self, _: Any, __: Any, statement: str, given: Any, *___: Any) -> None:
        self.said += [statement] * (len(given) if isinstance(given, list) else 1)

    def taken(self) -> int:
        """How many there were since this was asked last."""
        count = len(self.said)
        self.said.clear()
        return count


@asynccontextmanager
async def counted(engine: Engine) -> AsyncIterator[Counted]:
    own = open_engine(engine.database.app_url, 2)
    counting = Counted(replace(engine.app, store=PostgresStore(own, mac=a_mac)))
    event.listen(own.sync_engine, "before_cursor_execute", counting.hear)
    yield counting
    await own.dispose()


async def forced(engine: Engine, app: App) -> SyncStatus:
    [asked] = await engine.request(force=True)
    return (await engine.run(asked.id, app=app)).status


def rows(login: str, count: int) -> list[ReceivedTransaction]:
    bought = terms(login.upper())
    return [
        spent(f"t{n}", account_key=login, security=bought if n % 2 else None) for n in range(count)
    ]


async def test_a_page_of_many_rows_takes_no_more_statements_than_one_of_few(
    engine: Engine, scripted: Scripted
) -> None:
    costs = {}
    async with counted(engine) as counting:
        for login, size in (("ann", 100), ("bob", 900)):
            link = await engine.connect(provider="scripted", login=login)
            opening = accounts(checking(key=login, number=None))
            scripted.script = [opening, transactions(*rows(login, size))]
            [queued] = await engine.rows("sync_runs", "status = 'QUEUED'")
            counting.taken()
            run = await engine.run(queued["id"], app=counting.app)
            assert run.transactions.created == size
            first, before = counting.taken(), await engine.written(*DATA)
            [asked] = await engine.request(link_id=link.id, force=True)
            again = await engine.run(asked.id, app=counting.app)
            assert again.transactions.unchanged == size
            assert await engine.written(*DATA) == before
            costs[login] = (first, counting.taken())
    assert costs["ann"] == costs["bob"]


async def test_a_page_of_many_accounts_takes_no_more_statements_than_one_of_few(
    engine: Engine, scripted: Scripted
) -> None:
    costs = {}
    async with counted(engine) as counting:
        for login, size in (("ann", 100), ("bob", 200)):
            await engine.connect(provider="scripted", login=login)
            each = [checking(key=f"{login}{n}", number=f"{login}{n}") for n in range(size)]
            scripted.script = [accounts(*each)]
            [queued] = await engine.rows("sync_runs", "status = 'QUEUED'")
            counting.said.clear()
            run = await engine.run(queued["id"], app=counting.app)
            assert run.accounts.created == size
            # Each balance that moves is told by an event of its own, all of them in one batch.
            costs[login] = len([s for s in counting.said if "INTO events" not in s])
    assert costs["ann"] == costs["bob"]


async def test_ten_thousand_transactions_again_write_no_row_with_few_words(engine: Engine) -> None:
    await engine.linked(scenario="large")
    before, version = await engine.written(*DATA), await engine.version()
    async with counted(engine) as counting:
        assert await forced(engine, counting.app) is SyncStatus.SUCCEEDED
        asked = counting.taken()
    assert (await engine.written(*DATA), await engine.version()) == (before, version)
    pages = 24  # of accounts, balances (2), holdings and transactions (20)
    assert asked < ASKED_OF_A_PAGE * pages
