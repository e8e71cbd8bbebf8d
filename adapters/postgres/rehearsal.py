"""Reading without a server, to learn what will be said to it; and saying that on each connection.

A connection has to parse and plan each statement the first time, which takes as long as all the
rest of a small request; and to look up the tables, functions and types that it names.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from adapters.postgres.doors import SESSION_BY_HASH, SESSION_BY_ID
from adapters.postgres.pool import Connection, Pool, answer
from adapters.postgres.reads.identity import COUNTS, USER
from adapters.postgres.reads.statements import BEGIN
from adapters.postgres.snapshot import Snapshot
from domain.accounts import Account, AccountId, AccountType
from domain.holdings import Holding, HoldingId
from domain.identity import NOBODY, Role, User
from domain.links import Link, LinkId, LinkStatus
from domain.money import Currency, Money
from domain.securities import AssetType, Security, SecurityId
from domain.storage.reads import Counts
from domain.transactions import Transaction, TransactionId, TransactionStatus, TransactionSubtype

PREPARED_MAX = 80  # asyncpg keeps 100 a connection: there is room for what nobody rehearsed
# Its first plans are made for the values at hand, and tell PostgreSQL whether one for all values is
# as good: nobody's values would tell it wrong. This makes the one for all, and tells nothing.
BEGIN_REHEARSAL = (
    f"{BEGIN.format(viewer=NOBODY.hex)}; SET LOCAL plan_cache_mode = force_generic_plan"
)

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
USD, CHF = Currency("USD"), Currency("CHF")
LINK = Link(
    id=LinkId(UUID(int=1)),
    user_id=NOBODY,
    provider_slug="sandbox",
    status=LinkStatus.ACTIVE,
    created_at=LONG_AGO,
    connected_at=LONG_AGO,
)
ACCOUNT = Account(
    id=AccountId(UUID(int=1)),
    link_id=LINK.id,
    link_ids=(LINK.id,),
    provider_slug=LINK.provider_slug,
    institution="",
    name="",
    type=AccountType.CHECKING,
    balance=Money(Decimal(0), USD),
    as_of=LONG_AGO,
)
SECURITY = Security(
    id=SecurityId(UUID(int=1)), name="", asset_type=AssetType.EQUITY, currency=USD, key=""
)
HOLDING = Holding(
    id=HoldingId(UUID(int=1)),
    account_id=ACCOUNT.id,
    security=SECURITY,
    quantity=Decimal(1),
    market_value=Money(Decimal(0), USD),
    as_of=LONG_AGO,
)
TRANSACTION = Transaction(
    id=TransactionId(UUID(int=1)),
    account_id=ACCOUNT.id,
    subtype=TransactionSubtype.DEPOSIT,
    status=TransactionStatus.SETTLED,
    amount=Money(Decimal(0), USD),
    description="",
    date=LONG_AGO.date(),
    created_at=LONG_AGO,
    updated_at=LONG_AGO,
    security=SECURITY,
)
VIEWER = User(
    id=NOBODY,
    email="",
    email_verified=True,
    role=Role.READONLY,
    created_at=LONG_AGO,
    base_currency=USD,
    time_zone="UTC",
)


class Rehearsal(Snapshot):
    """`said` is what would have been said, each with the last arguments that it had.

    Whoever reads finds one of each of what most is read of, so that what is read of that is said
    too. The server hears nothing.
    """

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, NOBODY)
        self.said: dict[str, tuple[object, ...]] = {}

    async def begin(self) -> None:
        """What most requests need, whatever they ask for."""
        self.said[SESSION_BY_ID] = (NOBODY, NOBODY)
        self.said[SESSION_BY_HASH] = (b"",)
        await self.viewer()
        await self.counts()
        await self.accounts()
        await self.links()
        await self.securities_by_id([SecurityId(UUID(int=1))])
        await self.rates([USD, CHF], since=date(2000, 1, 1), until=date(2000, 1, 2))

    async def fetch(self, sql: str, *arguments: object) -> list[Any]:
        self.said[sql] = arguments
        return [(0,)] if sql.lstrip().startswith("SELECT count(") else []

    async def entered(self) -> int:
        return 0

    async def counts(self) -> Counts:
        await self.fetch(COUNTS, NOBODY)
        return Counts(links=1, accounts=1, accounts_of_link=1)

    async def links(self, ids: Sequence[LinkId] | None = None) -> list[Link]:
        await super().links(ids)
        return [LINK]

    async def holdings(self, *asked: Any, **page: Any) -> list[Holding]:
        await super().holdings(*asked, **page)
        return [HOLDING]

    async def holdings_of(self, *asked: Any, **page: Any) -> list[Holding]:
        await super().holdings_of(*asked, **page)
        return [HOLDING]

    async def transactions(self, *asked: Any, **page: Any) -> list[Transaction]:
        await super().transactions(*asked, **page)
        return [TRANSACTION]

    async def transactions_of(self, *asked: Any, **page: Any) -> list[Transaction]:
        await super().transactions_of(*asked, **page)
        return [TRANSACTION]

    async def _read_viewer(self) -> User:
        await self.fetch(USER, NOBODY)
        return VIEWER

    async def _read_accounts(self) -> tuple[Account, ...]:
        await super()._read_accounts()
        return (ACCOUNT,)


async def prepare(pool: Pool, said: Mapping[str, Sequence[object]]) -> int:
    """Each connection that is free says it for nobody, who has no rows, and knows it from then on.
    How many those are.

    Raises: Unavailable, asyncpg.PostgresError.
    """
    some = dict([*said.items()][:PREPARED_MAX])

    async def say(connection: Connection) -> None:
        await connection.execute(BEGIN_REHEARSAL)
        try:
            for sql, arguments in some.items():
                try:
                    await connection.fetch(sql, *arguments)
                except asyncpg.DataError:  # by nobody's values; it is prepared all the same
                    await connection.execute(f"ROLLBACK; {BEGIN_REHEARSAL}")
        finally:
            await connection.execute("ROLLBACK")

    # They are all taken before one is given back: each is another.
    free: int = pool.get_idle_size()
    await asyncio.gather(*(answer(pool, say) for _ in range(free)))
    return free
