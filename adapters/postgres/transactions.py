"""Transactions, and by which keys which links name them."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import RowMapping, select, text

from adapters.postgres import tables as t
from adapters.postgres.securities import BESIDE, security_of
from adapters.postgres.values import money
from adapters.postgres.writing import ME, Row, Values, Writing
from domain.accounts import AccountId
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
        t.securities,
        (t.securities.c.user_id == t.transactions.c.user_id)
        & (t.securities.c.id == t.transactions.c.security_id),
    )
    .where(t.transactions.c.user_id == ME)
)
K = t.transaction_keys.c
KEYED = (
    TRANSACTIONS.join(
        t.transaction_keys,
        (K.user_id == t.transactions.c.user_id) & (K.transaction_id == t.transactions.c.id),
    )
    .where(
        text(
            "transaction_keys.link_id = :link AND (transaction_keys.account_id,"
            " transaction_keys.key) IN (SELECT * FROM unnest(CAST(:accounts AS uuid[]),"
            " CAST(:keys AS text[])))"
        )
    )
    .add_columns(K.key)
)
# Whether it is removed is asked of the row; what is gone at one source may not be at the other.
OTHERS = TRANSACTIONS.where(
    text(
        "transactions.account_id = ANY (CAST(:accounts AS uuid[]))"
        " AND transactions.date BETWEEN :first AND :last AND transactions.removed_at IS NULL"
        " AND NOT EXISTS (SELECT FROM transaction_keys AS k WHERE k.user_id = :me"
        " AND k.transaction_id = transactions.id AND k.link_id = :link)"
    )
).order_by(t.transactions.c.id)
NAME = text("""
INSERT INTO transaction_keys (user_id, link_id, account_id, key, transaction_id)
VALUES (:me, :link, :account, :key, :transaction)
ON CONFLICT (user_id, link_id, account_id, key)
DO UPDATE SET transaction_id = EXCLUDED.transaction_id
WHERE transaction_keys.transaction_id <> EXCLUDED.transaction_id""")
NAMED_BY_OTHERS = text("""
SELECT DISTINCT transaction_id FROM transaction_keys
WHERE user_id = :me AND transaction_id = ANY (CAST(:ids AS uuid[])) AND link_id <> :link""")


class Transactions:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def stored(
        self,
        link_id: LinkId,
        keys: Sequence[tuple[AccountId, str]],
        days: tuple[date, date] | None,
    ) -> StoredTransactions:
        """Other links' transactions are looked for only where a key is not known."""
        if not keys:
            return StoredTransactions(by_key={})
        accounts = [account for account, _ in keys]
        rows = await self._db.rows(
            KEYED, link=link_id, accounts=accounts, keys=[key for _, key in keys]
        )
        by_key = {(row["account_id"], row["key"]): _beside(row) for row in rows}
        if days is None or all(key in by_key for key in keys):
            return StoredTransactions(by_key=by_key)
        others = await self._db.rows(
            OTHERS, link=link_id, accounts=sorted(set(accounts)), first=days[0], last=days[1]
        )
        return StoredTransactions(by_key=by_key, others=[_beside(row) for row in others])

    async def write(self, merge: Merge[Transaction]) -> None:
        await self._db.write(t.transactions, merge, transaction_values)

    async def name(self, link_id: LinkId, merge: TransactionMerge) -> None:
        named = [
            {"link": link_id, "account": account, "key": key, "transaction": id}
            for (account, key), id in merge.named.items()
        ]
        await self._db.run_each(NAME, named)

    async def delete(self, ids: Sequence[TransactionId]) -> None:
        await self._db.bury(t.transactions, "transaction", ids)

    async def named_by_others(
        self, link_id: LinkId, ids: Sequence[TransactionId]
    ) -> set[TransactionId]:
        rows = await self._db.rows(NAMED_BY_OTHERS, link=link_id, ids=ids)
        return {row["transaction_id"] for row in rows}


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
