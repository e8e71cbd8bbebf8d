"""Rows made by hand, past row-level security, and what a read sent."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from adapters.postgres.pool import Pool
from adapters.postgres.snapshot import Snapshot
from domain.accounts import AccountId
from domain.holdings import HoldingId
from domain.identity import UserId, new_id
from domain.links import LinkId
from domain.securities import SecurityId
from domain.sync import RunId
from domain.transactions import TransactionId

NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
DAY = date(2026, 11, 21)
Row = dict[str, object]


class Recorded(Snapshot):
    """A snapshot that remembers what it sent."""

    def __init__(self, pool: Pool, viewer: UserId) -> None:
        super().__init__(pool, viewer)
        self.sent: list[tuple[str, tuple[object, ...]]] = []

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        self.sent.append((sql, arguments))
        return await super().fetch(sql, *arguments)


class Owner:
    """One user, and rows of theirs; what a test does not care about is filled in."""

    def __init__(self, db: asyncpg.Connection) -> None:
        self.id = UserId(new_id())
        self.db = db

    async def put(self, table: str, **values: object) -> Any:
        await self.put_all(table, [values])
        return values.get("id")

    async def put_all(self, table: str, rows: list[Row]) -> None:
        names = ["user_id", *rows[0]]
        places = ", ".join(f"${n}" for n in range(1, len(names) + 1))
        sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"
        await self.db.executemany(sql, [(self.id, *row.values()) for row in rows])

    async def user(self, **values: object) -> None:
        row: Row = {
            "email": f"{self.id}@example.org",
            "password_hash": "",
            "role": "USER",
            "created_at": NOON,
        }
        await self.put("users", **(row | {"base_currency": "USD", "time_zone": "UTC"} | values))

    async def link(self, **values: object) -> LinkId:
        row: Row = {
            "id": new_id(),
            "provider_slug": "sandbox",
            "status": "ACTIVE",
            "created_at": NOON,
        }
        return LinkId(await self.put("links", **(row | values)))

    async def account(self, *, fed_by: tuple[LinkId, ...] = (), **values: object) -> AccountId:
        row: Row = {
            "id": new_id(),
            "provider_slug": "sandbox",
            "institution": "Bank",
            "name": "Account",
        }
        row |= {"type": "CHECKING", "currency": "USD", "balance": Decimal(0), "as_of": NOON}
        id = AccountId(await self.put("accounts", **(row | values)))
        for link_id in fed_by:
            await self.put("link_accounts", link_id=link_id, key=f"key-{id}", account_id=id)
        return id

    async def security(self, **values: object) -> SecurityId:
        row: Row = {
            "id": new_id(),
            "name": "Apple",
            "symbol": "AAPL",
            "asset_type": "EQUITY",
            "currency": "USD",
        }
        return SecurityId(await self.put("securities", **(row | values)))

    async def holding(self, account_id: UUID, security_id: UUID, **values: object) -> HoldingId:
        row: Row = {"id": new_id(), "account_id": account_id, "security_id": security_id}
        row |= {
            "quantity": Decimal(1),
            "currency": "USD",
            "market_value": Decimal(1),
            "as_of": NOON,
        }
        return HoldingId(await self.put("holdings", **(row | values)))

    async def transaction(self, account_id: UUID, **values: object) -> TransactionId:
        return TransactionId(await self.put("transactions", **a_transaction(account_id, **values)))

    async def balance(self, account_id: UUID, at: datetime, amount: str = "1") -> None:
        row: Row = {"account_id": account_id, "at": at, "id": new_id(), "balance": Decimal(amount)}
        await self.put("balance_snapshots", **row, currency="USD", source="ACCOUNT_SYNC")

    async def run(self, link_id: UUID, **values: object) -> RunId:
        row: Row = {
            "id": new_id(),
            "link_id": link_id,
            "trigger": "USER",
            "status": "SUCCEEDED",
            "queued_at": NOON,
        }
        row |= {"scopes": ["ACCOUNTS"], "touched_at": NOON, "progress": Decimal(1)}
        return RunId(await self.put("sync_runs", **(row | values)))


def a_transaction(account_id: UUID, **values: object) -> Row:
    row: Row = {"id": new_id(), "account_id": account_id, "subtype": "PURCHASE", "type": "PAYMENT"}
    row |= {
        "status": "SETTLED",
        "amount": Decimal(-1),
        "currency": "USD",
        "description": "Groceries",
    }
    return row | {"date": DAY, "created_at": NOON, "updated_at": NOON} | values
