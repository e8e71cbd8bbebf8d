"""History, runs, files, events, the audit log, the change feed's tombstones, and Casbin's rules."""

from migrations.statements import run

revision = "0002"
down_revision = "0001"

HISTORY = """
CREATE TABLE balance_snapshots (
    user_id uuid NOT NULL,
    account_id uuid NOT NULL,
    at timestamptz NOT NULL,
    id uuid NOT NULL,
    balance numeric NOT NULL,
    currency text NOT NULL,
    available_balance numeric,
    holdings_value numeric,
    cash_value numeric,
    source text NOT NULL,
    run_id uuid,
    CONSTRAINT pk_balance_snapshots PRIMARY KEY (user_id, account_id, at),
    CONSTRAINT fk_balance_snapshots_user_id_accounts FOREIGN KEY (user_id, account_id)
        REFERENCES accounts (user_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_balance_snapshots_source CHECK (
        source IN ('ACCOUNT_SYNC', 'HOLDINGS_SYNC', 'FILE_IMPORT', 'MANUAL', 'BACKFILL')
    )
);
CREATE INDEX ix_balance_snapshots_run ON balance_snapshots (user_id, run_id);
"""

RUNS = """
CREATE TABLE sync_runs (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    link_id uuid NOT NULL,
    trigger text NOT NULL,
    status text NOT NULL,
    scopes text[] NOT NULL,
    since date,
    until date,
    force boolean NOT NULL DEFAULT false,
    account_keys text[],
    queued_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    touched_at timestamptz NOT NULL,
    step text,
    progress numeric NOT NULL,
    accounts_created integer NOT NULL DEFAULT 0,
    accounts_updated integer NOT NULL DEFAULT 0,
    accounts_unchanged integer NOT NULL DEFAULT 0,
    accounts_removed integer NOT NULL DEFAULT 0,
    accounts_quarantined integer NOT NULL DEFAULT 0,
    holdings_created integer NOT NULL DEFAULT 0,
    holdings_updated integer NOT NULL DEFAULT 0,
    holdings_unchanged integer NOT NULL DEFAULT 0,
    holdings_removed integer NOT NULL DEFAULT 0,
    holdings_quarantined integer NOT NULL DEFAULT 0,
    transactions_created integer NOT NULL DEFAULT 0,
    transactions_updated integer NOT NULL DEFAULT 0,
    transactions_unchanged integer NOT NULL DEFAULT 0,
    transactions_removed integer NOT NULL DEFAULT 0,
    transactions_quarantined integer NOT NULL DEFAULT 0,
    read_accounts integer NOT NULL DEFAULT 0,
    failed_accounts integer NOT NULL DEFAULT 0,
    error_code text,
    error_message text,
    error_retry_after_s integer,
    attempts integer NOT NULL DEFAULT 0,
    cursor text,
    cancel_asked boolean NOT NULL DEFAULT false,
    CONSTRAINT pk_sync_runs PRIMARY KEY (user_id, id),
    CONSTRAINT fk_sync_runs_user_id_links FOREIGN KEY (user_id, link_id)
        REFERENCES links (user_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_sync_runs_trigger CHECK (
        trigger IN ('USER', 'SCHEDULE', 'CONNECT', 'IMPORT', 'WEBHOOK')
    ),
    CONSTRAINT ck_sync_runs_status CHECK (
        status IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'PARTIAL', 'FAILED', 'CANCELLED')
    ),
    CONSTRAINT ck_sync_runs_step CHECK (
        step IS NULL OR step IN ('ACCOUNTS', 'HOLDINGS', 'TRANSACTIONS')
    )
);
CREATE INDEX ix_sync_runs_link ON sync_runs (user_id, link_id, id);
CREATE INDEX ix_sync_runs_stalled
    ON sync_runs (touched_at) WHERE status IN ('QUEUED', 'RUNNING');
CREATE UNIQUE INDEX ux_sync_runs_active
    ON sync_runs (user_id, link_id) WHERE status IN ('QUEUED', 'RUNNING');

CREATE TABLE quarantine (
    user_id uuid NOT NULL,
    run_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    raw text NOT NULL,
    line integer,
    account_key text,
    CONSTRAINT pk_quarantine PRIMARY KEY (user_id, run_id, id),
    CONSTRAINT fk_quarantine_user_id_sync_runs FOREIGN KEY (user_id, run_id)
        REFERENCES sync_runs (user_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_quarantine_kind CHECK (kind IN ('ACCOUNTS', 'HOLDINGS', 'TRANSACTIONS'))
);
"""

IMPORTS = """
CREATE TABLE import_files (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    run_id uuid NOT NULL,
    name text NOT NULL,
    digest bytea NOT NULL,
    size integer NOT NULL,
    received_at timestamptz NOT NULL,
    sealed_content bytea,
    CONSTRAINT pk_import_files PRIMARY KEY (user_id, id),
    CONSTRAINT fk_import_files_user_id_sync_runs FOREIGN KEY (user_id, run_id)
        REFERENCES sync_runs (user_id, id) ON DELETE CASCADE,
    CONSTRAINT uq_import_files_run UNIQUE (user_id, run_id)
);

CREATE TABLE import_changes (
    user_id uuid NOT NULL,
    run_id uuid NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL,
    row_id uuid NOT NULL,
    before jsonb,
    version bigint NOT NULL,
    CONSTRAINT pk_import_changes PRIMARY KEY (user_id, run_id, seq),
    CONSTRAINT fk_import_changes_user_id_sync_runs FOREIGN KEY (user_id, run_id)
        REFERENCES sync_runs (user_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_import_changes_kind CHECK (kind IN ('account', 'holding', 'transaction'))
);
"""

RECORDS = """
CREATE TABLE tombstones (
    user_id uuid NOT NULL,
    kind text NOT NULL,
    id uuid NOT NULL,
    data_version bigint NOT NULL,
    CONSTRAINT pk_tombstones PRIMARY KEY (user_id, kind, id),
    CONSTRAINT fk_tombstones_user_id_users FOREIGN KEY (user_id)
        REFERENCES users (user_id) ON DELETE CASCADE
);
CREATE INDEX ix_tombstones_version ON tombstones (user_id, data_version);

CREATE TABLE events (
    user_id uuid NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    at timestamptz NOT NULL,
    facts jsonb NOT NULL,
    relayed_at timestamptz,
    CONSTRAINT pk_events PRIMARY KEY (user_id, seq),
    CONSTRAINT fk_events_user_id_users FOREIGN KEY (user_id)
        REFERENCES users (user_id) ON DELETE CASCADE
);
CREATE INDEX ix_events_waiting ON events (seq) WHERE relayed_at IS NULL;

CREATE TABLE audit_log (
    user_id uuid NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    action text NOT NULL,
    outcome text NOT NULL,
    resource text,
    ip_address text,
    detail text,
    CONSTRAINT pk_audit_log PRIMARY KEY (user_id, seq),
    CONSTRAINT ck_audit_log_outcome CHECK (outcome IN ('ATTEMPTED', 'SUCCEEDED', 'FAILED'))
);
"""

POLICY = """
CREATE TABLE casbin_rules (
    role text NOT NULL,
    object text NOT NULL,
    action text NOT NULL,
    CONSTRAINT pk_casbin_rules PRIMARY KEY (role, object, action)
);
"""

# What adapters/security/casbin_policy.py has by default; a test compares them.
DEFAULT_RULES = """
INSERT INTO casbin_rules (role, object, action) VALUES
    ('ADMIN', '*', '*'),
    ('USER', 'settings', 'write'),
    ('USER', 'link', 'write'),
    ('USER', 'data', 'write'),
    ('USER', 'session', 'write'),
    ('READONLY', 'session', 'write');
"""

# The owner is stopped too, and a statement that would meet no row.
APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    for script in (HISTORY, RUNS, IMPORTS, RECORDS, POLICY, DEFAULT_RULES, APPEND_ONLY):
        run(script)
