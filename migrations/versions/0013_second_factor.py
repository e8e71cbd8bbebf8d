"""The second factor, and what signing in leaves with a user.

A gateway of the release before asks for no code: whoever runs one beside this during an update has
the second factor wherever the new one answers.
"""

from migrations.doors import give
from migrations.statements import run

revision = "0013"
down_revision = "0012"

SIGNING_IN = """
ALTER TABLE users
    ADD COLUMN totp_enabled boolean NOT NULL DEFAULT false,
    ADD COLUMN password_changed_at timestamptz;
"""

# The row stays when the second factor goes, so that no two seeds ever have one version.
SECOND_FACTOR = """
CREATE TABLE totp_secrets (
    user_id uuid NOT NULL,
    sealed bytea,
    version bigint NOT NULL,
    last_step bigint,
    CONSTRAINT pk_totp_secrets PRIMARY KEY (user_id),
    CONSTRAINT fk_totp_secrets_user_id_users FOREIGN KEY (user_id)
        REFERENCES users (user_id) ON DELETE CASCADE
);
CREATE TABLE recovery_codes (
    user_id uuid NOT NULL,
    digest bytea NOT NULL,
    CONSTRAINT pk_recovery_codes PRIMARY KEY (user_id, digest),
    CONSTRAINT fk_recovery_codes_user_id_users FOREIGN KEY (user_id)
        REFERENCES users (user_id) ON DELETE CASCADE
);
"""

OWN = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON {table} TO dashtam_app
    USING (user_id = (SELECT nullif(current_setting('app.user_id', true), '')::uuid));
GRANT {privileges} ON {table} TO dashtam_app;
"""
PRIVILEGES = {
    "totp_secrets": "SELECT, INSERT, UPDATE",
    "recovery_codes": "SELECT, INSERT, DELETE",
}

DOOR = """
DROP FUNCTION user_by_email(text);
CREATE FUNCTION user_by_email(address text)
    RETURNS TABLE (
        user_id uuid, email text, email_verified boolean, password_hash text, role text,
        created_at timestamptz, base_currency text, time_zone text, session_limit integer,
        token_version integer, totp_enabled boolean, last_sign_in_at timestamptz,
        password_changed_at timestamptz
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.user_id, u.email, u.email_verified, u.password_hash, u.role, u.created_at,
        u.base_currency, u.time_zone, u.session_limit, u.token_version, u.totp_enabled,
        u.last_sign_in_at, u.password_changed_at
    FROM public.users u WHERE u.email = address
$$;
"""


def upgrade() -> None:
    run(SIGNING_IN)
    run(SECOND_FACTOR)
    for table, privileges in PRIVILEGES.items():
        run(OWN.format(table=table, privileges=privileges))
    run(DOOR)
    give("user_by_email")
