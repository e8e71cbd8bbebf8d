"""Running a sync: claim the link, pull page after page, store each with its cursor, finish.

No transaction is open while the provider is asked. A run that was killed goes on after its last
committed page; a worker whose lease ran out stores nothing more.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from domain.commands.links import link_event, opened
from domain.commands.pages import store_page
from domain.errors import CredentialsRejected, DomainError, ErrorCode, NotFound, Unavailable
from domain.events import Event, EventName
from domain.handling import command
from domain.identity import Actor
from domain.links import Lease, Link, LinkStatus, SealedCredentials
from domain.ports import App, Unsealable
from domain.providers import Provider
from domain.sealing import Place, bound_to
from domain.storage.work import Work
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
    """`worker` is whoever holds the lease while it runs, and renews it every `renew_every`;
    `stopping` is asked after each page.
    """

    actor: Actor
    run_id: RunId
    worker: UUID
    at: datetime
    stopping: Callable[[], bool] = bool  # never
    renew_every: timedelta = LEASE / 3


class Busy(Exception):
    """Another worker has the link; ask again after `retry_after_s`."""

    audit_detail = "BUSY"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("another worker has this link")
        self.retry_after_s = retry_after_s


class Interrupted(Exception):
    """Its worker is stopping: the run goes on after its last page, with whoever asks next."""

    audit_detail = "INTERRUPTED"


class LeaseLost(Exception):
    """Another worker took over: this one stores nothing more."""

    audit_detail = "LEASE_LOST"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    run: SyncRun
    link: Link
    credentials: SealedCredentials | None
    file: bytes | None  # sealed too
    fence: int


@command("sync.run", permits=None)
async def run_sync(app: App, cmd: RunSync) -> SyncRun:
    """Run to its end; the run's own state says how it went.

    Raises:
        Busy: another worker has the link.
        LeaseLost: another worker took over meanwhile.
        Interrupted: the worker is stopping.
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
    if _is_over(claim.link, app.now()):
        ended = RunError(
            code=ErrorCode.AUTHORIZATION_EXPIRED, message="the authorization has ended"
        )
        return await _fail(app, cmd, claim, ended, lapsed=True)
    try:
        request = _pull(app, claim)
        async with (
            _renewed(app, cmd, claim),
            aclosing(_pages(provider, request)) as pages,
        ):
            async for page in pages:
                run = await _store(app, cmd, claim, page)
                position = page.position or position
                if run.status is SyncStatus.CANCELLED:
                    return run
                if cmd.stopping():
                    raise Interrupted  # noqa: TRY301 - it lets go of the link, as any other end
        return await _finish(app, cmd, claim, position)
    except CredentialsRejected as refusal:
        return await _fail(app, cmd, claim, RunError.of(refusal), lapsed=True)
    except DomainError as refusal:
        return await _fail(app, cmd, claim, RunError.of(refusal), lapsed=False)
    except Unsealable as error:  # the operator's to mend: the owner's credentials may be good
        what = "file" if run.trigger is SyncTrigger.IMPORT else "credentials"
        shut = f"the stored {what} cannot be opened: {error}"
        sealed = RunError(code=ErrorCode.CONFLICT, message=shut)
        return await _fail(app, cmd, claim, sealed, lapsed=False)
    except BaseException:
        await asyncio.shield(_let_go(app, cmd, claim))
        raise


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
        if lease is not None and lease.until > at:
            raise Busy(int((lease.until - at).total_seconds()) + 1)
        if run.cancel_asked or link.status is LinkStatus.DISCONNECTED:
            return await _cancelled(work, run, link, at)
        if run.attempts >= ATTEMPTS_MAX:
            return await _give_up(work, run, link, at)
        fence = lease.fence + 1 if lease else 1
        run = run.started(at)
        link = replace(link, lease=Lease(holder=cmd.worker, until=at + LEASE, fence=fence))
        await work.runs.save(run)
        await work.links.save(link)
        if run.attempts == 1 and run.cursor is None:
            work.record(_run_event(_names(run)[0], run, at))
        sealed = await work.links.credentials(link.id)
        file = await work.imports.get(run.id) if run.trigger is SyncTrigger.IMPORT else None
    content = None if file is None else file.content
    return _Claim(run=run, link=link, credentials=sealed, file=content, fence=fence)


async def _give_up(work: Work, run: SyncRun, link: Link, at: datetime) -> SyncRun:
    error = RunError(
        code=ErrorCode.PROVIDER_UNAVAILABLE, message=f"it did not finish in {ATTEMPTS_MAX} attempts"
    )
    run = run.failed(at, error)
    await _end(work, run, _failed(link, run, at))
    work.record(_run_event(_names(run)[2], run, at))
    return run


async def _cancelled(work: Work, run: SyncRun, link: Link, at: datetime) -> SyncRun:
    run = run.cancelled(at)
    await _end(work, run, link)
    return run


async def _end(work: Work, run: SyncRun, link: Link) -> None:
    """The run is over: the link is free, and the file that it read is forgotten."""
    await work.runs.save(run)
    await work.links.save(replace(link, lease=None))
    if run.trigger is SyncTrigger.IMPORT:
        await work.imports.shred(run.id)


def _failed(link: Link, run: SyncRun, at: datetime) -> Link:
    """A file that fails says nothing about the next one."""
    return link if run.trigger is SyncTrigger.IMPORT else link.failed(at=at)


def _is_over(link: Link, at: datetime) -> bool:
    """Known by its deadline, without a call that fails."""
    return link.credentials_expire_at is not None and link.credentials_expire_at <= at


def _pull(app: App, claim: _Claim) -> PullRequest:
    """Raises Unsealable."""
    run, link, sealed = claim.run, claim.link, claim.credentials
    file = None
    if claim.file is not None:
        place = bound_to(Place.FILE, run.user_id, run.id)
        file = app.vault.open(claim.file, context=place)
    return PullRequest(
        credentials={} if sealed is None else opened(app, link, sealed),
        scopes=run.scopes,
        at=run.started_at or app.now(),
        since=_since(run, link),
        until=run.until,
        cursor=run.cursor,
        position=None if run.force or run.since else link.cursor,
        account_keys=run.account_keys,
        file=file,
        link=str(link.id),
    )


async def _pages(provider: Provider, request: PullRequest) -> AsyncGenerator[Page, None]:
    pages = provider.pull(request)
    async for page in pages:
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
            return await _cancelled(work, run, link, at)
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


@asynccontextmanager
async def _renewed(app: App, cmd: RunSync, claim: _Claim) -> AsyncIterator[None]:
    """Meanwhile the lease is renewed, however long the provider takes for a page."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(cmd.renew_every.total_seconds())
            with suppress(Unavailable):
                async with app.begin(cmd, last=False) as work:
                    run, link = await _held(work, cmd, claim)
                    until = app.now() + LEASE
                    lease = Lease(holder=cmd.worker, until=until, fence=claim.fence)
                    await work.links.save(replace(link, lease=lease))
                    await work.runs.save(run)

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def _let_go(app: App, cmd: RunSync, claim: _Claim) -> None:
    """Free the link for whoever goes on, where it is still this worker's and can be freed."""
    with suppress(Unavailable, LeaseLost, NotFound):
        async with app.begin(cmd, last=False) as work:
            _, link = await _held(work, cmd, claim)
            await work.links.save(replace(link, lease=None))


async def _finish(app: App, cmd: RunSync, claim: _Claim, position: str | None) -> SyncRun:
    at = app.now()
    async with app.begin(cmd) as work:
        run, link = await _held(work, cmd, claim)
        if run.cancel_asked:
            return await _cancelled(work, run, link, at)
        run = run.finished(at)
        failed = run.status is SyncStatus.FAILED
        again = app.providers[link.provider_slug].info.can_be_pulled
        link = _failed(link, run, at) if failed else _synced(link, run, at, position, again=again)
        await _end(work, run, link)
        work.record(_run_event(_names(run)[2 if failed else 1], run, at))
    return run


def _synced(link: Link, run: SyncRun, at: datetime, position: str | None, *, again: bool) -> Link:
    """The link after a run that brought something.

    Where the next pull begins, and when everything was last synced, move only if nothing was left
    out before that.
    """
    if not _is_whole(run):
        return replace(
            link.synced(at=at, cursor=link.cursor, again=again),
            last_synced_at=link.last_synced_at,
            next_sync_at=link.next_sync_at,
        )
    if run.status is SyncStatus.PARTIAL:
        partly = link.synced(at=at, cursor=link.cursor, again=again)
        return replace(partly, last_synced_at=link.last_synced_at)
    return link.synced(at=at, cursor=position, again=again)


async def _fail(app: App, cmd: RunSync, claim: _Claim, error: RunError, *, lapsed: bool) -> SyncRun:
    at = app.now()
    async with app.begin(cmd) as work:
        run, link = await _held(work, cmd, claim)
        run = run.failed(at, error)
        if lapsed:
            link = link.lapsed()
            work.record(link_event(EventName.LINK_NEEDS_REAUTHORIZATION, link, at))
        else:
            link = _failed(link, run, at)
        await _end(work, run, link)
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


def _is_whole(run: SyncRun) -> bool:
    """Whether the next pull may begin where this one ended."""
    scopes = frozenset(SyncScope)
    asked_for_all = run.since is None and run.until is None and run.account_keys is None
    return run.scopes == scopes and asked_for_all


def _names(run: SyncRun) -> tuple[EventName, EventName, EventName]:
    if run.trigger is SyncTrigger.IMPORT:
        return EventName.IMPORT_STARTED, EventName.IMPORT_COMPLETED, EventName.IMPORT_FAILED
    return EventName.SYNC_STARTED, EventName.SYNC_COMPLETED, EventName.SYNC_FAILED


def _run_event(name: EventName, run: SyncRun, at: datetime) -> Event:
    facts = {"run": str(run.id), "link": str(run.link_id), "status": run.status.value}
    return Event(name=name, user_id=run.user_id, at=at, facts=facts)
