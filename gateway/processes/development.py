"""`dashtam up`: migrate, make the demo, run the tree, and say how to begin."""

import asyncio
import os
import shlex
from pathlib import Path

import asyncpg
import click

from gateway.documents import builtin
from gateway.logs import configure
from gateway.migrate import MigrationError, is_current, migrate
from gateway.processes import demo
from gateway.processes.instance import Instance, ProcessesError
from gateway.processes.tree import up
from gateway.settings import Settings
from gateway.shell.commands import DATA_DIR
from gateway.telemetry.asked import asked
from gateway.wiring.mail import FOLDER


def run(*, data_dir: Path, port: int, with_demo: bool) -> None:
    """Raises ProcessesError, EmbeddedError, SettingsError."""
    environ = {**os.environ, "DASHTAM_LOG_LEVEL": os.environ.get("DASHTAM_LOG_LEVEL", "warning")}

    def before(instance: Instance) -> None:
        configure(environ["DASHTAM_LOG_LEVEL"])
        settings = Settings.read({**environ, **instance.environ()})
        asked(environ, settings.ops_port)  # or each child would say it, again and again
        try:
            asyncio.run(_prepare(settings, with_demo=with_demo))
        except MigrationError as error:
            raise ProcessesError(str(error)) from None

    def ready(instance: Instance) -> None:
        settings = Settings.read({**environ, **instance.environ()})
        click.echo(welcome(instance, settings, with_demo=with_demo))

    up(data_dir=data_dir, port=port, before=before, ready=ready, say=click.echo, environ=environ)


async def _prepare(settings: Settings, *, with_demo: bool) -> None:
    assert settings.database_url is not None  # noqa: S101 - an instance has both
    assert settings.migrations_url is not None  # noqa: S101 - same
    await _have_keys(settings)
    url = settings.database_url
    if not (await is_current(url) and await builtin.is_published(url)):
        await migrate(settings.migrations_url)
    if with_demo and not await demo.is_prepared(settings.database_url):
        from gateway.wiring.root import wire  # noqa: PLC0415 - slow to import

        async with wire(settings) as wired:
            await demo.prepare_demo(wired)


async def _have_keys(settings: Settings) -> None:
    """Of our own database keys are made before its tables, so that tables without keys have lost
    theirs. What a database elsewhere has sealed, `doctor` tells.
    """
    from adapters.security.keyring import Keyring  # noqa: PLC0415 - slow to import

    ring = settings.keyring
    assert ring is not None  # noqa: S101 - development has a place for it
    if ring.exists() or not (settings.data_dir / "postgres").is_dir():
        return
    connection = await asyncpg.connect(settings.database_url)
    try:
        has_tables = await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
    finally:
        await connection.close()
    if has_tables:
        raise ProcessesError(
            f"The keyring {ring} is gone, and with new keys nothing that this database has sealed "
            "would open: put it back from your copy, or begin anew with another --data-dir."
        )
    Keyring.load_or_create(ring)


def welcome(instance: Instance, settings: Settings, *, with_demo: bool) -> str:
    url = f"{instance.url}/graphql"
    lines = [f"Dashtam answers at {url} ({instance.database}). Ctrl-C ends it."]
    if settings.graphiql:
        lines.append(f"In a browser, sign in and ask at {instance.url}/graphiql")
    if settings.smtp_url is None:
        lines.append(f"Mails are written to {settings.data_dir / FOLDER}")
    if not with_demo:
        elsewhere = settings.data_dir != Path(DATA_DIR).resolve()
        where = f" --data-dir {shlex.quote(str(settings.data_dir))}" if elsewhere else ""
        return "\n".join(
            [*lines, f"Make a user with: ./dashtam user create you@example.com{where}"]
        )
    sign_in = (
        f'mutation {{ signIn(input: {{email: "{demo.EMAIL}", password: "{demo.PASSWORD}"}}) '
        "{ accessToken errors { message } } }"
    )
    return "\n".join(
        [
            *lines,
            "",
            f"Sign in as {demo.EMAIL} with the password {demo.PASSWORD}:",
            "",
            sign_in,
            "",
            "and with the header Authorization: Bearer <accessToken> ask:",
            "",
            demo.query(),
        ]
    )
