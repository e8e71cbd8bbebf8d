"""Links: their credentials, authorizations under way, and what providers told or are asked."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    text,
)

from adapters.postgres.tables.columns import (
    ZERO,
    id_of,
    instant,
    metadata,
    of,
    of_user,
    one_of,
    version,
    words,
)
from domain.errors import LinkAction
from domain.links import LinkStatus
from domain.providers import Noticed

links = Table(
    "links",
    metadata,
    id_of("user_id"),
    id_of("id"),
    words("provider_slug"),
    words("status"),
    instant("created_at", null=False),
    words("alias", null=True),
    words("login", null=True),
    words("institution", null=True),
    instant("connected_at"),
    instant("last_synced_at"),
    instant("next_sync_at"),
    instant("credentials_expire_at"),
    Column("sync_every_s", Integer()),
    Column("consecutive_failures", Integer(), nullable=False, server_default=ZERO),
    words("cursor", null=True),
    id_of("lease_holder", null=True),
    instant("lease_until"),
    Column("lease_fence", BigInteger(), nullable=False, server_default=ZERO),
    version(),
    words("error_code", null=True),
    words("error_message", null=True),
    words("error_action", null=True),
    Column("error_retry_after_s", Integer()),
    instant("expiry_due_at"),
    words("upstream", null=True),
    instant("news_at"),
    PrimaryKeyConstraint("user_id", "id"),
    of_user(),
    one_of("status", LinkStatus),
    one_of("error_action", LinkAction, null=True),
    Index("ux_links_login", "user_id", "provider_slug", "login", unique=True),
    Index("ix_links_version", "user_id", "data_version"),
    Index("ix_links_due", "next_sync_at", postgresql_where=text("next_sync_at IS NOT NULL")),
    Index("ix_links_upstream", "upstream", postgresql_where=text("upstream IS NOT NULL")),
    Index("ix_links_pending", "created_at", postgresql_where=text("status = 'PENDING'")),
    Index(  # for a door, as the one before
        "ix_links_expiring",
        "credentials_expire_at",
        postgresql_where=text(
            "credentials_expire_at IS NOT NULL AND status IN ('ACTIVE', 'FAILED')"
        ),
    ),
)

credentials = Table(
    "credentials",
    metadata,
    id_of("user_id"),
    id_of("link_id"),
    Column("sealed", LargeBinary(), nullable=False),
    instant("updated_at", null=False),
    Column("version", BigInteger(), nullable=False, server_default=ZERO),
    instant("renew_at"),
    Column("renewal_fence", BigInteger()),
    Column("renewal_attempt", Integer()),
    instant("renewal_began_at"),
    PrimaryKeyConstraint("user_id", "link_id"),
    of("links", "link_id"),
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

webhook_receipts = Table(
    "webhook_receipts",
    metadata,
    id_of("user_id"),
    id_of("link_id"),
    words("receipt"),
    words("said"),
    instant("said_at", null=False),
    instant("received_at", null=False),
    PrimaryKeyConstraint("user_id", "link_id", "receipt"),
    of("links", "link_id"),
    one_of("said", Noticed),
    Index("ix_webhook_receipts_received", "received_at"),  # for a door
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
