"""`dashtam documents`: the commands of the shell."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click

from gateway.documents.limits import OWN
from gateway.shell.commands import Failed, data_dir_option, saying_why

T = TypeVar("T")

client_option = click.option("--client", "name", required=True, help="The client's name.")
version_option = click.option("--version", "version", required=True, help="Its version.")
own_limit = click.IntRange(1, 1_000_000_000)


def _own_limits(command: Callable[..., T]) -> Callable[..., T]:
    """An option for each limit that a document may have of its own."""
    for name in reversed(OWN):
        says = f"Of each of these documents, instead of DASHTAM_LIMIT_{name.upper()}."
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, name, type=own_limit, metavar="N", help=says)(command)
    return command


@contextmanager
def _documents() -> Iterator[None]:
    """Each reason has a line of its own; the last says that nothing was done."""
    from gateway.documents.publishing import NotPublished  # noqa: PLC0415 - same

    try:
        yield
    except NotPublished as refused:
        *reasons, last = refused.reasons
        for reason in reasons:
            click.echo(reason, err=True)
        if reasons:
            click.echo(last, err=True)
            last = f"{len(refused.reasons)} things are wrong, and nothing was changed"
        raise Failed(last) from None


@click.group()
def documents() -> None:
    """Persisted documents: what clients may ask, published by name and version."""


@documents.command("publish")
@click.argument("manifest", type=click.Path(path_type=Path, exists=True), metavar="FILE|FOLDER")
@client_option
@version_option
@_own_limits
@data_dir_option
@saying_why
def documents_publish(
    manifest: Path, name: str, version: str, data_dir: Path, **limits: int | None
) -> None:
    """Publish a manifest, as a whole or not at all; gateways that run know it within a second.

    Apollo's persisted-query manifest, the JSON of Relay's compiler or of GraphQL Code Generator, or
    a folder of .graphql files, in which each operation is a document, with the fragments it needs
    from any of the files.

    Every document is checked against this schema; what is wrong is said with file, line and column.
    A version may be published again, and with more documents, but not with others: a change is
    another version. An id stays that of its text for ever.
    """
    from gateway.documents import command  # noqa: PLC0415 - same
    from gateway.shell import runs  # noqa: PLC0415 - same

    own = {limit: most for limit, most in limits.items() if most is not None}
    with _documents(), runs.database(data_dir) as settings:
        client = command.client_named(name, version)
        click.echo(asyncio.run(command.publish(settings, manifest, client, own)))


@documents.command("list")
@click.option("--client", "name", help="Only this client's.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@data_dir_option
@saying_why
def documents_list(name: str | None, data_dir: Path, *, as_json: bool) -> None:
    """What is published, by client and version: id, name, and when it was last used.

    A first use is told within seconds, the others every half minute. Those of clients that did not
    publish what they use, or do not say who they are, are "unknown".
    """
    from gateway.documents import command  # noqa: PLC0415 - same
    from gateway.shell import runs  # noqa: PLC0415 - same

    with _documents(), runs.database(data_dir) as settings:
        asyncio.run(command.show(settings, name, click.echo, as_json=as_json))


@documents.command("retire")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@client_option
@version_option
@data_dir_option
@saying_why
def documents_retire(ids: tuple[str, ...], name: str, version: str, data_dir: Path) -> None:
    """Take documents from a version; without ids, all of them.

    Refused, as a whole, if any was used by this version in the last 30 days, or by anybody where no
    other version has it.
    """
    from gateway.documents import command  # noqa: PLC0415 - same
    from gateway.shell import runs  # noqa: PLC0415 - same

    with _documents(), runs.database(data_dir) as settings:
        client = command.client_named(name, version)
        click.echo(asyncio.run(command.retire(settings, client, ids)))
