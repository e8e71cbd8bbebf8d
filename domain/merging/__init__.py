"""Merging what a provider says with what is stored: pure, and silent where nothing changed."""

from domain.merging.accounts import merge_account
from domain.merging.holdings import merge_holdings
from domain.merging.merge import Merge
from domain.merging.pending import PENDING_MAX, given_up, lapsed
from domain.merging.securities import SecurityOf, merge_securities
from domain.merging.transactions import (
    StoredTransactions,
    TransactionMerge,
    days_around,
    gone_now,
    merge_transactions,
    remove_transactions,
)

__all__ = [
    "PENDING_MAX",
    "Merge",
    "SecurityOf",
    "StoredTransactions",
    "TransactionMerge",
    "days_around",
    "given_up",
    "gone_now",
    "lapsed",
    "merge_account",
    "merge_holdings",
    "merge_securities",
    "merge_transactions",
    "remove_transactions",
]
