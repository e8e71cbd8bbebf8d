"""Balance snapshots of accounts."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from adapters.postgres.reads.statements import Statements
from domain.accounts import AccountId
from domain.history import BalanceSnapshot, SnapshotSource
from domain.money import Money

COLUMNS = """b.id, b.account_id, b.at, b.balance, b.currency, b.available_balance,
    b.holdings_value, b.cash_value, b.source"""
OF_PARENT = f"""
        SELECT {COLUMNS} FROM balance_snapshots AS b
        WHERE b.user_id = $1 AND b.account_id = parent.account_id"""

BETWEEN = f"""
SELECT {COLUMNS} FROM unnest($2::uuid[]) AS parent (account_id) CROSS JOIN LATERAL (
    ({OF_PARENT} AND b.at < $3 ORDER BY b.at DESC LIMIT 1)
    UNION ALL
    ({OF_PARENT} AND b.at >= $3 AND b.at < $4 ORDER BY b.at LIMIT $5)
) AS b ORDER BY b.account_id, b.at LIMIT $5"""
LATEST = f"""
SELECT {COLUMNS} FROM unnest($2::uuid[]) AS parent (account_id) CROSS JOIN LATERAL (
    {OF_PARENT} ORDER BY b.at DESC LIMIT $3
) AS b ORDER BY b.account_id, b.at"""

SOURCES = dict(SnapshotSource.__members__)


class HistoryReads(Statements):
    async def snapshots(
        self, accounts: Sequence[AccountId], *, since: datetime, before: datetime, limit: int
    ) -> list[BalanceSnapshot]:
        if not accounts:
            return []
        keys = [*dict.fromkeys(accounts)]
        rows = await self.fetch(BETWEEN, self._viewer, keys, since, before, limit)
        return [snapshot_of(row) for row in rows]

    async def latest_snapshots(
        self, accounts: Sequence[AccountId], *, count: int
    ) -> list[BalanceSnapshot]:
        if not accounts:
            return []
        keys = [*dict.fromkeys(accounts)]
        return [snapshot_of(row) for row in await self.fetch(LATEST, self._viewer, keys, count)]


def snapshot_of(row: asyncpg.Record) -> BalanceSnapshot:
    id, account_id, at, balance, currency, available, holdings, cash, source = row
    return BalanceSnapshot(
        id=id,
        account_id=account_id,
        at=at,
        balance=Money(balance, currency),
        source=SOURCES[source],
        available_balance=None if available is None else Money(available, currency),
        holdings_value=None if holdings is None else Money(holdings, currency),
        cash_value=None if cash is None else Money(cash, currency),
    )
