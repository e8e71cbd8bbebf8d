"""People and what they own, put in place through the store itself."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from adapters.postgres.store import PostgresStore
from domain.accounts import Account
from domain.audit import Attempt
from domain.history import BalanceSnapshot, SnapshotId, SnapshotSource
from domain.holdings import Holding, HoldingId
from domain.identity import Actor, Role, Session, SessionId, User, UserId, new_id
from domain.links import Link
from domain.merging import Merge, TransactionMerge
from domain.money import Currency
from domain.securities import AssetType, Security, SecurityId
from domain.transactions import (
    Transaction,
    TransactionId,
    TransactionStatus,
    TransactionSubtype,
)
from tests.builders import NOW, TODAY, USD, a_link, an_account, money


def a_user(**said: Any) -> User:
    id = UserId(new_id())
    values: dict[str, Any] = {
        "id": id,
        "email": f"{id.hex}@example.com",
        "email_verified": True,
        "role": Role.USER,
        "created_at": NOW,
        "base_currency": Currency("EUR"),
        "time_zone": "Europe/Berlin",
        "session_limit": 3,
        "token_version": 2,
    }
    return User(**values | said)


def a_session(actor: Actor, **said: Any) -> Session:
    values: dict[str, Any] = {
        "id": SessionId(new_id()),
        "user_id": actor.user_id,
        "created_at": NOW,
        "last_used_at": NOW,
        "expires_at": NOW + timedelta(days=30),
        "refresh_hash": new_id().bytes,
        "is_cookie": False,
        "device": "Firefox",
        "ip_address": "192.0.2.1",
    }
    return Session(**values | said)


def a_security(**said: Any) -> Security:
    values: dict[str, Any] = {
        "id": SecurityId(new_id()),
        "name": "Apple Inc.",
        "asset_type": AssetType.EQUITY,
        "currency": USD,
        "symbol": "AAPL",
        "isin": "US0378331005",
    }
    return Security(**values | said)


def a_holding(account: Account, security: Security, **said: Any) -> Holding:
    values: dict[str, Any] = {
        "id": HoldingId(new_id()),
        "account_id": account.id,
        "security": security,
        "quantity": money("0.000000000000000001").amount,
        "market_value": money("12345678901234.5678"),
        "as_of": NOW,
        "market_price": money("150.25"),
        "average_price": money("100.10"),
        "cost_basis": money("10000.00", "EUR"),
    }
    return Holding(**values | said)


def a_transaction(account: Account, **said: Any) -> Transaction:
    values: dict[str, Any] = {
        "id": TransactionId(new_id()),
        "account_id": account.id,
        "subtype": TransactionSubtype.PURCHASE,
        "status": TransactionStatus.SETTLED,
        "amount": money("-4.50"),
        "description": "COFFEE",
        "date": TODAY,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Transaction(**values | said)


def a_snapshot(account: Account, **said: Any) -> BalanceSnapshot:
    values: dict[str, Any] = {
        "id": SnapshotId(new_id()),
        "account_id": account.id,
        "at": NOW,
        "balance": money("100.00"),
        "source": SnapshotSource.ACCOUNT_SYNC,
    }
    return BalanceSnapshot(**values | said)


def an_attempt(actor: Actor) -> Attempt:
    return Attempt("link.rename", actor, NOW, resource=f"link:{new_id()}")


async def a_person(store: PostgresStore, **said: Any) -> Actor:
    user = a_user(**said)
    actor = Actor(user_id=user.id, role=user.role)
    async with store.begin(actor, None) as work:
        await work.users.add(user, "a hash")
    return actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """One of each, as it was written."""

    link: Link
    account: Account
    security: Security
    holding: Holding
    transaction: Transaction


async def owning(store: PostgresStore, actor: Actor) -> Owned:
    """One link with an account that has a holding and a transaction, named a1 and t1 by it."""
    link = a_link(user_id=actor.user_id, login="a login")
    account = an_account(link_id=link.id, link_ids=(link.id,))
    security = a_security()
    holding = a_holding(account, security)
    transaction = a_transaction(account, security=security)
    async with store.begin(actor, None) as work:
        await work.links.add(link)
        await work.accounts.write(Merge(created=[account]))
        await work.accounts.name(link.id, {"a1": account.id})
        await work.securities.write(Merge(created=[security]))
        await work.holdings.write(Merge(created=[holding]))
        await work.transactions.write(Merge(created=[transaction]))
        await work.transactions.name(link.id, naming(transaction, "t1"))
        await work.history.add([a_snapshot(account)], run_id=None)
    return Owned(
        link=link, account=account, security=security, holding=holding, transaction=transaction
    )


def naming(transaction: Transaction, key: str) -> TransactionMerge:
    return TransactionMerge(named={(transaction.account_id, key): transaction.id})


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def within(url: str, actor: Actor, *statements: str) -> Sequence[asyncpg.Record]:
    """What the last of these says, said as the runtime role in this actor's identity."""
    async with connected(url) as db, db.transaction():
        await db.execute(f"SELECT enter('{actor.user_id}')")
        rows: Sequence[asyncpg.Record] = []
        for statement in statements:
            rows = await db.fetch(statement)
    return rows
