"""What a unit of work writes is what a snapshot reads: both sides say the columns alike."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from adapters.postgres.pool import open_pool
from adapters.postgres.snapshot import Snapshot
from adapters.postgres.store import PostgresStore
from domain.accounts import Account
from domain.errors import ErrorCode
from domain.holdings import HoldingFilter
from domain.identity import Actor, new_id
from domain.links import Lease, Link, SyncError
from domain.merging import Merge
from domain.money import Currency, Money
from domain.securities import AssetType, OptionSide, OptionTerms, Security
from domain.sync import (
    QuarantinedRow,
    RunId,
    SyncCounts,
    SyncRun,
    SyncScope,
    SyncStatus,
    SyncTrigger,
)
from domain.transactions import Transaction, TransactionFilter, TransactionOrder
from tests.postgres.reads.rows import NOON
from tests.postgres.writes.world import (
    a_holding,
    a_person,
    a_security,
    a_snapshot,
    a_transaction,
    a_user,
    owning,
)
from tests.servers import Database

EUR, USD = Currency("EUR"), Currency("USD")


def five(first: int) -> SyncCounts:
    return SyncCounts(
        created=first, updated=first + 1, unchanged=first + 2, removed=first + 3, quarantined=9
    )


def an_option() -> Security:
    return a_security(
        symbol="AAPL270115C00200000",
        asset_type=AssetType.OPTION,
        isin=None,
        cusip="037833100",
        figi="BBG000B9XRY4",
        key="k",
        multiplier=Decimal(100),
        option=OptionTerms(
            underlying="AAPL",
            side=OptionSide.PUT,
            strike=Money(Decimal("200.50"), EUR),
            expires_on=date(2027, 1, 15),
        ),
    )


def a_trade(account: Account, security: Security) -> Transaction:
    return a_transaction(
        account,
        security=security,
        merchant="m",
        provider_category="p",
        own_category="",
        notes="n",
        settlement_date=date(2026, 3, 3),
        quantity=Decimal("-2.0"),
        unit_price=Money(Decimal("1.50"), EUR),
        commission=Money(Decimal("-0.10"), USD),
        removed_at=NOON,
    )


def a_run(link: Link) -> SyncRun:
    return SyncRun(
        id=RunId(new_id()),
        user_id=link.user_id,
        link_id=link.id,
        trigger=SyncTrigger.WEBHOOK,
        status=SyncStatus.PARTIAL,
        queued_at=NOON,
        scopes=frozenset({SyncScope.ACCOUNTS}),
        since=date(2026, 1, 1),
        until=date(2026, 2, 1),
        force=True,
        account_keys=frozenset({"a1"}),
        started_at=NOON,
        finished_at=NOON,
        step=SyncScope.TRANSACTIONS,
        progress=Decimal("0.50"),
        accounts=five(1),
        holdings=five(11),
        transactions=five(21),
        read_accounts=2,
        failed_accounts=1,
        error=SyncError(code=ErrorCode.PROVIDER_UNAVAILABLE, message="away", retry_after_s=9),
        attempts=2,
        cursor="r",
        cancel_asked=True,
    )


@pytest.fixture
async def actor(store: PostgresStore) -> Actor:
    return await a_person(store, email="ann@example.org")


@pytest.fixture
async def reads(database: Database, actor: Actor) -> AsyncIterator[Snapshot]:
    pool = await open_pool(database.app_url, 1)
    snapshot = Snapshot(pool, actor.user_id)
    yield snapshot
    await snapshot.close()
    await pool.close()


async def test_people_links_and_runs_are_read_as_written(
    store: PostgresStore, actor: Actor, reads: Snapshot
) -> None:
    link = replace(
        (await owning(store, actor)).link,
        alias="Mine",
        lease=Lease(holder=new_id(), until=NOON, fence=3),
        cursor="c",
        sync_every_s=3600,
    )
    run = a_run(link)
    row = QuarantinedRow(
        id=new_id(), run_id=run.id, kind=SyncScope.HOLDINGS, reason="r", raw="{}", line=7
    )
    async with store.begin(actor, None) as work:
        await work.links.save(link)
        await work.runs.add(run)
        await work.runs.quarantine([row])

    assert await reads.viewer() == a_user(id=actor.user_id, email="ann@example.org")
    (read,) = await reads.links()
    assert read == link
    assert read.lease == link.lease
    assert await reads.last_runs([link.id]) == {link.id: run}
    assert await reads.quarantine([run.id], limit=9) == {run.id: [row]}


async def test_what_a_person_owns_is_read_as_written(
    store: PostgresStore, actor: Actor, reads: Snapshot
) -> None:
    owned, option = await owning(store, actor), an_option()
    short = a_holding(owned.account, option, quantity=Decimal(-2), market_price=None)
    trade = a_trade(owned.account, option)
    async with store.begin(actor, None) as work:
        await work.securities.write(Merge(created=[option]))
        await work.holdings.write(Merge(created=[short]))
        await work.transactions.write(Merge(created=[trade]))

    assert await reads.data_version() == 2
    assert await reads.accounts() == [replace(owned.account, data_version=1)]
    securities = await reads.securities_by_id([option.id, owned.security.id])
    assert securities == [owned.security, option]
    holdings = await reads.holdings(HoldingFilter(), limit=9, after=None)
    assert holdings == [replace(owned.holding, data_version=1), replace(short, data_version=2)]
    everything, order = TransactionFilter(include_removed=True), TransactionOrder.DATE_ASC
    transactions = await reads.transactions(everything, order, limit=9, after=None)
    assert {t.id: t for t in transactions} == {
        owned.transaction.id: replace(owned.transaction, data_version=1),
        trade.id: replace(trade, data_version=2),
    }


async def test_balances_are_read_as_written(
    store: PostgresStore, actor: Actor, reads: Snapshot
) -> None:
    account = (await owning(store, actor)).account
    earlier = a_snapshot(
        account,
        at=NOON - timedelta(days=3000),
        available_balance=Money(Decimal("1.0"), USD),
        holdings_value=Money(Decimal("2.0"), USD),
        cash_value=Money(Decimal("-3.0"), USD),
    )
    async with store.begin(actor, None) as work:
        await work.history.add([earlier], run_id=None)

    first, _ = await reads.latest_snapshots([account.id], count=9)
    assert first == earlier
