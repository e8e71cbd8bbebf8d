"""The other half of the tables: history, runs, files, events, the audit log and the change feed."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.columns import (
    FALSE,
    TRUE,
    ZERO,
    id_of,
    instant,
    metadata,
    number,
    of,
    of_user,
    one_of,
    words,
)
from domain.history import SnapshotSource
from domain.sync import SyncScope, SyncStatus, SyncTrigger

ACTIVE = text("status IN ('QUEUED', 'RUNNING')")

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

# Authorizations under way; `digest` is of their state.
oauth_states = Table(
    "oauth_states",
    metadata,
    id_of("user_id"),
    id_of("id"),
    Column("digest", LargeBinary(), nullable=False),
    id_of("session_id"),
    id_of("link_id"),
    Column("mends", Boolean(), nullable=False),
    words("provider_slug"),
    words("redirect_uri"),
    Column("sealed_verifier", LargeBinary(), nullable=False),
    words("return_to", null=True),
    words("alias", null=True),
    instant("created_at", null=False),
    instant("expires_at", null=False),
    PrimaryKeyConstraint("user_id", "id"),
    of_user(),
    of("sessions", "session_id"),
    of("links", "link_id"),
    Index("ux_oauth_states_digest", "digest", unique=True),  # these two for doors
    Index("ix_oauth_states_expires", "expires_at"),
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

# `key` is a digest, `spent` when providers were asked; through doors alone, too.
request_budgets = Table(
    "request_budgets",
    metadata,
    Column("key", LargeBinary(), nullable=False),
    Column("spent", ARRAY(DateTime(timezone=True)), nullable=False),
    instant("over_at", null=False),
    PrimaryKeyConstraint("key"),
    Index("ix_request_budgets_over", "over_at"),
)

# One row, which says the same for everybody.
security_config = Table(
    "security_config",
    metadata,
    Column("one", Boolean(), nullable=False, server_default=TRUE),
    Column("global_token_version", Integer(), nullable=False, server_default=ZERO),
    Column("grace_seconds", Integer(), nullable=False, server_default=text("300")),
    instant("last_rotated_at"),
    words("last_rotation_reason", null=True),
    PrimaryKeyConstraint("one"),
    CheckConstraint("one", name="one"),
    CheckConstraint("grace_seconds BETWEEN 0 AND 86400", name="grace_seconds"),
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

casbin_rules = Table(
    "casbin_rules",
    metadata,
    words("role"),
    words("object"),
    words("action"),
    PrimaryKeyConstraint("role", "object", "action"),
)

casbin_roles = Table(
    "casbin_roles",
    metadata,
    words("role"),
    words("inherits"),
    PrimaryKeyConstraint("role", "inherits"),
)
