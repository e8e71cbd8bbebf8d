"""The audit log says who and by what trace, is chained, and is read by administrators.

The new columns may be null and are added without a default, which only changes the catalogue; the
indexes are built while the log is written to. A gateway of the release before goes on to write
rows, without a MAC. Each row waits in `audit_unsealed` from its own transaction on, so that one
that commits late is sealed all the same; rows from before are put there too.

What locks the log does so for a moment, and by itself: the rows from before are put there in a
transaction that locks nothing. What of this is outside of that transaction can be run again.
"""

from alembic import op

from migrations.doors import give
from migrations.statements import run

revision = "0008"
down_revision = "0007"

LOCK = 4_714_390_226_582  # of whoever seals, for the transaction

COLUMNS = """
ALTER TABLE audit_log ADD COLUMN IF NOT EXISTS id uuid, ADD COLUMN IF NOT EXISTS actor_id uuid,
    ADD COLUMN IF NOT EXISTS session_id uuid, ADD COLUMN IF NOT EXISTS trace_id text,
    ADD COLUMN IF NOT EXISTS mac bytea;
ALTER TABLE audit_log ALTER COLUMN id SET DEFAULT gen_random_uuid();
"""
INDEXES = (
    "CREATE UNIQUE INDEX CONCURRENTLY ux_audit_log_id ON audit_log (id)",
    "CREATE UNIQUE INDEX CONCURRENTLY ux_audit_log_seq ON audit_log (seq)",
    "CREATE INDEX CONCURRENTLY ix_audit_log_action ON audit_log (action, seq)",
)

# Before the rows that are there already are put into it: its trigger sees all that come.
WAITING = """
CREATE TABLE IF NOT EXISTS audit_unsealed (
    seq bigint NOT NULL,
    since timestamptz NOT NULL,
    CONSTRAINT pk_audit_unsealed PRIMARY KEY (seq)
);
GRANT SELECT, INSERT, DELETE ON audit_unsealed TO dashtam_doors;
GRANT SELECT ON audit_log TO dashtam_doors;
DROP POLICY IF EXISTS doors ON audit_log;
CREATE POLICY doors ON audit_log FOR SELECT TO dashtam_doors USING (true);
CREATE OR REPLACE FUNCTION audit_written() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.audit_unsealed (seq, since) VALUES (NEW.seq, clock_timestamp())
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER written AFTER INSERT ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_written();
"""

CHAIN = """
CREATE TABLE audit_chain (
    position bigint NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT pk_audit_chain PRIMARY KEY (position),
    CONSTRAINT uq_audit_chain_seq UNIQUE (seq)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE audit_report (
    one boolean NOT NULL DEFAULT true,
    at timestamptz NOT NULL,
    entries bigint NOT NULL,
    intact boolean NOT NULL,
    broken_id uuid,
    mac bytea NOT NULL,
    CONSTRAINT pk_audit_report PRIMARY KEY (one),
    CONSTRAINT ck_audit_report_one CHECK (one)
);

GRANT SELECT, INSERT ON audit_chain TO dashtam_doors;
GRANT SELECT, INSERT, UPDATE ON audit_report TO dashtam_doors;
"""

ROW = """
    user_id uuid, seq bigint, id uuid, actor_id uuid, session_id uuid, at timestamptz,
    action text, outcome text, resource text, ip_address text, trace_id text, detail text,
    mac bytea"""
OF_ROW = """a.user_id, a.seq, a.id, a.actor_id, a.session_id, a.at, a.action, a.outcome,
    a.resource, a.ip_address, a.trace_id, a.detail, a.mac"""

# VOLATILE: what they find must be what is committed once the lock is had.
SEALING = f"""
CREATE FUNCTION audit_tip(known bigint)
    RETURNS TABLE (
        tip bigint, hash bytea, is_signed boolean, last_at timestamptz, known_hash bytea
    )
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock({LOCK}) THEN RETURN; END IF;
    RETURN QUERY
    SELECT coalesce(t.position, 0), t.hash, a.mac IS NOT NULL, a.at, k.hash
    FROM (SELECT) AS one
    LEFT JOIN (
        SELECT c.position, c.seq, c.hash FROM public.audit_chain c
        ORDER BY c.position DESC LIMIT 1
    ) t ON true
    LEFT JOIN public.audit_log a ON a.seq = t.seq
    LEFT JOIN public.audit_chain k ON k.position = known;
END $$;

CREATE FUNCTION unsealed_audit(unsigned boolean, most integer)
    RETURNS TABLE ({ROW})
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT {OF_ROW}
    FROM public.audit_unsealed u JOIN public.audit_log a ON a.seq = u.seq
    WHERE NOT unsigned OR a.mac IS NULL ORDER BY u.seq LIMIT most
$$;

CREATE FUNCTION seal_audit(last bigint, numbers bigint[], hashes bytea[])
    RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF last <> (SELECT coalesce(max(c.position), 0) FROM public.audit_chain c) THEN
        RAISE EXCEPTION 'the chain has another end' USING ERRCODE = 'serialization_failure';
    END IF;
    INSERT INTO public.audit_chain (position, seq, hash)
    SELECT last + given.nth, given.number, given.hash
    FROM unnest(numbers, hashes) WITH ORDINALITY AS given (number, hash, nth);
    DELETE FROM public.audit_unsealed u WHERE u.seq = ANY (numbers);
END $$;
"""

VERIFYING = f"""
CREATE FUNCTION audit_links(begin bigint, most integer)
    RETURNS TABLE (link bigint, link_seq bigint, hash bytea, {ROW})
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.position, c.seq, c.hash, {OF_ROW}
    FROM (
        SELECT l.position, l.seq, l.hash FROM public.audit_chain l
        WHERE l.position >= begin ORDER BY l.position LIMIT most
    ) c LEFT JOIN public.audit_log a ON a.seq = c.seq ORDER BY c.position
$$;

CREATE FUNCTION audit_loose(begin bigint, most integer)
    RETURNS TABLE (waits boolean, {ROW})
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.seq IS NOT NULL, {OF_ROW}
    FROM public.audit_log a LEFT JOIN public.audit_unsealed u ON u.seq = a.seq
    WHERE a.seq >= begin AND NOT EXISTS (SELECT FROM public.audit_chain c WHERE c.seq = a.seq)
    ORDER BY a.seq LIMIT most
$$;

CREATE FUNCTION audit_twice()
    RETURNS TABLE (id uuid, seq bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.id, max(a.seq) FROM public.audit_log a WHERE a.id IS NOT NULL
    GROUP BY a.id HAVING count(*) > 1 ORDER BY 2 LIMIT 1
$$;

CREATE FUNCTION audit_hashes(positions bigint[])
    RETURNS TABLE (link bigint, seq bigint, hash bytea, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.position, c.seq, c.hash, a.id
    FROM public.audit_chain c LEFT JOIN public.audit_log a ON a.seq = c.seq
    WHERE c.position = ANY (positions)
$$;

CREATE FUNCTION audit_state()
    RETURNS TABLE (
        unsealed_s double precision, at timestamptz, entries bigint, intact boolean,
        broken_id uuid, mac bytea
    )
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT extract(epoch FROM clock_timestamp() - w.since), r.at, r.entries, r.intact,
        r.broken_id, r.mac
    FROM (SELECT) AS one
    LEFT JOIN (
        SELECT u.since FROM public.audit_unsealed u ORDER BY u.seq LIMIT 1
    ) w ON true
    LEFT JOIN public.audit_report r ON true
$$;

CREATE FUNCTION report_audit(
    at timestamptz, entries bigint, intact boolean, broken_id uuid, mac bytea
) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO public.audit_report AS r (at, entries, intact, broken_id, mac)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (one) DO UPDATE SET at = $1, entries = $2, intact = $3, broken_id = $4, mac = $5
$$;
"""

# Its clauses are those that are asked for, so that each form finds its own index.
READING = f"""
CREATE FUNCTION audit_entries(whose uuid, what text, before bigint, most integer)
    RETURNS TABLE ({ROW})
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY EXECUTE 'SELECT {OF_ROW} FROM public.audit_log a WHERE a.seq < $3'
        || CASE WHEN whose IS NULL THEN '' ELSE ' AND a.user_id = $1' END
        || CASE WHEN what IS NULL THEN '' ELSE ' AND a.action = $2' END
        || ' ORDER BY a.seq DESC LIMIT $4'
        USING whose, what, before, most;
END $$;

CREATE FUNCTION audit_seq(which uuid)
    RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.seq FROM public.audit_log a WHERE a.id = which
$$;
"""

DOORS = (
    *("audit_written", "audit_tip", "unsealed_audit", "seal_audit", "audit_links", "audit_loose"),
    *("audit_twice", "audit_hashes", "audit_state", "report_audit", "audit_entries", "audit_seq"),
)
BEFORE = """
SET LOCAL ROLE dashtam_doors;
INSERT INTO public.audit_unsealed (seq, since) SELECT seq, at FROM public.audit_log
    ON CONFLICT DO NOTHING;
RESET ROLE;
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        run(COLUMNS)
        for index in INDEXES:  # one that an earlier try left behind is not valid
            run(f"DROP INDEX CONCURRENTLY IF EXISTS {index.partition(' ON ')[0].split()[-1]}")
            run(index)
        run(WAITING)
    for script in (CHAIN, SEALING, VERIFYING, READING):
        run(script)
    give(*DOORS)
    run(BEFORE)
