"""The same API the usual way: stock Strawberry, its own ASGI view, a loader a relation.

As somebody who knows the library would write it: parser and validation caches, loaders of
aiodataloader made for each request, an asyncpg pool without its reset query, plain SQL that asks
for just the columns it needs and says WHERE user_id. It has no authentication (who asks is a
header), no limits, no row-level security and no snapshot; its history carries nothing forward.
Run as a program, it serves.
"""

import base64
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Annotated, Any, TypeAlias, TypeVar
from uuid import UUID

import asyncpg
import strawberry
import uvicorn
from aiodataloader import DataLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

import domain.accounts as accounts_
import domain.transactions as transactions_

POOL = 8
T = TypeVar("T")
Day: TypeAlias = date  # in a class whose own field is called date

ACCOUNTS = """
SELECT id, name, type, institution, mask, currency, balance, available_balance, as_of
FROM accounts WHERE user_id = $1 AND is_active ORDER BY name COLLATE "C", id"""
HOLDINGS = """
SELECT a.id AS account_id, h.* FROM unnest($2::uuid[]) AS a (id) CROSS JOIN LATERAL (
    SELECT h.id, h.quantity, h.currency, h.market_price, h.price_currency, h.market_value,
        s.symbol, s.name
    FROM holdings AS h JOIN securities AS s ON s.user_id = $1 AND s.id = h.security_id
    WHERE h.user_id = $1 AND h.account_id = a.id AND h.is_active
    ORDER BY s.sort_key, h.id LIMIT $3
) AS h"""
TRANSACTION = """t.id, t.type, t.subtype, t.status, t.amount, t.currency, t.description, t.merchant,
    coalesce(t.own_category, t.provider_category) AS category, t.date, t.settlement_date,
    t.created_at"""
TRANSACTIONS_OF = f"""
SELECT a.id AS account_id, t.* FROM unnest($2::uuid[]) AS a (id) CROSS JOIN LATERAL (
    SELECT {TRANSACTION} FROM transactions AS t
    WHERE t.user_id = $1 AND t.account_id = a.id AND t.removed_at IS NULL
    ORDER BY t.date DESC, t.id DESC LIMIT $3
) AS t"""  # noqa: S608 - of our own constants
TRANSACTIONS = f"""
SELECT {TRANSACTION} FROM transactions AS t WHERE t.user_id = $1 AND t.removed_at IS NULL
ORDER BY t.date DESC, t.id DESC LIMIT $2"""  # noqa: S608 - same
BALANCES = """
SELECT account_id, at, balance, currency, available_balance FROM balance_snapshots
WHERE user_id = $1 AND account_id = ANY($2::uuid[]) AND at >= $3 AND at < $4
ORDER BY account_id, at"""


def _enum(of: type[Enum]) -> Any:
    """An enum of its own, of the same names: the gateway's is marked for the gateway's schema."""
    names = [(name, name) for name in of.__members__]
    made: Any = Enum(of.__name__, names)  # type: ignore[misc]  # its name is not written here
    return strawberry.enum(made)


AccountType, TransactionType = _enum(accounts_.AccountType), _enum(transactions_.TransactionType)
TransactionSubtype = _enum(transactions_.TransactionSubtype)
TransactionStatus = _enum(transactions_.TransactionStatus)


def _id(kind: str, id: UUID) -> strawberry.ID:
    return strawberry.ID(base64.b64encode(f"{kind}:{id}".encode()).decode())


@strawberry.type
class Money:
    amount: Decimal
    currency: str


@strawberry.type
class Security:
    symbol: str | None
    name: str


@strawberry.type
class Holding:
    id: strawberry.ID
    security: Security
    quantity: Decimal
    market_price: Money | None
    market_value: Money


@strawberry.type
class HoldingConnection:
    nodes: list[Holding]


@strawberry.type
class Transaction:
    id: strawberry.ID
    type: TransactionType  # type: ignore[valid-type]  # made above
    subtype: TransactionSubtype  # type: ignore[valid-type]  # same
    status: TransactionStatus  # type: ignore[valid-type]  # same
    amount: Money
    description: str
    merchant: str | None
    category: str | None
    date: Day
    settlement_date: Day | None
    created_at: datetime


@strawberry.type
class TransactionConnection:
    nodes: list[Transaction]


@strawberry.type
class BalancePoint:
    at: datetime
    balance: Money
    available_balance: Money | None


Info: TypeAlias = strawberry.Info["Context", None]


@strawberry.type
class Account:
    key: strawberry.Private[UUID]
    id: strawberry.ID
    name: str
    type: AccountType  # type: ignore[valid-type]  # made above
    institution: str
    mask: str | None
    currency: str
    balance: Money
    available_balance: Money | None
    as_of: datetime

    @strawberry.field
    async def holdings(self, info: Info, first: int = 100) -> HoldingConnection:
        found = await info.context.loader(holdings_of, first).load(self.key)
        return HoldingConnection(nodes=found)

    @strawberry.field
    async def transactions(self, info: Info, first: int = 50) -> TransactionConnection:
        found = await info.context.loader(transactions_of, first).load(self.key)
        return TransactionConnection(nodes=found)

    @strawberry.field
    async def balance_history(
        self,
        info: Info,
        since: Annotated[date, strawberry.argument(name="from")],
        until: Annotated[date, strawberry.argument(name="to")],
    ) -> list[BalancePoint]:
        found: list[BalancePoint] = await info.context.loader(balances_of, since, until).load(
            self.key
        )
        return found


@strawberry.type
class Query:
    @strawberry.field
    async def accounts(self, info: Info) -> list[Account]:
        rows = await info.context.pool.fetch(ACCOUNTS, info.context.user_id)
        return [account(row) for row in rows]

    @strawberry.field
    async def transactions(self, info: Info, first: int = 50) -> TransactionConnection:
        rows = await info.context.pool.fetch(TRANSACTIONS, info.context.user_id, first)
        return TransactionConnection(nodes=[transaction(row) for row in rows])


Loader: TypeAlias = "DataLoader[UUID, Any]"


class Context:
    """Of one request: who asks, and the loaders, each made when it is first needed."""

    def __init__(self, pool: asyncpg.Pool, user_id: UUID) -> None:
        self.pool, self.user_id = pool, user_id
        self._loaders: dict[object, Loader] = {}

    def loader(self, load: Callable[..., Any], *arguments: object) -> Loader:
        key = (load, *arguments)
        if key not in self._loaders:
            self._loaders[key] = DataLoader(partial(load, self, *arguments))
        return self._loaders[key]


async def holdings_of(
    context: Context, first: int, accounts: Sequence[UUID]
) -> list[list[Holding]]:
    rows = await context.pool.fetch(HOLDINGS, context.user_id, accounts, first)
    return _grouped(accounts, rows, holding)


async def transactions_of(
    context: Context, first: int, accounts: Sequence[UUID]
) -> list[list[Transaction]]:
    rows = await context.pool.fetch(TRANSACTIONS_OF, context.user_id, accounts, first)
    return _grouped(accounts, rows, transaction)


async def balances_of(
    context: Context, since: date, until: date, accounts: Sequence[UUID]
) -> list[list[BalancePoint]]:
    begins = datetime.combine(since, time.min, UTC)
    ends = datetime.combine(until + timedelta(days=1), time.min, UTC)
    rows = await context.pool.fetch(BALANCES, context.user_id, accounts, begins, ends)
    return _grouped(accounts, rows, balance_point)


def _grouped(
    keys: Sequence[UUID], rows: Iterable[asyncpg.Record], make: Callable[[asyncpg.Record], T]
) -> list[list[T]]:
    found: dict[UUID, list[T]] = defaultdict(list)
    for row in rows:
        found[row["account_id"]].append(make(row))
    return [found[key] for key in keys]


def _money(amount: Decimal | None, currency: str) -> Money | None:
    return None if amount is None else Money(amount=amount, currency=currency)


def account(row: asyncpg.Record) -> Account:
    currency = row["currency"]
    return Account(
        key=row["id"],
        id=_id("Account", row["id"]),
        name=row["name"],
        type=AccountType[row["type"]],
        institution=row["institution"],
        mask=row["mask"],
        currency=currency,
        balance=Money(amount=row["balance"], currency=currency),
        available_balance=_money(row["available_balance"], currency),
        as_of=row["as_of"],
    )


def holding(row: asyncpg.Record) -> Holding:
    return Holding(
        id=_id("Holding", row["id"]),
        security=Security(symbol=row["symbol"], name=row["name"]),
        quantity=row["quantity"],
        market_price=_money(row["market_price"], row["price_currency"]),
        market_value=Money(amount=row["market_value"], currency=row["currency"]),
    )


def transaction(row: asyncpg.Record) -> Transaction:
    return Transaction(
        id=_id("Transaction", row["id"]),
        type=TransactionType[row["type"]],
        subtype=TransactionSubtype[row["subtype"]],
        status=TransactionStatus[row["status"]],
        amount=Money(amount=row["amount"], currency=row["currency"]),
        description=row["description"],
        merchant=row["merchant"],
        category=row["category"],
        date=row["date"],
        settlement_date=row["settlement_date"],
        created_at=row["created_at"],
    )


def balance_point(row: asyncpg.Record) -> BalancePoint:
    currency = row["currency"]
    return BalancePoint(
        at=row["at"],
        balance=Money(amount=row["balance"], currency=currency),
        available_balance=_money(row["available_balance"], currency),
    )


class View(GraphQL[Context, None]):
    pool: asyncpg.Pool

    async def get_context(self, request: Any, response: Any) -> Context:
        return Context(self.pool, UUID(request.headers["x-user"]))


async def _as_it_is(_: Any) -> None:
    """Instead of the query by which asyncpg resets a session: it would cost stock a round trip."""


def create_app(database_url: str) -> Starlette:
    schema = strawberry.Schema(Query, extensions=[ParserCache, ValidationCache])
    view = View(schema, graphql_ide=None)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with asyncpg.create_pool(
            database_url, min_size=POOL, max_size=POOL, reset=_as_it_is
        ) as view.pool:
            yield

    async def ready(_: Request) -> Response:
        return Response(b"ready")

    return Starlette(routes=[Route("/readyz", ready), Route("/graphql", view)], lifespan=lifespan)


def main() -> None:
    app = create_app(os.environ["BENCH_DATABASE_URL"])
    uvicorn.run(app, port=int(os.environ["BENCH_PORT"]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
