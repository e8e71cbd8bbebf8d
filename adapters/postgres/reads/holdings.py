"""Holdings, each with its security, in pages by what the security is sorted by."""

from collections.abc import Iterable, Sequence

import asyncpg

from adapters.postgres.reads import securities
from adapters.postgres.reads.clauses import Clauses
from adapters.postgres.reads.securities import SecuritiesOfRows
from adapters.postgres.reads.statements import Statements
from domain.accounts import AccountId
from domain.holdings import Holding, HoldingFilter, HoldingId, HoldingKey
from domain.money import Money

OWN = """h.id, h.account_id, h.quantity, h.currency, h.market_value, h.market_price,
    h.price_currency, h.average_price, h.cost_basis, h.cost_currency, h.as_of, h.is_active,
    h.data_version"""
COLUMNS = f"{OWN}, {securities.COLUMNS}"
JOINED = "holdings AS h JOIN securities AS s ON s.user_id = $1 AND s.id = h.security_id"

PAGE = f"""
SELECT {COLUMNS} FROM {JOINED} WHERE h.user_id = $1{{where}}
ORDER BY s.sort_key, h.id LIMIT $2"""
PAGES = f"""
SELECT {COLUMNS} FROM unnest($3::uuid[]) AS parent (account_id)
CROSS JOIN LATERAL (
    SELECT {OWN}, h.security_id, s.sort_key FROM {JOINED}
    WHERE h.user_id = $1 AND h.account_id = parent.account_id{{where}}
    ORDER BY s.sort_key, h.id LIMIT $2
) AS h
JOIN securities AS s ON s.user_id = $1 AND s.id = h.security_id
ORDER BY h.account_id, h.sort_key, h.id"""
BY_ID = f"""
SELECT {COLUMNS} FROM {JOINED} WHERE h.user_id = $1 AND h.id = ANY($2::uuid[])
ORDER BY s.sort_key, h.id"""
COUNT = f"SELECT count(*) FROM {JOINED} WHERE h.user_id = $1{{where}}"
COUNTS = f"""
SELECT h.account_id, count(*) FROM {JOINED} WHERE h.user_id = $1{{where}} GROUP BY h.account_id"""


class HoldingReads(Statements):
    async def holdings(
        self, filter: HoldingFilter, *, limit: int, after: HoldingKey | None
    ) -> list[Holding]:
        if _matches_nothing(filter):
            return []
        asked = _narrowed(Clauses(self._viewer, limit), filter, after)
        return _all(await self.fetch(PAGE.format(where=asked), *asked.arguments))

    async def holdings_of(
        self,
        accounts: Sequence[AccountId],
        filter: HoldingFilter,
        *,
        limit: int,
        after: HoldingKey | None,
    ) -> list[Holding]:
        """By account; within one by symbol, or name where there is none, then id."""
        if not accounts or _matches_nothing(filter):
            return []
        asked = _narrowed(Clauses(self._viewer, limit, [*dict.fromkeys(accounts)]), filter, after)
        return _all(await self.fetch(PAGES.format(where=asked), *asked.arguments))

    async def holdings_by_id(self, ids: Sequence[HoldingId]) -> list[Holding]:
        """By symbol, or name where there is none, then id."""
        return _all(await self.fetch(BY_ID, self._viewer, ids)) if ids else []

    async def count_holdings(self, filter: HoldingFilter) -> int:
        if _matches_nothing(filter):
            return 0
        asked = _narrowed(Clauses(self._viewer), filter, None)
        rows = await self.fetch(COUNT.format(where=asked), *asked.arguments)
        return int(rows[0][0])

    async def count_holdings_of(
        self, accounts: Sequence[AccountId], filter: HoldingFilter
    ) -> dict[AccountId, int]:
        if not accounts or _matches_nothing(filter):
            return {}
        asked = _narrowed(Clauses(self._viewer), filter, None)
        asked.add("h.account_id = ANY({0}::uuid[])", accounts)
        rows = await self.fetch(COUNTS.format(where=asked), *asked.arguments)
        return dict(map(tuple, rows))


def _matches_nothing(filter: HoldingFilter) -> bool:
    return () in (filter.account_ids, filter.asset_types)


def _narrowed(asked: Clauses, filter: HoldingFilter, after: HoldingKey | None) -> Clauses:
    """A symbol is compared whole, without regard to case."""
    if not filter.include_closed:
        asked.add("h.is_active")
    if filter.account_ids is not None:
        asked.add("h.account_id = ANY({0}::uuid[])", filter.account_ids)
    if filter.asset_types is not None:
        asked.add("s.asset_type = ANY({0}::text[])", [kind.name for kind in filter.asset_types])
    if filter.symbol is not None:
        asked.add("upper(s.symbol) = upper({0}::text)", filter.symbol)
    if after is not None:
        asked.add("(s.sort_key, h.id) > ({0}::text, {1}::uuid)", after.symbol, after.id)
    return asked


def _all(rows: Iterable[asyncpg.Record]) -> list[Holding]:
    known = SecuritiesOfRows()
    return [holding_of(row, known) for row in rows]


def holding_of(row: asyncpg.Record, known: SecuritiesOfRows) -> Holding:
    (
        id,
        account_id,
        quantity,
        currency,
        market_value,
        market_price,
        price_currency,
        average_price,
        cost_basis,
        cost_currency,
        as_of,
        is_active,
        data_version,
        *security,
    ) = row
    found = known.of(security)
    assert found is not None  # noqa: S101 - an inner join
    return Holding(
        id=id,
        account_id=account_id,
        security=found,
        quantity=quantity,
        market_value=Money(market_value, currency),
        as_of=as_of,
        market_price=None if market_price is None else Money(market_price, price_currency),
        average_price=None if average_price is None else Money(average_price, price_currency),
        cost_basis=None if cost_basis is None else Money(cost_basis, cost_currency),
        is_active=is_active,
        data_version=data_version,
    )
