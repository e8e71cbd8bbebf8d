"""What only files and servers can tell of a production configuration, refused with its reason."""

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from adapters.security.keyring import Keyring
from domain.commands.people import CreateUser, actor_to_be, create_user
from domain.identity import Role
from domain.secret import Secret
from gateway.processes import demo
from gateway.settings import Settings, SettingsError
from gateway.wiring.root import wire
from tests.e2e.stack import bare_environment, dashtam
from tests.servers import Database, Postgres, RedisServer


@pytest.fixture
def good(database: Database, tmp_path: Path) -> dict[str, str]:
    keyring = tmp_path / "keyring.json"
    Keyring.create(keyring)
    return {
        "DASHTAM_MODE": "production",
        "DASHTAM_DATABASE_URL": database.app_url,
        "DASHTAM_KEYRING": str(keyring),
        "DASHTAM_PUBLIC_URL": "https://money.example.com",
    }


async def why_not(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as refused:
        async with wire(Settings.read(environ)):
            pass
    return str(refused.value)


def torn(keyring: Path) -> None:
    keyring.write_text(keyring.read_text()[:40])


def exposed(keyring: Path) -> None:
    keyring.chmod(0o644)


def too_new(keyring: Path) -> None:
    keyring.write_text('{"version": 99}')


def of_development(keyring: Path) -> None:
    (keyring.parent / "up.lock").touch()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (Path.unlink, "make one with `dashtam keys create`"),
        (torn, "restore it from a backup"),
        (exposed, "chmod 600"),
        (too_new, "update the program"),
        (of_development, "is a development instance's"),
    ],
)
async def test_keys_that_are_not_good_ones(
    good: dict[str, str], spoil: Callable[[Path], None], why: str
) -> None:
    spoil(Path(good["DASHTAM_KEYRING"]))

    assert why in await why_not(good)


async def test_a_role_that_row_level_security_does_not_bind(
    good: dict[str, str], database: Database
) -> None:
    for url, why in (
        (database.superuser_url, "not a superuser's: it sees through row-level security"),
        (database.owner_url, "not the owner's: that is for DASHTAM_MIGRATIONS_URL"),
    ):
        assert why in await why_not(good | {"DASHTAM_DATABASE_URL": url})

    superuser = await asyncpg.connect(database.superuser_url)
    try:
        await superuser.execute("REVOKE SELECT ON users FROM dashtam_app")
    finally:
        await superuser.close()
    assert "may not read our tables" in await why_not(good)


async def test_a_database_without_tables(good: dict[str, str], postgres: Postgres) -> None:
    async with postgres.fresh_database(migrated=False) as empty:
        said = await why_not(good | {"DASHTAM_DATABASE_URL": empty.app_url})
    assert said == "The database has no tables yet: run `dashtam migrate`."


async def test_the_demo_user_whose_password_everybody_knows(
    good: dict[str, str], database: Database
) -> None:
    develop = {"DASHTAM_MODE": "development", "DASHTAM_ARGON2": "m=8,t=1,p=1"}
    async with wire(Settings.read(good | develop)) as wired:
        role, at = Role.USER, wired.app.now()
        password = Secret(demo.PASSWORD)
        cmd = CreateUser(
            actor=actor_to_be(role), email=demo.EMAIL, password=password, role=role, at=at
        )
        await create_user(wired.app, cmd)

    assert "demo@example.com, whose password everybody knows" in await why_not(good)


async def test_a_redis_that_refuses_our_password(
    good: dict[str, str], redis_server: RedisServer
) -> None:
    wrong = f"unix://:wrong@{redis_server.socket}"
    async with Redis(unix_socket_path=str(redis_server.socket)) as admin:
        await admin.config_set("requirepass", "right")
    try:
        said = await why_not(good | {"DASHTAM_REDIS_URL": wrong})
    finally:
        async with Redis(unix_socket_path=str(redis_server.socket), password="right") as admin:
            await admin.config_set("requirepass", "")
    assert said == "Redis refuses the user or password that DASHTAM_REDIS_URL gives."


async def test_the_program_says_its_one_sentence_and_ends(
    good: dict[str, str], database: Database, tmp_path: Path
) -> None:
    bad = good | {"DASHTAM_DATABASE_URL": database.superuser_url}

    said = await dashtam("serve", environ=bare_environment() | bad, folder=tmp_path)

    assert said.code == 1
    [sentence] = said.err.splitlines()
    assert sentence.startswith("dashtam: The database role is ")
    assert "not a superuser's" in sentence
