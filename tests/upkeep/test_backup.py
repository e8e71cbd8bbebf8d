"""Backup and restore as the README has them: what comes back is the same, sealed things too."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from adapters.security.keyring import Keyring
from gateway import embedded
from gateway.asgi import create_app
from gateway.audit.checkpoints import Checkpoints
from gateway.audit.command import verify
from gateway.audit.sealer import Sealer
from gateway.doctor.store import examined
from gateway.migrate import is_current, migrate
from gateway.processes import demo
from gateway.settings import Settings
from gateway.shell.runs import sync
from gateway.wiring.root import wire
from tests.e2e.stack import Client, environment, served_here
from tests.servers import Database, Postgres


def of(server: embedded.Server) -> Database:
    return Database(
        name="dashtam",
        app_url=server.app_url,
        owner_url=server.owner_url,
        superuser_url=server.superuser_url,
    )


def settings_of(database: Database, keyring: Path) -> Settings:
    environ = environment(database, keyring.parent, 8_000, DASHTAM_KEYRING=str(keyring))
    return Settings.read(environ)


async def fill(settings: Settings) -> None:
    async with wire(settings) as wired:
        await demo.prepare_demo(wired)


async def dashboard(settings: Settings) -> dict[str, Any]:
    """What the demo user sees after signing in."""
    async with (
        served_here(create_app(settings)) as url,
        httpx2.AsyncClient(base_url=url, timeout=40) as http,
    ):
        client = Client(http)
        await client.sign_in(demo.EMAIL, demo.PASSWORD)
        return await client.ask(demo.query())


def run(server: embedded.Server, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """One of PostgreSQL's own programs, of the server's version."""
    return subprocess.run(
        [server.bin / program, *words], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Another server, with the three roles and an empty database."""
    server = embedded.start(tmp_path_factory.mktemp("elsewhere"), durable=False)
    yield server
    embedded.stop(server)


async def test_a_dump_restored_on_another_server_answers_the_same_and_still_syncs(
    postgres: Postgres, database: Database, elsewhere: embedded.Server, tmp_path: Path
) -> None:
    before = settings_of(database, tmp_path / "keyring.json")
    await fill(before)
    seen = await dashboard(before)
    assert len(seen["accounts"]) > 3

    file = str(tmp_path / "dashtam.dump")
    await seal(before)
    dumped = run(postgres.server, "pg_dump", "-Fc", "-f", file, database.superuser_url)
    assert await dashboard(before) == seen  # which is an entry that the backup does not have
    await seal(before)
    kept = tmp_path / "copy-of-keyring.json"
    shutil.copy(tmp_path / "keyring.json", kept)
    there = of(elsewhere)
    restored = run(elsewhere, "pg_restore", "--exit-on-error", "-d", there.superuser_url, file)
    after = settings_of(there, kept)
    _, revision = await migrate(there.owner_url)

    assert (dumped.returncode, dumped.stderr) == (0, "")
    assert (restored.returncode, restored.stderr) == (0, "")
    assert await is_current(there.app_url)
    assert revision
    await its_checkpoints_are_found_to_know_more_until_they_are_moved_away(after)
    assert await dashboard(after) == seen
    assert await sync(after, demo.EMAIL, None, force=True) == 0
    await its_rules_hold(there)


async def seal(settings: Settings) -> None:
    """As a worker does it, down to the last checkpoint."""
    async with wire(settings) as wired:
        checkpoints = Checkpoints(settings.checkpoints, wired.audit_keys)
        sealer = Sealer(wired.pool, wired.audit_keys, checkpoints, wired.app.now)
        await sealer.run()
        await sealer.close()


async def its_checkpoints_are_found_to_know_more_until_they_are_moved_away(
    restored: Settings,
) -> None:
    said, intact = await verify(restored, print)
    [bad] = [f for f in [f async for f in examined(restored, works=False)] if f.is_bad]
    assert not intact
    for mend in (said, bad.mend or ""):
        assert "where an older backup was restored, move their files away" in mend

    restored.checkpoints.rename(restored.checkpoints.with_name("moved away"))
    said, intact = await verify(restored, print)
    assert not intact
    assert "after a restore, a worker writes the first one with the next entry" in said

    await dashboard(restored)  # an entry
    await seal(restored)
    said, intact = await verify(restored, print)
    assert intact, said
    good = [finding.what async for finding in examined(restored, works=False)]
    assert "the audit log goes on from its last checkpoint" in good


async def its_rules_hold(database: Database) -> None:
    """Nobody's rows are seen without an identity, and the audit log is still append-only."""
    app = await asyncpg.connect(database.app_url)
    superuser = await asyncpg.connect(database.superuser_url)
    try:
        assert await app.fetchval("SELECT count(*) FROM transactions") == 0
        assert await superuser.fetchval("SELECT count(*) FROM transactions") > 300
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await superuser.execute("DELETE FROM audit_log")
    finally:
        await app.close()
        await superuser.close()


async def test_the_doctor_knows_the_keyring_that_belongs_to_a_database(
    database: Database, tmp_path: Path
) -> None:
    of_backup = settings_of(database, tmp_path / "keyring.json")
    await fill(of_backup)
    Keyring.create(tmp_path / "another.json")
    another = settings_of(database, tmp_path / "another.json")

    good = [finding async for finding in examined(of_backup, works=False)]
    [bad] = [finding async for finding in examined(another, works=False) if finding.is_bad]

    assert "keys are those of this database" in [finding.what for finding in good]
    assert "another.json are not those that this database was sealed with" in bad.what
    assert "put back the keyring that belongs to it" in (bad.mend or "")


async def test_who_is_bound_by_row_level_security_cannot_make_a_backup(
    postgres: Postgres, database: Database, tmp_path: Path
) -> None:
    await fill(settings_of(database, tmp_path / "keyring.json"))
    file = str(tmp_path / "no.dump")

    for url in (database.owner_url, database.app_url):
        refused = run(postgres.server, "pg_dump", "-Fc", "-f", file, url)
        assert refused.returncode != 0


def test_a_copy_of_the_stopped_data_directory_is_a_backup(tmp_path: Path) -> None:
    data_dir, copy = tmp_path / "data", tmp_path / "copy"

    async def made(server: embedded.Server) -> dict[str, Any]:
        settings = settings_of(of(server), data_dir / "keyring.json")
        await migrate(server.owner_url)
        await fill(settings)
        return await dashboard(settings)

    server = embedded.start(data_dir, durable=False)
    try:
        seen = asyncio.run(made(server))
    finally:
        embedded.stop(server)
    subprocess.run(["cp", "-a", data_dir, copy], check=True)
    shutil.rmtree(data_dir)

    server = embedded.start(copy, durable=False)
    try:
        settings = settings_of(of(server), copy / "keyring.json")
        again = asyncio.run(dashboard(settings))
        failed = asyncio.run(sync(settings, demo.EMAIL, None, force=True))
    finally:
        embedded.stop(server)

    assert again == seen
    assert failed == 0
