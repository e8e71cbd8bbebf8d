"""A pending row that settled keeps its old key, which the provider may say is gone."""

from dataclasses import replace

from domain.merging import (
    StoredTransactions,
    TransactionMerge,
    gone_now,
    merge_transactions,
    remove_transactions,
)
from domain.transactions import TransactionStatus
from tests.builders import received_transaction
from tests.domain.test_merging import ACCOUNT, LATER, known, taken


def test_a_pending_rows_key_that_is_gone_says_nothing_of_what_settled() -> None:
    pending = received_transaction(key="p1", status=TransactionStatus.PENDING)
    settled = received_transaction(key="s1", replaces="p1")
    first = taken([pending, received_transaction(key="t2")])
    same_page = taken([settled], by_key=known(first))
    keys = [(ACCOUNT, key) for key in ("p1", "t2", "unknown")]
    other = [t for t in first.created if t.id == first.named[ACCOUNT, "t2"]]
    before = StoredTransactions(by_key=known(first))
    assert gone_now(before, same_page, keys) == other

    now = same_page.updated[0]
    by_key = {(ACCOUNT, "p1"): now, (ACCOUNT, "s1"): now}
    later = StoredTransactions(by_key=by_key, replaced={(ACCOUNT, "p1")})
    assert gone_now(later, TransactionMerge(), keys) == []
    assert gone_now(later, TransactionMerge(), [(ACCOUNT, "s1")]) == [now]


def test_a_settled_row_told_again_names_nothing_anew() -> None:
    settled = received_transaction(key="s1", replaces="p1")
    first = taken([settled])
    by_key = known(first)
    again = merge_transactions(
        StoredTransactions(by_key=by_key, replaced=first.replaced),
        [(ACCOUNT, settled)],
        securities={},
        at=LATER,
    )
    assert (again.named, again.replaced, again.written) == ({}, set(), [])


def test_a_row_that_is_pending_again_after_it_was_removed_means_its_old_key_once_more() -> None:
    pending = received_transaction(key="p1", status=TransactionStatus.PENDING)
    first = taken([received_transaction(key="s1", replaces="p1")])
    [removed] = remove_transactions(first.created, LATER).removed
    keys = {(ACCOUNT, "p1"): removed, (ACCOUNT, "s1"): removed}
    stored = StoredTransactions(by_key=keys, replaced={(ACCOUNT, "p1")})
    back = merge_transactions(stored, [(ACCOUNT, pending)], securities={}, at=LATER)
    assert (back.named, back.replaced) == ({(ACCOUNT, "p1"): removed.id}, set())
    assert gone_now(replace(stored, replaced=()), TransactionMerge(), [(ACCOUNT, "p1")])
