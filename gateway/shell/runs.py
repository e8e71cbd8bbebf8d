"""What the shell's commands do: the same commands as the API's, on the same database."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from rich.console import Console

from domain.commands.imports import Imported, ImportStatement, import_statement
from domain.commands.leases import Busy, LeaseLost
from domain.commands.running import RunSync, run_sync
from domain.commands.sync import RequestSync, request_sync
from domain.errors import DomainError, NotFound, UnreadableFile
from domain.identity import Actor, new_id
from domain.imports import FILE_BYTES_MAX, ImportPreview
from domain.links import LinkId
from domain.money import Money
from domain.queries.sync import progress
from domain.sync import SyncCounts, SyncRun, SyncStatus
from gateway import embedded
from gateway.logs import configure
from gateway.processes.instance import running_instance
from gateway.settings import PREFIX, Settings, SettingsError
from gateway.shell.drawing import drawn
from gateway.wiring.root import Wired, wire

TAKE_OVER_S = 2.0  # between two tries to run what another worker has
console = Console(highlight=False, markup=False, soft_wrap=True)  # file names are no markup


@contextmanager
def database(data_dir: Path) -> Iterator[Settings]:
    """The settings of the environment's database, or of the development instance.

    An instance that does not run has its database started for as long as this takes.
    """
    configure("error")
    if os.environ.get("DASHTAM_DATABASE_URL"):
        yield Settings.read(os.environ)
        return
    if (instance := running_instance(data_dir)) is not None:
        yield Settings.read({**os.environ, **instance.environ()})
        return
    if not (data_dir / "postgres").is_dir():
        if not any(name.startswith(PREFIX) for name in os.environ.keys() - {f"{PREFIX}DATA_DIR"}):
            raise SettingsError(
                f"{data_dir} holds no instance: give the folder of one by --data-dir, begin one "
                "with `dashtam up`, or set DASHTAM_DATABASE_URL."
            )
        yield Settings.read(os.environ)  # says that there is no database
        return
    server = embedded.start(data_dir.resolve())
    try:
        yield Settings.read(
            {
                **os.environ,
                "DASHTAM_MODE": "development",
                "DASHTAM_DATA_DIR": str(data_dir.resolve()),
                "DASHTAM_DATABASE_URL": server.app_url,
                "DASHTAM_MIGRATIONS_URL": server.owner_url,
            }
        )
    finally:
        embedded.stop(server)


@asynccontextmanager
async def _person(settings: Settings, email: str) -> AsyncIterator[tuple[Wired, Actor]]:
    async with wire(settings) as wired:
        known = await wired.app.doors.user_by_email(email.strip().lower())
        if known is None:
            raise NotFound(f"there is no user {email}: make one with `dashtam user create`")
        yield wired, Actor(user_id=known.user.id, role=known.user.role)


# ── importing ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportAsked:
    provider: str
    alias: str | None
    dry_run: bool


async def import_files(
    settings: Settings, files: Sequence[Path], email: str, asked: ImportAsked
) -> int:
    """How many of the files could not be imported; each is a run of its own."""
    failed = 0
    async with _person(settings, email) as (wired, actor):
        for path in files:
            try:
                failed += not await _import(wired, actor, path, asked)
            except UnreadableFile as refusal:
                line = f", line {refusal.line}" if refusal.line else ""
                console.print(f"{path.name}{line}: {refusal.message}", style="red")
                failed += 1
            except DomainError as refusal:
                console.print(f"{path.name}: {refusal.message}", style="red")
                failed += 1
    return failed


def _content(path: Path) -> bytes:
    if path.stat().st_size > FILE_BYTES_MAX:  # refused before it is read into memory
        raise UnreadableFile(f"a statement has at most {FILE_BYTES_MAX // 2**20} MiB")
    return path.read_bytes()


async def _import(wired: Wired, actor: Actor, path: Path, asked: ImportAsked) -> bool:
    cmd = ImportStatement(
        actor=actor,
        provider_slug=asked.provider,
        file=_content(path),
        file_name=path.name,
        alias=asked.alias,
        dry_run=asked.dry_run,
        at=wired.app.now(),
    )
    async with drawn(console, wired, actor, path.name) as follow:
        imported = await import_statement(wired.app, replace(cmd, queued=follow))
        if imported.run is not None and not imported.run.status.is_terminal:
            imported = Imported(run=await _to_its_end(wired, actor, imported.run))
    if imported.preview is not None:
        _show_preview(imported.preview)
        return True
    assert imported.run is not None  # noqa: S101 - it is one or the other
    return _show(path.name, imported.run)


def _show_preview(preview: ImportPreview) -> None:
    console.print(f"{preview.institution or 'Unknown institution'}: nothing was changed")
    for account in preview.accounts:
        balance = _money(account.balance) if account.balance else "no balance"
        days = f", {account.since} to {account.until}" if account.since else ""
        kind = "new" if account.is_new else "known"
        console.print(f"  {account.name} ({kind}, {account.type.value}): {balance}{days}")
        console.print(f"    transactions: {_counts(account.transactions)}")
        console.print(f"    holdings: {_counts(account.holdings)}")
    for row in preview.unreadable:
        at = "" if row.line is None else f"line {row.line}: "
        console.print(f"  {at}{row.reason}", style="yellow")


# ── syncing ─────────────────────────────────────────────────────────────────


async def sync(settings: Settings, email: str, link_id: str | None, *, force: bool) -> int:
    """How many links could not be synced."""
    async with _person(settings, email) as (wired, actor):
        runs = await request_sync(
            wired.app,
            RequestSync(
                actor=actor,
                link_id=None if link_id is None else _link_id(link_id),
                account_id=None,
                scopes=None,
                since=None,
                until=None,
                force=force,
                at=wired.app.now(),
            ),
        )
        if not runs:
            console.print("there is no link that can be synced")
        failed = 0
        for run in runs:
            async with drawn(console, wired, actor, f"link {run.link_id}") as follow:
                follow(run.id)
                done = await _to_its_end(wired, actor, run)
            failed += not _show(f"link {run.link_id}", done)
    return failed


async def _to_its_end(wired: Wired, actor: Actor, run: SyncRun) -> SyncRun:
    """Run it here, unless a worker has it already: then wait for that."""
    while not run.status.is_terminal:
        cmd = RunSync(actor=actor, run_id=run.id, worker=new_id(), at=wired.app.now())
        try:
            return await run_sync(wired.app, cmd)
        except (Busy, LeaseLost):
            run = await _elsewhere(wired, actor, run)
    return run


async def _elsewhere(wired: Wired, actor: Actor, run: SyncRun) -> SyncRun:
    """The run at its end, or after a while, when it is worth another try to take it over."""
    stream = progress(run.id, wired.app.movements, lambda: wired.snapshot(actor))
    with suppress(TimeoutError):
        async with asyncio.timeout(TAKE_OVER_S), aclosing(stream) as states:
            async for run in states:  # noqa: B007, PLR1704 - the last one is what is wanted
                pass
    return run


def _link_id(text: str) -> LinkId:
    """A UUID, or the id that the API gives."""
    from schema.ids import key  # noqa: PLC0415 - Strawberry is slow to import

    try:
        return LinkId(UUID(text))
    except ValueError:
        found = key("Link", text)
    if found is None:
        raise NotFound("there is no such link")
    return LinkId(found)


def _show(name: str, run: SyncRun) -> bool:
    good = run.status in (SyncStatus.SUCCEEDED, SyncStatus.PARTIAL)
    style = "green" if run.status is SyncStatus.SUCCEEDED else "yellow" if good else "red"
    console.print(f"{name}: {run.status.value.lower()}", style=style)
    console.print(f"  accounts: {_counts(run.accounts)}")
    console.print(f"  holdings: {_counts(run.holdings)}")
    console.print(f"  transactions: {_counts(run.transactions)}")
    if run.error is not None:
        console.print(f"  {run.error.message}", style=style)
    return good


def _counts(counts: SyncCounts) -> str:
    text = f"{counts.created} new, {counts.updated} changed, {counts.unchanged} unchanged"
    if counts.removed:
        text += f", {counts.removed} gone"
    return f"{text}, {counts.quarantined} unreadable" if counts.quarantined else text


def _money(amount: Money) -> str:
    return f"{amount.amount:,f} {amount.currency}"
