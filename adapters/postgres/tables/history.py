"""What accounts were worth, and what currencies were."""

from sqlalchemy import CheckConstraint, Column, Date, Index, PrimaryKeyConstraint, Table

from adapters.postgres.tables.columns import id_of, instant, metadata, number, of, one_of, words
from domain.history import SnapshotSource

balance_snapshots = Table(
    "balance_snapshots",
    metadata,
    id_of("user_id"),
    id_of("account_id"),
    instant("at", null=False),
    id_of("id"),
    number("balance", null=False),
    words("currency"),
    number("available_balance"),
    number("holdings_value"),
    number("cash_value"),
    words("source"),
    id_of("run_id", null=True),
    PrimaryKeyConstraint("user_id", "account_id", "at"),
    of("accounts", "account_id"),
    one_of("source", SnapshotSource),
    Index("ix_balance_snapshots_run", "user_id", "run_id"),
)

# One euro was worth `per_euro` of the currency; added to through a door.
exchange_rates = Table(
    "exchange_rates",
    metadata,
    words("currency"),
    Column("day", Date(), nullable=False),
    number("per_euro", null=False),
    words("source"),
    PrimaryKeyConstraint("currency", "day"),
    CheckConstraint("currency ~ '^[A-Z]{3}$' AND currency <> 'EUR'", name="currency"),
    CheckConstraint("per_euro > 0 AND per_euro < 'Infinity'::numeric", name="per_euro"),
    CheckConstraint("length(source) BETWEEN 1 AND 255", name="source"),
)
