"""Balance snapshots."""

from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.tables import history as t
from adapters.postgres.values import amount, money
from adapters.postgres.writing import Row, Values, Writing
from domain.accounts import AccountId
from domain.history import BalanceSnapshot, SnapshotSource
from domain.money import Currency, Money
from domain.sync import RunId

LATEST = text("""
SELECT s.* FROM unnest(CAST(:accounts AS uuid[])) AS parent (account_id) CROSS JOIN LATERAL (
    SELECT id, account_id, at, balance, currency, available_balance, holdings_value, cash_value,
        source
    FROM balance_snapshots WHERE user_id = :me AND account_id = parent.account_id
    ORDER BY at DESC LIMIT 1
) AS s""")
ADD = insert(t.balance_snapshots).on_conflict_do_nothing().returning(t.balance_snapshots.c.id)
RESTATED = text("""
DELETE FROM balance_snapshots
WHERE user_id = :me AND account_id = :account AND at = :at AND balance <> :balance""")
DAYS = text("""
SELECT DISTINCT account_id, CAST(at AT TIME ZONE 'UTC' AS date) AS day FROM balance_snapshots
WHERE user_id = :me AND account_id = ANY (CAST(:accounts AS uuid[]))
    AND at >= CAST(CAST(:since AS date) AS timestamp) AT TIME ZONE 'UTC'
    AND at < CAST(CAST(:until AS date) + 1 AS timestamp) AT TIME ZONE 'UTC'""")
# Snapshots are added and taken back, never changed: the privileges say so too.
SPLIT = text("""
WITH whole AS (
    DELETE FROM balance_snapshots
    WHERE user_id = :me AND run_id = :run AND account_id = :account AND at = (
        SELECT max(at) FROM balance_snapshots
        WHERE user_id = :me AND run_id = :run AND account_id = :account
            AND source IN ('ACCOUNT_SYNC', 'HOLDINGS_SYNC'))
    RETURNING user_id, account_id, at, id, balance, currency, available_balance, run_id
)
INSERT INTO balance_snapshots (user_id, account_id, at, id, balance, currency, available_balance,
    run_id, holdings_value, cash_value, source)
SELECT whole.*, CAST(:held AS numeric), CAST(:cash AS numeric), 'HOLDINGS_SYNC' FROM whole""")
DELETE = text("DELETE FROM balance_snapshots WHERE user_id = :me AND run_id = :run")


class History:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def latest(self, accounts: Sequence[AccountId]) -> Mapping[AccountId, BalanceSnapshot]:
        if not accounts:
            return {}
        rows = await self._db.rows(LATEST, accounts=sorted(set(accounts)))
        return {row["account_id"]: _snapshot(row) for row in rows}

    async def add(self, snapshots: Sequence[BalanceSnapshot], *, run_id: RunId | None) -> int:
        own = {"user_id": self._db.user_id, "run_id": run_id}
        return await self._db.added(ADD, [{**own, **_values(s)} for s in snapshots])

    async def restate(self, snapshot: BalanceSnapshot) -> bool:
        given = _values(snapshot)
        which = {name: given[name] for name in ("at", "balance")}
        await self._db.run(RESTATED, account=snapshot.account_id, **which)
        return await self.add([snapshot], run_id=None) > 0

    async def days(
        self, accounts: Sequence[AccountId], since: date, until: date
    ) -> set[tuple[AccountId, date]]:
        given = sorted(set(accounts))
        rows = await self._db.rows(DAYS, accounts=given, since=since, until=until)
        return {(row["account_id"], row["day"]) for row in rows}

    async def split(
        self, account_id: AccountId, run_id: RunId, *, holdings_value: Money, cash_value: Money
    ) -> bool:
        held, cash = holdings_value.amount, cash_value.amount
        return await self._db.run(SPLIT, account=account_id, run=run_id, held=held, cash=cash) > 0

    async def delete_of_run(self, run_id: RunId) -> None:
        await self._db.run(DELETE, run=run_id)


def _snapshot(row: Row) -> BalanceSnapshot:
    currency = Currency(row["currency"])
    return BalanceSnapshot(
        id=row["id"],
        account_id=row["account_id"],
        at=row["at"],
        balance=Money(row["balance"], currency),
        source=SnapshotSource[row["source"]],
        available_balance=money(row["available_balance"], currency),
        holdings_value=money(row["holdings_value"], currency),
        cash_value=money(row["cash_value"], currency),
    )


def _values(snapshot: BalanceSnapshot) -> Values:
    currency = snapshot.balance.currency
    return {
        "account_id": snapshot.account_id,
        "at": snapshot.at,
        "id": snapshot.id,
        "balance": snapshot.balance.amount,
        "currency": currency,
        "available_balance": amount(snapshot.available_balance, currency),
        "holdings_value": amount(snapshot.holdings_value, currency),
        "cash_value": amount(snapshot.cash_value, currency),
        "source": snapshot.source.name,
    }
