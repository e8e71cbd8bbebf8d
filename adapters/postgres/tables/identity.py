"""People: how they sign in, their sessions, and which tokens and roles are good."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from adapters.postgres.tables.columns import (
    FALSE,
    TRUE,
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
from domain.identity import Role
from domain.mail import Purpose

users = Table(
    "users",
    metadata,
    id_of("user_id"),
    words("email"),
    Column("email_verified", Boolean(), nullable=False, server_default=FALSE),
    words("password_hash"),
    words("role"),
    instant("created_at", null=False),
    words("base_currency"),
    words("time_zone"),
    Column("session_limit", Integer()),
    Column("token_version", Integer(), nullable=False, server_default=ZERO),
    version(),
    Column("totp_enabled", Boolean(), nullable=False, server_default=FALSE),
    instant("last_sign_in_at"),
    instant("password_changed_at"),
    PrimaryKeyConstraint("user_id"),
    one_of("role", Role),
    Index("ux_users_email", "email", unique=True),  # for a door: nobody is known yet
)

sessions = Table(
    "sessions",
    metadata,
    id_of("user_id"),
    id_of("id"),
    instant("created_at", null=False),
    instant("last_used_at", null=False),
    instant("expires_at", null=False),
    Column("refresh_hash", LargeBinary(), nullable=False),
    Column("is_cookie", Boolean(), nullable=False),
    words("device", null=True),
    words("ip_address", null=True),
    instant("ended_at"),
    words("location", null=True),
    Column("providers_accessed", ARRAY(Text()), nullable=False, server_default=text("'{}'")),
    Column("token_version", Integer(), nullable=False, server_default=ZERO),
    Column("generation", Integer(), nullable=False, server_default=ZERO),
    PrimaryKeyConstraint("user_id", "id"),
    of_user(),
    Index("ux_sessions_refresh_hash", "refresh_hash", unique=True),  # for a door
    Index("ix_sessions_over", text("LEAST(ended_at, expires_at)")),  # for a door
    Index("ix_sessions_live", "user_id", "last_used_at", postgresql_where=text("ended_at IS NULL")),
)

# Those that were exchanged for their successors, so that one used again is known for as long as it
# could have been used. They go with their session.
refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    id_of("user_id"),
    id_of("session_id"),
    Column("digest", LargeBinary(), nullable=False),
    instant("rotated_at", null=False),
    PrimaryKeyConstraint("user_id", "session_id", "digest"),
    of("sessions", "session_id"),
    Index("ux_refresh_tokens_digest", "digest", unique=True),  # for a door
    Index("ix_refresh_tokens_rotated", "rotated_at"),  # for a door
)

email_tokens = Table(
    "email_tokens",
    metadata,
    id_of("user_id"),
    id_of("id"),
    words("purpose"),
    Column("digest", LargeBinary(), nullable=False),
    instant("created_at", null=False),
    instant("expires_at", null=False),
    instant("used_at"),
    words("password_hash", null=True),
    PrimaryKeyConstraint("user_id", "id"),
    of_user(),
    one_of("purpose", Purpose),
    Index("ux_email_tokens_digest", "digest", unique=True),  # these two for doors
    Index("ix_email_tokens_expires", "expires_at"),
)

# A secret that was never confirmed counts for nothing: users.totp_enabled says. Without one, the
# row remembers its version.
totp_secrets = Table(
    "totp_secrets",
    metadata,
    id_of("user_id"),
    Column("sealed", LargeBinary()),
    Column("version", BigInteger(), nullable=False),
    Column("last_step", BigInteger()),
    PrimaryKeyConstraint("user_id"),
    of_user(),
)

# Those that were not used yet.
recovery_codes = Table(
    "recovery_codes",
    metadata,
    id_of("user_id"),
    Column("digest", LargeBinary(), nullable=False),
    PrimaryKeyConstraint("user_id", "digest"),
    of_user(),
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
