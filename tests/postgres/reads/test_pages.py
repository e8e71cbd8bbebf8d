"""Pages of transactions: walked to the end they are a sorted list, whatever ties there are."""

import random
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from domain.accounts import AccountId
from domain.transactions import (
    Transaction,
    TransactionFilter,
    TransactionId,
    TransactionKey,
    TransactionOrder,
)
from tests.postgres.reads.rows import DAY, Owner, Recorded, a_transaction

# Ties in value but not in scale, neighbours that are one double, both signs.
AMOUNTS = "1.5 1.50 -1.5 0 -0.01 0.01 90071992547409920.1 90071992547409920.2 -90071992547409920.2"
COUNT = 240


async def some_transactions(owner: Owner, accounts: list[AccountId], seed: int) -> None:
    some = random.Random(seed)
    amounts = [Decimal(text) for text in AMOUNTS.split()]
    rows = [
        a_transaction(
            some.choice(accounts),
            id=UUID(int=some.getrandbits(128)),
            amount=some.choice(amounts),
            currency=some.choice(["USD", "JPY", "BTC"]),
            date=DAY + timedelta(days=some.randrange(-3, 3)),
        )
        for _ in range(COUNT)
    ]
    await owner.put_all("transactions", rows)


def by(order: TransactionOrder, t: Transaction) -> TransactionKey:
    return TransactionKey(t.amount.amount if order.by_amount else t.date, t.id)


def in_order(order: TransactionOrder, found: list[Transaction]) -> list[TransactionId]:
    key = {True: lambda t: (t.amount.amount, t.id), False: lambda t: (t.date, t.id)}
    ordered = sorted(found, key=key[order.by_amount], reverse=order.descending)
    return [t.id for t in ordered]


@pytest.mark.parametrize("order", TransactionOrder)
@pytest.mark.parametrize("limit", [1, 7, COUNT, COUNT + 1])
async def test_walked_pages_are_the_sorted_list(
    owner: Owner, reads: Recorded, order: TransactionOrder, limit: int
) -> None:
    accounts = [await owner.account() for _ in range(3)]
    await some_transactions(owner, accounts, seed=limit)
    everything = await reads.transactions(TransactionFilter(), order, limit=COUNT + 1, after=None)
    assert len(everything) == COUNT
    two = tuple(accounts[:2])

    for filter in (TransactionFilter(), TransactionFilter(account_ids=two)):
        walked: list[Transaction] = []
        while page := await reads.transactions(
            filter, order, limit=limit, after=by(order, walked[-1]) if walked else None
        ):
            assert len(page) <= limit
            walked += page
        ids = filter.account_ids
        expected = [t for t in everything if ids is None or t.account_id in ids]
        assert [t.id for t in walked] == in_order(order, expected)


@pytest.mark.parametrize("order", TransactionOrder)
async def test_walked_pages_of_each_account_are_its_sorted_list(
    owner: Owner, reads: Recorded, order: TransactionOrder
) -> None:
    accounts = [await owner.account() for _ in range(3)]
    await some_transactions(owner, accounts, seed=5)
    everything = await reads.transactions(TransactionFilter(), order, limit=COUNT, after=None)
    sent = reads.statements

    first = await reads.transactions_of(accounts, TransactionFilter(), order, limit=9, after=None)

    assert reads.statements == sent + 1
    for account in accounts:
        own = [t for t in everything if t.account_id == account]
        walked = [t for t in first if t.account_id == account]
        assert len(walked) == 9
        while page := await reads.transactions_of(
            [account], TransactionFilter(), order, limit=9, after=by(order, walked[-1])
        ):
            walked += page
        assert [t.id for t in walked] == in_order(order, own)
