"""Every table, in the module of its noun; `metadata` has them all, whichever is imported.

What migrations make is compared with these, and writes are composed of them. Every table of user
data has `user_id` first in its key, in each foreign key and in each index that a viewer's own
statement uses, so that row-level security is airtight and one user's rows could live on one shard.
Money and quantities are `numeric` without scale.
"""

from adapters.postgres.tables import (
    accounts,
    audit,
    documents,
    events,
    history,
    holdings,
    idempotency,
    identity,
    imports,
    links,
    sync,
    transactions,
)
from adapters.postgres.tables.columns import metadata

__all__ = [
    "accounts",
    "audit",
    "documents",
    "events",
    "history",
    "holdings",
    "idempotency",
    "identity",
    "imports",
    "links",
    "metadata",
    "sync",
    "transactions",
]
