"""Credentials have a version, which what seals them names, and a door to go through all users.

A version comes from a sequence: counted in the row, it would begin again after a link is
disconnected and mended. What was sealed before this has version 0, and so has what the release
before goes on to save, since it neither names versions when it seals nor writes them.
"""

from migrations.doors import give
from migrations.statements import run

revision = "0012"
down_revision = "0011"

VERSIONS = """
CREATE SEQUENCE credentials_versions AS bigint;
GRANT USAGE ON SEQUENCE credentials_versions TO dashtam_app;
ALTER TABLE credentials ADD COLUMN version bigint NOT NULL DEFAULT 0;

CREATE FUNCTION unversioned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := 0;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION unversioned FROM PUBLIC;
CREATE TRIGGER credentials_unversioned BEFORE UPDATE ON credentials FOR EACH ROW
    WHEN (NEW.version = OLD.version AND NEW.updated_at <> OLD.updated_at)
    EXECUTE FUNCTION unversioned();
"""

USERS = """
CREATE FUNCTION users_beyond(last uuid, most integer)
    RETURNS TABLE (user_id uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT u.user_id FROM public.users u
    WHERE u.user_id > last ORDER BY u.user_id LIMIT most
$$;
"""


def upgrade() -> None:
    run(VERSIONS)
    run(USERS)
    give("users_beyond")
