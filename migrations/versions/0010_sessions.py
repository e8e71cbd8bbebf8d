"""What is known of a session, and which generation of tokens is good.

Of security_config the runtime role reads the one row and changes nothing: only the door
`rotate_tokens` does, and that only forward. So what was refused once is never good again, whatever
the runtime role is made to say.

A gateway of the release before goes on with its sessions, which begin at the first versions of
both; it does not know of a rotation. The two indexes are of tables that are written by people who
sign in and by clients that refresh, who wait while they are built.
"""

from migrations.doors import give
from migrations.statements import run

revision = "0010"
down_revision = "0009"

COLUMNS = """
ALTER TABLE sessions
    ADD COLUMN location text,
    ADD COLUMN providers_accessed text[] NOT NULL DEFAULT '{}',
    ADD COLUMN token_version integer NOT NULL DEFAULT 0,
    ADD COLUMN generation integer NOT NULL DEFAULT 0;
CREATE INDEX ix_sessions_over ON sessions (least(ended_at, expires_at));
CREATE INDEX ix_refresh_tokens_rotated ON refresh_tokens (rotated_at);
"""

ROTATION = """
CREATE TABLE security_config (
    one boolean NOT NULL DEFAULT true,
    global_token_version integer NOT NULL DEFAULT 0,
    grace_seconds integer NOT NULL DEFAULT 300,
    last_rotated_at timestamptz,
    last_rotation_reason text,
    CONSTRAINT pk_security_config PRIMARY KEY (one),
    CONSTRAINT ck_security_config_one CHECK (one),
    CONSTRAINT ck_security_config_grace_seconds CHECK (grace_seconds BETWEEN 0 AND 86400)
);
INSERT INTO security_config DEFAULT VALUES;
GRANT SELECT ON security_config TO dashtam_app, dashtam_doors;
GRANT UPDATE ON security_config TO dashtam_doors;

CREATE FUNCTION rotate_tokens(reason text, grace integer, at timestamptz)
    RETURNS TABLE (
        global_token_version integer, grace_seconds integer, last_rotated_at timestamptz,
        last_rotation_reason text
    )
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE public.security_config c SET
        global_token_version = c.global_token_version + 1, grace_seconds = grace,
        last_rotated_at = greatest(at, c.last_rotated_at), last_rotation_reason = reason
    RETURNING c.global_token_version, c.grace_seconds, c.last_rotated_at, c.last_rotation_reason
$$;
"""

# What a session has to be of comes with it, so that a process that missed the news of a rotation
# hears of it as soon as it looks again.
SESSIONS = """
DROP FUNCTION session_by_hash(bytea);
CREATE FUNCTION session_by_hash(digest bytea)
    RETURNS TABLE (
        user_id uuid, id uuid, created_at timestamptz, last_used_at timestamptz,
        expires_at timestamptz, refresh_hash bytea, is_cookie boolean, device text,
        ip_address text, ended_at timestamptz, role text, token_version integer,
        session_version integer, generation integer, global_token_version integer,
        grace_seconds integer, last_rotated_at timestamptz
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.user_id, s.id, s.created_at, s.last_used_at, s.expires_at, s.refresh_hash,
        s.is_cookie, s.device, s.ip_address, s.ended_at, u.role, u.token_version,
        s.token_version, s.generation, c.global_token_version, c.grace_seconds, c.last_rotated_at
    FROM (
        SELECT n.user_id, n.id FROM public.sessions n
        WHERE n.refresh_hash = session_by_hash.digest
        UNION
        SELECT t.user_id, t.session_id FROM public.refresh_tokens t
        WHERE t.digest = session_by_hash.digest
    ) found
    JOIN public.sessions s ON s.user_id = found.user_id AND s.id = found.id
    JOIN public.users u ON u.user_id = s.user_id
    CROSS JOIN public.security_config c
$$;

DROP FUNCTION session_by_id(uuid, uuid);
CREATE FUNCTION session_by_id(who uuid, which uuid)
    RETURNS TABLE (
        user_id uuid, id uuid, created_at timestamptz, last_used_at timestamptz,
        expires_at timestamptz, refresh_hash bytea, is_cookie boolean, device text,
        ip_address text, ended_at timestamptz, role text, token_version integer,
        session_version integer, generation integer, global_token_version integer,
        grace_seconds integer, last_rotated_at timestamptz
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.user_id, s.id, s.created_at, s.last_used_at, s.expires_at, s.refresh_hash,
        s.is_cookie, s.device, s.ip_address, s.ended_at, u.role, u.token_version,
        s.token_version, s.generation, c.global_token_version, c.grace_seconds, c.last_rotated_at
    FROM public.sessions s JOIN public.users u ON u.user_id = s.user_id
    CROSS JOIN public.security_config c
    WHERE s.user_id = who AND s.id = which
$$;
"""

# A session is kept for a week after its end. A token that was exchanged is kept until it would
# have expired (30 days), and a week: until then, whoever presents it again has stolen it, or was
# stolen from. The times are the database's own, so that nobody forgets what is not over.
FORGETTING = """
CREATE FUNCTION forget_sessions(most integer) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH over AS (
        DELETE FROM public.sessions s USING (
            SELECT n.user_id, n.id FROM public.sessions n
            WHERE least(n.ended_at, n.expires_at) < now() - interval '7 days'
            ORDER BY least(n.ended_at, n.expires_at) LIMIT most
        ) old
        WHERE s.user_id = old.user_id AND s.id = old.id RETURNING 1
    ), spent AS (
        DELETE FROM public.refresh_tokens t USING (
            SELECT n.user_id, n.session_id, n.digest FROM public.refresh_tokens n
            WHERE n.rotated_at < now() - interval '37 days'
            ORDER BY n.rotated_at LIMIT most
        ) old
        WHERE t.user_id = old.user_id AND t.session_id = old.session_id AND t.digest = old.digest
        RETURNING 1
    )
    SELECT greatest((SELECT count(*) FROM over), (SELECT count(*) FROM spent))
$$;
GRANT DELETE ON sessions, refresh_tokens TO dashtam_doors;
GRANT SELECT (rotated_at) ON refresh_tokens TO dashtam_doors;
CREATE POLICY doors_forget ON sessions FOR DELETE TO dashtam_doors USING (true);
CREATE POLICY doors_forget ON refresh_tokens FOR DELETE TO dashtam_doors USING (true);
"""

DOORS = ("session_by_hash", "session_by_id", "rotate_tokens", "forget_sessions")


def upgrade() -> None:
    for script in (COLUMNS, ROTATION, SESSIONS, FORGETTING):
        run(script)
    give(*DOORS)
