"""Requests that may be repeated, and indexes by data version for the change feed.

A key is claimed before its request runs, marked in the transaction that commits what the request
does, and has the answer once it was given, sealed. It is of use for a day, and then forgotten for
all by a door. A gateway of the release before knows no keys, and runs whatever it is asked.

The indexes of links and securities are built beside whoever writes to them. Built in the
transaction of the rest, they would lock both, and then users for a moment: the other way round
than a sync does, which has its user's row before it comes to theirs.
"""

from alembic import op

from migrations.doors import give
from migrations.statements import run

revision = "0022"
down_revision = "0021"

TABLES = ("links", "securities")

KEYS = """
CREATE TABLE idempotency_keys (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    claim uuid NOT NULL,
    claimed_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    done_at timestamptz,
    answered_at timestamptz,
    sealed bytea,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (user_id, id),
    CONSTRAINT fk_idempotency_keys_user_id_users FOREIGN KEY (user_id)
        REFERENCES users (user_id) ON DELETE CASCADE
);
CREATE INDEX ix_idempotency_keys_created ON idempotency_keys (created_at);
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON idempotency_keys TO dashtam_app
    USING (user_id = (SELECT nullif(current_setting('app.user_id', true), '')::uuid));
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO dashtam_app;
"""

DOOR = """
GRANT SELECT (user_id, id, created_at), DELETE ON idempotency_keys TO dashtam_doors;
CREATE POLICY doors_read ON idempotency_keys FOR SELECT TO dashtam_doors USING (true);
CREATE POLICY doors_clear ON idempotency_keys FOR DELETE TO dashtam_doors USING (true);

CREATE FUNCTION clear_idempotency_keys(before timestamptz, most integer)
    RETURNS integer
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (
        DELETE FROM public.idempotency_keys k USING (
            SELECT w.user_id, w.id FROM public.idempotency_keys w
            WHERE w.created_at < before ORDER BY w.created_at LIMIT most
        ) old
        WHERE k.user_id = old.user_id AND k.id = old.id AND k.created_at < before
        RETURNING 1
    )
    SELECT count(*)::integer FROM gone
$$;
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table in TABLES:  # one that an earlier try left behind is not valid
            index = f"ix_{table}_version"
            run(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")
            run(f"CREATE INDEX CONCURRENTLY {index} ON {table} (user_id, data_version)")
    for script in (KEYS, DOOR):
        run(script)
    give("clear_idempotency_keys")
