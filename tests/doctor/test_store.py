"""What the doctor says of a real database in every state that it may be found in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from adapters.postgres.store import PostgresStore
from adapters.security.audit import AuditKeys
from adapters.security.keyring import Keyring
from gateway.doctor.finding import Finding
from gateway.doctor.store import examined, server_version, skew
from gateway.settings import Mode, Settings
from tests.audit.log import opened
from tests.servers import Database, Postgres

PERSON = """
INSERT INTO users (user_id, email, password_hash, role, created_at, base_currency, time_zone)
VALUES ('11111111-1111-4111-8111-111111111111', 'a@example.com', 'x', 'USER', now(), 'USD', 'UTC')
"""


async def findings(
    url: str, *, migrations: str | None = None, keyring: Path | None = None, works: bool = True
) -> list[Finding]:
    settings = Settings(
        mode=Mode.DEVELOPMENT,
        database_url=url,
        migrations_url=migrations,
        redis_url=None,
        keyring=keyring,
    )
    return [finding async for finding in examined(settings, works=works)]


async def the_bad(url: str, **more: Any) -> Finding:
    """The only one that is not well."""
    [bad] = [finding for finding in await findings(url, **more) if finding.mend is not None]
    password = url.partition("://")[2].partition("@")[0].partition(":")[2]
    assert password not in f"{bad.what} {bad.mend}"
    return bad


@asynccontextmanager
async def as_superuser(database: Database) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database.superuser_url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_nothing_is_wrong_with_a_database_of_ours(database: Database) -> None:
    found = await findings(database.app_url, migrations=database.owner_url)

    assert [finding.mend for finding in found] == [None] * len(found)
    said = [finding.what for finding in found]
    assert "the clocks agree" in said
    assert "migrations are complete" in said
    assert "nothing waits for a worker" in said
    assert "the owner can migrate" in said


# ── reaching it ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("before", "after", "mend"),
    [
        ("@/", "x@/", "it refuses the role or the password that DASHTAM_DATABASE_URL gives"),
        ("dashtam_app:", "nobody:", "it refuses the role or the password"),
        ("@/test_", "@/no_", "there is no database of that name: make it as the README says"),
        ("host=", "host=/nowhere", "it cannot be reached (FileNotFoundError): is it running?"),
    ],
)
async def test_a_database_that_nobody_gets_into_says_which_part_of_the_url_is_wrong(
    database: Database, before: str, after: str, mend: str
) -> None:
    bad = await the_bad(database.app_url.replace(before, after))

    assert bad.what == "database"
    assert mend in (bad.mend or "")


async def test_a_database_that_does_not_run_is_named_so() -> None:
    bad = await the_bad("postgresql://a:secret-pass@127.0.0.1:1/x")

    assert bad.mend == "it cannot be reached (ConnectionRefusedError): is it running?"


async def test_a_password_that_spoils_the_url_is_told_how_to_be_written() -> None:
    bad = await the_bad("postgresql://a:secret@pass@nowhere.invalid/x")

    assert "no machine has the name that DASHTAM_DATABASE_URL gives" in (bad.mend or "")
    assert "in a password are written %40" in (bad.mend or "")
    assert "pass@" not in (bad.mend or "")


async def test_a_database_without_connections_left_is_named_so(database: Database) -> None:
    async with as_superuser(database) as connection:
        await connection.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
        bad = await the_bad(database.app_url)

    assert "no connection left: raise max_connections or lower" in (bad.mend or "")


async def test_an_old_server_is_told_to_be_updated() -> None:
    assert server_version(14).mend == "PostgreSQL 15 or newer is needed: update it"
    assert server_version(15).mend is None


async def test_clocks_that_are_apart_are_named_with_how_far() -> None:
    ahead, behind = skew(timedelta(seconds=90)), skew(timedelta(seconds=-7))

    assert ahead.what == "the database's clock is 90 s ahead of this one"
    assert behind.what == "the database's clock is 7 s behind this one"
    assert ahead.mend == behind.mend == "set both by NTP"
    assert skew(timedelta(seconds=4)).mend is None


# ── whose it is, and of which version ───────────────────────────────────────


@pytest.mark.parametrize(
    ("whose", "mend"),
    [("superuser_url", "not a superuser's"), ("owner_url", "not the owner's")],
)
async def test_a_role_that_may_do_more_than_the_runtime_role_is_refused(
    database: Database, whose: str, mend: str
) -> None:
    bad = await the_bad(getattr(database, whose))

    assert "DASHTAM_DATABASE_URL must be the runtime role's" in (bad.mend or "")
    assert mend in (bad.mend or "")


async def test_a_role_that_may_not_read_is_told_which_one_may(database: Database) -> None:
    async with as_superuser(database) as connection:
        await connection.execute("CREATE ROLE passer_by LOGIN PASSWORD 'x-x-x'")
        try:
            url = "postgresql://passer_by:x-x-x@" + database.app_url.partition("@")[2]
            bad = await the_bad(url)
        finally:
            await connection.execute("DROP ROLE passer_by")

    assert bad.what == "the role is passer_by"
    assert "this one may not read our tables" in (bad.mend or "")


async def test_an_empty_database_is_to_be_migrated(postgres: Postgres) -> None:
    async with postgres.fresh_database(migrated=False) as empty:
        bad = await the_bad(empty.app_url)

    assert (bad.what, bad.mend) == ("migrations", "run `dashtam migrate`")


async def test_an_older_database_is_to_be_migrated_and_a_newer_one_is_a_note(
    database: Database,
) -> None:
    async with as_superuser(database) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = '0003'")
        older = await the_bad(database.app_url)
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
        newer = await the_bad(database.app_url)

    assert older.mend == "run `dashtam migrate`"
    assert older.is_bad
    assert newer.what == "the database is at 9999, unknown here"
    assert not newer.is_bad


async def test_migrations_as_another_than_the_owner_are_named(database: Database) -> None:
    superuser = await the_bad(database.app_url, migrations=database.superuser_url)
    away = await the_bad(database.app_url, migrations="postgresql://a:b-b-b@127.0.0.1:1/x")

    assert superuser.what == "migrations would run as postgres"
    assert "must be dashtam_owner's" in (superuser.mend or "")
    assert away.what == "database, for migrations"


async def test_a_wrong_keyring_is_seen_before_anything_is_sealed(
    database: Database, tmp_path: Path
) -> None:
    right, wrong = tmp_path / "right.json", tmp_path / "wrong.json"
    fits = "keys are those of this database"
    keyrings = [Keyring.create(file) for file in (right, wrong)]
    assert fits not in [f.what for f in await findings(database.app_url, keyring=right)]

    async with opened(database, tmp_path / "checkpoints") as log:
        for keyring in keyrings:  # and then somebody served with the wrong one
            log.store = PostgresStore(log.engine, mac=AuditKeys(keyring).mac)
            await log.attempt()
            bad = await the_bad(database.app_url, keyring=wrong)
            gone = await the_bad(database.app_url, keyring=tmp_path / "gone.json")
            assert fits in [f.what for f in await findings(database.app_url, keyring=right)]
            await log.seal()

    assert bad.what == f"keys of {wrong} are not those that the audit log was begun with"
    assert "put back the keyring that belongs to this database" in (bad.mend or "")
    assert gone.is_bad


# ── whether its work gets done ──────────────────────────────────────────────


async def test_jobs_that_nobody_takes_want_a_worker(database: Database) -> None:
    async with as_superuser(database) as connection:
        await connection.execute(
            "INSERT INTO jobs.pgqueuer (priority, status, entrypoint, execute_after)"
            " VALUES (0, 'queued', 'sync', now() - interval '10 minutes'),"
            " (0, 'queued', 'sync', now() + interval '10 minutes')"
        )
        bad = await the_bad(database.app_url)

    assert bad.what == "1 jobs wait for 2 minutes and more"
    assert "start `dashtam worker`" in (bad.mend or "")
    # Where no worker should run, nothing waits in vain.
    assert all(f.mend is None for f in await findings(database.app_url, works=False))


async def test_links_that_are_due_and_events_that_are_not_relayed_are_one_finding(
    database: Database,
) -> None:
    async with as_superuser(database) as connection:
        await connection.execute(PERSON)
        await connection.execute(
            "INSERT INTO links (user_id, id, provider_slug, status, created_at, next_sync_at)"
            " SELECT user_id, gen_random_uuid(), 'sandbox', 'ACTIVE', now(),"
            " now() - interval '1 hour' FROM users"
        )
        await connection.execute(
            "INSERT INTO events (user_id, name, at, facts)"
            " SELECT user_id, 'sync.completed', now() - interval '1 hour', '{}' FROM users"
        )
        bad = await the_bad(database.app_url)
        # It has looked and not taken.
        waiting = await connection.fetchval("SELECT count(*) FROM events WHERE relayed_at IS NULL")

    assert bad.what == "1 links were due 5 minutes ago, 1 events are not relayed"
    assert waiting == 1


async def test_jobs_that_broke_are_a_note(database: Database) -> None:
    async with as_superuser(database) as connection:
        await connection.execute(
            "INSERT INTO jobs.pgqueuer_log (job_id, status, priority, entrypoint)"
            " VALUES (1, 'exception', 0, 'sync'), (1, 'exception', 0, 'sync')"
        )
        note = await the_bad(database.app_url)

    assert note.what == "1 jobs broke in the last day"
    assert not note.is_bad
