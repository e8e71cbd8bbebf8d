"""Hostile SQL: what has been tried on others, for every place where a text goes in."""

from collections.abc import Iterator
from itertools import chain

TABLES = (
    *("users", "sessions", "links", "credentials", "accounts", "securities", "holdings"),
    *("transactions", "balance_snapshots", "sync_runs", "quarantine", "import_files", "events"),
    *("audit_log", "totp_secrets", "recovery_codes", "email_tokens", "refresh_tokens"),
)
BREAKING_OUT = (
    "'",
    "''",
    "')",
    "'))",
    '"',
    "\\'",
    "$1",
    "$$",
    "%27",
    "\u02bc",
    "\uff07",
    "1",
    "0x27",
)
CONDITIONS = (" OR '1'='1", " OR true -- ", " OR user_id IS NOT NULL -- ", " AND 1=0 OR 1=1/*")


def _unions() -> Iterator[str]:
    for table in TABLES:
        yield f"' UNION ALL SELECT user_id::text FROM {table} -- "
        yield f"x' OR EXISTS (SELECT FROM {table} WHERE user_id IS NOT NULL) OR 'x'='"
        yield f"'; DELETE FROM {table}; -- "
        yield f"'||(SELECT string_agg(t::text, ',') FROM {table} t)||'"


def _escalations() -> Iterator[str]:
    for statement in (
        "SELECT set_config('app.user_id', '{other}', false)",
        "SELECT enter('{other}')",
        "SELECT enter_reading('{other}')",
        "SET app.user_id = '{other}'",
        "SET ROLE dashtam_owner",
        "SET ROLE dashtam_doors",
        "SET SESSION AUTHORIZATION postgres",
        "RESET ROLE",
        "RESET ALL",
        "SET row_security = off",
        "COPY users TO PROGRAM 'cat'",
        "COPY users TO '/dev/stdout'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT dblink('host=/tmp', 'SELECT 1')",
        "SELECT query FROM pg_stat_activity",
        "SELECT current_setting('app.user_id')",
        "SELECT pg_sleep(0)",
        "DROP POLICY own ON accounts",
        "ALTER TABLE accounts DISABLE ROW LEVEL SECURITY",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "SELECT * FROM pg_authid",
        "SELECT most_common_vals FROM pg_stats",
        "DO $$ BEGIN PERFORM enter('{other}'); END $$",
    ):
        yield f"'; {statement}; -- "
        yield f"') ; {statement} ; SELECT ('"


def _patterns() -> Iterator[str]:
    for out in BREAKING_OUT:
        for condition in CONDITIONS:
            yield out + condition
    yield from ("%", "_", "\\", "%%' ESCAPE '!", "[[:alpha:]]", "(?i).*", "ILIKE '%'", "NULL")
    yield from ("{other}", "::uuid", "ARRAY[1]", "{}", "{1,2}", "$(id)", "`id`", "--", "/*", "*/")
    yield from (
        "'; SELECT 1",
        "0; SELECT 1",
        "1e309",
        "0x",
        "U&'\\0027'",
        "E'\\047'",
        "$q$",
        "?",
        ":me",
    )
    yield "' AND 1 = CAST((SELECT version()) AS int) -- "


SNIPPETS = tuple(chain(_unions(), _escalations(), _patterns()))[:200]

# One statement each, as if one of ours had been made of another's words: all that an injection
# into a read could come to, since what has arguments is never more than one statement.
READS = tuple(
    chain(
        (f"SELECT t::text FROM {table} t" for table in TABLES),
        (f"SELECT t::text FROM ONLY {table} t WHERE user_id IS NOT NULL" for table in TABLES),
        (f"SELECT t::text FROM {table} t TABLESAMPLE SYSTEM (100)" for table in TABLES),
        (f"SELECT t::text FROM {table} t WHERE user_id = '{{other}}'" for table in TABLES),
        (f"SELECT query_to_xml('SELECT * FROM {table}', true, true, '')::text" for table in TABLES),
        (f"SELECT table_to_xml('{table}', true, true, '')::text" for table in TABLES),
        (f"SELECT row_to_json(t)::text FROM {table} t" for table in TABLES),
        (f"SELECT (SELECT string_agg(t::text, '') FROM {table} t)" for table in TABLES),
        (
            f"SELECT most_common_vals::text FROM pg_stats WHERE tablename = '{table}'"
            for table in TABLES
        ),
        (
            f"SELECT t::text FROM accounts a RIGHT JOIN {table} t ON t.user_id <> a.user_id"
            for table in TABLES
        ),
        (
            "SELECT schema_to_xml('public', true, true, '')::text",
            "SELECT database_to_xml(true, true, '')::text",
            "SELECT query FROM pg_stat_activity",
            "SELECT pg_read_file('postgresql.conf')",
            "SELECT pg_ls_dir('.')",
            "SELECT lo_import('/etc/passwd')::text",
            "SELECT rolpassword FROM pg_authid",
            "SELECT usename::text FROM pg_shadow",
            "SELECT enter('{other}')::text",
            "COPY accounts TO STDOUT",
            "COPY accounts TO PROGRAM 'cat'",
            "SET ROLE dashtam_owner",
            "SET ROLE dashtam_doors",
            "SET SESSION AUTHORIZATION dashtam_owner",
            "SET row_security = off",
            "TRUNCATE accounts",
            "SELECT dblink('', '')::text",
            "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE usename = 'postgres'",
            "SELECT pg_reload_conf()::text",
            "DO $$ BEGIN PERFORM enter('{other}'); END $$",
        ),
    )
)
