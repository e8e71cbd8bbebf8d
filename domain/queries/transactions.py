"""Transactions: pages over all accounts or of each, and their totals."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from domain.accounts import AccountId
from domain.errors import BadQuery
from domain.queries.accounts import ids_of_links
from domain.queries.pages import Page, within
from domain.storage.reads import OwnedReads
from domain.transactions import (
    Transaction,
    TransactionFilter,
    TransactionId,
    TransactionKey,
    TransactionOrder,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionPage(Page[Transaction]):
    """`account_id` is None for a page over all accounts that the filter allows."""

    filter: TransactionFilter
    order: TransactionOrder
    account_id: AccountId | None = None


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
    filter = await _resolved(reads, filter)
    rows: Sequence[Transaction] = ()
    if filter.account_ids != ():
        rows = await reads.transactions(filter, order, limit=limit + 1, after=after)
    return TransactionPage(
        nodes=rows[:limit],
        has_next=len(rows) > limit,
        has_previous=after is not None,
        filter=filter,
        order=order,
    )


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
    filter = await _resolved(reads, filter)
    of: dict[AccountId, list[Transaction]] = defaultdict(list)
    inside = replace(filter, account_ids=None)
    if asked := within(accounts, filter.account_ids):
        rows = await reads.transactions_of(asked, inside, order, limit=limit + 1, after=after)
        for row in rows:
            of[row.account_id].append(row)
    return [
        TransactionPage(
            nodes=of[id][:limit],
            has_next=len(of[id]) > limit,
            has_previous=after is not None,
            filter=filter,
            order=order,
            account_id=id,
        )
        for id in accounts
    ]


async def totals(reads: OwnedReads, pages: Sequence[TransactionPage]) -> list[int]:
    """How many transactions each page is a part of; a statement for each different filter."""
    asked: dict[TransactionFilter, set[AccountId]] = defaultdict(set)
    whole: dict[TransactionFilter, int] = {}
    for page in pages:
        if page.account_id is not None:
            asked[page.filter].add(page.account_id)
        elif page.filter not in whole:
            none = page.filter.account_ids == ()
            whole[page.filter] = 0 if none else await reads.count_transactions(page.filter)
    counts: dict[tuple[TransactionFilter, AccountId | None], int] = {
        (filter, None): count for filter, count in whole.items()
    }
    for filter, ids in asked.items():
        if inside := within(sorted(ids), filter.account_ids):
            found = await reads.count_transactions_of(inside, replace(filter, account_ids=None))
            counts |= {(filter, id): count for id, count in found.items()}
    return [counts.get((page.filter, page.account_id), 0) for page in pages]


async def transactions_by_id(
    reads: OwnedReads, ids: Sequence[TransactionId]
) -> list[Transaction | None]:
    """Those found gone at the provider too."""
    found = {t.id: t for t in await reads.transactions_by_id(list(dict.fromkeys(ids)))}
    return [found.get(id) for id in ids]


async def _resolved(reads: OwnedReads, filter: TransactionFilter) -> TransactionFilter:
    """The filter with the accounts that its links feed in their place."""
    if filter.since and filter.until and filter.since > filter.until:
        raise BadQuery("from is after to")
    if filter.link_ids is None:
        return filter
    fed = await ids_of_links(reads, filter.link_ids)
    ids = sorted(fed if filter.account_ids is None else fed.intersection(filter.account_ids))
    return replace(filter, link_ids=None, account_ids=tuple(ids))
