"""Merging transactions: the same one is recognised over pulls, files, formats and links."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from domain.accounts import AccountId
from domain.identity import new_id
from domain.merging.merge import Merge
from domain.merging.securities import SecurityOf
from domain.sync import ReceivedTransaction
from domain.transactions import Transaction, TransactionId, TransactionStatus

Content = tuple[AccountId, date, Decimal, str, Decimal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTransactions:
    """What is stored that a page could mean.

    `by_key` holds what this link named before, by account and key; `others` what other links
    gave to these accounts on these days, and this link has not named.
    """

    by_key: Mapping[tuple[AccountId, str], Transaction]
    others: Sequence[Transaction] = ()


@dataclass(slots=True)
class TransactionMerge(Merge[Transaction]):
    """`named` are the keys that are new, with the transaction that each names from now on."""

    named: dict[tuple[AccountId, str], TransactionId] = field(default_factory=dict)


def merge_transactions(
    stored: StoredTransactions,
    received: Iterable[tuple[AccountId, ReceivedTransaction]],
    *,
    securities: SecurityOf,
    at: datetime,
) -> TransactionMerge:
    """Each received row is one that this link named before, or the settled form of a pending one
    (our id stays), or one that another source gave with the same content, or new.

    The same key twice in a page means the later one.
    """
    merge = TransactionMerge()
    by_content: dict[Content, list[Transaction]] = defaultdict(list)
    for other in stored.others:
        by_content[_content(other)].append(other)
    latest: dict[tuple[AccountId, str], ReceivedTransaction] = {}
    for account_id, row in received:
        if (account_id, row.key) in latest:
            merge.unchanged += 1
        latest[account_id, row.key] = row
    for (account_id, key), row in latest.items():
        before = stored.by_key.get((account_id, key))
        if before is None and row.replaces is not None:
            before = stored.by_key.get((account_id, row.replaces))
        now = _transaction(before, row, account_id, securities, at)
        if before is None and (same := by_content.get(_content(now))):
            before = same.pop(0)
            now = _also(before, now)
        if (account_id, key) not in stored.by_key:
            merge.named[account_id, key] = now.id
        if before is not None and now != before:
            now = replace(now, updated_at=at)
        merge.meet(before, now)
    return merge


def remove_transactions(stored: Iterable[Transaction], at: datetime) -> Merge[Transaction]:
    """Gone at the provider: kept, and marked."""
    merge: Merge[Transaction] = Merge()
    for transaction in stored:
        if transaction.removed_at is None:
            merge.lose(transaction, replace(transaction, removed_at=at, updated_at=at))
    return merge


def days_around(received: Iterable[ReceivedTransaction]) -> tuple[date, date] | None:
    days = [row.date for row in received]
    return (min(days), max(days)) if days else None


def _transaction(
    before: Transaction | None,
    row: ReceivedTransaction,
    account_id: AccountId,
    securities: SecurityOf,
    at: datetime,
) -> Transaction:
    return Transaction(
        id=before.id if before else TransactionId(new_id()),
        account_id=account_id,
        subtype=row.subtype,
        status=row.status,
        amount=row.amount,
        description=row.description,
        date=row.date,
        created_at=before.created_at if before else at,
        updated_at=before.updated_at if before else at,
        merchant=row.merchant,
        provider_category=row.category,
        own_category=before.own_category if before else None,
        notes=before.notes if before else None,
        settlement_date=row.settlement_date,
        security=securities[row.security] if row.security else None,
        quantity=row.quantity,
        unit_price=row.unit_price,
        commission=row.commission,
        data_version=before.data_version if before else 0,
    )


def _also(before: Transaction, now: Transaction) -> Transaction:
    """What another source gave first, learning only what it did not know."""
    if before.status is TransactionStatus.PENDING:
        return replace(
            now,
            id=before.id,
            created_at=before.created_at,
            updated_at=before.updated_at,
            own_category=before.own_category,
            notes=before.notes,
            data_version=before.data_version,
        )
    return replace(
        before,
        merchant=before.merchant or now.merchant,
        provider_category=before.provider_category or now.provider_category,
        settlement_date=before.settlement_date or now.settlement_date,
        security=before.security or now.security,
        quantity=before.quantity if before.quantity is not None else now.quantity,
        unit_price=before.unit_price or now.unit_price,
        commission=before.commission or now.commission,
        removed_at=None,
    )


def _content(transaction: Transaction) -> Content:
    """What two sources say alike of one transaction: texts differ from format to format."""
    symbol = transaction.security.id.hex if transaction.security else ""
    return (
        transaction.account_id,
        transaction.date,
        transaction.amount.amount,
        symbol,
        transaction.quantity,
    )
