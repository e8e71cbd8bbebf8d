"""`dashtam doctor`: look for what is wrong, and say how to mend it."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import click

from adapters.security.keyring import Keyring, KeyringError
from domain.errors import Unavailable
from gateway.embedded import EmbeddedError
from gateway.embedded.binaries import choose
from gateway.instance import running_instance
from gateway.migrate import pending
from gateway.settings import Settings, SettingsError
from gateway.shell import database

FREE_BYTES_MIN = 500 * 2**20


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` is None where all is well."""

    what: str
    mend: str | None = None


def examine(data_dir: Path) -> int:
    """Print every finding; how many are bad."""
    bad = 0
    for finding in _findings(data_dir):
        word, color = ("ok  ", "green") if finding.mend is None else ("bad ", "red")
        click.echo(f"{click.style(word, fg=color)} {finding.what}")
        if finding.mend is not None:
            bad += 1
            click.echo(f"     {finding.mend}")
    return bad


def _findings(data_dir: Path) -> Iterator[Finding]:
    yield Finding(f"Python {sys.version.split()[0]}")
    yield _space(data_dir)
    yield _server(data_dir)
    instance = running_instance(data_dir)
    yield Finding(f"up runs at {instance.url}" if instance else "up does not run")
    try:
        with database(data_dir) as settings:
            yield Finding(f"settings are valid ({settings.mode})")
            yield from _keys(settings)
            yield from asyncio.run(_collect(settings))
    except SettingsError as error:
        yield Finding("settings", str(error))
    except EmbeddedError as error:
        yield Finding("embedded PostgreSQL", str(error))


def _space(data_dir: Path) -> Finding:
    place = data_dir if data_dir.exists() else Path.cwd()
    free = shutil.disk_usage(place).free
    what = f"{free // 2**20} MiB free for {data_dir}"
    short = free < FREE_BYTES_MIN
    return Finding(what, "make room: PostgreSQL stops where the disk is full" if short else None)


def _server(data_dir: Path) -> Finding:
    if os.environ.get("DASHTAM_DATABASE_URL"):
        return Finding("an external PostgreSQL is configured")
    try:
        found = choose(data_dir / "postgres" / "pgdata")
    except EmbeddedError as error:
        return Finding("embedded PostgreSQL", str(error))
    return Finding(f"embedded PostgreSQL from {found.bin}")


def _keys(settings: Settings) -> Iterator[Finding]:
    if settings.keyring is None:
        return
    if settings.is_development and not settings.keyring.exists():
        yield Finding("keys will be made at the first start")
        return
    try:
        Keyring.load(settings.keyring)
    except KeyringError as error:
        yield Finding("keys", str(error))
    else:
        yield Finding("keys can be read, by nobody else")


async def _collect(settings: Settings) -> list[Finding]:
    return [finding async for finding in _database(settings)]


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    assert settings.database_url is not None  # noqa: S101 - Settings.read has checked it
    try:
        connection = await asyncpg.connect(settings.database_url, timeout=5)
    except (OSError, asyncpg.PostgresError, Unavailable) as error:
        yield Finding("database", f"it cannot be reached ({type(error).__name__}): is it running?")
        return
    try:
        version = await connection.fetchval("SHOW server_version")
        yield Finding(f"database answers: PostgreSQL {version.split()[0]}")
        if await pending(settings.database_url):
            yield Finding("migrations", "run `dashtam migrate`")
            return
        yield Finding("migrations are complete")
        role = await connection.fetchrow(
            "SELECT rolsuper OR rolbypassrls AS mighty FROM pg_roles WHERE rolname = current_user"
        )
        mend = "DASHTAM_DATABASE_URL must be the runtime role's, not a superuser's"
        bound = "the runtime role is bound by row-level security"
        yield Finding(bound, mend if role["mighty"] else None)
    finally:
        await connection.close()
