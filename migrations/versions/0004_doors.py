"""Doors: the closed list of functions that look at rows before anyone, or for nobody, is known.

They belong to a role that nobody logs in as and that alone may read across users; each gives the
least that its caller needs. What they name is qualified, and their search path is pinned.
"""

from migrations.statements import run

revision = "0004"
down_revision = "0003"

VIEWS = """
GRANT SELECT ON users, sessions, events TO dashtam_doors;
GRANT SELECT (user_id, session_id, digest) ON refresh_tokens TO dashtam_doors;
GRANT SELECT (user_id, id, next_sync_at) ON links TO dashtam_doors;
GRANT SELECT (user_id, id, status, touched_at) ON sync_runs TO dashtam_doors;
GRANT UPDATE (relayed_at) ON events TO dashtam_doors;
CREATE POLICY doors ON users FOR SELECT TO dashtam_doors USING (true);
CREATE POLICY doors ON sessions FOR SELECT TO dashtam_doors USING (true);
CREATE POLICY doors ON refresh_tokens FOR SELECT TO dashtam_doors USING (true);
CREATE POLICY doors ON links FOR SELECT TO dashtam_doors USING (true);
CREATE POLICY doors ON sync_runs FOR SELECT TO dashtam_doors USING (true);
CREATE POLICY doors_read ON events FOR SELECT TO dashtam_doors USING (true);
CREATE POLICY doors_mark ON events FOR UPDATE TO dashtam_doors USING (true);
"""

SIGN_IN = """
CREATE FUNCTION user_by_email(address text)
    RETURNS TABLE (
        user_id uuid, email text, email_verified boolean, password_hash text, role text,
        created_at timestamptz, base_currency text, time_zone text, session_limit integer,
        token_version integer
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.user_id, u.email, u.email_verified, u.password_hash, u.role, u.created_at,
        u.base_currency, u.time_zone, u.session_limit, u.token_version
    FROM public.users u WHERE u.email = address
$$;
"""

SESSIONS = """
CREATE FUNCTION session_by_hash(digest bytea)
    RETURNS TABLE (
        user_id uuid, id uuid, created_at timestamptz, last_used_at timestamptz,
        expires_at timestamptz, refresh_hash bytea, is_cookie boolean, device text,
        ip_address text, ended_at timestamptz, role text, token_version integer
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.user_id, s.id, s.created_at, s.last_used_at, s.expires_at, s.refresh_hash,
        s.is_cookie, s.device, s.ip_address, s.ended_at, u.role, u.token_version
    FROM (
        SELECT n.user_id, n.id FROM public.sessions n
        WHERE n.refresh_hash = session_by_hash.digest
        UNION
        SELECT t.user_id, t.session_id FROM public.refresh_tokens t
        WHERE t.digest = session_by_hash.digest
    ) found
    JOIN public.sessions s ON s.user_id = found.user_id AND s.id = found.id
    JOIN public.users u ON u.user_id = s.user_id
$$;

CREATE FUNCTION session_by_id(who uuid, which uuid)
    RETURNS TABLE (
        user_id uuid, id uuid, created_at timestamptz, last_used_at timestamptz,
        expires_at timestamptz, refresh_hash bytea, is_cookie boolean, device text,
        ip_address text, ended_at timestamptz, role text, token_version integer
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.user_id, s.id, s.created_at, s.last_used_at, s.expires_at, s.refresh_hash,
        s.is_cookie, s.device, s.ip_address, s.ended_at, u.role, u.token_version
    FROM public.sessions s JOIN public.users u ON u.user_id = s.user_id
    WHERE s.user_id = who AND s.id = which
$$;
"""

SCHEDULE = """
CREATE FUNCTION due_links(at timestamptz, most integer)
    RETURNS TABLE (user_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.user_id, l.id FROM public.links l
    WHERE l.next_sync_at <= at ORDER BY l.next_sync_at, l.id LIMIT most
$$;

CREATE FUNCTION stalled_runs(before timestamptz, most integer)
    RETURNS TABLE (user_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.user_id, r.id FROM public.sync_runs r
    WHERE r.status IN ('QUEUED', 'RUNNING') AND r.touched_at < before
    ORDER BY r.touched_at, r.id LIMIT most
$$;
"""

# VOLATILE: they lock and write, and each call must see what is committed by then.
OUTBOX = """
CREATE FUNCTION waiting_events(names text[], most integer)
    RETURNS TABLE (user_id uuid, seq bigint, name text, at timestamptz, facts jsonb)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.user_id, e.seq, e.name, e.at, e.facts FROM public.events e
    WHERE e.relayed_at IS NULL AND e.name = ANY (names)
    ORDER BY e.seq LIMIT most FOR UPDATE SKIP LOCKED
$$;

CREATE FUNCTION events_relayed(which bigint[])
    RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE public.events e SET relayed_at = clock_timestamp()
    WHERE e.seq = ANY (which) AND e.relayed_at IS NULL
$$;
"""

DOORS = (
    "user_by_email",
    "session_by_hash",
    "session_by_id",
    "due_links",
    "stalled_runs",
    "waiting_events",
    "events_relayed",
)
GIVE = """
REVOKE ALL ON FUNCTION {door} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {door} TO dashtam_app;
ALTER FUNCTION {door} OWNER TO dashtam_doors;
"""


def upgrade() -> None:
    for script in (VIEWS, SIGN_IN, SESSIONS, SCHEDULE, OUTBOX):
        run(script)
    # A function is only given to a role that may create in its schema.
    run("GRANT CREATE ON SCHEMA public TO dashtam_doors")
    for door in DOORS:
        run(GIVE.format(door=door))
    run("REVOKE CREATE ON SCHEMA public FROM dashtam_doors")
