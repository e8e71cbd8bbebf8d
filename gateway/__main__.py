"""The `dashtam` command."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, TextIO

import click

from gateway.documents.shell import documents
from gateway.settings import Settings, SettingsError
from gateway.shell.commands import Failed, data_dir_option, saying_why


class Undecided(Failed):
    exit_code = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dashtam", prog_name="dashtam")
def main() -> None:
    """A self-hosted GraphQL gateway for a person's money."""


@main.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    envvar="DASHTAM_PORT",
    default=8_000,
    show_default=True,
)
@data_dir_option
@click.option("--no-demo", is_flag=True, help="Without the demo user.")
@saying_why
def up(port: int, data_dir: Path, *, no_demo: bool) -> None:
    """Development: database, gateway and worker in one tree. Ctrl-C ends all of it."""
    from gateway.processes.development import run  # noqa: PLC0415 - the other commands need none of it

    run(data_dir=data_dir, port=port, with_demo=not no_demo)


@main.command()
@click.option("--port", type=click.IntRange(1, 65_535), help="Else DASHTAM_PORT.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes; several share their limits in DASHTAM_REDIS_URL.",
)
@saying_why
def serve(port: int | None, workers: int) -> None:
    """Production: the gateway, configured by the environment."""
    from gateway.processes import serving  # noqa: PLC0415 - same

    serving.serve(Settings.read(os.environ, port=port), workers=workers)


@main.command()
@saying_why
def worker() -> None:
    """Production: a job worker, configured by the environment. Any number may run."""
    from gateway.processes import serving  # noqa: PLC0415 - same

    serving.work_until_ended(Settings.read(os.environ))


@main.command()
@data_dir_option
@saying_why
def migrate(data_dir: Path) -> None:
    """Bring the database to this version. Safe to repeat, and while the gateway runs."""
    from gateway.migrate import MigrationError, migrate  # noqa: PLC0415 - same
    from gateway.shell.runs import database  # noqa: PLC0415 - same

    with database(data_dir) as settings:
        if settings.migrations_url is None:
            raise Failed("There is no database: set DASHTAM_MIGRATIONS_URL.")
        try:
            before, after = asyncio.run(migrate(settings.migrations_url))
        except MigrationError as error:
            raise Failed(str(error)) from None
    click.echo(
        f"at {after} already" if before == after else f"from {before or 'nothing'} to {after}"
    )


@main.command("import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True)
)
@click.option("--email", required=True, help="Whose statements these are.")
@click.option("--provider", default="file", show_default=True, help="file or chase.")
@click.option("--alias", help="A name for the link.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@data_dir_option
@saying_why
def import_(
    files: tuple[Path, ...],
    email: str,
    provider: str,
    alias: str | None,
    data_dir: Path,
    *,
    dry_run: bool,
) -> None:
    """Import statement files: QFX, OFX or QBO of any institution, or CSV of a known layout."""
    from gateway.shell import runs  # noqa: PLC0415 - same

    asked = runs.ImportAsked(provider=provider, alias=alias, dry_run=dry_run)
    with runs.database(data_dir) as settings:
        failed = asyncio.run(runs.import_files(settings, files, email, asked))
    sys.exit(1 if failed else 0)


@main.command()
@click.option("--email", required=True, help="Whose links.")
@click.option("--link", "link_id", help="One link's id; else every link that can be pulled.")
@click.option("--force", is_flag=True, help="Again, whenever the last sync was, and all of it.")
@data_dir_option
@saying_why
def sync(email: str, link_id: str | None, data_dir: Path, *, force: bool) -> None:
    """Sync from the shell, with progress."""
    from gateway.shell import runs  # noqa: PLC0415 - same

    with runs.database(data_dir) as settings:
        failed = asyncio.run(runs.sync(settings, email, link_id, force=force))
    sys.exit(1 if failed else 0)


@main.group()
def user() -> None:
    """People and their roles."""


role_choice = click.Choice(["ADMIN", "USER", "READONLY"], case_sensitive=False)


@user.command("create")
@click.argument("email")
@click.option("--role", type=role_choice, default="USER", show_default=True)
@data_dir_option
@saying_why
def user_create(email: str, role: str, data_dir: Path) -> None:
    """Make a user: the first administrator with --role ADMIN.

    The password is asked for, or read from standard input.
    """
    from gateway.shell import people, runs  # noqa: PLC0415 - same

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    with runs.database(data_dir) as settings:
        made = asyncio.run(people.create(settings, email, password, role))
    click.echo(f"{made.email} can sign in ({made.role.value})")


@user.command("grant")
@click.argument("email")
@click.argument("role", type=role_choice)
@data_dir_option
@saying_why
def user_grant(email: str, role: str, data_dir: Path) -> None:
    """Give a user a role. It counts at once, while the gateway runs; the last ADMIN stays one."""
    from gateway.shell import people, runs  # noqa: PLC0415 - same

    with runs.database(data_dir) as settings:
        click.echo(asyncio.run(people.grant(settings, email, role)))


@user.command("list")
@click.option("--search", help="Only those with this in their address.")
@data_dir_option
@saying_why
def user_list(search: str | None, data_dir: Path) -> None:
    """Who there is: address, role, whether it is verified, since when, and the last sign-in."""
    from gateway.shell import people, runs  # noqa: PLC0415 - same

    with runs.database(data_dir) as settings:
        asyncio.run(people.show(settings, search, click.echo))


@main.group()
def keys() -> None:
    """The keys that seal credentials and sign tokens."""


@keys.command("create")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def keys_create(file: Path) -> None:
    """Make a keyring for DASHTAM_KEYRING. Keep a copy: without it nothing sealed opens again."""
    from adapters.security.keyring import Keyring, KeyringError  # noqa: PLC0415 - imports are slow

    try:
        Keyring.create(file)
    except KeyringError as error:
        raise Failed(str(error)) from None
    click.echo(f"{file} holds new keys: set DASHTAM_KEYRING to it")


@keys.command("rotate")
@click.option(
    "--prune", is_flag=True, help="Make none: finish, and remove old ones that nothing needs."
)
@data_dir_option
@saying_why
def keys_rotate(data_dir: Path, *, prune: bool) -> None:
    """Make new keys and bring all that is sealed under them, while everything runs.

    What is cut off goes on when it is run again. Non-zero when something is not under the new key.
    """
    from gateway.keys.command import rotate  # noqa: PLC0415 - same
    from gateway.shell import runs  # noqa: PLC0415 - same

    with runs.database(data_dir) as settings:
        whole = asyncio.run(rotate(settings, prune=prune))
    sys.exit(0 if whole else 1)


@main.group()
def audit() -> None:
    """The audit log: who did what."""


@audit.command("verify")
@data_dir_option
@saying_why
def audit_verify(data_dir: Path) -> None:
    """Look through the whole audit log. Non-zero, and the first bad row, when it was changed.

    Every row's MAC, the chain of their hashes, and the signed checkpoints that are kept outside of
    the database: rows that were edited, deleted, put in, moved or cut off are found.

    So is a backup that was restored, if checkpoints were written after it was made. Then move
    their files out of the folder, keep them, and start the worker again.
    """
    from gateway.audit.command import verify  # noqa: PLC0415 - same
    from gateway.shell import runs  # noqa: PLC0415 - same

    with runs.database(data_dir) as settings:
        said, intact = asyncio.run(verify(settings, lambda line: click.echo(line, err=True)))
    click.echo(said)
    sys.exit(0 if intact else 1)


main.add_command(documents)


@main.group()
def schema() -> None:
    """The GraphQL schema."""


@schema.command("print")
def schema_print() -> None:
    """Print it in SDL."""
    from schema.schema import printed  # noqa: PLC0415 - same

    click.echo(printed(), nl=False)


@schema.command("check")
@click.argument("old", type=click.File(encoding="utf-8"))
@data_dir_option
def schema_check(old: TextIO, data_dir: Path) -> None:
    """Compare it with an OLD one: a file of SDL, or - for standard input.

    Names every change that breaks what was valid, with its line in OLD; warns of those that mean
    something else to who stays as they are; counts the rest. Where DASHTAM_DATABASE_URL is set, or
    a development instance runs, also names each published document that would break.

    Ends with 0 where nothing breaks, 1 where something does, 2 where that cannot be told.
    """
    from domain.errors import Unavailable  # noqa: PLC0415 - imports are slow
    from gateway.shell import schema_check as checking  # noqa: PLC0415 - same

    try:
        database_url = checking.configured(os.environ, data_dir)
        intact = checking.check(old.read(), old.name, database_url, click.echo)
    except UnicodeDecodeError:
        raise Undecided(f"{old.name} is not UTF-8: is it the schema in SDL?") from None
    except (checking.NoSchema, Unavailable, SettingsError) as error:
        raise Undecided(str(error)) from None
    sys.exit(0 if intact else 1)


@schema.command("permissions")
def schema_permissions() -> None:
    """Print who may ask which of its root fields, in Markdown."""
    from adapters.security.casbin_policy import CasbinPolicy, default_policy  # noqa: PLC0415 - same
    from schema.permissions import printed  # noqa: PLC0415 - same

    click.echo(printed(CasbinPolicy(default_policy()).allows), nl=False)


@main.command()
@data_dir_option
@saying_why
def doctor(data_dir: Path) -> None:
    """Look for what is wrong, and say how to mend it. Non-zero when something is."""
    from gateway.doctor import examine  # noqa: PLC0415 - same

    sys.exit(1 if examine(data_dir) else 0)


@main.command()
@click.option("--small", is_flag=True, help="50 people and 2 rounds: about two minutes.")
@click.option("--people", type=click.IntRange(1, 10_000), help="1,000 by default.")
@click.option("--rounds", type=click.IntRange(1, 100), help="7 by default.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), help="Of each turn; 3 by default.")
@click.option("--connections", type=click.IntRange(1, 512), default=32, show_default=True)
@click.option(
    "--workload",
    "only",
    multiple=True,
    type=click.Choice(["dashboard", "transactions", "history", "sync", "overload", "first"]),
    help="Only this; may be given several times.",
)
@click.option(
    "--json",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Every figure, for machines.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the database in this folder, and use it again.",
)
@saying_why
def bench(file: Path | None, **asked: Any) -> None:
    """Measure the gateway beside stock Strawberry and a handler written by hand, a sync, and what
    becomes of the gateway at five times the load that it sustains, and of first requests.

    It brings its own database and touches no other. Non-zero when a figure asked for is missed.
    """
    from gateway.bench import command  # noqa: PLC0415 - same
    from gateway.bench.database import BenchError  # noqa: PLC0415 - same

    try:
        met = command.run(command.options(**asked), file)
    except BenchError as error:
        raise Failed(str(error)) from None
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main(prog_name="dashtam")
