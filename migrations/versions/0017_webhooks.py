"""What webhooks call a link, and which of them came.

A webhook names a login as its provider does; we keep a keyed digest of that, by which a door finds
whose link it is, and no more. A receipt commits with what its webhook brought about, so that the
same one again does nothing; it is of use for as long as a provider's signature is.

The index of links is built while they are locked: there are as many as people have providers.
"""

from migrations.doors import give
from migrations.statements import run

revision = "0017"
down_revision = "0016"

LINKS = """
ALTER TABLE links
    ADD COLUMN upstream text,
    ADD COLUMN news_at timestamptz;
CREATE INDEX ix_links_upstream ON links (upstream) WHERE upstream IS NOT NULL;
"""

RECEIPTS = """
CREATE TABLE webhook_receipts (
    user_id uuid NOT NULL,
    link_id uuid NOT NULL,
    receipt text NOT NULL,
    said text NOT NULL,
    said_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT pk_webhook_receipts PRIMARY KEY (user_id, link_id, receipt),
    CONSTRAINT fk_webhook_receipts_user_id_links FOREIGN KEY (user_id, link_id)
        REFERENCES links (user_id, id) ON DELETE CASCADE,
    CONSTRAINT ck_webhook_receipts_said CHECK (said IN (
        'NEWS', 'REAUTHORIZE', 'WITHDRAWN', 'EXPIRING', 'MENDED', 'NOTHING'
    ))
);
CREATE INDEX ix_webhook_receipts_received ON webhook_receipts (received_at);
ALTER TABLE webhook_receipts ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_receipts FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook_receipts TO dashtam_app
    USING (user_id = (SELECT nullif(current_setting('app.user_id', true), '')::uuid));
GRANT SELECT, INSERT ON webhook_receipts TO dashtam_app;
"""

DOORS = """
GRANT SELECT (upstream, status) ON links TO dashtam_doors;
GRANT SELECT (user_id, link_id, receipt, received_at), DELETE ON webhook_receipts TO dashtam_doors;
CREATE POLICY doors_read ON webhook_receipts FOR SELECT TO dashtam_doors USING (true);
CREATE POLICY doors_clear ON webhook_receipts FOR DELETE TO dashtam_doors USING (true);

CREATE FUNCTION links_by_upstream(digest text)
    RETURNS TABLE (user_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.user_id, l.id FROM public.links l
    WHERE l.upstream = digest AND l.status <> 'DISCONNECTED' ORDER BY l.user_id, l.id
$$;

CREATE FUNCTION clear_webhook_receipts(before timestamptz, most integer)
    RETURNS integer
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (
        DELETE FROM public.webhook_receipts r USING (
            SELECT w.user_id, w.link_id, w.receipt FROM public.webhook_receipts w
            WHERE w.received_at < before ORDER BY w.received_at LIMIT most
        ) old
        WHERE r.user_id = old.user_id AND r.link_id = old.link_id AND r.receipt = old.receipt
        RETURNING 1
    )
    SELECT count(*)::integer FROM gone
$$;
"""


def upgrade() -> None:
    for script in (LINKS, RECEIPTS, DOORS):
        run(script)
    give("links_by_upstream", "clear_webhook_receipts")
