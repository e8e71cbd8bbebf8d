"""Request budgets: how often providers were asked, over all processes and starts.

A row is the exact log of one allowance: every instant within its window, under a digest of what is
counted. It is nobody's data, and reached by doors alone. `spent` is stored as it is: compressing
twenty kilobytes at each request costs more than they do.

The table is new; a gateway of the release before does not know of it.
"""

from migrations.doors import give
from migrations.statements import run

revision = "0014"
down_revision = "0013"

BUDGETS = """
CREATE TABLE request_budgets (
    key bytea NOT NULL,
    spent timestamptz[] NOT NULL,
    over_at timestamptz NOT NULL,
    CONSTRAINT pk_request_budgets PRIMARY KEY (key)
) WITH (fillfactor = 70);
ALTER TABLE request_budgets ALTER COLUMN spent SET STORAGE EXTERNAL;
CREATE INDEX ix_request_budgets_over ON request_budgets (over_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON request_budgets TO dashtam_doors;
"""

# Time does not go back here: a request of a clock that is behind counts as of the last one, so that
# no window ever holds more than may be. The row is locked from the look to the entry; where it is
# cleared in between, it is made again.
TAKING = """
CREATE FUNCTION take_request(which bytea, most integer, per interval, at timestamptz)
    RETURNS interval
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    log timestamptz[];
    moment timestamptz;
    count integer;
BEGIN
    LOOP
        INSERT INTO public.request_budgets (key, spent, over_at) VALUES (which, '{}', at)
            ON CONFLICT DO NOTHING;
        SELECT b.spent INTO log FROM public.request_budgets b WHERE b.key = which FOR UPDATE;
        EXIT WHEN FOUND;
    END LOOP;
    moment := greatest(at, log[cardinality(log)]);
    log := ARRAY(SELECT s FROM unnest(log) AS s WHERE s > moment - per ORDER BY s);
    count := cardinality(log);
    IF count >= most THEN
        RETURN log[count - most + 1] + per - at;
    END IF;
    UPDATE public.request_budgets b SET spent = log || moment, over_at = moment + per
        WHERE b.key = which;
    RETURN NULL;
END $$;
"""

CLEARING = """
CREATE FUNCTION clear_request_budgets(before timestamptz, most integer) RETURNS bigint
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH over AS (
        DELETE FROM public.request_budgets b USING (
            SELECT n.key FROM public.request_budgets n WHERE n.over_at < before
            ORDER BY n.over_at LIMIT most FOR UPDATE SKIP LOCKED
        ) old
        WHERE b.key = old.key RETURNING 1
    )
    SELECT count(*) FROM over
$$;
"""


def upgrade() -> None:
    run(BUDGETS)
    run(TAKING)
    run(CLEARING)
    give("take_request", "clear_request_budgets")
