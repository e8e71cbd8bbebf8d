"""Consent that was asked for, and links that wait for it.

An attempt is looked for by the digest of its state before anyone is known: the door tells the least
that our callback needs to send a browser on. What is over is found for all by another, and
forgotten inside of each user's identity, since their links have a data version.

The index of links is built while they are locked: there are as many as people have providers.
"""

from migrations.doors import give
from migrations.statements import run

revision = "0015"
down_revision = "0014"

STATES = """
CREATE TABLE oauth_states (
    user_id uuid NOT NULL,
    id uuid NOT NULL,
    digest bytea NOT NULL,
    session_id uuid NOT NULL,
    link_id uuid NOT NULL,
    mends boolean NOT NULL,
    provider_slug text NOT NULL,
    redirect_uri text NOT NULL,
    sealed_verifier bytea NOT NULL,
    return_to text,
    alias text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT pk_oauth_states PRIMARY KEY (user_id, id),
    CONSTRAINT fk_oauth_states_user_id_users FOREIGN KEY (user_id)
        REFERENCES users (user_id) ON DELETE CASCADE,
    CONSTRAINT fk_oauth_states_user_id_sessions FOREIGN KEY (user_id, session_id)
        REFERENCES sessions (user_id, id) ON DELETE CASCADE,
    CONSTRAINT fk_oauth_states_user_id_links FOREIGN KEY (user_id, link_id)
        REFERENCES links (user_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX ux_oauth_states_digest ON oauth_states (digest);
CREATE INDEX ix_oauth_states_expires ON oauth_states (expires_at);
CREATE INDEX ix_links_pending ON links (created_at) WHERE status = 'PENDING';
ALTER TABLE oauth_states ENABLE ROW LEVEL SECURITY;
ALTER TABLE oauth_states FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON oauth_states TO dashtam_app
    USING (user_id = (SELECT nullif(current_setting('app.user_id', true), '')::uuid));
GRANT SELECT, INSERT, UPDATE, DELETE ON oauth_states TO dashtam_app;
"""

DOORS = """
GRANT SELECT (user_id, digest, session_id, provider_slug, return_to, expires_at)
    ON oauth_states TO dashtam_doors;
GRANT SELECT (status, created_at) ON links TO dashtam_doors;
CREATE POLICY doors ON oauth_states FOR SELECT TO dashtam_doors USING (true);

CREATE FUNCTION authorization_by_state(digest bytea, session uuid, at timestamptz)
    RETURNS TABLE (provider_slug text, return_to text, is_own boolean)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.provider_slug, s.return_to, coalesce(s.session_id = session, false)
    FROM public.oauth_states s
    WHERE s.digest = authorization_by_state.digest AND s.expires_at > at
$$;

CREATE FUNCTION lapsed_authorizations(at timestamptz, before timestamptz, most integer)
    RETURNS TABLE (user_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.user_id FROM public.oauth_states s WHERE s.expires_at <= at
    UNION
    SELECT l.user_id FROM public.links l WHERE l.status = 'PENDING' AND l.created_at <= before
    LIMIT most
$$;
"""


def upgrade() -> None:
    run(STATES)
    run(DOORS)
    give("authorization_by_state", "lapsed_authorizations")
