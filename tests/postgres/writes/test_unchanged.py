"""The same pull twice: the second writes no row and takes no data version."""

from datetime import timedelta

import asyncpg

from adapters.postgres.store import PostgresStore
from domain.accounts import Account
from domain.identity import Actor
from domain.merging import (
    Merge,
    days_around,
    merge_account,
    merge_holdings,
    merge_securities,
    merge_transactions,
)
from domain.storage.work import Work
from domain.sync import ReceivedAccount, ReceivedHolding, ReceivedTransaction, SyncCounts
from tests.builders import (
    NOW,
    a_link,
    money,
    received_account,
    received_holding,
    received_transaction,
    terms,
)
from tests.postgres.writes.world import a_snapshot

TABLES = (
    "users",
    "links",
    "accounts",
    "link_accounts",
    "securities",
    "holdings",
    "transactions",
    "transaction_keys",
    "balance_snapshots",
    "tombstones",
)
Received = tuple[ReceivedAccount, list[ReceivedHolding], list[ReceivedTransaction]]


def a_pull(**account: object) -> Received:
    return (
        received_account(**account),
        [received_holding(), received_holding(security=terms("MSFT"), market_value=money("1.10"))],
        [received_transaction(key=f"t{n}", security=terms() if n else None) for n in range(5)],
    )


async def store_pull(work: Work, link_id: object, received: Received) -> list[SyncCounts]:
    account, holdings, transactions = received
    link = await work.links.get(link_id)  # type: ignore[arg-type]
    securities, found = merge_securities(
        await work.securities.all(), [h.security for h in holdings]
    )
    await work.securities.write(securities)
    accounts: Merge[Account] = Merge()
    known = await work.accounts.by_key(link.id)
    mine = merge_account(
        accounts,
        known.get("a1"),
        account,
        link_id=link.id,
        provider_slug=link.provider_slug,
        may_set_balance=True,
    )
    await work.accounts.write(accounts)
    await work.accounts.name(link.id, {"a1": mine.id})
    await work.accounts.identify({mine.id: ("f1", b"never twice the same")})
    positions = merge_holdings(
        await work.holdings.of_accounts([mine.id]),
        holdings,
        account_id=mine.id,
        securities=found,
        complete=True,
    )
    await work.holdings.write(positions)
    rows = [(mine.id, t) for t in transactions]
    stored = await work.transactions.stored(
        link.id, [(mine.id, t.key) for t in transactions], days_around(transactions)
    )
    merged = merge_transactions(stored, rows, securities=found, at=NOW)
    await work.transactions.write(merged)
    await work.transactions.name(link.id, merged)
    await work.history.add([a_snapshot(mine)], run_id=None)
    return [m.counts for m in (accounts, positions, merged)]


async def places(superuser: asyncpg.Connection) -> dict[str, list[tuple[str, str]]]:
    """Where each row lies and which transaction wrote it: even an empty UPDATE moves it."""
    return {
        table: [
            (row["ctid"], row["xmin"])
            for row in await superuser.fetch(
                f"SELECT ctid::text, xmin::text FROM {table} ORDER BY 1"
            )
        ]
        for table in TABLES
    }


async def test_the_same_pull_twice_writes_no_row(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    link = a_link(user_id=alice.user_id)
    async with store.begin(alice, None) as work:
        await work.links.add(link)
    async with store.begin(alice, None) as work:
        first = await store_pull(work, link.id, a_pull())
    before = await places(superuser)

    async with store.begin(alice, None) as work:
        second = await store_pull(work, link.id, a_pull(as_of=NOW + timedelta(hours=1)))

    assert [c.created for c in first] == [1, 2, 5]
    assert [c.unchanged for c in second] == [1, 2, 5]
    assert await places(superuser) == before


async def test_one_changed_row_is_the_only_one_that_is_written(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    link = a_link(user_id=alice.user_id)
    async with store.begin(alice, None) as work:
        await work.links.add(link)
        await store_pull(work, link.id, a_pull())
    before = await places(superuser)
    account, holdings, transactions = a_pull()
    transactions[3] = received_transaction(key="t3", security=terms(), amount=money("-4.51"))

    async with store.begin(alice, None) as work:
        await store_pull(work, link.id, (account, holdings, transactions))

    after = await places(superuser)
    moved = {t: set(rows) - set(before[t]) for t, rows in after.items()}
    assert {t: len(rows) for t, rows in moved.items() if rows} == {"users": 1, "transactions": 1}
    versions = await superuser.fetch("SELECT data_version, count(*) FROM transactions GROUP BY 1")
    assert {tuple(v) for v in versions} == {(1, 4), (2, 1)}


async def test_bookkeeping_that_did_not_change_is_not_written(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection
) -> None:
    link = a_link(user_id=alice.user_id)
    async with store.begin(alice, None) as work:
        await work.links.add(link)
    before = await places(superuser)
    async with store.begin(alice, None) as work:
        await work.links.save(link)
    # The row was locked, which marks it but writes no new one.
    assert {t: [c for c, _ in rows] for t, rows in (await places(superuser)).items()} == {
        t: [c for c, _ in rows] for t, rows in before.items()
    }
