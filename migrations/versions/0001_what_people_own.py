"""The tables of people, their links and what they own.

Every key, foreign key and index of user data begins with `user_id`, but for those that a door
looks through. Money and quantities are `numeric` without scale.
"""

from migrations.statements import run

revision = "0001"
down_revision = None

PEOPLE = """
CREATE TABLE users (
    user_id uuid NOT NULL,
    email text NOT NULL,
    email_verified boolean NOT NULL DEFAULT false,
    password_hash text NOT NULL,
    role text NOT NULL,
    created_at timestamptz NOT NULL,
    base_currency text NOT NULL,
    time_zone text NOT NULL,
    session_limit integer,
    token_version integer NOT NULL DEFAULT 0,
    data_version bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_users PRIMARY KEY (user_id),
    CONSTRAINT ck_users_role CHECK (role IN ('ADMIN', 'USER', 'READONLY'))
);
CREATE UNIQUE INDEX ux_users_email ON users (email);

CREATE TABLE sessions (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    refresh_hash bytea NOT NULL,
    is_cookie boolean NOT NULL,
    device text,
    ip_address text,
    ended_at timestamptz,
    CONSTRAINT pk_sessions PRIMARY KEY (user_id, id),
    CONSTRAINT fk_sessions_user_id_users FOREIGN KEY (user_id)
        REFERENCES users (user_id) ON DELETE CASCADE
);
CREATE INDEX ix_sessions_live ON sessions (user_id, last_used_at) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX ux_sessions_refresh_hash ON sessions (refresh_hash);

CREATE TABLE refresh_tokens (
    user_id uuid NOT NULL,
    session_id uuid NOT NULL,
    digest bytea NOT NULL,
    rotated_at timestamptz NOT NULL,
    CONSTRAINT pk_refresh_tokens PRIMARY KEY (user_id, session_id, digest),
    CONSTRAINT fk_refresh_tokens_user_id_sessions FOREIGN KEY (user_id, session_id)
        REFERENCES sessions (user_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX ux_refresh_tokens_digest ON refresh_tokens (digest);
"""

LINKS = """
CREATE TABLE links (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    provider_slug text NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    alias text,
    login text,
    institution text,
    connected_at timestamptz,
    last_synced_at timestamptz,
    next_sync_at timestamptz,
    credentials_expire_at timestamptz,
    sync_every_s integer,
    consecutive_failures integer NOT NULL DEFAULT 0,
    cursor text,
    lease_holder uuid,
    lease_until timestamptz,
    lease_fence bigint NOT NULL DEFAULT 0,
    data_version bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_links PRIMARY KEY (user_id, id),
    CONSTRAINT fk_links_user_id_users FOREIGN KEY (user_id)
        REFERENCES users (user_id) ON DELETE CASCADE,
    CONSTRAINT ck_links_status CHECK (
        status IN ('PENDING', 'ACTIVE', 'NEEDS_REAUTHORIZATION', 'FAILED', 'REVOKED',
        'DISCONNECTED')
    )
);
CREATE INDEX ix_links_due ON links (next_sync_at) WHERE next_sync_at IS NOT NULL;
CREATE UNIQUE INDEX ux_links_login ON links (user_id, provider_slug, login);

CREATE TABLE credentials (
    user_id uuid NOT NULL,
    link_id uuid NOT NULL,
    sealed bytea NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_credentials PRIMARY KEY (user_id, link_id),
    CONSTRAINT fk_credentials_user_id_links FOREIGN KEY (user_id, link_id)
        REFERENCES links (user_id, id) ON DELETE CASCADE
);
"""

ACCOUNTS = """
CREATE TABLE accounts (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    link_id uuid,
    provider_slug text NOT NULL,
    institution text NOT NULL,
    name text NOT NULL,
    nickname text,
    mask text,
    fingerprint text,
    sealed_number bytea,
    type text NOT NULL,
    currency text NOT NULL,
    balance numeric NOT NULL,
    available_balance numeric,
    credit_limit numeric,
    as_of timestamptz NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    included_in_net_worth boolean NOT NULL DEFAULT true,
    data_version bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_accounts PRIMARY KEY (user_id, id),
    CONSTRAINT fk_accounts_user_id_users FOREIGN KEY (user_id)
        REFERENCES users (user_id) ON DELETE CASCADE,
    CONSTRAINT ck_accounts_type CHECK (
        type IN ('BROKERAGE', 'IRA', 'ROTH_IRA', 'SEP_IRA', 'TRADITIONAL_401K',
        'ROTH_401K', 'PLAN_403B', 'PLAN_529', 'HSA', 'CHECKING', 'SAVINGS',
        'MONEY_MARKET', 'CERTIFICATE_OF_DEPOSIT', 'CREDIT_CARD', 'LINE_OF_CREDIT',
        'LOAN', 'MORTGAGE', 'CRYPTO', 'OTHER')
    )
);
CREATE INDEX ix_accounts_version ON accounts (user_id, data_version);
CREATE UNIQUE INDEX ux_accounts_fingerprint ON accounts (user_id, fingerprint);

CREATE TABLE link_accounts (
    user_id uuid NOT NULL,
    link_id uuid NOT NULL,
    key text NOT NULL,
    account_id uuid NOT NULL,
    CONSTRAINT pk_link_accounts PRIMARY KEY (user_id, link_id, key),
    CONSTRAINT fk_link_accounts_user_id_links FOREIGN KEY (user_id, link_id)
        REFERENCES links (user_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_link_accounts_user_id_accounts FOREIGN KEY (user_id, account_id)
        REFERENCES accounts (user_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_link_accounts_account ON link_accounts (user_id, account_id);
"""

POSITIONS = """
CREATE TABLE securities (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    symbol text,
    asset_type text NOT NULL,
    currency text NOT NULL,
    isin text,
    cusip text,
    figi text,
    key text,
    multiplier numeric NOT NULL DEFAULT 1,
    option_underlying text,
    option_side text,
    option_strike numeric,
    option_currency text,
    option_expires_on date,
    sort_key text COLLATE "C" GENERATED ALWAYS AS (coalesce(symbol, name)) STORED,
    data_version bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_securities PRIMARY KEY (user_id, id),
    CONSTRAINT fk_securities_user_id_users FOREIGN KEY (user_id)
        REFERENCES users (user_id) ON DELETE CASCADE,
    CONSTRAINT ck_securities_asset_type CHECK (
        asset_type IN ('EQUITY', 'ETF', 'MUTUAL_FUND', 'OPTION', 'FUTURE',
        'FIXED_INCOME', 'CASH_EQUIVALENT', 'CRYPTOCURRENCY', 'INDEX', 'FOREX', 'OTHER')
    ),
    CONSTRAINT ck_securities_option_side CHECK (
        option_side IS NULL OR option_side IN ('CALL', 'PUT')
    )
);
CREATE INDEX ix_securities_symbol ON securities (user_id, symbol);

CREATE TABLE holdings (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    security_id uuid NOT NULL,
    is_short boolean NOT NULL DEFAULT false,
    quantity numeric NOT NULL,
    currency text NOT NULL,
    market_value numeric NOT NULL,
    market_price numeric,
    price_currency text,
    average_price numeric,
    cost_basis numeric,
    cost_currency text,
    as_of timestamptz NOT NULL,
    is_active boolean NOT NULL DEFAULT true,
    data_version bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_holdings PRIMARY KEY (user_id, id),
    CONSTRAINT fk_holdings_user_id_accounts FOREIGN KEY (user_id, account_id)
        REFERENCES accounts (user_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_holdings_user_id_securities FOREIGN KEY (user_id, security_id)
        REFERENCES securities (user_id, id),
    CONSTRAINT uq_holdings_position UNIQUE (user_id, account_id, security_id, is_short)
);
CREATE INDEX ix_holdings_security ON holdings (user_id, security_id);
CREATE INDEX ix_holdings_version ON holdings (user_id, data_version);
"""

TRANSACTIONS = """
CREATE TABLE transactions (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    security_id uuid,
    subtype text NOT NULL,
    type text NOT NULL,
    status text NOT NULL,
    amount numeric NOT NULL,
    amount_key double precision GENERATED ALWAYS AS ((amount)::double precision) STORED,
    currency text NOT NULL,
    description text NOT NULL,
    merchant text,
    provider_category text,
    own_category text,
    notes text,
    date date NOT NULL,
    settlement_date date,
    quantity numeric,
    unit_price numeric,
    price_currency text,
    commission numeric,
    commission_currency text,
    removed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    data_version bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_transactions PRIMARY KEY (user_id, id),
    CONSTRAINT fk_transactions_user_id_accounts FOREIGN KEY (user_id, account_id)
        REFERENCES accounts (user_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_transactions_user_id_securities FOREIGN KEY (user_id, security_id)
        REFERENCES securities (user_id, id),
    CONSTRAINT ck_transactions_subtype CHECK (
        subtype IN ('BUY', 'SELL', 'SHORT_SELL', 'BUY_TO_COVER', 'OPTION_EXERCISE',
        'OPTION_ASSIGNMENT', 'OPTION_EXPIRATION', 'SPLIT', 'DEPOSIT', 'WITHDRAWAL',
        'WIRE_IN', 'WIRE_OUT', 'ACH_IN', 'ACH_OUT', 'INTERNAL', 'JOURNAL', 'DIVIDEND',
        'INTEREST', 'CAPITAL_GAIN', 'REINVESTMENT', 'COMMISSION', 'ACCOUNT_FEE', 'TAX',
        'MARGIN_INTEREST', 'PURCHASE', 'REFUND', 'BILL_PAYMENT', 'CHECK', 'OTHER')
    ),
    CONSTRAINT ck_transactions_status CHECK (
        status IN ('PENDING', 'SETTLED', 'FAILED', 'CANCELLED')
    )
);
CREATE INDEX ix_transactions_account_amount
    ON transactions (user_id, account_id, amount_key, id);
CREATE INDEX ix_transactions_account_date ON transactions (user_id, account_id, date, id);
CREATE INDEX ix_transactions_amount ON transactions (user_id, amount_key, id);
CREATE INDEX ix_transactions_date ON transactions (user_id, date, id);
CREATE INDEX ix_transactions_security ON transactions (user_id, security_id);
CREATE INDEX ix_transactions_version ON transactions (user_id, data_version);

CREATE TABLE transaction_keys (
    user_id uuid NOT NULL,
    link_id uuid NOT NULL,
    account_id uuid NOT NULL,
    key text NOT NULL,
    transaction_id uuid NOT NULL,
    CONSTRAINT pk_transaction_keys PRIMARY KEY (user_id, link_id, account_id, key),
    CONSTRAINT fk_transaction_keys_user_id_links FOREIGN KEY (user_id, link_id)
        REFERENCES links (user_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_transaction_keys_user_id_transactions FOREIGN KEY (user_id, transaction_id)
        REFERENCES transactions (user_id, id) ON DELETE CASCADE
);
CREATE INDEX ix_transaction_keys_transaction ON transaction_keys (user_id, transaction_id);
"""


ROLES = """
DO $$
DECLARE
    missing text := (
        SELECT string_agg(wanted, ', ') FROM unnest(ARRAY['dashtam_app', 'dashtam_doors']) AS wanted
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
    );
BEGIN
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'the role % is missing: the README says how to make it', missing;
    END IF;
    IF NOT pg_has_role('dashtam_doors', 'MEMBER') THEN
        RAISE EXCEPTION 'the role % must be a member of dashtam_doors', current_user;
    END IF;
    -- A policy for doors also holds for whoever inherits doors' privileges.
    IF pg_has_role('dashtam_doors', 'USAGE') THEN
        RAISE EXCEPTION
            'the role % must not inherit dashtam_doors: make it NOINHERIT, and no superuser',
            current_user;
    END IF;
END $$
"""


def upgrade() -> None:
    for statements in (ROLES, PEOPLE, LINKS, ACCOUNTS, POSITIONS, TRANSACTIONS):
        run(statements)
