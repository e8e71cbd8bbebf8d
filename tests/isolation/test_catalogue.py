"""What the database itself says of isolation, beyond tests/postgres/writes/test_row_level_security.

That names tables, policies, indexes, foreign keys and doors one by one; here is what no new kind of
thing may be, wherever it lies.
"""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.servers import Postgres

OURS = """NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"""


@pytest.fixture(scope="module")
async def superuser(postgres: Postgres) -> AsyncIterator[asyncpg.Connection]:
    async with postgres.fresh_database() as database:
        connection = await asyncpg.connect(database.superuser_url)
        yield connection
        await connection.close()


async def test_a_table_with_a_user_has_its_guard_in_whichever_schema_it_is(
    superuser: asyncpg.Connection,
) -> None:
    bare = await superuser.fetch(
        f"""
        SELECT c.oid::regclass::text AS name FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('user_id', 'owner_id')
        WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relnamespace {OURS}
            AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
                SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*'
                    AND p.polroles = ARRAY['dashtam_app'::regrole::oid]
            ))
        """
    )
    assert bare == []


async def test_a_view_sees_what_its_caller_may(superuser: asyncpg.Connection) -> None:
    blind = await superuser.fetch(
        f"""
        SELECT c.relname FROM pg_class c WHERE c.relkind = 'v' AND c.relnamespace {OURS}
            AND NOT coalesce(c.reloptions, '{{}}') @> '{{security_invoker=true}}'
        """
    )
    assert blind == []
    stored = await superuser.fetch("SELECT FROM pg_class WHERE relkind = 'm'")
    assert stored == []  # a materialized view has no policies


async def test_a_foreign_key_pairs_each_user_with_themselves(
    superuser: asyncpg.Connection,
) -> None:
    """At the same place on both sides: (user_id, id), never (id, user_id) to (user_id, id)."""
    keys = await superuser.fetch(
        """
        SELECT conname::text AS name, ARRAY(
            SELECT a.attname || '=' || b.attname
            FROM unnest(conkey, confkey) AS pair (here, there)
            JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = pair.here
            JOIN pg_attribute b ON b.attrelid = confrelid AND b.attnum = pair.there
        ) AS pairs
        FROM pg_constraint k WHERE contype = 'f' AND EXISTS (
            SELECT FROM pg_attribute u WHERE u.attrelid IN (k.conrelid, k.confrelid)
                AND u.attname = 'user_id'
        )
        """
    )
    assert len(keys) > 20
    assert [key["name"] for key in keys if "user_id=user_id" not in key["pairs"]] == []


async def test_what_is_unique_is_so_of_each_user_or_is_found_by_a_secret(
    superuser: asyncpg.Connection,
) -> None:
    """Of anything else one would learn, by its refusal, that somebody has it."""
    unique = await superuser.fetch(
        """
        SELECT i.relname::text AS name FROM pg_index x
        JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
        JOIN pg_attribute u ON u.attrelid = c.oid AND u.attname = 'user_id'
        WHERE x.indisunique AND c.relnamespace = 'public'::regnamespace
            AND NOT u.attnum = ANY (x.indkey::smallint[])
        """
    )
    assert {row["name"] for row in unique} == {
        "ux_users_email",  # registering says the same whether or not it is taken
        *("ux_sessions_refresh_hash", "ux_refresh_tokens_digest", "ux_email_tokens_digest"),
        "ux_oauth_states_digest",
        *("ux_audit_log_id", "ux_audit_log_seq"),  # both made by us
    }


async def test_the_runtime_role_owns_nothing_of_any_kind_and_grants_nothing(
    superuser: asyncpg.Connection,
) -> None:
    owned = await superuser.fetch(
        "SELECT classid::regclass::text, objid FROM pg_shdepend"
        " WHERE refobjid = 'dashtam_app'::regrole AND deptype = 'o'"
    )
    assert owned == []
    grantable = await superuser.fetch(
        """
        SELECT c.relname::text, a.privilege_type FROM pg_class c, aclexplode(c.relacl) AS a
        WHERE a.grantee = 'dashtam_app'::regrole AND a.is_grantable
        """
    )
    assert grantable == []
    everyones = await superuser.fetch(
        f"""
        SELECT c.oid::regclass::text FROM pg_class c, aclexplode(c.relacl) AS a
        WHERE a.grantee = 0 AND c.relnamespace {OURS}
        """
    )
    assert everyones == []


async def test_of_what_is_nobodys_the_runtime_role_reads_the_rules_and_no_more(
    superuser: asyncpg.Connection,
) -> None:
    granted = await superuser.fetch(
        """
        SELECT c.relname::text AS name, array_agg(a.privilege_type ORDER BY 1) AS may
        FROM pg_class c, aclexplode(c.relacl) AS a
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
            AND a.grantee = 'dashtam_app'::regrole AND NOT c.relrowsecurity
        GROUP BY 1
        """
    )
    assert {row["name"] for row in granted} == {
        *("alembic_version", "casbin_rules", "casbin_roles", "security_config", "exchange_rates"),
        *("documents", "document_ids", "client_versions", "published_documents"),
    }
    assert all(row["may"] == ["SELECT"] for row in granted)


async def test_what_runs_as_its_owner_is_a_door_in_whichever_schema_it_is(
    superuser: asyncpg.Connection,
) -> None:
    others = await superuser.fetch(
        f"""
        SELECT p.oid::regprocedure::text FROM pg_proc p
        WHERE p.prosecdef AND p.pronamespace {OURS} AND (
            p.proowner <> 'dashtam_doors'::regrole
            OR p.proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp']
        )
        """
    )
    assert others == []
    roles = await superuser.fetch(
        "SELECT rolname::text FROM pg_roles WHERE (rolbypassrls OR rolsuper)"
        " AND rolname LIKE 'dashtam%'"
    )
    assert roles == []
