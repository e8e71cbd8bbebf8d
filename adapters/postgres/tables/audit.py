"""The audit log, the chain that seals it, and what looking through it found."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)

from adapters.postgres.tables.columns import TRUE, id_of, instant, metadata, words

# No foreign key: what was done stays on record when the user is gone, and attempts by nobody
# carry the nil UUID.
audit_log = Table(
    "audit_log",
    metadata,
    id_of("user_id"),
    Column("seq", BigInteger(), Identity(always=True)),
    instant("at", null=False),
    words("action"),
    words("outcome"),
    words("resource", null=True),
    words("ip_address", null=True),
    words("detail", null=True),
    Column("id", Uuid(), server_default=text("gen_random_uuid()")),  # null before there were any
    id_of("actor_id", null=True),
    id_of("session_id", null=True),
    words("trace_id", null=True),
    Column("mac", LargeBinary()),
    PrimaryKeyConstraint("user_id", "seq"),
    CheckConstraint("outcome IN ('ATTEMPTED', 'SUCCEEDED', 'FAILED')", name="outcome"),
    Index("ux_audit_log_id", "id", unique=True),  # these three for doors
    Index("ux_audit_log_seq", "seq", unique=True),
    Index("ix_audit_log_action", "action", "seq"),
)

# Written and read through doors alone.
audit_unsealed = Table(
    "audit_unsealed",
    metadata,
    Column("seq", BigInteger(), nullable=False, autoincrement=False),
    instant("since", null=False),
    PrimaryKeyConstraint("seq"),
)

audit_chain = Table(
    "audit_chain",
    metadata,
    Column("position", BigInteger(), nullable=False, autoincrement=False),
    Column("seq", BigInteger(), nullable=False),
    Column("hash", LargeBinary(), nullable=False),
    PrimaryKeyConstraint("position"),
    UniqueConstraint("seq"),
)

audit_report = Table(
    "audit_report",
    metadata,
    Column("one", Boolean(), nullable=False, server_default=TRUE),
    instant("at", null=False),
    Column("entries", BigInteger(), nullable=False),
    Column("intact", Boolean(), nullable=False),
    id_of("broken_id", null=True),
    Column("mac", LargeBinary(), nullable=False),
    PrimaryKeyConstraint("one"),
    CheckConstraint("one", name="one"),
)
