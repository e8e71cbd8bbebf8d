"""How a run ends, and what that says of its link. All in the caller's unit of work."""

from dataclasses import replace
from datetime import datetime

from domain.commands.links import link_event
from domain.commands.sync import enqueue, queue_run
from domain.errors import CredentialsRejected, DomainError, ErrorCode, ProviderUnavailable
from domain.events import Event, EventName
from domain.identity import new_id
from domain.links import Link, LinkStatus, SyncError
from domain.storage.work import Work
from domain.sync import (
    ATTEMPTS_MAX,
    RunId,
    SyncRun,
    SyncScope,
    SyncStatus,
    SyncTrigger,
)


async def end(work: Work, run: SyncRun, link: Link) -> None:
    """The run is over: the link is free, and the file that it read is forgotten."""
    await work.runs.save(run)
    await work.links.save(replace(link, lease=None))
    if run.trigger is SyncTrigger.IMPORT:
        await work.imports.shred(run.id)


async def cancel(work: Work, run: SyncRun, link: Link, at: datetime) -> SyncRun:
    """The run ends as its owner asked; its link stays as it was."""
    run = run.cancelled(at)
    await end(work, run, link)
    return run


async def give_up(work: Work, run: SyncRun, link: Link, at: datetime) -> SyncRun:
    """The run fails, since it was begun often enough."""
    error = SyncError(
        code=ErrorCode.PROVIDER_UNAVAILABLE, message=f"it did not finish in {ATTEMPTS_MAX} attempts"
    )
    link = _link_after_failure(link, run, at, error)
    return await fail_run(work, replace(run, cursor=None), link, at, error)


async def fail_run_by(
    work: Work,
    run: SyncRun,
    link: Link,
    at: datetime,
    refusal: DomainError | SyncError,
    *,
    is_stuck: bool,
) -> SyncRun:
    """The run fails by what was said of it, and the link is left as that says.

    The next one goes on where it stopped, unless it `is_stuck`, having stored nothing, and the link
    has failed so often that its place may be to blame; of a run that reads a part nobody knows how
    often, since others succeed in between.
    """
    error = refusal if isinstance(refusal, SyncError) else SyncError.of(refusal)
    if isinstance(refusal, CredentialsRejected):
        link = link_after_rejection(work, link, refusal, at)
    elif isinstance(refusal, ProviderUnavailable) and not refusal.asked:
        link = link.postponed(at=at, error=error)
    else:
        link = _link_after_failure(link, run, at, error)
        if is_stuck and (link.status is LinkStatus.FAILED or not is_whole(run)):
            run = replace(run, cursor=None)
    return await fail_run(work, run, link, at, error)


async def fail_run(work: Work, run: SyncRun, link: Link, at: datetime, error: SyncError) -> SyncRun:
    """The run fails, of which its owner is told; the link is saved as it is given."""
    run = run.failed(at, error)
    await end(work, run, link)
    work.record(run_event(run, at))
    return run


def link_after_rejection(
    work: Work, link: Link, refusal: CredentialsRejected, at: datetime
) -> Link:
    """The link once its provider lets us in no more, of which its owner is told once."""
    error = SyncError.of(refusal)
    cut_off = link.revoked(error) if refusal.withdrawn else link.lapsed(error)
    return told_of_cut_off(work, link, cut_off, at)


def told_of_cut_off(work: Work, before: Link, link: Link, at: datetime) -> Link:
    """`link`, whose owner is told that they have to authorize again, unless it was so `before`."""
    if link.status is not before.status:
        event = link_event(EventName.LINK_NEEDS_REAUTHORIZATION, link, at)
        work.record(replace(event, facts={**event.facts, "status": link.status.value}))
    return link


async def finish(work: Work, run: SyncRun, link: Link, at: datetime, *, again: bool) -> SyncRun:
    """The run came to its end, whether or not it could read everything. `again`: its provider can
    be asked at any time."""
    run = run.finished(at)
    if run.status is not SyncStatus.SUCCEEDED:  # where it has no error, the run before told it
        run = replace(run, error=run.error or _unread(run))
    if run.status is SyncStatus.FAILED:
        link = _link_after_failure(link, run, at, run.error or _unread(run))
    else:
        link = _link_after_success(link, run, at, again=again)
    await end(work, run, link)
    work.record(run_event(run, at))
    return run


async def read_the_past(work: Work, run: SyncRun, link: Link, *, everything: bool) -> None:
    """Of accounts that the provider names for the first time all of the past is read, by a run of
    their own where this one read no more than what is new. `everything`: this one read all.
    """
    if run.trigger is SyncTrigger.IMPORT or run.status is not SyncStatus.SUCCEEDED:
        return
    if everything:
        await work.accounts.mark_read(link.id, run.account_keys)
    elif run.account_keys is None and (unread := await work.accounts.unread(link.id)):
        more = SyncRun(
            id=RunId(new_id()),
            user_id=run.user_id,
            link_id=link.id,
            trigger=SyncTrigger.SCHEDULE,
            status=SyncStatus.QUEUED,
            queued_at=run.finished_at or run.queued_at,
            force=True,
            account_keys=frozenset(unread),
        )
        await enqueue(work, more, link)


async def read_the_news(work: Work, link: Link, at: datetime) -> None:
    """What came since the run, or the one that it goes on with, was begun, by another, unless one
    waits that reads a part: then after that."""
    link = await work.links.get(link.id)
    if link.news_at is None or not link.can_sync or await work.runs.active(link.id) is not None:
        return
    await work.links.save(replace(link, news_at=None))
    trigger = SyncTrigger.SCHEDULE if link.upstream is None else SyncTrigger.WEBHOOK
    await queue_run(work, link, trigger=trigger, scopes=frozenset(SyncScope), at=at)


def run_event(run: SyncRun, at: datetime) -> Event:
    """That it has begun, is complete or has failed, as its status says."""
    is_import = run.trigger is SyncTrigger.IMPORT
    match run.status:
        case SyncStatus.RUNNING:
            name = EventName.IMPORT_STARTED if is_import else EventName.SYNC_STARTED
        case SyncStatus.FAILED:
            name = EventName.IMPORT_FAILED if is_import else EventName.SYNC_FAILED
        case _:
            name = EventName.IMPORT_COMPLETED if is_import else EventName.SYNC_COMPLETED
    facts = {"run": str(run.id), "link": str(run.link_id), "status": run.status.value}
    return Event(name=name, user_id=run.user_id, at=at, facts=facts)


def _unread(run: SyncRun) -> SyncError:
    which = "some" if run.status is SyncStatus.PARTIAL else "none"
    return SyncError(code=run.unread_as, message=f"{which} of the accounts could not be read")


def _link_after_failure(link: Link, run: SyncRun, at: datetime, error: SyncError) -> Link:
    """A file that fails says nothing about the next one."""
    return link if run.trigger is SyncTrigger.IMPORT else link.failed(at=at, error=error)


def _link_after_success(link: Link, run: SyncRun, at: datetime, *, again: bool) -> Link:
    """The link after a run that brought something.

    Where the next pull begins, and when everything was last synced, move only if nothing was left
    out before that, and no further than from where on there is news. A forced run reads what there
    is, and is not told of what went since the last one: the next is, from where that ended, unless
    it is from there that none succeeds any more.
    """
    error = None if run.trigger is SyncTrigger.IMPORT else run.error
    if not is_whole(run):
        return replace(
            link.synced(at=at, cursor=link.cursor, again=again, error=error),
            last_synced_at=link.last_synced_at,
            next_sync_at=link.next_sync_at,
        )
    if run.status is SyncStatus.PARTIAL:
        partly = link.synced(at=at, cursor=link.cursor, again=again, error=error)
        return replace(partly, last_synced_at=link.last_synced_at)
    keeps = run.force and link.cursor is not None and link.status is not LinkStatus.FAILED
    reached = link.cursor if keeps or run.position is None else run.position
    synced = link.synced(at=at, cursor=reached, again=again)
    if link.news_at is None:
        return synced
    return replace(synced, last_synced_at=max(link.last_synced_at or link.news_at, link.news_at))


def is_whole(run: SyncRun) -> bool:
    """Whether the next pull may begin where this one ended."""
    scopes = frozenset(SyncScope)
    asked_for_all = run.since is None and run.until is None and run.account_keys is None
    return run.scopes == scopes and asked_for_all
