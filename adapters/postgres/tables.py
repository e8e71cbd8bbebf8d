"""The tables of people, links and what they own; `bookkeeping.py` has the rest.

What migrations make is compared with these, and writes are composed of them. Every table of user
data has `user_id` first in its key, in each foreign key and in each index that a viewer's own
statement uses, so that row-level security is airtight and one user's rows could live on one shard.
Money and quantities are `numeric` without scale.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    Double,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

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
    version,
    words,
)
from domain.accounts import AccountType
from domain.errors import LinkAction
from domain.identity import Role
from domain.links import LinkStatus
from domain.mail import Purpose
from domain.providers import Noticed
from domain.securities import AssetType, OptionSide
from domain.transactions import TransactionStatus, TransactionSubtype

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

accounts = Table(
    "accounts",
    metadata,
    id_of("user_id"),
    id_of("id"),
    id_of("link_id", null=True),
    words("provider_slug"),
    words("institution"),
    words("name"),
    words("nickname", null=True),
    words("mask", null=True),
    words("fingerprint", null=True),
    Column("sealed_number", LargeBinary()),
    words("type"),
    words("currency"),
    number("balance", null=False),
    number("available_balance"),
    number("credit_limit"),
    number("cash_balance"),
    instant("as_of", null=False),
    Column("is_active", Boolean(), nullable=False, server_default=TRUE),
    Column("included_in_net_worth", Boolean(), nullable=False, server_default=TRUE),
    version(),
    PrimaryKeyConstraint("user_id", "id"),
    of_user(),
    one_of("type", AccountType),
    Index("ux_accounts_fingerprint", "user_id", "fingerprint", unique=True),
    Index("ix_accounts_version", "user_id", "data_version"),
)

link_accounts = Table(
    "link_accounts",
    metadata,
    id_of("user_id"),
    id_of("link_id"),
    words("key"),
    id_of("account_id"),
    Column("is_read", Boolean(), nullable=False, server_default=TRUE),
    PrimaryKeyConstraint("user_id", "link_id", "key"),
    of("links", "link_id"),
    of("accounts", "account_id"),
    Index("ix_link_accounts_account", "user_id", "account_id"),
)

securities = Table(
    "securities",
    metadata,
    id_of("user_id"),
    id_of("id"),
    words("name"),
    words("symbol", null=True),
    words("asset_type"),
    words("currency"),
    words("isin", null=True),
    words("cusip", null=True),
    words("figi", null=True),
    words("key", null=True),
    Column("multiplier", Numeric(), nullable=False, server_default=text("1")),
    words("option_underlying", null=True),
    words("option_side", null=True),
    number("option_strike"),
    words("option_currency", null=True),
    Column("option_expires_on", Date()),
    # What lists are ordered by; in the C collation, which is leakproof and the same everywhere.
    Column("sort_key", Text(collation="C"), Computed("coalesce(symbol, name)", persisted=True)),
    version(),
    PrimaryKeyConstraint("user_id", "id"),
    of_user(),
    one_of("asset_type", AssetType),
    one_of("option_side", OptionSide, null=True),
    Index("ix_securities_symbol", "user_id", "symbol"),
    Index("ix_securities_version", "user_id", "data_version"),
)

holdings = Table(
    "holdings",
    metadata,
    id_of("user_id"),
    id_of("id"),
    id_of("account_id"),
    id_of("security_id"),
    Column("is_short", Boolean(), nullable=False, server_default=FALSE),
    number("quantity", null=False),
    words("currency"),
    number("market_value", null=False),
    number("market_price"),
    words("price_currency", null=True),
    number("average_price"),
    number("cost_basis"),
    words("cost_currency", null=True),
    instant("as_of", null=False),
    Column("is_active", Boolean(), nullable=False, server_default=TRUE),
    version(),
    PrimaryKeyConstraint("user_id", "id"),
    of("accounts", "account_id"),
    of("securities", "security_id", cascade=False),
    UniqueConstraint(
        "user_id",
        "account_id",
        "security_id",
        "is_short",
        name="uq_holdings_position",
    ),
    Index("ix_holdings_security", "user_id", "security_id"),
    Index("ix_holdings_version", "user_id", "data_version"),
)

transactions = Table(
    "transactions",
    metadata,
    id_of("user_id"),
    id_of("id"),
    id_of("account_id"),
    id_of("security_id", null=True),
    words("subtype"),
    words("type"),
    words("status"),
    number("amount", null=False),
    # Row-level security serves only leakproof comparisons from an index, and numeric's is not
    # leakproof: this narrows the range, the exact amount decides.
    Column("amount_key", Double(), Computed("(amount)::double precision", persisted=True)),
    words("currency"),
    words("description"),
    words("merchant", null=True),
    words("provider_category", null=True),
    words("own_category", null=True),
    words("notes", null=True),
    Column("date", Date(), nullable=False),
    Column("settlement_date", Date()),
    number("quantity"),
    number("unit_price"),
    words("price_currency", null=True),
    number("commission"),
    words("commission_currency", null=True),
    instant("removed_at"),
    instant("created_at", null=False),
    instant("updated_at", null=False),
    version(),
    PrimaryKeyConstraint("user_id", "id"),
    of("accounts", "account_id"),
    of("securities", "security_id", cascade=False),
    one_of("subtype", TransactionSubtype),
    one_of("status", TransactionStatus),
    Index("ix_transactions_account_date", "user_id", "account_id", "date", "id"),
    Index("ix_transactions_date", "user_id", "date", "id"),
    Index("ix_transactions_account_amount", "user_id", "account_id", "amount_key", "id"),
    Index("ix_transactions_amount", "user_id", "amount_key", "id"),
    Index("ix_transactions_security", "user_id", "security_id"),
    Index("ix_transactions_version", "user_id", "data_version"),
)

transaction_keys = Table(
    "transaction_keys",
    metadata,
    id_of("user_id"),
    id_of("link_id"),
    id_of("account_id"),
    words("key"),
    id_of("transaction_id"),
    Column("is_replaced", Boolean(), nullable=False, server_default=FALSE),
    PrimaryKeyConstraint("user_id", "link_id", "account_id", "key"),
    of("links", "link_id"),
    of("transactions", "transaction_id"),
    Index("ix_transaction_keys_transaction", "user_id", "transaction_id"),
)
