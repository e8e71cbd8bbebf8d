"""Transactions, and what each link calls them."""

from sqlalchemy import Boolean, Column, Computed, Date, Double, Index, PrimaryKeyConstraint, Table

from adapters.postgres.tables.columns import (
    FALSE,
    id_of,
    instant,
    metadata,
    number,
    of,
    one_of,
    version,
    words,
)
from domain.transactions import TransactionStatus, TransactionSubtype

transactions = Table(
    "transactions",
    metadata,
    id_of("user_id"),
    id_of("id"),
    id_of("account_id"),
    id_of("security_id", null=True),
    words("subtype"),
    words("type"),
    words("status"),
    number("amount", null=False),
    # Row-level security serves only leakproof comparisons from an index, and numeric's is not
    # leakproof: this narrows the range, the exact amount decides.
    Column("amount_key", Double(), Computed("(amount)::double precision", persisted=True)),
    words("currency"),
    words("description"),
    words("merchant", null=True),
    words("provider_category", null=True),
    words("own_category", null=True),
    words("notes", null=True),
    Column("date", Date(), nullable=False),
    Column("settlement_date", Date()),
    number("quantity"),
    number("unit_price"),
    words("price_currency", null=True),
    number("commission"),
    words("commission_currency", null=True),
    instant("removed_at"),
    instant("created_at", null=False),
    instant("updated_at", null=False),
    version(),
    PrimaryKeyConstraint("user_id", "id"),
    of("accounts", "account_id"),
    of("securities", "security_id", cascade=False),
    one_of("subtype", TransactionSubtype),
    one_of("status", TransactionStatus),
    Index("ix_transactions_account_date", "user_id", "account_id", "date", "id"),
    Index("ix_transactions_date", "user_id", "date", "id"),
    Index("ix_transactions_account_amount", "user_id", "account_id", "amount_key", "id"),
    Index("ix_transactions_amount", "user_id", "amount_key", "id"),
    Index("ix_transactions_security", "user_id", "security_id"),
    Index("ix_transactions_version", "user_id", "data_version"),
)

transaction_keys = Table(
    "transaction_keys",
    metadata,
    id_of("user_id"),
    id_of("link_id"),
    id_of("account_id"),
    words("key"),
    id_of("transaction_id"),
    Column("is_replaced", Boolean(), nullable=False, server_default=FALSE),
    PrimaryKeyConstraint("user_id", "link_id", "account_id", "key"),
    of("links", "link_id"),
    of("transactions", "transaction_id"),
    Index("ix_transaction_keys_transaction", "user_id", "transaction_id"),
)
