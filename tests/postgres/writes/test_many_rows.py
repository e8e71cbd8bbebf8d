"""Many rows at once: one statement writes them, and what it changes in the session it undoes."""

from dataclasses import replace
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.store import PostgresStore
from adapters.postgres.transactions import Transactions
from adapters.postgres.writing import KEPT_PLANS_ROWS_MIN, Writing
from domain.identity import Actor
from domain.merging import Merge, TransactionMerge
from tests.builders import NOW, TODAY, money
from tests.postgres.writes.world import a_transaction, owning

MODE = text("SELECT current_setting('plan_cache_mode') AS mode")


async def test_how_statements_are_planned_is_the_transactions_not_the_sessions(
    engine: AsyncEngine, alice: Actor
) -> None:
    """A pooler that gives each transaction another session takes no settings with a connection."""
    async with engine.connect() as db:
        [[fresh]] = await db.execute(MODE)
        await db.rollback()
        writing = Writing(db, alice.user_id)
        await writing.enter()
        [[within]] = await db.execute(MODE)
        await db.commit()
        [[after]] = await db.execute(MODE)
    assert (fresh, within, after) == ("auto", "force_custom_plan", "auto")


async def test_many_transactions_come_back_exactly_and_plans_are_made_as_before(
    store: PostgresStore, engine: AsyncEngine, alice: Actor
) -> None:
    owned = await owning(store, alice)
    account = owned.account
    many = [
        a_transaction(
            account,
            amount=money(f"-{n}.10"),
            description=f"line {n}, {{\"quoted\"}} \\ 'it'",
            merchant=None if n % 2 else f"m{n}",
            security=owned.security if n % 3 else None,
            quantity=Decimal(f"{n}.0000000100") if n % 5 else None,
            settlement_date=None if n % 7 else TODAY,
            removed_at=NOW if n % 11 == 0 else None,
        )
        for n in range(KEPT_PLANS_ROWS_MIN + 1)
    ]
    names = {(account.id, f"k{n}"): row.id for n, row in enumerate(many)}
    async with engine.connect() as db:
        writing = Writing(db, alice.user_id)
        await writing.enter()
        before = await writing.row(MODE)
        await Transactions(writing).write(Merge(created=many))
        assert await writing.row(MODE) == before
        await Transactions(writing).name(owned.link.id, TransactionMerge(named=names))
        assert await writing.row(MODE) == before
        await db.commit()

    async with store.begin(alice, None) as work:
        stored = await work.transactions.stored(owned.link.id, list(names), None)
    expected = [replace(row, data_version=2) for row in many]
    assert stored.by_key == dict(zip(names, expected, strict=True))
