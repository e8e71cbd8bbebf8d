"""Identity and row-level security: who may see and write which rows.

`enter` names the user of a transaction, for that transaction only. The runtime role sees that
user's rows and nobody else's; it owns nothing, and FORCE holds the owner to the rules as well.
"""

from migrations.statements import run

revision = "0003"
down_revision = "0002"

IDENTITY = """
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO dashtam_app, dashtam_doors;

CREATE FUNCTION enter(who uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(pg_catalog.current_setting('app.user_id', true), '') <> '' THEN
        RAISE EXCEPTION 'this transaction has an identity already'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_catalog.set_config('app.user_id', who::text, true);
END $$;
REVOKE ALL ON FUNCTION enter FROM PUBLIC;
GRANT EXECUTE ON FUNCTION enter TO dashtam_app;
REVOKE ALL ON FUNCTION refuse_change FROM PUBLIC;
"""

# What the runtime role may do with each table of user data.
PRIVILEGES = {
    "users": "SELECT, INSERT, UPDATE",
    "sessions": "SELECT, INSERT, UPDATE, DELETE",
    "refresh_tokens": "SELECT, INSERT",
    "links": "SELECT, INSERT, UPDATE, DELETE",
    "credentials": "SELECT, INSERT, UPDATE, DELETE",
    "accounts": "SELECT, INSERT, UPDATE, DELETE",
    "link_accounts": "SELECT, INSERT, UPDATE, DELETE",
    "securities": "SELECT, INSERT, UPDATE, DELETE",
    "holdings": "SELECT, INSERT, UPDATE, DELETE",
    "transactions": "SELECT, INSERT, UPDATE, DELETE",
    "transaction_keys": "SELECT, INSERT, UPDATE, DELETE",
    "balance_snapshots": "SELECT, INSERT, DELETE",
    "sync_runs": "SELECT, INSERT, UPDATE",
    "quarantine": "SELECT, INSERT, DELETE",
    "import_files": "SELECT, INSERT, UPDATE",
    "import_changes": "SELECT, INSERT, DELETE",
    "tombstones": "SELECT, INSERT",
    "events": "SELECT, INSERT",
    "audit_log": "SELECT, INSERT",
}

# The subselect is evaluated once a statement, not once a row.
OWN = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON {table} TO dashtam_app
    USING (user_id = (SELECT nullif(current_setting('app.user_id', true), '')::uuid));
GRANT {privileges} ON {table} TO dashtam_app;
"""

# No user's data: the same rules for all, and what readiness looks at.
FOR_ALL = """
GRANT SELECT ON casbin_rules, alembic_version TO dashtam_app;
"""


def upgrade() -> None:
    run(IDENTITY)
    for table, privileges in PRIVILEGES.items():
        run(OWN.format(table=table, privileges=privileges))
    run(FOR_ALL)
