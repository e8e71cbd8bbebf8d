"""Running a sync: claim the link, pull page after page, store each with its cursor, finish.

No transaction is open while the provider is asked. A run that was killed goes on after its last
committed page; a worker whose lease ran out stores nothing more.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from domain.commands.links import credentials_context, link_event
from domain.commands.pages import store_page
from domain.errors import CredentialsRejected, DomainError, ErrorCode
from domain.events import Event, EventName
from domain.handling import command
from domain.identity import Actor
from domain.links import Lease, Link, LinkStatus
from domain.ports import App, Provider
from domain.storage import Work
from domain.sync import (
    ATTEMPTS_MAX,
    LEASE,
    OVERLAP,
    Page,
    PullRequest,
    RunError,
    RunId,
    SyncRun,
    SyncScope,
    SyncStatus,
    SyncTrigger,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSync:
    """`worker` is whoever holds the lease while it runs."""

    actor: Actor
    run_id: RunId
    worker: UUID
    at: datetime


class Busy(Exception):
    """Another worker has the link; ask again after `retry_after_s`."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("another worker has this link")
        self.retry_after_s = retry_after_s


class LeaseLost(Exception):
    """Another worker took over: this one stores nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    run: SyncRun
    link: Link
    credentials: Mapping[str, str]
    file: bytes | None
    fence: int


@command("sync.run", permits=None)
async def run_sync(app: App, cmd: RunSync) -> SyncRun:
    """Run to its end; the run's own state says how it went.

    Raises:
        Busy: another worker has the link.
        LeaseLost: another worker took over meanwhile.
        NotFound: no such run.
    """
    claim = await _claim(app, cmd)
    if isinstance(claim, SyncRun):
        return claim
    provider = app.providers.get(claim.link.provider_slug)
    if provider is None:
        gone = RunError(code=ErrorCode.PROVIDER_DISABLED, message="the provider is not offered")
        return await _fail(app, cmd, claim, gone, lapsed=False)
    run, position = claim.run, claim.link.cursor
    try:
        async for page in _pages(provider, claim, app.now()):
            run = await _store(app, cmd, claim, page)
            position = page.position or position
            if run.status is SyncStatus.CANCELLED:
                return run
    except CredentialsRejected as refusal:
        return await _fail(app, cmd, claim, RunError.of(refusal), lapsed=True)
    except DomainError as refusal:
        return await _fail(app, cmd, claim, RunError.of(refusal), lapsed=False)
    return await _finish(app, cmd, claim, position)


async def _claim(app: App, cmd: RunSync) -> _Claim | SyncRun:
    """The lease, and what is needed to pull; or the run as it is, where there is nothing to do."""
    at = app.now()
    async with app.begin(cmd, last=False) as work:
        await work.users.get(lock=True)
        run = await work.runs.get(cmd.run_id, lock=True)
        if run.status.is_terminal:
            return run
        link = await work.links.get(run.link_id, lock=True)
        lease = link.lease
        if lease is not None and lease.until > at and lease.holder != cmd.worker:
            raise Busy(int((lease.until - at).total_seconds()) + 1)
        if run.attempts >= ATTEMPTS_MAX or link.status is LinkStatus.DISCONNECTED:
            return await _give_up(work, run, link, at)
        fence = lease.fence + 1 if lease else 1
        run = run.started(at)
        link = replace(link, lease=Lease(holder=cmd.worker, until=at + LEASE, fence=fence))
        await work.runs.save(run)
        await work.links.save(link)
        if run.attempts == 1:
            work.record(_run_event(_names(run)[0], run, at))
        sealed = await work.links.credentials(link.id)
        file = await work.imports.get(run.id) if run.trigger is SyncTrigger.IMPORT else None
    credentials = {}
    if sealed is not None:
        credentials = json.loads(app.vault.open(sealed, context=credentials_context(link)))
    content = None
    if file is not None and file.content is not None:
        content = app.vault.open(file.content, context=file_context(run))
    return _Claim(run=run, link=link, credentials=credentials, file=content, fence=fence)


async def _give_up(work: Work, run: SyncRun, link: Link, at: datetime) -> SyncRun:
    error = RunError(
        code=ErrorCode.PROVIDER_UNAVAILABLE, message=f"it did not finish in {ATTEMPTS_MAX} attempts"
    )
    if link.status is LinkStatus.DISCONNECTED:
        run = run.cancelled(at)
    else:
        run = run.failed(at, error)
        await work.links.save(replace(link.failed(at=at), lease=None))
        work.record(_run_event(_names(run)[2], run, at))
    await work.runs.save(run)
    return run


async def _pages(provider: Provider, claim: _Claim, at: datetime) -> AsyncIterator[Page]:
    run = claim.run
    request = PullRequest(
        credentials=claim.credentials,
        scopes=run.scopes,
        at=run.started_at or at,
        since=_since(run, claim.link),
        until=run.until,
        cursor=run.cursor,
        position=None if run.force or run.since else claim.link.cursor,
        account_keys=run.account_keys,
        file=claim.file,
    )
    async for page in provider.pull(request):
        yield page


def _since(run: SyncRun, link: Link) -> date | None:
    """Incremental, with an overlap, unless asked otherwise."""
    if run.since is not None or run.force or link.last_synced_at is None:
        return run.since
    return (link.last_synced_at - OVERLAP).date()


async def _store(app: App, cmd: RunSync, claim: _Claim, page: Page) -> SyncRun:
    """One page, its cursor and the lease's renewal, in one transaction."""
    at = app.now()
    async with app.begin(cmd, last=False) as work:
        run, link = await _held(work, cmd, claim)
        if run.cancel_asked:
            run = run.cancelled(at)
            await work.runs.save(run)
            await work.links.save(replace(link, lease=None))
            return run
        stored = await store_page(app, work, link=link, run=run, page=page, at=at)
        run = run.advanced(
            page,
            accounts=stored.accounts,
            holdings=stored.holdings,
            transactions=stored.transactions,
        )
        await work.runs.save(run)
        lease = Lease(holder=cmd.worker, until=at + LEASE, fence=claim.fence)
        await work.links.save(replace(link, lease=lease))
    return run


async def _finish(app: App, cmd: RunSync, claim: _Claim, position: str | None) -> SyncRun:
    at = app.now()
    async with app.begin(cmd) as work:
        run, link = await _held(work, cmd, claim)
        run = run.finished(at)
        if run.status is SyncStatus.FAILED:
            link = link.failed(at=at)
        elif _is_whole(run):
            provider = app.providers[link.provider_slug]
            link = link.synced(at=at, cursor=position, again=provider.info.can_be_pulled)
        await work.runs.save(run)
        await work.links.save(replace(link, lease=None))
        if run.trigger is SyncTrigger.IMPORT:
            await work.imports.shred(run.id)
        failed = run.status is SyncStatus.FAILED
        work.record(_run_event(_names(run)[2 if failed else 1], run, at))
    return run


async def _fail(app: App, cmd: RunSync, claim: _Claim, error: RunError, *, lapsed: bool) -> SyncRun:
    at = app.now()
    async with app.begin(cmd) as work:
        run, link = await _held(work, cmd, claim)
        run = run.failed(at, error)
        if lapsed:
            link = link.lapsed()
            work.record(link_event(EventName.LINK_NEEDS_REAUTHORIZATION, link, at))
        elif error.code not in (ErrorCode.FILE_UNREADABLE, ErrorCode.FILE_TOO_LARGE):
            link = link.failed(at=at)
        await work.runs.save(run)
        await work.links.save(replace(link, lease=None))
        if run.trigger is SyncTrigger.IMPORT:
            await work.imports.shred(run.id)
        work.record(_run_event(_names(run)[2], run, at))
    return run


async def _held(work: Work, cmd: RunSync, claim: _Claim) -> tuple[SyncRun, Link]:
    """The run and its link, locked, where the lease is still this worker's. Raises LeaseLost."""
    await work.users.get(lock=True)
    run = await work.runs.get(cmd.run_id, lock=True)
    link = await work.links.get(run.link_id, lock=True)
    lease = link.lease
    if run.status.is_terminal or lease is None:
        raise LeaseLost
    if lease.holder != cmd.worker or lease.fence != claim.fence:
        raise LeaseLost
    return run, link


def file_context(run: SyncRun) -> bytes:
    """What a waiting file is sealed for."""
    return b"file|" + run.user_id.bytes + run.id.bytes


def _is_whole(run: SyncRun) -> bool:
    """Whether the next pull may begin where this one ended."""
    scopes = frozenset(SyncScope)
    return run.scopes == scopes and run.account_keys is None and run.until is None


def _names(run: SyncRun) -> tuple[EventName, EventName, EventName]:
    if run.trigger is SyncTrigger.IMPORT:
        return EventName.IMPORT_STARTED, EventName.IMPORT_COMPLETED, EventName.IMPORT_FAILED
    return EventName.SYNC_STARTED, EventName.SYNC_COMPLETED, EventName.SYNC_FAILED


def _run_event(name: EventName, run: SyncRun, at: datetime) -> Event:
    facts = {"run": str(run.id), "link": str(run.link_id), "status": run.status.value}
    return Event(name=name, user_id=run.user_id, at=at, facts=facts)
