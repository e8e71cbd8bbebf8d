"""Running a sync: claim the link, pull page after page, store each with its cursor, finish.

No transaction is open while the provider is asked. A run that was killed goes on after its last
committed page; a worker whose lease ran out stores nothing more.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from domain.cancellation import to_its_end
from domain.commands import outcomes
from domain.commands.credentials import opened
from domain.commands.leases import LeaseLost, extended, is_held, leased
from domain.commands.pages import store_page
from domain.commands.renewing import RenewCredentials, has_come, is_due, renew_credentials
from domain.errors import CredentialsRejected, DomainError, ErrorCode, NotFound, Unavailable
from domain.handling import command
from domain.identity import Actor
from domain.links import EXPIRED, Lease, Link, LinkStatus, SealedCredentials, SyncError
from domain.ports import App, Unsealable
from domain.providers import Provider, Renewing
from domain.sealing import Place, bound_to
from domain.storage.work import Work
from domain.sync import (
    ATTEMPTS_MAX,
    LEASE,
    OVERLAP,
    Page,
    PullRequest,
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


class Interrupted(Exception):
    """Its worker is stopping: the run goes on after its last page, with whoever asks next."""

    audit_detail = "INTERRUPTED"


@dataclass(slots=True, kw_only=True)
class _Claim:
    """What one worker runs, in its lease, from `place` on. `credentials` are replaced as they are
    renewed."""

    run: SyncRun
    link: Link
    lease: Lease
    place: str | None
    credentials: SealedCredentials | None
    file: bytes | None = field(repr=False)  # sealed too
    file_name: str


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
        gone = SyncError(code=ErrorCode.PROVIDER_DISABLED, message="the provider is not offered")
        return await _fail(app, cmd, claim, gone)
    try:
        async with _kept(app, cmd, claim):
            cancelled = await _pulled(app, cmd, claim, provider)
        return cancelled or await _finish(app, cmd, claim)
    except DomainError as refusal:
        return await _fail(app, cmd, claim, refusal)
    except Unsealable as error:  # the operator's to mend: the owner's credentials may be good
        what = "file" if claim.run.trigger is SyncTrigger.IMPORT else "credentials"
        shut = f"the stored {what} cannot be opened: {error}"
        return await _fail(app, cmd, claim, SyncError(code=ErrorCode.CONFLICT, message=shut))
    except BaseException:
        await to_its_end(_let_go(app, cmd, claim))
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
        link, lease = leased(link, cmd.worker, at)
        if run.cancel_asked or link.status is LinkStatus.DISCONNECTED:
            return await outcomes.cancel(work, run, link, at)
        if run.attempts >= ATTEMPTS_MAX:
            return await outcomes.give_up(work, run, link, at)
        is_file = run.trigger is SyncTrigger.IMPORT
        run = run.started(at)
        if run.attempts == 1 and run.cursor is None:
            work.record(outcomes.run_event(run, at))
        if not is_file and not link.can_sync:  # it ended after the run was asked for
            return await outcomes.fail_run(work, run, link, at, link.error or EXPIRED)
        if not is_file and link.is_over(at):
            link = outcomes.told_of_cut_off(work, link, link.lapsed(), at)
            return await outcomes.fail_run(work, run, link, at, EXPIRED)
        if run.cursor is None and not is_file:
            run, link = await _begun(work, run, link)
        await work.runs.save(run)
        await work.links.save(link)
        sealed = await work.links.credentials(link.id)
        file = await work.imports.get(run.id) if is_file else None
    return _Claim(
        run=run,
        link=link,
        lease=lease,
        place=run.cursor,
        credentials=sealed,
        file=None if file is None else file.content,
        file_name="" if file is None else file.name,
    )


async def _begun(work: Work, run: SyncRun, link: Link) -> tuple[SyncRun, Link]:
    """From where the last one stopped that was asked for the same, and failed.

    What came to the part that it does not read again is news to the link: another run reads that,
    unless others have got so far meanwhile that it would not.
    """
    last = await work.runs.last_alike(run)
    has_stopped = last is not None and last.status is SyncStatus.FAILED and last.cursor is not None
    if last is not None and has_stopped and _asked(run, link) == _asked(last, link):
        began = last.started_at or last.queued_at
        if link.last_synced_at is None or link.last_synced_at - OVERLAP <= began:
            return run.resuming(last), replace(link, news_at=min(link.news_at or began, began))
    if outcomes.is_whole(run):  # it reads all that there is by now
        link = replace(link, news_at=None)
    return run, link


async def _pulled(app: App, cmd: RunSync, claim: _Claim, provider: Provider) -> SyncRun | None:
    """Pull to the end, in as many parts as it takes to renew the credentials between two pages.

    Refused with credentials that were not renewed on that account before, they are renewed once
    and the pull goes on after its last page. The run, where it was cancelled meanwhile.
    """
    if is_due(provider, claim.credentials, app.now()):
        await _renew(app, cmd, claim)
    was_refused = False
    while True:
        try:
            async with aclosing(_pages(provider, _request(app, claim))) as pages:
                async for page in pages:
                    await _store(app, cmd, claim, page)
                    if claim.run.status is SyncStatus.CANCELLED:
                        return claim.run
                    if cmd.stopping():
                        raise Interrupted
                    if _has_come(provider, claim.credentials, app.now()):
                        break
                else:
                    return None
        except CredentialsRejected as refusal:
            if was_refused or refusal.withdrawn or not isinstance(provider, Renewing):
                raise
            was_refused = True
        await _renew(app, cmd, claim)


def _has_come(provider: Provider, known: SealedCredentials | None, at: datetime) -> bool:
    """Whether their time ran out during the pull."""
    return known is not None and isinstance(provider, Renewing) and has_come(known.renew_at, at)


async def _renew(app: App, cmd: RunSync, claim: _Claim) -> None:
    at = app.now()
    renewal = RenewCredentials(actor=cmd.actor, link_id=claim.link.id, lease=claim.lease, at=at)
    renewed = await renew_credentials(app, renewal)
    if has_come(renewed.renew_at, at):  # good for no time at all: then a refusal tells
        renewed = replace(renewed, renew_at=None)
    claim.credentials = renewed


def _request(app: App, claim: _Claim) -> PullRequest:
    """Raises Unsealable."""
    run, link, sealed = claim.run, claim.link, claim.credentials
    since, position = _asked(run, link)
    file = None
    if claim.file is not None:
        place = bound_to(Place.FILE, run.user_id, run.id)
        file = app.vault.open(claim.file, context=place)
    return PullRequest(
        credentials={} if sealed is None else opened(app, link, sealed),
        scopes=run.scopes,
        at=run.started_at or app.now(),
        since=since,
        until=run.until,
        cursor=run.cursor,
        position=position,
        account_keys=run.account_keys,
        file=file,
        file_name=claim.file_name,
        link=str(link.id),
    )


async def _pages(provider: Provider, request: PullRequest) -> AsyncGenerator[Page, None]:
    pages = provider.pull(request)
    async for page in pages:
        yield page


def _asked(run: SyncRun, link: Link) -> tuple[date | None, str | None]:
    """From which day and which place on: incremental, with an overlap, unless asked otherwise."""
    if run.since is not None or run.force:
        return run.since, None
    synced_at = link.last_synced_at
    return None if synced_at is None else (synced_at - OVERLAP).date(), link.cursor


def _is_everything(run: SyncRun, link: Link) -> bool:
    """Whether it asked for all of the past of the accounts that it is of."""
    from_the_beginning = _asked(run, link) == (None, None)
    return from_the_beginning and run.until is None and SyncScope.TRANSACTIONS in run.scopes


async def _store(app: App, cmd: RunSync, claim: _Claim, page: Page) -> None:
    """One page, its cursor and the lease's renewal, in one transaction."""
    at = app.now()
    async with app.begin(cmd, last=False) as work:
        run, link = await _held(work, cmd, claim)
        if run.cancel_asked:
            claim.run = await outcomes.cancel(work, run, link, at)
            return
        stored = await store_page(app, work, link=link, run=run, page=page, at=at)
        run = run.advanced(
            page,
            accounts=stored.accounts,
            holdings=stored.holdings,
            transactions=stored.transactions,
        )
        await work.runs.save(run)
        await work.links.save(extended(link, claim.lease, at))
    claim.run = run


@asynccontextmanager
async def _kept(app: App, cmd: RunSync, claim: _Claim) -> AsyncIterator[None]:
    """Meanwhile the lease is renewed, however long the provider takes for a page."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(cmd.renew_every.total_seconds())
            with suppress(Unavailable):
                async with app.begin(cmd, last=False) as work:
                    run, link = await _held(work, cmd, claim)
                    await work.links.save(extended(link, claim.lease, app.now()))
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


async def _finish(app: App, cmd: RunSync, claim: _Claim) -> SyncRun:
    at = app.now()
    async with app.begin(cmd) as work:
        run, link = await _held(work, cmd, claim)
        if run.cancel_asked:
            return await outcomes.cancel(work, run, link, at)
        everything = _is_everything(run, link)
        again = app.providers[link.provider_slug].info.can_be_pulled
        run = await outcomes.finish(work, run, link, at, again=again)
        await outcomes.read_the_past(work, run, link, everything=everything)
        await outcomes.read_the_news(work, link, at)
    return run


async def _fail(app: App, cmd: RunSync, claim: _Claim, refusal: DomainError | SyncError) -> SyncRun:
    at = app.now()
    async with app.begin(cmd) as work:
        run, link = await _held(work, cmd, claim)
        is_stuck = run.cursor == claim.place
        return await outcomes.fail_run_by(work, run, link, at, refusal, is_stuck=is_stuck)


async def _held(work: Work, cmd: RunSync, claim: _Claim) -> tuple[SyncRun, Link]:
    """The run and its link, locked, where the lease is still this worker's. Raises LeaseLost."""
    await work.users.get(lock=True)
    run = await work.runs.get(cmd.run_id, lock=True)
    link = await work.links.get(run.link_id, lock=True)
    if run.status.is_terminal or not is_held(link, claim.lease):
        raise LeaseLost
    return run, link
