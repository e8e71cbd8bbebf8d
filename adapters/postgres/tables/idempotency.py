"""Requests that may be repeated."""

from sqlalchemy import Column, Index, LargeBinary, PrimaryKeyConstraint, Table

from adapters.postgres.tables.columns import id_of, instant, metadata, of_user

# Requests that may be repeated; `id` is a digest of the key that their client gave them, `claim` of
# whoever runs one, until it is marked as done, and answered.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    id_of("user_id"),
    id_of("id"),
    Column("fingerprint", LargeBinary(), nullable=False),
    id_of("claim"),
    instant("claimed_until", null=False),
    instant("created_at", null=False),
    instant("done_at"),
    instant("answered_at"),
    Column("sealed", LargeBinary()),
    PrimaryKeyConstraint("user_id", "id"),
    of_user(),
    Index("ix_idempotency_keys_created", "created_at"),  # for a door
)
