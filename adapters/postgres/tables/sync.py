"""Runs, and the rows of theirs that could not be read."""

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from adapters.postgres.tables.columns import (
    FALSE,
    ZERO,
    id_of,
    instant,
    metadata,
    number,
    of,
    one_of,
    words,
)
from domain.sync import SyncScope, SyncStatus, SyncTrigger

ACTIVE = text("status IN ('QUEUED', 'RUNNING')")


def _counts(prefix: str) -> list[Column[object]]:
    kinds = ("created", "updated", "unchanged", "removed", "quarantined")
    return [
        Column(f"{prefix}_{kind}", Integer(), nullable=False, server_default=ZERO) for kind in kinds
    ]


sync_runs = Table(
    "sync_runs",
    metadata,
    id_of("user_id"),
    id_of("id"),
    id_of("link_id"),
    words("trigger"),
    words("status"),
    Column("scopes", ARRAY(Text()), nullable=False),
    Column("since", Date()),
    Column("until", Date()),
    Column("force", Boolean(), nullable=False, server_default=FALSE),
    Column("account_keys", ARRAY(Text())),
    instant("queued_at", null=False),
    instant("started_at"),
    instant("finished_at"),
    instant("touched_at", null=False),
    words("step", null=True),
    number("progress", null=False),
    *_counts("accounts"),
    *_counts("holdings"),
    *_counts("transactions"),
    Column("read_accounts", Integer(), nullable=False, server_default=ZERO),
    Column("failed_accounts", Integer(), nullable=False, server_default=ZERO),
    words("error_code", null=True),
    words("error_message", null=True),
    Column("error_retry_after_s", Integer()),
    Column("attempts", Integer(), nullable=False, server_default=ZERO),
    words("cursor", null=True),
    words("position", null=True),
    Column("cancel_asked", Boolean(), nullable=False, server_default=FALSE),
    PrimaryKeyConstraint("user_id", "id"),
    of("links", "link_id"),
    one_of("trigger", SyncTrigger),
    one_of("status", SyncStatus),
    one_of("step", SyncScope, null=True),
    Index("ix_sync_runs_link", "user_id", "link_id", "id"),
    Index("ux_sync_runs_active", "user_id", "link_id", unique=True, postgresql_where=ACTIVE),
    Index("ix_sync_runs_stalled", "touched_at", postgresql_where=ACTIVE),  # for a door
)

quarantine = Table(
    "quarantine",
    metadata,
    id_of("user_id"),
    id_of("run_id"),
    id_of("id"),
    words("kind"),
    words("reason"),
    words("raw"),
    Column("line", Integer()),
    words("account_key", null=True),
    PrimaryKeyConstraint("user_id", "run_id", "id"),
    of("sync_runs", "run_id"),
    one_of("kind", SyncScope),
)
