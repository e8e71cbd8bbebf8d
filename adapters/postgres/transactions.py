"""Transactions, and by which keys which links name them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from sqlalchemy import RowMapping, bindparam, select, text

from adapters.postgres.securities import BESIDE, securities_by_id, security_of
from adapters.postgres.tables import holdings
from adapters.postgres.tables import transactions as t
from adapters.postgres.values import money
from adapters.postgres.writing import ME, Row, Values, Writing, among, locked
from domain.accounts import AccountId
from domain.errors import NotFound
from domain.links import LinkId
from domain.merging import Merge, StoredTransactions, TransactionMerge
from domain.money import Currency, Money
from domain.securities import Security
from domain.transactions import (
    Transaction,
    TransactionId,
    TransactionStatus,
    TransactionSubtype,
)

HIDDEN = ("user_id", "type", "amount_key")
COLUMNS = [c for c in t.transactions.c if c.name not in HIDDEN]
TRANSACTIONS = (
    select(*COLUMNS, *BESIDE)
    .select_from(t.transactions)
    .outerjoin(
        holdings.securities,
        (holdings.securities.c.user_id == t.transactions.c.user_id)
        & (holdings.securities.c.id == t.transactions.c.security_id),
    )
    .where(t.transactions.c.user_id == ME)
)
ONE = TRANSACTIONS.where(t.transactions.c.id == bindparam("id"))
BY_ID = TRANSACTIONS.where(among(t.transactions.c.id, "ids")).order_by(t.transactions.c.id)
# Without the securities beside them, which many share.
ALONE = select(*COLUMNS).where(t.transactions.c.user_id == ME, among(t.transactions.c.id, "ids"))
# LIMIT and OFFSET keep the planner at one look into an index for each row: what it thinks of
# tables that have just been filled would cost a hundred times that. Only of transaction_keys, for
# which it knows no person from another (migration 0007): it would take another's index for as good.
KEYED = text("""
SELECT asked.account_id, asked.key, named.transaction_id, named.is_replaced
FROM unnest(CAST(:accounts AS uuid[]), CAST(:keys AS text[])) AS asked (account_id, key)
CROSS JOIN LATERAL (
    SELECT k.transaction_id, k.is_replaced FROM transaction_keys k
    WHERE k.user_id = :me AND k.link_id = :link
        AND k.account_id = asked.account_id AND k.key = asked.key LIMIT 1
) AS named""")
# Whether it is removed is asked of the row; what is gone at one source may not be at the other.
OTHERS = TRANSACTIONS.where(
    text(
        "transactions.account_id = ANY (CAST(:accounts AS uuid[]))"
        " AND transactions.date BETWEEN :first AND :last AND transactions.removed_at IS NULL"
        " AND NOT EXISTS (SELECT FROM transaction_keys AS k WHERE k.user_id = :me"
        " AND k.transaction_id = transactions.id AND k.link_id = :link OFFSET 0)"
    )
).order_by(t.transactions.c.id)
# Of a file all keys are known: what this link named by another one may be meant by its content.
NAMED_HERE = text("""
SELECT t.id, named.account_id, named.key FROM transactions t
CROSS JOIN LATERAL (
    SELECT k.account_id, k.key FROM transaction_keys k
    WHERE k.user_id = :me AND k.transaction_id = t.id AND k.link_id = :link OFFSET 0
) AS named
WHERE t.user_id = :me AND t.account_id = ANY (CAST(:accounts AS uuid[]))
    AND t.date BETWEEN :first AND :last AND t.removed_at IS NULL""")
# Of an account few are pending; the dates are looked up, and so little more is looked at.
PENDING = text("""
SELECT t.id, named.key FROM transactions t
CROSS JOIN LATERAL (
    SELECT k.key FROM transaction_keys k
    WHERE k.user_id = :me AND k.transaction_id = t.id AND k.link_id = :link OFFSET 0
) AS named
WHERE t.user_id = :me AND t.account_id = ANY (CAST(:accounts AS uuid[]))
    AND t.date >= :since AND t.status = 'PENDING'""")
NAME = text("""
INSERT INTO transaction_keys (user_id, link_id, account_id, key, transaction_id, is_replaced)
SELECT :me, :link, given.* FROM unnest(CAST(:accounts AS uuid[]), CAST(:keys AS text[]),
    CAST(:transactions AS uuid[]), CAST(:replaced AS boolean[])) AS given
ON CONFLICT (user_id, link_id, account_id, key)
DO UPDATE SET transaction_id = EXCLUDED.transaction_id, is_replaced = EXCLUDED.is_replaced
WHERE transaction_keys.transaction_id <> EXCLUDED.transaction_id
    OR transaction_keys.is_replaced <> EXCLUDED.is_replaced""")
UNNAME = text("""
DELETE FROM transaction_keys
WHERE user_id = :me AND link_id = :link AND account_id = ANY (CAST(:accounts AS uuid[]))""")
NAMED_BY_OTHERS = text("""
SELECT asked.id, named.links FROM unnest(CAST(:ids AS uuid[])) AS asked (id)
CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT k.link_id) AS links FROM transaction_keys k
    WHERE k.user_id = :me AND k.transaction_id = asked.id AND k.link_id <> :link
) AS named
WHERE named.links IS NOT NULL""")


class Transactions:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def get(self, id: TransactionId, *, lock: bool = False) -> Transaction:
        row = await self._db.row(locked(ONE, of=t.transactions) if lock else ONE, id=id)
        if row is None:
            raise NotFound("no such transaction")
        return _beside(row)

    async def stored(
        self,
        link_id: LinkId,
        keys: Sequence[tuple[AccountId, str]],
        days: tuple[date, date] | None,
        *,
        named_now: Sequence[tuple[AccountId, str]] | None = None,
    ) -> StoredTransactions:
        """Other links' transactions are looked for only where a key is not known."""
        if not keys:
            return StoredTransactions(by_key={})
        accounts = [account for account, _ in keys]
        by_key, replaced = await self._keyed(link_id, accounts, [key for _, key in keys])
        if days is None or all(key in by_key for key in keys):
            return StoredTransactions(by_key=by_key, replaced=replaced)
        where = {"accounts": sorted(set(accounts)), "first": days[0], "last": days[1]}
        others = await self._db.rows(OTHERS, link=link_id, **where)
        unnamed: Sequence[RowMapping] = ()
        if named_now is not None:
            here = await self._db.rows(NAMED_HERE, link=link_id, **where)
            now = set(named_now)
            kept = {row["id"] for row in here if (row["account_id"], row["key"]) in now}
            lost = sorted({row["id"] for row in here} - kept)
            unnamed = await self._db.rows(BY_ID, ids=lost)
        return StoredTransactions(
            by_key=by_key,
            others=[_beside(row) for row in others],
            unnamed=[_beside(row) for row in unnamed],
            replaced=replaced,
        )

    async def _keyed(
        self, link_id: LinkId, accounts: Sequence[AccountId], keys: Sequence[str]
    ) -> tuple[Mapping[tuple[AccountId, str], Transaction], set[tuple[AccountId, str]]]:
        """What each key names, and those of them whose pending row has settled under another."""
        named = await self._db.rows(KEYED, link=link_id, accounts=accounts, keys=keys)
        if not named:
            return {}, set()
        rows = await self._db.rows(ALONE, ids=[name["transaction_id"] for name in named])
        ids = (row["security_id"] for row in rows if row["security_id"] is not None)
        securities = await securities_by_id(self._db, ids)
        found = {row["id"]: transaction_of(row, securities.get(row["security_id"])) for row in rows}
        known = {(name["account_id"], name["key"]): name for name in named}
        replaced = {key for key, name in known.items() if name["is_replaced"]}
        return {key: found[name["transaction_id"]] for key, name in known.items()}, replaced

    async def pending(
        self, link_id: LinkId, accounts: Sequence[AccountId], since: date
    ) -> Sequence[tuple[Transaction, str]]:
        named = await self._db.rows(PENDING, link=link_id, accounts=accounts, since=since)
        if not named:
            return []
        rows = await self._db.rows(BY_ID, ids=sorted({row["id"] for row in named}))
        found = {row["id"]: _beside(row) for row in rows}
        return [(found[row["id"]], row["key"]) for row in named]

    async def write(self, merge: Merge[Transaction]) -> None:
        await self._db.write(t.transactions, merge, transaction_values)

    async def name(self, link_id: LinkId, merge: TransactionMerge) -> None:
        if merge.named:
            accounts, keys = zip(*merge.named, strict=True)
            ids = list(merge.named.values())
            replaced = [key in merge.replaced for key in merge.named]
            given = {"accounts": accounts, "keys": keys, "transactions": ids, "replaced": replaced}
            await self._db.add_all(NAME, len(ids), link=link_id, **given)

    async def delete(self, ids: Sequence[TransactionId]) -> None:
        await self._db.bury(t.transactions, "transaction", ids)

    async def unname(self, link_id: LinkId, accounts: Sequence[AccountId]) -> None:
        if accounts:
            await self._db.run(UNNAME, link=link_id, accounts=accounts)

    async def named_by_others(
        self, link_id: LinkId, ids: Sequence[TransactionId]
    ) -> Mapping[TransactionId, Collection[LinkId]]:
        rows = await self._db.rows(NAMED_BY_OTHERS, link=link_id, ids=ids)
        return {row["id"]: row["links"] for row in rows}


def _beside(row: RowMapping) -> Transaction:
    security = None if row["security_id"] is None else security_of(row, "s_")
    return transaction_of(row, security)


def transaction_of(row: Row, security: Security | None) -> Transaction:
    return Transaction(
        id=row["id"],
        account_id=row["account_id"],
        subtype=TransactionSubtype[row["subtype"]],
        status=TransactionStatus[row["status"]],
        amount=Money(row["amount"], Currency(row["currency"])),
        description=row["description"],
        date=row["date"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        merchant=row["merchant"],
        provider_category=row["provider_category"],
        own_category=row["own_category"],
        notes=row["notes"],
        settlement_date=row["settlement_date"],
        security=security,
        quantity=row["quantity"],
        unit_price=money(row["unit_price"], row["price_currency"]),
        commission=money(row["commission"], row["commission_currency"]),
        removed_at=row["removed_at"],
        data_version=row["data_version"],
    )


def transaction_values(transaction: Transaction) -> Values:
    price, commission = transaction.unit_price, transaction.commission
    return {
        "id": transaction.id,
        "account_id": transaction.account_id,
        "security_id": transaction.security.id if transaction.security else None,
        "subtype": transaction.subtype.name,
        "type": transaction.type.name,
        "status": transaction.status.name,
        "amount": transaction.amount.amount,
        "currency": transaction.amount.currency,
        "description": transaction.description,
        "merchant": transaction.merchant,
        "provider_category": transaction.provider_category,
        "own_category": transaction.own_category,
        "notes": transaction.notes,
        "date": transaction.date,
        "settlement_date": transaction.settlement_date,
        "quantity": transaction.quantity,
        "unit_price": price.amount if price else None,
        "price_currency": price.currency if price else None,
        "commission": commission.amount if commission else None,
        "commission_currency": commission.currency if commission else None,
        "removed_at": transaction.removed_at,
        "created_at": transaction.created_at,
        "updated_at": transaction.updated_at,
    }
