"""Accounts, and which links feed them."""

from sqlalchemy import Boolean, Column, Index, LargeBinary, PrimaryKeyConstraint, Table

from adapters.postgres.tables.columns import (
    TRUE,
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
