"""Roles that inherit, who is told of changes, and what an administrator may look at.

The release before reads casbin_rules as it did: role, object type and action, for each role all
that it may. The hierarchy has a table of its own, which only this release knows. Nothing is
rewritten; the column and the triggers are a change of the catalogue only.
"""

from migrations.doors import give
from migrations.statements import run

revision = "0011"
down_revision = "0010"

HIERARCHY = """
CREATE TABLE casbin_roles (
    role text NOT NULL,
    inherits text NOT NULL,
    CONSTRAINT pk_casbin_roles PRIMARY KEY (role, inherits)
);
GRANT SELECT ON casbin_roles TO dashtam_app;
"""

# With those of 0002, what adapters/security/casbin_policy.py has by default; a test compares them.
POLICY = """
INSERT INTO casbin_roles (role, inherits) VALUES ('ADMIN', 'USER'), ('USER', 'READONLY');
INSERT INTO casbin_rules (role, object, action) VALUES
    ('READONLY', 'settings', 'read'),
    ('READONLY', 'link', 'read'),
    ('READONLY', 'data', 'read'),
    ('READONLY', 'session', 'read')
ON CONFLICT DO NOTHING;
"""

# By triggers, so that a change by plain SQL is told too; as it commits, and never without it.
TELLING = """
CREATE FUNCTION tell_policy_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('dashtam_policy_changed', '');
    RETURN NULL;
END $$;
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON casbin_rules
    FOR EACH STATEMENT EXECUTE FUNCTION tell_policy_changed();
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON casbin_roles
    FOR EACH STATEMENT EXECUTE FUNCTION tell_policy_changed();

CREATE FUNCTION tell_user_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('dashtam_user_changed', NEW.user_id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER tell_changed AFTER UPDATE ON users FOR EACH ROW
    WHEN (OLD.role <> NEW.role OR OLD.token_version <> NEW.token_version)
    EXECUTE FUNCTION tell_user_changed();
REVOKE ALL ON FUNCTION tell_policy_changed, tell_user_changed FROM PUBLIC;
"""

# As all doors, these open for the runtime role, whoever is asking: it is the policy, asked before,
# that leaves them to administrators. So they give what an administrator may see of anybody, and no
# more, whatever else a user's row comes to hold.
# Who signed in before there was the column has the last session to tell.
PEOPLE = """
ALTER TABLE users ADD COLUMN last_sign_in_at timestamptz;

CREATE FUNCTION people(sought text, after text, most integer)
    RETURNS TABLE (
        user_id uuid, email text, email_verified boolean, role text, created_at timestamptz,
        last_sign_in_at timestamptz
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.user_id, u.email, u.email_verified, u.role, u.created_at,
        coalesce(
            u.last_sign_in_at,
            (SELECT max(s.created_at) FROM public.sessions s WHERE s.user_id = u.user_id)
        )
    FROM public.users u
    WHERE (sought IS NULL OR strpos(u.email, sought) > 0) AND (after IS NULL OR u.email > after)
    ORDER BY u.email LIMIT most
$$;

CREATE FUNCTION people_by_id(which uuid[])
    RETURNS TABLE (
        user_id uuid, email text, email_verified boolean, role text, created_at timestamptz,
        last_sign_in_at timestamptz
    )
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.user_id, u.email, u.email_verified, u.role, u.created_at,
        coalesce(
            u.last_sign_in_at,
            (SELECT max(s.created_at) FROM public.sessions s WHERE s.user_id = u.user_id)
        )
    FROM public.users u WHERE u.user_id = ANY (which)
$$;
"""

# VOLATILE, so that the count is of what is committed once the lock is had: of two administrators
# who demote each other at the same moment, one finds the other demoted. The lock ends with the
# transaction. Who has no verified address cannot sign in, and is no administrator to rely on.
LAST_ONE = """
CREATE FUNCTION administrators_besides(who uuid) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(4714390226583);
    RETURN (
        SELECT count(*) FROM public.users u
        WHERE u.role = 'ADMIN' AND u.email_verified AND u.user_id <> who
    );
END $$;
"""

DOORS = ("people", "people_by_id", "administrators_besides")


def upgrade() -> None:
    for script in (HIERARCHY, POLICY, TELLING, PEOPLE, LAST_ONE):
        run(script)
    give(*DOORS)
