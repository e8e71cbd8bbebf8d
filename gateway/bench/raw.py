"""The hand-written handler beside the gateway: asyncpg, msgspec, and the gateway's own SQL.

No GraphQL, no authentication, no limits: who asks is a header. What it answers is byte for byte
what the documents of `workloads.py` ask for. Run as a program, it serves.
"""

import base64
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.postgres.pool import Pool, open_pool
from adapters.postgres.reads.statements import BEGIN
from gateway.bench.statements import ENCODED, Accounts, Recorded, Statement, Viewer
from gateway.bench.workloads import HOLDINGS

Row: TypeAlias = Sequence[Any]
Rows: TypeAlias = Sequence[Row]
Build: TypeAlias = Callable[[list[Rows]], dict[str, Any]]

# A column by which a statement is told from the others of its workload.
MARKS = {
    "accounts": "institution",
    "holdings": "market_value",
    "transactions": "merchant",
    "balances": "holdings_value",
}
POOL = 8
TRANSACTIONS_EACH, TRANSACTIONS_ALL = 10, 100


class Asked(msgspec.Struct, rename="camel"):
    operation_name: str


class Columns:
    """Where the columns of a statement's rows are; of two with one name, the first."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = [*names]

    def get(self, *names: str) -> Callable[[Row], tuple[Any, ...]]:
        return itemgetter(*(self.names.index(name) for name in names))


class Prepared:
    """The statements of one workload, and which of them reads what."""

    def __init__(self, statements: list[Statement], columns: list[Columns]) -> None:
        self.statements = statements
        self._columns = columns

    def find(self, what: str) -> tuple[int, Columns]:
        at = next(i for i, c in enumerate(self._columns) if MARKS[what] in c.names)
        return at, self._columns[at]


def _id(kind: str, id: UUID) -> str:
    return base64.b64encode(f"{kind}:{id}".encode()).decode()


def _money(amount: Any) -> dict[str, Any] | None:
    return None if amount is None else {"amount": amount}


def _by_account(rows: Rows, account: int) -> dict[UUID, list[Row]]:
    found: dict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[account]].append(row)
    return found


def dashboard(of: Prepared) -> Build:
    at_a, a = of.find("accounts")
    at_h, h = of.find("holdings")
    at_t, t = of.find("transactions")
    account = a.get(
        *("id", "name", "type", "institution", "mask", "currency", "balance"),
        *("available_balance", "as_of"),
    )
    security = h.get("symbol", "name")
    holding = h.get("id", "quantity", "market_price", "market_value")
    entry = t.get("id", "date", "amount", "description", "provider_category", "status")
    held_by, booked_in = h.names.index("account_id"), t.names.index("account_id")

    def held(row: Row) -> dict[str, Any]:
        id, quantity, price, value = holding(row)
        symbol, name = security(row)
        return {
            "id": _id("Holding", id),
            "security": {"symbol": symbol, "name": name},
            "quantity": quantity,
            "marketPrice": _money(price),
            "marketValue": {"amount": value},
        }

    def booked(row: Row) -> dict[str, Any]:
        id, date, amount, description, category, status = entry(row)
        return {
            "id": _id("Transaction", id),
            "date": date,
            "amount": {"amount": amount},
            "description": description,
            "category": category,
            "status": status,
        }

    def build(results: list[Rows]) -> dict[str, Any]:
        holdings = _by_account(results[at_h], held_by)
        transactions = _by_account(results[at_t], booked_in)
        found = []
        for row in results[at_a]:
            id, name, type, institution, mask, currency, balance, available, as_of = account(row)
            found.append(
                {
                    "id": _id("Account", id),
                    "name": name,
                    "type": type,
                    "institution": institution,
                    "mask": mask,
                    "currency": currency,
                    "balance": {"amount": balance},
                    "availableBalance": _money(available),
                    "asOf": as_of,
                    "holdings": {"nodes": [held(r) for r in holdings[id][:HOLDINGS]]},
                    "transactions": {
                        "nodes": [booked(r) for r in transactions[id][:TRANSACTIONS_EACH]]
                    },
                }
            )
        return {"accounts": found}

    return build


def transactions(of: Prepared) -> Build:
    at, t = of.find("transactions")
    names = ("id", "subtype", "status", "amount", "currency", "description", "merchant")
    entry = t.get(*names, "provider_category", "date", "settlement_date", "created_at")
    types = _types()

    def booked(row: Row) -> dict[str, Any]:
        id, subtype, status, amount, currency, text, merchant, category, on, settled, made = entry(
            row
        )
        return {
            "id": _id("Transaction", id),
            "type": types[subtype],
            "subtype": subtype,
            "status": status,
            "amount": {"amount": amount, "currency": currency},
            "description": text,
            "merchant": merchant,
            "category": category,
            "date": on,
            "settlementDate": settled,
            "createdAt": made,
        }

    def build(results: list[Rows]) -> dict[str, Any]:
        return {"transactions": {"nodes": [booked(r) for r in results[at][:TRANSACTIONS_ALL]]}}

    return build


def _types() -> dict[str, str]:
    from domain.transactions import TransactionSubtype  # noqa: PLC0415 - only here

    return {subtype.name: subtype.type.name for subtype in TransactionSubtype}


def history(of: Prepared) -> Build:
    """A balance a day, at the day's first instant: nothing has to be carried forward."""
    at_a, a = of.find("accounts")
    at_b, b = of.find("balances")
    account, point = a.get("id", "name"), b.get("at", "balance", "currency", "available_balance")
    seen_of = b.names.index("account_id")

    def seen(row: Row) -> dict[str, Any]:
        at, balance, currency, available = point(row)
        return {
            "at": at,
            "balance": {"amount": balance, "currency": currency},
            "availableBalance": _money(available),
        }

    def build(results: list[Rows]) -> dict[str, Any]:
        balances = _by_account(results[at_b], seen_of)
        found = []
        for row in results[at_a]:
            id, name = account(row)
            points = [seen(r) for r in balances[id]]
            found.append({"id": _id("Account", id), "name": name, "balanceHistory": points})
        return {"accounts": found}

    return build


BUILDS = {"dashboard": dashboard, "transactions": transactions, "history": history}


class Raw:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Asked).decode
        self._known: dict[str, tuple[list[Statement], Build]] = {}

    async def prepare(self, statements: Recorded) -> None:
        """Raises ValueError, StopIteration: a column is no longer where the answer needs it."""
        async with self._pool.acquire() as connection:
            for name, of in statements.items():
                columns = [
                    Columns([a.name for a in (await connection.prepare(s.sql)).get_attributes()])
                    for s in of
                ]
                self._known[name] = (of, BUILDS[name](Prepared(of, columns)))

    async def answer(self, request: Request) -> Response:
        viewer = UUID(request.headers["x-user"])
        asked = self._decode(await request.body())
        statements, build = self._known[asked.operation_name.lower()]
        results: list[Rows] = []
        async with self._pool.acquire() as connection:
            await connection.execute(BEGIN.format(viewer=viewer.hex))
            try:
                for statement in statements:
                    arguments = _arguments(statement, viewer, results)
                    results.append(await connection.fetch(statement.sql, *arguments))
            finally:
                await connection.execute("ROLLBACK")
        return Response(self._encode({"data": build(results)}), media_type="application/json")


def _arguments(statement: Statement, viewer: UUID, results: list[Rows]) -> list[object]:
    found: list[object] = []
    for argument in statement.arguments:
        if isinstance(argument, Viewer):
            found.append(viewer)
        elif isinstance(argument, Accounts):
            found.append([row["id"] for row in results[0]])  # type: ignore[call-overload]  # a Record
        else:
            found.append(argument.value)
    return found


def create_app(database_url: str, statements: Recorded) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        pool = await open_pool(database_url, POOL)
        raw = Raw(pool)
        await raw.prepare(statements)
        app.router.routes.append(Route("/graphql", raw.answer, methods=["POST"]))
        yield
        await pool.close()

    return Starlette(routes=[Route("/readyz", _ready)], lifespan=lifespan)


async def _ready(_: Request) -> Response:
    return Response(b"ready")


def main() -> None:
    statements = ENCODED.decode(Path(os.environ["BENCH_STATEMENTS"]).read_bytes())
    app = create_app(os.environ["BENCH_DATABASE_URL"], statements)
    uvicorn.run(app, port=int(os.environ["BENCH_PORT"]), log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
