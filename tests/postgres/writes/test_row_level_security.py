"""Every table of user data is guarded, and the runtime role cannot take the guard away."""

import asyncpg
import pytest

from adapters.postgres.store import PostgresStore
from adapters.postgres.tables import metadata
from domain.audit import AuditOutcome
from domain.identity import Actor
from tests.postgres.writes.world import a_person, an_attempt, connected, owning, within
from tests.servers import Database

# Looked through before anyone is known, or for all: these need not begin with the user.
FOR_DOORS = {
    "ux_users_email",
    "ux_sessions_refresh_hash",
    "ux_refresh_tokens_digest",
    "ix_refresh_tokens_rotated",
    "ix_sessions_over",
    "ux_email_tokens_digest",
    "ix_email_tokens_expires",
    "ux_oauth_states_digest",
    "ix_oauth_states_expires",
    "ix_links_pending",
    "ix_links_due",
    "ix_links_upstream",
    "ix_webhook_receipts_received",
    "ix_idempotency_keys_created",
    "ix_links_expiring",
    "ix_sync_runs_stalled",
    *("ix_events_waiting", "ix_events_at"),
    *("ux_audit_log_id", "ux_audit_log_seq", "ix_audit_log_action"),
}
DOORS = {
    "user_by_email(address text)",
    "session_by_hash(digest bytea)",
    "user_by_email_token(digest bytea)",
    "clear_email_tokens(before timestamp with time zone, most integer)",
    "forget_unverified(before timestamp with time zone, most integer)",
    "session_by_id(who uuid, which uuid)",
    "forget_sessions(most integer)",
    "rotate_tokens(reason text, grace integer, at timestamp with time zone)",
    "authorization_by_state(digest bytea, session uuid, at timestamp with time zone)",
    "lapsed_authorizations(at timestamp with time zone, before timestamp with time zone, most integer)",
    "due_links(at timestamp with time zone, most integer)",
    "expiring_links(at timestamp with time zone, ahead interval, most integer)",
    "links_by_upstream(digest text)",
    "clear_idempotency_keys(before timestamp with time zone, most integer)",
    "clear_webhook_receipts(before timestamp with time zone, most integer)",
    "stalled_runs(before timestamp with time zone, most integer)",
    "waiting_events(names text[], most integer)",
    "events_relayed(which bigint[])",
    "latest_events(whose uuid[])",
    "forget_events(most integer)",
    "audit_written()",
    "audit_tip(known bigint)",
    "unsealed_audit(unsigned boolean, most integer)",
    "seal_audit(last bigint, numbers bigint[], hashes bytea[])",
    "audit_links(begin bigint, most integer)",
    "audit_loose(begin bigint, most integer)",
    "audit_twice()",
    "audit_hashes(positions bigint[])",
    "audit_state()",
    "report_audit(at timestamp with time zone, entries bigint, intact boolean, broken_id uuid, mac bytea)",
    "audit_entries(whose uuid, what text, before bigint, most integer)",
    "audit_seq(which uuid)",
    "users_beyond(last uuid, most integer)",
    "take_request(which bytea, most integer, per interval, at timestamp with time zone)",
    "clear_request_budgets(before timestamp with time zone, most integer)",
    "people(sought text, after text, most integer)",
    "people_by_id(which uuid[])",
    "administrators_besides(who uuid)",
    "add_rates(currencies text[], days date[], rates numeric[], published_by text)",
    "use_documents(names text[], versions text[], used text[], times bigint[], at timestamp with time zone[])",
}
# (table, what doors may do with its rows): the least that the functions above need.
DOOR_POLICIES = {
    ("users", "r"),
    ("users", "d"),
    ("sessions", "r"),
    ("sessions", "d"),
    ("refresh_tokens", "r"),
    ("refresh_tokens", "d"),
    ("email_tokens", "r"),
    ("email_tokens", "d"),
    ("oauth_states", "r"),
    ("links", "r"),
    ("webhook_receipts", "r"),
    ("webhook_receipts", "d"),
    ("idempotency_keys", "r"),
    ("idempotency_keys", "d"),
    ("sync_runs", "r"),
    ("events", "r"),
    ("events", "w"),
    ("events", "d"),
    ("audit_log", "r"),
}
OF_NOBODY = {
    *("casbin_rules", "casbin_roles", "security_config", "alembic_version", "exchange_rates"),
    *("documents", "document_ids", "client_versions", "published_documents", "document_uses"),
    *("audit_unsealed", "audit_chain", "audit_report", "request_budgets"),  # for doors alone
}

ALL_TABLES = """
SELECT c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'user_id'
) AS of_user
FROM pg_class c WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f')
    AND c.relnamespace NOT IN ('jobs'::regnamespace, 'pg_catalog'::regnamespace,
        'information_schema'::regnamespace, 'pg_toast'::regnamespace)"""


async def test_every_table_holds_a_users_rows_or_is_on_the_list_of_those_that_do_not(
    superuser: asyncpg.Connection,
) -> None:
    rows = await superuser.fetch(ALL_TABLES)
    of_user = {row["relname"] for row in rows if row["of_user"]}
    assert {row["relname"] for row in rows} - of_user == OF_NOBODY
    assert of_user == set(metadata.tables) - OF_NOBODY


async def test_row_level_security_is_enabled_and_forced_with_one_policy_for_the_runtime_role(
    superuser: asyncpg.Connection,
) -> None:
    policies = await superuser.fetch(
        """
        SELECT polrelid, polname, polcmd::text, polpermissive,
            pg_get_expr(polqual, polrelid) AS qual, pg_get_expr(polwithcheck, polrelid) AS checked,
            ARRAY(SELECT rolname::text FROM pg_roles WHERE oid = ANY (polroles)) AS roles
        FROM pg_policy
        """
    )
    for table in await superuser.fetch(ALL_TABLES):
        if table["relname"] in OF_NOBODY:
            continue
        assert table["relrowsecurity"], table["relname"]
        assert table["relforcerowsecurity"], table["relname"]
        mine = [p for p in policies if p["polrelid"] == table["oid"]]
        own = [p for p in mine if p["roles"] == ["dashtam_app"]]
        assert [(p["polname"], p["polcmd"]) for p in own] == [("own", "*")], table["relname"]
        assert own[0]["checked"] is None  # the same as for reading
        assert own[0]["qual"] == (
            "(user_id = ( SELECT (NULLIF(current_setting('app.user_id'::text, true),"
            " ''::text))::uuid AS \"nullif\"))"
        )
        others = [p for p in mine if p["roles"] != ["dashtam_app"]]
        assert all(p["roles"] == ["dashtam_doors"] for p in others)
        said = {(table["relname"], p["polcmd"]) for p in others}
        assert said == {d for d in DOOR_POLICIES if d[0] == table["relname"]}


async def test_every_key_and_index_begins_with_the_user_but_for_those_of_doors(
    superuser: asyncpg.Connection,
) -> None:
    indexes = await superuser.fetch(
        """
        SELECT c.relname AS table, i.relname AS index, x.indisunique, x.indisprimary,
            pg_get_indexdef(x.indexrelid, 1, true) AS first
        FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i
            ON i.oid = x.indexrelid
        WHERE c.relnamespace = 'public'::regnamespace
        """
    )
    foreign = [i for i in indexes if i["table"] not in OF_NOBODY and i["first"] != "user_id"]
    assert {i["index"] for i in foreign} == FOR_DOORS
    assert not any(i["indisprimary"] for i in foreign)
    with_key = {i["table"] for i in indexes if i["indisprimary"]}
    assert with_key == {row["relname"] for row in await superuser.fetch(ALL_TABLES)}


async def test_every_foreign_key_begins_with_the_user_on_both_sides(
    superuser: asyncpg.Connection,
) -> None:
    keys = await superuser.fetch(
        """
        SELECT conname, pg_get_constraintdef(oid) AS says, a.attname AS here, b.attname AS there,
            ARRAY[conrelid::regclass::text, confrelid::regclass::text] AS tables
        FROM pg_constraint
        JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = conkey[1]
        JOIN pg_attribute b ON b.attrelid = confrelid AND b.attnum = confkey[1]
        WHERE contype = 'f' AND connamespace = 'public'::regnamespace
        """
    )
    assert len(keys) > 15
    for key in keys:
        if set(key["tables"]) <= OF_NOBODY:
            continue
        assert (key["here"], key["there"]) == ("user_id", "user_id"), key["conname"]


async def test_the_doors_are_exactly_these(superuser: asyncpg.Connection) -> None:
    functions = await superuser.fetch(
        """
        SELECT proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' AS says,
            prosecdef, proconfig, pg_get_userbyid(proowner)::text AS owner,
            has_function_privilege('dashtam_app', p.oid, 'EXECUTE') AS app,
            EXISTS (SELECT FROM aclexplode(proacl) AS a WHERE a.grantee = 0) AS everyone
        FROM pg_proc p WHERE pronamespace IN ('public'::regnamespace, 'jobs'::regnamespace)
        """
    )
    doors = {f["says"]: f for f in functions if f["prosecdef"] or f["owner"] == "dashtam_doors"}
    assert set(doors) == DOORS
    for door in doors.values():
        assert door["prosecdef"]
        assert door["proconfig"] == ["search_path=pg_catalog, pg_temp"]
        assert door["owner"] == "dashtam_doors"
        assert door["app"]
    assert not any(f["everyone"] for f in functions)
    assert {f["says"] for f in functions if f["app"]} == {
        *DOORS,
        "enter(who uuid)",
        "enter_reading(who uuid)",
    }


async def test_the_runtime_role_owns_nothing_and_can_bypass_nothing(
    superuser: asyncpg.Connection,
) -> None:
    role = await superuser.fetchrow(
        """
        SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
            pg_has_role('dashtam_app', 'dashtam_owner', 'MEMBER') AS is_owner,
            pg_has_role('dashtam_app', 'dashtam_doors', 'MEMBER') AS is_doors,
            has_schema_privilege('dashtam_app', 'public', 'CREATE') AS creates,
            has_schema_privilege('dashtam_app', 'jobs', 'CREATE') AS creates_jobs,
            has_schema_privilege('dashtam_doors', 'public', 'CREATE') AS doors_creates,
            has_database_privilege('dashtam_app', current_database(), 'CREATE') AS makes_schemas
        FROM pg_roles WHERE rolname = 'dashtam_app'
        """
    )
    assert not any(role.values())
    owned = await superuser.fetch(
        "SELECT relname FROM pg_class WHERE relowner = 'dashtam_app'::regrole"
    )
    assert owned == []


async def test_the_owner_does_not_see_the_rows_either(
    database: Database, store: PostgresStore, alice: Actor
) -> None:
    await owning(store, alice)
    async with connected(database.owner_url) as owner:
        for table in metadata.tables:
            if table not in OF_NOBODY:
                assert await owner.fetchval(f"SELECT count(*) FROM {table}") == 0, table


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE accounts",
        "TRUNCATE jobs.pgqueuer",
        "ALTER TABLE accounts DISABLE ROW LEVEL SECURITY",
        "DROP POLICY own ON accounts",
        "ALTER TABLE audit_log DISABLE TRIGGER append_only",
        "CREATE TABLE mine (a int)",
        "CREATE TABLE jobs.mine (a int)",
        "UPDATE audit_log SET outcome = 'FAILED'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "UPDATE events SET facts = '{}'",
        "DELETE FROM events",
        "DELETE FROM tombstones",
        "INSERT INTO casbin_rules VALUES ('USER', 'admin', 'write')",
        "UPDATE casbin_rules SET action = '*'",
        "INSERT INTO casbin_roles VALUES ('READONLY', 'ADMIN')",
        "UPDATE security_config SET global_token_version = 0",
        "DELETE FROM security_config",
        "INSERT INTO exchange_rates VALUES ('USD', '2026-11-20', 1, 'me')",
        "UPDATE exchange_rates SET per_euro = 1",
        "INSERT INTO documents VALUES (encode(sha256('{a}'), 'hex'), '{a}')",
        "INSERT INTO document_ids SELECT 'mine', sha256 FROM documents LIMIT 1",
        "INSERT INTO client_versions VALUES ('mine', '1', now())",
        "INSERT INTO published_documents SELECT 'dashtam', '1', id, '' FROM document_ids LIMIT 1",
        "DELETE FROM published_documents",
        "SELECT uses FROM document_uses",
        "UPDATE document_uses SET last_used_at = now()",
        "DELETE FROM refresh_tokens",
        "SELECT key FROM request_budgets",
        "DELETE FROM request_budgets",
        "UPDATE alembic_version SET version_num = '0'",
        "SET ROLE dashtam_owner",
        "SET ROLE dashtam_doors",
        "CREATE SCHEMA mine",
    ],
)
async def test_the_runtime_role_is_refused(
    database: Database, store: PostgresStore, alice: Actor, statement: str
) -> None:
    await store.audit(an_attempt(alice), AuditOutcome.ATTEMPTED)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await within(database.app_url, alice, statement)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_log SET detail = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"],
)
async def test_even_the_superuser_is_stopped_from_rewriting_the_audit_log(
    store: PostgresStore, alice: Actor, superuser: asyncpg.Connection, statement: str
) -> None:
    await store.audit(an_attempt(alice), AuditOutcome.ATTEMPTED)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await superuser.execute(statement)
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 1


async def test_without_an_identity_no_row_is_there_and_none_can_be_written(
    database: Database, store: PostgresStore
) -> None:
    alice = await a_person(store)
    await owning(store, alice)
    async with connected(database.app_url) as db:
        for table in metadata.tables:
            if table not in OF_NOBODY:
                assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0, table
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.execute("INSERT INTO tombstones VALUES ($1, 'account', $1, 1)", alice.user_id)


async def test_a_row_cannot_be_given_to_somebody_else(
    database: Database, store: PostgresStore, alice: Actor, bob: Actor
) -> None:
    await owning(store, alice)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await within(database.app_url, alice, f"UPDATE securities SET user_id = '{bob.user_id}'")
