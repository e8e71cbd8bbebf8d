"""`dashtam doctor`: look for what is wrong, and say how to mend it.

Whatever is wrong is found once, where it begins: what only follows from it is not looked at. No
finding names a password; exceptions are named by their type, or in PostgreSQL's own words.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import click

from gateway.doctor import keys, machine, mail, network, store
from gateway.doctor.finding import Finding
from gateway.embedded import EmbeddedError
from gateway.processes.instance import running_instance
from gateway.settings import Settings, SettingsError
from gateway.shell.runs import database
from gateway.telemetry.asked import asked


def examine(data_dir: Path) -> int:
    """Print every finding; how many are bad."""
    bad = 0
    for finding in _findings(data_dir):
        click.echo(f"{click.style(f'{finding.word:<4}', fg=finding.color)} {finding.what}")
        if finding.mend is not None:
            click.echo(f"     {finding.mend}")
        bad += finding.is_bad
    return bad


def _findings(data_dir: Path) -> Iterator[Finding]:
    yield machine.python()
    yield machine.zones()
    instance = running_instance(data_dir)
    external = bool(os.environ.get("DASHTAM_DATABASE_URL"))
    if external:
        yield Finding("an external PostgreSQL is configured")
    else:
        sound = True
        for finding in machine.embedded(data_dir):
            sound &= not finding.is_bad
            yield finding
        yield Finding(f"up runs at {instance.url}" if instance else "up does not run")
        if not sound:
            return
    try:
        with database(data_dir) as settings:
            asked(os.environ, settings.ops_port)
            yield Finding(f"settings are valid ({settings.mode})")
            # Nobody works where `up` does not run: what waits there is no sign of anything.
            yield from _settled(settings, works=external or instance is not None)
    except SettingsError as error:
        yield Finding("settings", str(error))
    except EmbeddedError as error:
        yield Finding("embedded PostgreSQL", str(error))


def _settled(settings: Settings, *, works: bool) -> Iterator[Finding]:
    yield from keys.readable(settings)
    yield from network.addresses(settings)
    yield from machine.page(settings)
    yield from machine.places(settings)
    yield from asyncio.run(_served(settings, works=works))


async def _served(settings: Settings, *, works: bool) -> list[Finding]:
    found = [finding async for finding in network.redis(settings)]
    found += [finding async for finding in mail.sent(settings)]
    return found + [finding async for finding in store.examined(settings, works=works)]
