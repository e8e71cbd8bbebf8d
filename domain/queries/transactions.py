"""Transactions: pages over all accounts or of each, and their totals."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.accounts import AccountId
from domain.errors import BadQuery
from domain.queries.pages import AccountPage, counted, within
from domain.storage.reads import OwnedReads
from domain.transactions import (
    Transaction,
    TransactionFilter,
    TransactionId,
    TransactionKey,
    TransactionOrder,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionPage(AccountPage[Transaction, TransactionFilter]):
    order: TransactionOrder


def key_of(transaction: Transaction, order: TransactionOrder) -> TransactionKey:
    by = transaction.amount.amount if order.by_amount else transaction.date
    return TransactionKey(by=by, id=transaction.id)


async def transactions(
    reads: OwnedReads,
    filter: TransactionFilter,
    order: TransactionOrder,
    *,
    limit: int,
    after: TransactionKey | None,
) -> TransactionPage:
    """Raises BadQuery where `since` is after `until`."""
    _check(filter)
    rows: Sequence[Transaction] = ()
    if filter.account_ids != ():
        rows = await reads.transactions(filter, order, limit=limit + 1, after=after)
    return TransactionPage.of(rows, limit=limit, after=after, filter=filter, order=order)


async def transactions_of_accounts(
    reads: OwnedReads,
    accounts: Sequence[AccountId],
    filter: TransactionFilter,
    order: TransactionOrder,
    *,
    limit: int,
    after: TransactionKey | None,
) -> list[TransactionPage]:
    """A page of each account, in one statement; the filter's own accounts intersect with it.

    Raises BadQuery where `since` is after `until`.
    """
    _check(filter)
    of: dict[AccountId, list[Transaction]] = defaultdict(list)
    inside = replace(filter, account_ids=None)
    if asked := within(accounts, filter.account_ids):
        rows = await reads.transactions_of(asked, inside, order, limit=limit + 1, after=after)
        for row in rows:
            of[row.account_id].append(row)
    return [
        TransactionPage.of(
            of[id], limit=limit, after=after, filter=filter, order=order, account_id=id
        )
        for id in accounts
    ]


async def totals(reads: OwnedReads, pages: Sequence[TransactionPage]) -> list[int]:
    """How many transactions each page is a part of; a statement for each different filter."""
    return await counted(pages, reads.count_transactions, reads.count_transactions_of)


async def transactions_by_id(
    reads: OwnedReads, ids: Sequence[TransactionId]
) -> list[Transaction | None]:
    """Those found gone at the provider too."""
    found = {t.id: t for t in await reads.transactions_by_id(list(dict.fromkeys(ids)))}
    return [found.get(id) for id in ids]


def _check(filter: TransactionFilter) -> None:
    """Raises BadQuery."""
    if filter.since and filter.until and filter.since > filter.until:
        raise BadQuery("from is after to")
