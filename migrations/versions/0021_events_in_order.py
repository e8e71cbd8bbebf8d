"""Events of one person in the order of their commits, by cursor, and for 90 days.

Whoever reads by number must never meet a lower one later: a statement that adds events waits until
the transaction which added the ones before is over, and takes its numbers then. The lock is of the
person whose identity was entered, whose events alone row-level security lets in; it is taken before
the first row has its number, and given back after the commit can be seen. It is the last that a
unit of work waits for, but for the keys of its jobs, which nobody takes before it.

A cursor names the event by `id`, which says nothing of how many there are; those from before have
none, which nobody was ever sent. A gateway of the release before adds events without one, so that
the database makes it; they come in order too. The indexes are built beside whoever records events.
"""

from alembic import op

from migrations.doors import give
from migrations.statements import run

revision = "0021"
down_revision = "0020"

ORDER = """
CREATE FUNCTION wait_for_events() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(
        hashtextextended('events of ' || current_setting('app.user_id', true), 0)
    );
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION wait_for_events FROM PUBLIC;
CREATE TRIGGER in_order BEFORE INSERT ON events
    FOR EACH STATEMENT EXECUTE FUNCTION wait_for_events();
"""

CURSORS = """
ALTER TABLE events ADD COLUMN IF NOT EXISTS id uuid;
ALTER TABLE events ALTER COLUMN id SET DEFAULT gen_random_uuid();
"""
INDEXES = {
    "ux_events_id": "CREATE UNIQUE INDEX CONCURRENTLY ux_events_id ON events (user_id, id)",
    "ix_events_at": "CREATE INDEX CONCURRENTLY ix_events_at ON events (at)",
}

# How far the events of each have come; none of those who have none.
LATEST = """
CREATE FUNCTION latest_events(whose uuid[])
    RETURNS TABLE (user_id uuid, seq bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT asked.who, e.seq FROM unnest(whose) AS asked (who) CROSS JOIN LATERAL (
        SELECT n.seq FROM public.events n WHERE n.user_id = asked.who
        ORDER BY n.seq DESC LIMIT 1
    ) AS e
$$;
"""

# By the database's own time, so that nobody forgets what is not over. Those that were never relayed
# go too: that was a hint, and who may still ask for them asks the table.
FORGETTING = """
CREATE FUNCTION forget_events(most integer) RETURNS integer
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (
        DELETE FROM public.events e USING (
            SELECT n.user_id, n.seq FROM public.events n
            WHERE n.at < now() - interval '90 days' ORDER BY n.at LIMIT most
        ) old
        WHERE e.user_id = old.user_id AND e.seq = old.seq
        RETURNING 1
    )
    SELECT count(*)::integer FROM gone
$$;
GRANT DELETE ON events TO dashtam_doors;
CREATE POLICY doors_forget ON events FOR DELETE TO dashtam_doors USING (true);
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        run(CURSORS)
        for name, index in INDEXES.items():  # one that an earlier try left behind is not valid
            run(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            run(index)
    for script in (ORDER, LATEST, FORGETTING):
        run(script)
    give("latest_events", "forget_events")
