"""Entering says as of when: the data version of what a snapshot shows, in its first round trip."""

from migrations.statements import run

revision = "0020"
down_revision = "0019"

# As a message, since it goes with BEGIN in one simple query, whose rows asyncpg throws away. INFO
# is sent whatever client_min_messages says. Under row-level security, as whoever calls it; for a
# user who is there no more, nothing is said. `enter` stays for the releases before this one.
ENTER = """
CREATE FUNCTION enter_reading(who uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    version bigint;
BEGIN
    PERFORM public.enter(who);
    SELECT data_version INTO version FROM public.users WHERE user_id = who;
    IF version IS NOT NULL THEN
        RAISE INFO 'data version %', version;
    END IF;
END $$;
REVOKE ALL ON FUNCTION enter_reading FROM PUBLIC;
GRANT EXECUTE ON FUNCTION enter_reading TO dashtam_app;
"""


def upgrade() -> None:
    run(ENTER)
