"""Statement files: preview, import, take back."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from domain.accounts import Account, AccountId
from domain.commands.balances import tell_balances
from domain.commands.fed_accounts import beside_positions
from domain.commands.links import login_key, provider_of
from domain.commands.pages import store_page
from domain.commands.running import RunSync, run_sync
from domain.commands.sessions import note_provider
from domain.commands.storing import Stored, key_in_files
from domain.commands.sync import enqueue
from domain.commands.worth import tell_net_worth
from domain.errors import Conflict, ErrorCode, InvalidInput, UnreadableFile
from domain.events import Event, EventName
from domain.handling import command
from domain.holdings import Holding, HoldingId
from domain.identity import Actor, Permission, new_id
from domain.imports import (
    FILE_BYTES_MAX,
    IN_REQUEST_BYTES_MAX,
    ImportFile,
    ImportPreview,
    PreviewedAccount,
    Statement,
    pages_of,
)
from domain.links import Link, LinkId, LinkStatus, alias
from domain.merging import Merge
from domain.ports import App
from domain.sealing import Place, bound_to
from domain.storage.work import Change, Work
from domain.sync import (
    NO_COUNTS,
    ReceivedAccount,
    RunId,
    SyncCounts,
    SyncRun,
    SyncScope,
    SyncStatus,
    SyncTrigger,
)
from domain.transactions import Transaction, TransactionId

T = TypeVar("T")

NAME_MAX = 255
FILE = ("input", "file")


def _nobody(_: RunId) -> None:
    """Nobody follows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportStatement:
    """`queued` is told of the run once it is committed, before it is begun."""

    actor: Actor
    provider_slug: str
    file: bytes = field(repr=False)
    file_name: str
    alias: str | None
    dry_run: bool
    at: datetime
    queued: Callable[[RunId], None] = _nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A run, and the accounts of the statement once it has ended; or with `dry_run` a preview."""

    run: SyncRun | None = None
    account_ids: Sequence[AccountId] = ()
    preview: ImportPreview | None = None


@command("statement.import", permits=Permission.WRITE_DATA)
async def import_statement(app: App, cmd: ImportStatement) -> Imported:
    """Import a statement: up to 2 MB at once, above that by a worker.

    Raises:
        UnreadableFile: too large, empty, or not a statement (with the line, where there is one).
        NotFound, Conflict, InvalidInput: no such provider, not offered, or it reads no files.
    """
    provider = provider_of(app, cmd.provider_slug)
    if not provider.info.takes_files:
        raise InvalidInput(f"{provider.info.name} takes no files", field=("input", "provider"))
    said_alias = alias(cmd.alias)
    statement = await _read(app, cmd.file, cmd.file_name)
    if cmd.dry_run:
        return Imported(preview=await _preview(app, cmd, statement))
    async with app.begin(cmd, last=len(cmd.file) > IN_REQUEST_BYTES_MAX) as work:
        await work.users.get(lock=True)
        await note_provider(work, cmd.actor, cmd.provider_slug)
        link = await _free_link(app, work, cmd, statement, said_alias)
        run = await _queue(app, work, cmd, link)
    cmd.queued(run.id)
    if len(cmd.file) > IN_REQUEST_BYTES_MAX:
        return Imported(run=run)
    done = await run_sync(app, RunSync(actor=cmd.actor, run_id=run.id, worker=new_id(), at=cmd.at))
    async with app.begin(cmd) as work:
        by_key = await work.accounts.by_key(link.id)
    keys = [key_in_files(app, link, account.key) for account in statement.accounts]
    ids = [by_key[key].id for key in keys if key in by_key]
    return Imported(run=done, account_ids=[*dict.fromkeys(ids)])


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoImport:
    actor: Actor
    run_id: RunId
    at: datetime


@command("statement.undo", permits=Permission.WRITE_DATA)
async def undo_import(app: App, cmd: UndoImport) -> SyncRun:
    """Take back what an import wrote; what was changed or confirmed since by another stays.

    Raises NotFound, and Conflict where the run is no import, is not over, or was undone before.
    """
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        run = await work.runs.get(cmd.run_id, lock=True)
        if run.trigger is not SyncTrigger.IMPORT:
            raise Conflict("this run was not an import", field=("runId",))
        if not run.status.is_terminal:
            raise Conflict("this import is still under way", field=("runId",))
        changes = await work.imports.changes(run.id)
        if run.status is SyncStatus.CANCELLED and not changes:
            raise Conflict("this import was taken back already", field=("runId",))
        await _take_back(work, run, changes, cmd.at)
        run = run.cancelled(cmd.at)
        await work.runs.save(run)
    return run


async def _read(app: App, file: bytes, name: str) -> Statement:
    if len(file) > FILE_BYTES_MAX:
        raise UnreadableFile(
            f"a statement has at most {FILE_BYTES_MAX // 2**20} MiB",
            field=FILE,
            code=ErrorCode.FILE_TOO_LARGE,
        )
    if not file.strip():
        raise UnreadableFile("the file is empty", field=FILE)
    try:
        return await asyncio.to_thread(app.read_statement, file, name[:NAME_MAX])
    except UnreadableFile as refusal:
        refusal.field = FILE
        raise


async def _free_link(
    app: App, work: Work, cmd: ImportStatement, statement: Statement, said_alias: str | None
) -> Link:
    """The link that this institution's files feed, where they name transactions alike.

    Raises Conflict while one of them is being imported.
    """
    institution = statement.institution or "Unknown institution"
    name = "".join(c for c in institution.casefold() if c.isalnum())
    said = f"{name}|{statement.source}" if statement.source else name
    key = login_key(app, cmd.actor.user_id, cmd.provider_slug, said)
    link = await work.links.by_login(cmd.provider_slug, key)
    if link is None:
        link = Link(
            id=LinkId(new_id()),
            user_id=cmd.actor.user_id,
            provider_slug=cmd.provider_slug,
            status=LinkStatus.PENDING,
            created_at=cmd.at,
            alias=said_alias,
            login=key,
            institution=institution,
        ).connected(at=cmd.at)
        await work.links.add(link)
    elif said_alias is not None and said_alias != link.alias:
        link = replace(link, alias=said_alias)
        await work.links.save(link)
    if (active := await work.runs.active(link.id)) is not None:
        raise Conflict(
            "another file of this institution is being imported",
            existing=("SyncRun", active.id),
        )
    return link


async def _queue(app: App, work: Work, cmd: ImportStatement, link: Link) -> SyncRun:
    run = SyncRun(
        id=RunId(new_id()),
        user_id=cmd.actor.user_id,
        link_id=link.id,
        trigger=SyncTrigger.IMPORT,
        status=SyncStatus.QUEUED,
        queued_at=cmd.at,
    )
    if len(cmd.file) > IN_REQUEST_BYTES_MAX:
        await enqueue(work, run, link)
    else:
        await work.runs.add(run)
    place = bound_to(Place.FILE, run.user_id, run.id)
    await work.imports.add(
        ImportFile(
            id=new_id(),
            run_id=run.id,
            name=cmd.file_name[:NAME_MAX],
            digest=hashlib.sha256(cmd.file).digest(),
            size=len(cmd.file),
            received_at=cmd.at,
            content=app.vault.seal(cmd.file, context=place),
        )
    )
    return run


# ── preview ─────────────────────────────────────────────────────────────────


class _RollBack(Exception):
    """Nothing of a preview stays."""


@asynccontextmanager
async def _never_kept(app: App, cmd: ImportStatement) -> AsyncIterator[Work]:
    try:
        async with app.begin(cmd, last=False) as work:
            yield work
            raise _RollBack  # noqa: TRY301 - it leaves the unit of work, that is its purpose
    except _RollBack:
        return


async def _preview(app: App, cmd: ImportStatement, statement: Statement) -> ImportPreview:
    """What importing would do: it is done, and rolled back."""
    async with _never_kept(app, cmd) as work:
        await work.users.get(lock=True)
        link = await _free_link(app, work, cmd, statement, None)
        run = await _queue(app, work, cmd, link)
        stored = [
            await store_page(app, work, link=link, run=run, page=page, at=cmd.at)
            for page in pages_of(statement)
        ]
        by_key = await work.accounts.by_key(link.id)
        known = {a.key: by_key[key_in_files(app, link, a.key)] for a in statement.accounts}
        beside = await beside_positions(work, statement.accounts, known)
        unreadable = await work.runs.quarantined(run.id)
    days: dict[str, list[date]] = defaultdict(list)
    for row in statement.transactions:
        days[row.account_key].append(row.date)

    def previewed(received: ReceivedAccount) -> PreviewedAccount:
        account = known[received.key]
        of = partial(_counts, stored, account.id)
        return PreviewedAccount(
            name=account.name,
            mask=account.mask,
            type=account.type,
            balance=None if received.key in beside else received.balance,
            is_new=of(SyncScope.ACCOUNTS).created > 0,
            transactions=of(SyncScope.TRANSACTIONS),
            holdings=of(SyncScope.HOLDINGS),
            since=min(days[received.key], default=statement.since),
            until=max(days[received.key], default=statement.until),
        )

    return ImportPreview(
        institution=statement.institution,
        accounts=[previewed(received) for received in statement.accounts],
        unreadable=unreadable,
    )


def _counts(pages: Sequence[Stored], account_id: AccountId, scope: SyncScope) -> SyncCounts:
    return sum((page.of(scope, account_id) for page in pages), NO_COUNTS)


# ── taking back ─────────────────────────────────────────────────────────────


async def _take_back(work: Work, run: SyncRun, changes: Sequence[Change], at: datetime) -> None:
    kept = await work.imports.hand_over(run.id)  # a later import said the same, or more
    await work.imports.unname(run.id, run.link_id)
    mine = [c for c in changes if c.id not in kept and not c.confirmed]

    async def of(kind: str) -> list[Change]:
        return await _untouched(work, kind, [c for c in mine if c.kind == kind])

    transactions = await of("transaction")
    made = [TransactionId(c.id) for c in transactions if c.before is None]
    confirmed = await work.transactions.named_by_others(run.link_id, made)
    await work.transactions.delete([id for id in made if id not in confirmed])
    await work.transactions.write(_restored(transactions, Transaction))
    holdings = await of("holding")
    await work.holdings.delete([HoldingId(c.id) for c in holdings if c.before is None])
    await work.holdings.write(_restored(holdings, Holding))
    await work.history.delete_of_run(run.id)
    accounts = await of("account")
    ids = [AccountId(c.id) for c in accounts]
    before = await work.accounts.by_id(ids)
    await work.accounts.write(_restored(accounts, Account))
    made_accounts = [AccountId(c.id) for c in accounts if c.before is None]
    emptied = await work.accounts.emptied(made_accounts)
    current = await work.accounts.by_id(made_accounts)
    await work.accounts.delete(
        [a.id for a in current if a.id in emptied and set(a.link_ids) <= {run.link_id}]
    )
    await work.imports.forget(run.id)
    await work.imports.restored([*transactions, *holdings, *accounts])
    await _tell(work, run, before, await work.accounts.by_id(ids), at)


async def _tell(
    work: Work, run: SyncRun, before: Sequence[Account], after: Sequence[Account], at: datetime
) -> None:
    """What the accounts that were taken back are worth now."""

    def record(name: EventName, **facts: str) -> None:
        work.record(Event(name=name, user_id=run.user_id, at=at, facts=facts))

    left = {a.id for a in after}
    moved = Merge(updated=[*after], before=[a for a in before if a.id in left])
    tell_balances(record, moved, ())
    await tell_net_worth(work, before, after, at, run=str(run.id))


async def _untouched(work: Work, kind: str, changes: Sequence[Change]) -> list[Change]:
    """One change a row, from its state before the import; rows written since by others are out."""
    first: dict[UUID, Change] = {}
    last: dict[UUID, int] = {}
    for change in changes:  # the latest first
        last.setdefault(change.id, change.version)
        first[change.id] = change
    current = await work.imports.versions(kind, list(first))
    return [change for id, change in first.items() if current.get(id) == last[id]]


def _restored(changes: Sequence[Change], kind: type[T]) -> Merge[T]:
    return Merge(updated=[c.before for c in changes if isinstance(c.before, kind)])
