"""What happened, and what of that makes a difference to a copy kept elsewhere: what is gone."""

from sqlalchemy import BigInteger, Column, Identity, Index, PrimaryKeyConstraint, Table, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables.columns import id_of, instant, metadata, of_user, words

events = Table(
    "events",
    metadata,
    id_of("user_id"),
    Column("seq", BigInteger(), Identity(always=True)),
    words("name"),
    instant("at", null=False),
    Column("facts", JSONB(), nullable=False),
    instant("relayed_at"),
    Column("id", Uuid(), server_default=text("gen_random_uuid()")),  # null before there were any
    PrimaryKeyConstraint("user_id", "seq"),
    of_user(),
    Index("ux_events_id", "user_id", "id", unique=True),
    Index("ix_events_waiting", "seq", postgresql_where=text("relayed_at IS NULL")),  # for doors
    Index("ix_events_at", "at"),
)

tombstones = Table(
    "tombstones",
    metadata,
    id_of("user_id"),
    words("kind"),
    id_of("id"),
    Column("data_version", BigInteger(), nullable=False),
    PrimaryKeyConstraint("user_id", "kind", "id"),
    of_user(),
    Index("ix_tombstones_version", "user_id", "data_version"),
)
