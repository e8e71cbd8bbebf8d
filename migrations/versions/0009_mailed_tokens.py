"""Mailed tokens, and people who may go.

A token is looked for before anyone is known, and cleared for all: both by doors. Who deletes
themselves deletes their row; every other row of theirs refers to it and goes with it, as the owner
of the tables, who is held to no policy by a foreign key. An account whose address nobody confirmed
goes by a door, once the last token that was mailed there has: it may be a stranger's address.
"""

from migrations.doors import give
from migrations.statements import run

revision = "0009"
down_revision = "0008"

TOKENS = """
CREATE TABLE email_tokens (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    purpose text NOT NULL,
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    password_hash text,
    CONSTRAINT pk_email_tokens PRIMARY KEY (user_id, id),
    CONSTRAINT fk_email_tokens_user_id_users FOREIGN KEY (user_id)
        REFERENCES users (user_id) ON DELETE CASCADE,
    CONSTRAINT ck_email_tokens_purpose CHECK (purpose IN ('VERIFY', 'RESET'))
);
CREATE UNIQUE INDEX ux_email_tokens_digest ON email_tokens (digest);
CREATE INDEX ix_email_tokens_expires ON email_tokens (expires_at);
ALTER TABLE email_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE email_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON email_tokens TO dashtam_app
    USING (user_id = (SELECT nullif(current_setting('app.user_id', true), '')::uuid));
GRANT SELECT, INSERT, UPDATE, DELETE ON email_tokens TO dashtam_app;
GRANT DELETE ON users TO dashtam_app;
"""

DOORS = """
GRANT SELECT (user_id, id, digest, expires_at), DELETE ON email_tokens TO dashtam_doors;
CREATE POLICY doors_read ON email_tokens FOR SELECT TO dashtam_doors USING (true);
CREATE POLICY doors_clear ON email_tokens FOR DELETE TO dashtam_doors USING (true);

CREATE FUNCTION user_by_email_token(digest bytea)
    RETURNS TABLE (user_id uuid, role text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.user_id, u.role FROM public.email_tokens t JOIN public.users u USING (user_id)
    WHERE t.digest = user_by_email_token.digest
$$;

CREATE FUNCTION clear_email_tokens(before timestamptz, most integer)
    RETURNS integer
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (
        DELETE FROM public.email_tokens t USING (
            SELECT e.user_id, e.id FROM public.email_tokens e
            WHERE e.expires_at < before ORDER BY e.expires_at LIMIT most
        ) old
        WHERE t.user_id = old.user_id AND t.id = old.id RETURNING 1
    )
    SELECT count(*)::integer FROM gone
$$;

GRANT DELETE ON users TO dashtam_doors;
CREATE POLICY doors_forget ON users FOR DELETE TO dashtam_doors USING (NOT email_verified);

CREATE FUNCTION forget_unverified(before timestamptz, most integer)
    RETURNS integer
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (
        DELETE FROM public.users u USING (
            SELECT n.user_id FROM public.users n
            WHERE NOT n.email_verified AND n.created_at < before AND NOT EXISTS (
                SELECT FROM public.email_tokens t WHERE t.user_id = n.user_id
            )
            LIMIT most
        ) old
        WHERE u.user_id = old.user_id AND NOT u.email_verified RETURNING 1
    )
    SELECT count(*)::integer FROM gone
$$;
"""


def upgrade() -> None:
    run(TOKENS)
    run(DOORS)
    give("user_by_email_token", "clear_email_tokens", "forget_unverified")
