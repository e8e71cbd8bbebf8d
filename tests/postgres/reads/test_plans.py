"""How the server answers, among many rows and under row-level security: by ranges of an index.

A comparison that is not leakproof, a filter that hides from the planner what it means, or an
index that does not lead with the user would all be correct, and slow.
"""

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from adapters.postgres.pool import Pool, open_pool
from domain.accounts import AccountId
from domain.holdings import HoldingFilter, HoldingKey
from domain.identity import new_id
from domain.links import LinkId
from domain.transactions import TransactionFilter, TransactionKey, TransactionOrder
from tests.postgres.reads.rows import NOON, Owner, Recorded
from tests.servers import Postgres

ROWS, ACCOUNTS, PAGE = 40_000, 8, 51
MIDDLE = {
    True: TransactionKey(Decimal("10.00"), new_id()),
    False: TransactionKey(date(2021, 1, 1), new_id()),
}
Filter = TransactionFilter

MANY_TRANSACTIONS = """
INSERT INTO transactions (user_id, id, account_id, security_id, subtype, type, status, amount,
    currency, description, date, created_at, updated_at)
SELECT $1, gen_random_uuid(), $2, CASE WHEN i % 2 = 0 THEN $3::uuid END, 'PURCHASE', 'PAYMENT',
    'SETTLED', (i * 7919 % 200001 - 100000) / 100.0, 'USD', 'Purchase ' || i,
    date '2016-01-01' + i * 7 % 3650, now(), now()
FROM generate_series(1, $4::int) AS i"""


@dataclass(frozen=True)
class Many:
    pool: Pool
    owner: Owner
    link: LinkId
    accounts: list[AccountId]


@pytest.fixture(scope="module")
async def many(postgres: Postgres) -> AsyncIterator[Many]:
    """One person with most of the rows, and others beside them."""
    async with postgres.fresh_database() as fresh:
        db = await asyncpg.connect(fresh.superuser_url)
        for share in (1, 1, ROWS // ACCOUNTS):
            owner = Owner(db)
            await owner.user()
            link = await owner.link()
            accounts = [await owner.account(fed_by=(link,)) for _ in range(ACCOUNTS)]
            securities = [await owner.security(symbol=f"S{n}") for n in range(40)]
            for account, security in zip(accounts, securities, strict=False):
                count = max(share, 300)
                await db.execute(MANY_TRANSACTIONS, owner.id, account, security, count)
                for each in securities:
                    await owner.holding(account, each)
                await db.execute(
                    "INSERT INTO balance_snapshots (user_id, account_id, at, id, balance, currency,"
                    " source) SELECT $1, $2, $3::timestamptz - i * interval '1 day',"
                    " gen_random_uuid(), i, 'USD', 'ACCOUNT_SYNC' FROM generate_series(1, 900) i",
                    owner.id,
                    account,
                    NOON,
                )
        await db.execute("VACUUM ANALYZE")
        pool = await open_pool(fresh.app_url, 1)
        yield Many(pool, owner, link, accounts)
        await pool.close()
        await db.close()


@dataclass(frozen=True)
class Scan:
    kind: str
    index: str
    rows: int
    filtered: int


Read = Callable[[Recorded], Coroutine[Any, Any, Any]]


async def scans(many: Many, read: Read, table: str, mode: str) -> list[Scan]:
    """How `table` was scanned, as the runtime role, by the statement that `read` sends."""
    reads = Recorded(many.pool, many.owner.id)
    await read(reads)
    ((sql, arguments),) = reads.sent
    connection = reads._connection
    assert connection is not None
    await connection.execute(f"SET LOCAL plan_cache_mode = force_{mode}_plan")
    await connection.execute(f"PREPARE page AS {sql}")
    given = ", ".join(map(literal, arguments))
    answer = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page ({given})")
    await connection.execute("DEALLOCATE page")
    await reads.close()
    return [
        Scan(
            node["Node Type"],
            node.get("Index Name", ""),
            round(node["Actual Rows"] * node["Actual Loops"]),
            round(node.get("Rows Removed by Filter", 0) * node["Actual Loops"]),
        )
        for node in nodes(json.loads(answer)[0]["Plan"])
        if node.get("Relation Name") == table
    ]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def literal(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return "'{" + ",".join(map(str, value)) + "}'"
    return f"'{value}'"


@pytest.fixture(params=["custom", "generic"])
def mode(request: pytest.FixtureRequest) -> str:
    """The server makes both kinds of plan of a prepared statement, and picks one."""
    return str(request.param)


def index_of(order: TransactionOrder, *, account: bool) -> str:
    what = "amount" if order.by_amount else "date"
    return f"ix_transactions_account_{what}" if account else f"ix_transactions_{what}"


@pytest.mark.parametrize("order", TransactionOrder)
@pytest.mark.parametrize("first", [True, False], ids=["first", "after"])
async def test_a_page_of_everything_reads_no_more_than_the_page(
    many: Many, order: TransactionOrder, mode: str, first: bool
) -> None:
    after = None if first else MIDDLE[order.by_amount]

    found = await scans(
        many,
        lambda r: r.transactions(Filter(), order, limit=PAGE, after=after),
        "transactions",
        mode,
    )

    (scan,) = found
    assert (scan.kind, scan.index) == ("Index Scan", index_of(order, account=False))
    assert scan.rows <= PAGE + 10  # ties in the rounded amount
    assert scan.filtered <= 10


@pytest.mark.parametrize("order", TransactionOrder)
@pytest.mark.parametrize("by", ["of", "accounts", "link"])
async def test_a_page_of_accounts_reads_a_page_of_each(
    many: Many, order: TransactionOrder, mode: str, by: str
) -> None:
    after = MIDDLE[order.by_amount]

    def read(r: Recorded) -> Coroutine[Any, Any, Any]:
        if by == "of":
            return r.transactions_of(many.accounts, Filter(), order, limit=PAGE, after=after)
        filter = Filter(account_ids=tuple(many.accounts))
        if by == "link":
            filter = Filter(link_ids=(many.link,))
        return r.transactions(filter, order, limit=PAGE, after=after)

    (scan,) = await scans(many, read, "transactions", mode)

    assert (scan.kind, scan.index) == ("Index Scan", index_of(order, account=True))
    assert scan.rows <= (PAGE + 10) * ACCOUNTS
    assert scan.filtered <= 10 * ACCOUNTS


async def test_a_month_is_a_range_of_days(many: Many, mode: str) -> None:
    filter = Filter(since=date(2020, 2, 1), until=date(2020, 2, 29))
    order = TransactionOrder.DATE_ASC

    (scan,) = await scans(
        many, lambda r: r.transactions(filter, order, limit=PAGE, after=None), "transactions", mode
    )

    assert scan.index == "ix_transactions_date"
    assert scan.rows <= PAGE
    assert scan.filtered == 0


async def test_amounts_between_two_are_a_range_of_amounts(many: Many, mode: str) -> None:
    filter = Filter(min_amount=Decimal("990.00"), max_amount=Decimal("991.00"))
    order = TransactionOrder.AMOUNT_DESC

    (scan,) = await scans(
        many, lambda r: r.transactions(filter, order, limit=PAGE, after=None), "transactions", mode
    )

    assert scan.index == "ix_transactions_amount"
    assert scan.rows <= PAGE + 10
    assert scan.filtered <= 10


async def test_a_symbol_reads_its_own_transactions(many: Many, mode: str) -> None:
    found = await scans(
        many, lambda r: r.count_transactions(Filter(symbol="s3")), "transactions", mode
    )
    assert sum(scan.filtered for scan in found) == 0
    assert sum(scan.rows for scan in found) <= ROWS / ACCOUNTS


async def test_a_page_of_holdings_of_accounts_reads_theirs_only(many: Many, mode: str) -> None:
    account, after = many.accounts[0], HoldingKey("S2", UUID(int=0))

    found = await scans(
        many,
        lambda r: r.holdings_of([account], HoldingFilter(), limit=PAGE, after=after),
        "holdings",
        mode,
    )

    assert found
    assert "Seq Scan" not in {scan.kind for scan in found}
    assert all(scan.rows + scan.filtered <= 40 for scan in found)


async def test_a_history_reads_what_it_answers(many: Many, mode: str) -> None:
    since = NOON.replace(month=10)

    found = await scans(
        many,
        lambda r: r.snapshots(many.accounts, since=since, before=NOON, limit=1000),
        "balance_snapshots",
        mode,
    )

    assert {scan.index for scan in found} == {"pk_balance_snapshots"}
    assert sum(scan.rows for scan in found) <= 33 * ACCOUNTS
    assert sum(scan.filtered for scan in found) == 0


async def test_the_latest_balances_are_the_end_of_an_index(many: Many, mode: str) -> None:
    (scan,) = await scans(
        many,
        lambda r: r.latest_snapshots(many.accounts, count=2),
        "balance_snapshots",
        mode,
    )
    assert scan == Scan("Index Scan", "pk_balance_snapshots", 2 * ACCOUNTS, 0)


@pytest.mark.parametrize("table", ["transactions", "balance_snapshots"])
async def test_what_is_reconciled_are_ranges_of_each_accounts_rows(
    many: Many, mode: str, table: str
) -> None:
    def read(r: Recorded) -> Coroutine[Any, Any, Any]:
        return r.balances_and_transactions(many.accounts)

    found = await scans(many, read, table, mode)

    account = {"ix_transactions_account_date", "pk_balance_snapshots"}
    assert found
    assert {scan.index for scan in found} <= account
    assert sum(scan.rows + scan.filtered for scan in found) <= 1_000 * ACCOUNTS
