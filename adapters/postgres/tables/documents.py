"""The tables of published documents, which are nobody's: the owner writes them, everybody reads."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables.columns import instant, metadata, words

# Each text once; an id, once given, is that of its text for ever.
documents = Table(
    "documents",
    metadata,
    words("sha256"),
    words("body"),
    PrimaryKeyConstraint("sha256"),
    CheckConstraint("sha256 = encode(sha256(convert_to(body, 'UTF8')), 'hex')", name="sha256"),
)

document_ids = Table(
    "document_ids",
    metadata,
    words("id"),
    words("sha256"),
    PrimaryKeyConstraint("id"),
    ForeignKeyConstraint(["sha256"], ["documents.sha256"]),
    CheckConstraint("id ~ '^[A-Za-z0-9._~:-]{1,128}$'", name="id"),
    CheckConstraint("id = sha256 OR id !~* '^(sha256:.*|[0-9a-f]{64})$'", name="hash"),
)

client_versions = Table(
    "client_versions",
    metadata,
    words("client_name"),
    words("client_version"),
    instant("published_at", null=False),
    Column("limits", JSONB(), nullable=False, server_default=text("'{}'::jsonb")),
    PrimaryKeyConstraint("client_name", "client_version"),
    CheckConstraint("client_name ~ '^[ -~]{1,100}$'", name="client_name"),
    CheckConstraint("client_version ~ '^[ -~]{1,100}$'", name="client_version"),
)

published_documents = Table(
    "published_documents",
    metadata,
    words("client_name"),
    words("client_version"),
    words("id"),
    words("name"),
    PrimaryKeyConstraint("client_name", "client_version", "id"),
    ForeignKeyConstraint(
        ["client_name", "client_version"],
        ["client_versions.client_name", "client_versions.client_version"],
    ),
    ForeignKeyConstraint(["id"], ["document_ids.id"]),
)

# Written through a door alone.
document_uses = Table(
    "document_uses",
    metadata,
    words("client_name"),
    words("client_version"),
    words("id"),
    instant("last_used_at", null=False),
    Column("uses", BigInteger(), nullable=False),
    PrimaryKeyConstraint("client_name", "client_version", "id"),
    ForeignKeyConstraint(["id"], ["document_ids.id"]),
    Index("ix_document_uses_id", "id"),
)
