"""Imported files, and what each import changed."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables.columns import id_of, instant, metadata, of, words

import_files = Table(
    "import_files",
    metadata,
    id_of("user_id"),
    id_of("id"),
    id_of("run_id"),
    words("name"),
    Column("digest", LargeBinary(), nullable=False),
    Column("size", Integer(), nullable=False),
    instant("received_at", null=False),
    Column("sealed_content", LargeBinary()),
    PrimaryKeyConstraint("user_id", "id"),
    of("sync_runs", "run_id"),
    UniqueConstraint("user_id", "run_id", name="uq_import_files_run"),
)

import_changes = Table(
    "import_changes",
    metadata,
    id_of("user_id"),
    id_of("run_id"),
    Column("seq", BigInteger(), Identity(always=True)),
    words("kind"),
    id_of("row_id"),
    Column("before", JSONB()),
    Column("version", BigInteger(), nullable=False),
    PrimaryKeyConstraint("user_id", "run_id", "seq"),
    of("sync_runs", "run_id"),
    CheckConstraint("kind IN ('account', 'holding', 'transaction')", name="kind"),
)
