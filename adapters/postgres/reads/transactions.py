"""Transactions, in pages by date or by amount.

A page is a range of an index that leads with the user (and the account), read in order and no
further than its limit. Where accounts or links are named, each account gives its own first rows,
and those are merged: one old account among many rows costs no more than a busy one.

Numeric comparison is not leakproof, so row-level security lets no index serve it: `amount_key`, a
rounded copy of the amount, narrows the range, and the exact amount decides.
"""

from collections.abc import Iterable, Sequence

import asyncpg

from adapters.postgres.reads import securities
from adapters.postgres.reads.clauses import Clauses
from adapters.postgres.reads.securities import SecuritiesOfRows
from adapters.postgres.reads.statements import Statements
from domain.accounts import AccountId
from domain.links import LinkId
from domain.money import Money
from domain.transactions import (
    Transaction,
    TransactionFilter,
    TransactionId,
    TransactionKey,
    TransactionOrder,
    TransactionStatus,
    TransactionSubtype,
)

COLUMNS = """t.id, t.account_id, t.subtype, t.status, t.amount, t.currency, t.description,
    t.merchant, t.provider_category, t.own_category, t.notes, t.date, t.settlement_date,
    t.quantity, t.unit_price, t.price_currency, t.commission, t.commission_currency,
    t.removed_at, t.created_at, t.updated_at, t.data_version"""
INNER = f"{COLUMNS}, t.security_id, t.amount_key"
WITH_SECURITY = f"SELECT {COLUMNS}, {securities.COLUMNS}"
SECURITY = "LEFT JOIN securities AS s ON s.user_id = $1 AND s.id = t.security_id"

PAGE = f"""
{WITH_SECURITY} FROM (
    SELECT {INNER} FROM transactions AS t
    WHERE t.user_id = $1{{where}} ORDER BY {{order}} LIMIT $2
) AS t {SECURITY} ORDER BY {{order}}"""
OF_ACCOUNTS = f"""
    SELECT {INNER} FROM {{parents}} AS parent (account_id) CROSS JOIN LATERAL (
        SELECT {INNER} FROM transactions AS t
        WHERE t.user_id = $1 AND t.account_id = parent.account_id{{where}}
        ORDER BY {{order}} LIMIT $2
    ) AS t"""
PAGES = f"""
{WITH_SECURITY} FROM ({OF_ACCOUNTS}
) AS t {SECURITY} ORDER BY t.account_id, {{order}}"""
MERGED = f"""
{WITH_SECURITY} FROM ({OF_ACCOUNTS} ORDER BY {{order}} LIMIT $2
) AS t {SECURITY} ORDER BY {{order}}"""
BY_ID = f"""
{WITH_SECURITY} FROM transactions AS t {SECURITY}
WHERE t.user_id = $1 AND t.id = ANY($2::uuid[]) ORDER BY t.date DESC, t.id DESC"""
COUNT = "SELECT count(*) FROM transactions AS t WHERE t.user_id = $1{where}"
COUNTS = """
SELECT t.account_id, count(*) FROM transactions AS t WHERE t.user_id = $1{where}
GROUP BY t.account_id"""

FED_BY = """SELECT DISTINCT account_id FROM link_accounts
    WHERE user_id = $1 AND link_id = ANY({0}::uuid[])"""
OF_SYMBOL = "SELECT id FROM securities WHERE user_id = $1 AND upper(symbol) = upper({0}::text)"

ORDERS = {
    TransactionOrder.DATE_DESC: "t.date DESC, t.id DESC",
    TransactionOrder.DATE_ASC: "t.date, t.id",
    TransactionOrder.AMOUNT_DESC: "t.amount_key DESC, t.amount DESC, t.id DESC",
    TransactionOrder.AMOUNT_ASC: "t.amount_key, t.amount, t.id",
}
STATUSES = dict(TransactionStatus.__members__)
SUBTYPES = dict(TransactionSubtype.__members__)


class TransactionReads(Statements):
    async def transactions(
        self,
        filter: TransactionFilter,
        order: TransactionOrder,
        *,
        limit: int,
        after: TransactionKey | None,
    ) -> list[Transaction]:
        if _matches_nothing(filter):
            return []
        asked = _narrowed(Clauses(self._viewer, limit), filter)
        _go_on(asked, order, after)
        parents = _parents(asked, filter.account_ids, filter.link_ids)
        page = MERGED if parents else PAGE
        sql = page.format(where=asked, order=ORDERS[order], parents=parents)
        return _all(await self.fetch(sql, *asked.arguments))

    async def transactions_of(
        self,
        accounts: Sequence[AccountId],
        filter: TransactionFilter,
        order: TransactionOrder,
        *,
        limit: int,
        after: TransactionKey | None,
    ) -> list[Transaction]:
        """By account; within one in the order asked for."""
        wanted = _both(accounts, filter.account_ids)
        if not wanted or _matches_nothing(filter):
            return []
        asked = _narrowed(Clauses(self._viewer, limit), filter)
        _go_on(asked, order, after)
        parents = _parents(asked, wanted, filter.link_ids)
        sql = PAGES.format(where=asked, order=ORDERS[order], parents=parents)
        return _all(await self.fetch(sql, *asked.arguments))

    async def transactions_by_id(self, ids: Sequence[TransactionId]) -> list[Transaction]:
        """The newest first; removed ones too."""
        return _all(await self.fetch(BY_ID, self._viewer, ids)) if ids else []

    async def count_transactions(self, filter: TransactionFilter) -> int:
        if _matches_nothing(filter):
            return 0
        asked = _narrowed(Clauses(self._viewer), filter)
        _within(asked, filter.account_ids, filter.link_ids)
        rows = await self.fetch(COUNT.format(where=asked), *asked.arguments)
        return int(rows[0][0])

    async def count_transactions_of(
        self, accounts: Sequence[AccountId], filter: TransactionFilter
    ) -> dict[AccountId, int]:
        wanted = _both(accounts, filter.account_ids)
        if not wanted or _matches_nothing(filter):
            return {}
        asked = _narrowed(Clauses(self._viewer), filter)
        _within(asked, wanted, filter.link_ids)
        rows = await self.fetch(COUNTS.format(where=asked), *asked.arguments)
        return dict(map(tuple, rows))


def _matches_nothing(filter: TransactionFilter) -> bool:
    return () in (
        filter.account_ids,
        filter.link_ids,
        filter.types,
        filter.subtypes,
        filter.statuses,
        filter.categories,
    )


def _both(
    accounts: Sequence[AccountId], others: tuple[AccountId, ...] | None
) -> tuple[AccountId, ...]:
    """Each once."""
    found = dict.fromkeys(accounts)
    return tuple(found if others is None else (id for id in found if id in others))


def _narrowed(asked: Clauses, filter: TransactionFilter) -> Clauses:
    """All but accounts and links. A symbol is compared whole, without regard to case."""
    if not filter.include_removed:
        asked.add("t.removed_at IS NULL")
    for column, kinds in (
        ("type", filter.types),
        ("subtype", filter.subtypes),
        ("status", filter.statuses),
    ):
        if kinds is not None:
            asked.add(f"t.{column} = ANY({{0}}::text[])", [kind.name for kind in kinds])
    if filter.categories is not None:  # an empty one of the owner's says: none
        asked.add("t.own_category IS DISTINCT FROM ''")
        asked.add(
            "coalesce(t.own_category, t.provider_category) = ANY({0}::text[])", filter.categories
        )
    if filter.since is not None:
        asked.add("t.date >= {0}::date", filter.since)
    if filter.until is not None:
        asked.add("t.date <= {0}::date", filter.until)
    if filter.symbol is not None:
        asked.add(f"t.security_id = ANY(ARRAY({OF_SYMBOL}))", filter.symbol)
    if filter.search is not None:
        asked.add("(t.description ILIKE {0} OR t.merchant ILIKE {0})", _containing(filter.search))
    if filter.min_amount is not None:
        asked.add("t.amount_key >= {0}::numeric::float8 AND t.amount >= {0}", filter.min_amount)
    if filter.max_amount is not None:
        asked.add("t.amount_key <= {0}::numeric::float8 AND t.amount <= {0}", filter.max_amount)
    return asked


def _containing(words: str) -> str:
    """A LIKE pattern; what the words themselves hold of its signs stands for itself."""
    escaped = words.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"


def _go_on(asked: Clauses, order: TransactionOrder, after: TransactionKey | None) -> None:
    if after is None:
        return
    sign = "<" if order.descending else ">"
    if order.by_amount:
        asked.add(
            f"t.amount_key {sign}= {{0}}::numeric::float8"
            f" AND (t.amount, t.id) {sign} ({{0}}, {{1}}::uuid)",
            after.by,
            after.id,
        )
    else:
        asked.add(f"(t.date, t.id) {sign} ({{0}}::date, {{1}}::uuid)", after.by, after.id)


def _parents(
    asked: Clauses, accounts: Sequence[AccountId] | None, links: Sequence[LinkId] | None
) -> str | None:
    """What to read accounts' pages for, each account once; None where nothing was named."""
    if links is not None:
        fed = FED_BY.format(asked.argument(links))
        if accounts is not None:
            fed += f" AND account_id = ANY({asked.argument(accounts)}::uuid[])"
        return f"({fed})"
    if accounts is not None:
        return f"unnest({asked.argument([*dict.fromkeys(accounts)])}::uuid[])"
    return None


def _within(
    asked: Clauses, accounts: Sequence[AccountId] | None, links: Sequence[LinkId] | None
) -> None:
    if accounts is not None:
        asked.add("t.account_id = ANY({0}::uuid[])", accounts)
    if links is not None:
        asked.add(f"t.account_id = ANY(ARRAY({FED_BY}))", links)


def _all(rows: Iterable[asyncpg.Record]) -> list[Transaction]:
    known = SecuritiesOfRows()
    return [transaction_of(row, known) for row in rows]


def transaction_of(row: asyncpg.Record, known: SecuritiesOfRows) -> Transaction:
    (
        id,
        account_id,
        subtype,
        status,
        amount,
        currency,
        description,
        merchant,
        provider_category,
        own_category,
        notes,
        date,
        settlement_date,
        quantity,
        unit_price,
        price_currency,
        commission,
        commission_currency,
        removed_at,
        created_at,
        updated_at,
        data_version,
        *security,
    ) = row
    return Transaction(
        id=id,
        account_id=account_id,
        subtype=SUBTYPES[subtype],
        status=STATUSES[status],
        amount=Money(amount, currency),
        description=description,
        date=date,
        created_at=created_at,
        updated_at=updated_at,
        merchant=merchant,
        provider_category=provider_category,
        own_category=own_category,
        notes=notes,
        settlement_date=settlement_date,
        security=known.of(security),
        quantity=quantity,
        unit_price=None if unit_price is None else Money(unit_price, price_currency),
        commission=None if commission is None else Money(commission, commission_currency),
        removed_at=removed_at,
        data_version=data_version,
    )
