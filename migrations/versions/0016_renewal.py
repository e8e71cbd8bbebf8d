"""When credentials are renewed and announced, what is wrong with a link, and what was read of it.

A gateway of the release before neither renews nor announces, and names no error. What it saves of
credentials drops what this release knew of those before; what it names of accounts counts as read,
as all that was named until now does. It keeps the place that a run reached in memory alone.
"""

from migrations.doors import give
from migrations.statements import run

revision = "0016"
down_revision = "0015"

CREDENTIALS = """
ALTER TABLE credentials
    ADD COLUMN renew_at timestamptz,
    ADD COLUMN renewal_fence bigint,
    ADD COLUMN renewal_attempt integer,
    ADD COLUMN renewal_began_at timestamptz;

CREATE OR REPLACE FUNCTION unversioned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := 0;
    NEW.renew_at := NULL;
    NEW.renewal_fence := NULL;
    NEW.renewal_attempt := NULL;
    NEW.renewal_began_at := NULL;
    RETURN NEW;
END $$;
"""

# Of what a door looks through: those that are live and end at all.
LINKS = """
ALTER TABLE links
    ADD COLUMN error_code text,
    ADD COLUMN error_message text,
    ADD COLUMN error_action text,
    ADD COLUMN error_retry_after_s integer,
    ADD COLUMN expiry_due_at timestamptz,
    ADD CONSTRAINT ck_links_error_action CHECK (error_action IS NULL OR error_action IN (
        'REAUTHORIZE', 'REPLACE_CREDENTIALS', 'PAY_PROVIDER', 'CONTACT_INSTITUTION'
    ));
CREATE INDEX ix_links_expiring ON links (credentials_expire_at)
    WHERE credentials_expire_at IS NOT NULL AND status IN ('ACTIVE', 'FAILED');
"""

KEYS = """
ALTER TABLE link_accounts ADD COLUMN is_read boolean NOT NULL DEFAULT true;
ALTER TABLE transaction_keys ADD COLUMN is_replaced boolean NOT NULL DEFAULT false;
"""

RUNS = "ALTER TABLE sync_runs ADD COLUMN position text"

DOOR = """
GRANT SELECT (status, credentials_expire_at, expiry_due_at) ON links TO dashtam_doors;

CREATE FUNCTION expiring_links(at timestamptz, ahead interval, most integer)
    RETURNS TABLE (user_id uuid, id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.user_id, l.id FROM public.links l
    WHERE l.credentials_expire_at IS NOT NULL AND l.status IN ('ACTIVE', 'FAILED')
        AND l.credentials_expire_at <= at + ahead
        AND coalesce(l.expiry_due_at, l.credentials_expire_at - ahead) <= at
    ORDER BY l.credentials_expire_at, l.id LIMIT most
$$;
"""


def upgrade() -> None:
    for script in (CREDENTIALS, LINKS, KEYS, RUNS, DOOR):
        run(script)
    give("expiring_links")
