"""Asking for syncs: by the user, by the clock; cancelling; reading again what was quarantined."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from domain.accounts import AccountId
from domain.commands.attempts import take, user_of
from domain.commands.pages import store_page
from domain.commands.sessions import note_provider
from domain.commands.storing import Stored
from domain.errors import Conflict, ErrorCode, InvalidInput, RateLimited
from domain.handling import command
from domain.identity import Actor, Permission, Role, UserId, new_id
from domain.links import Link, LinkId, LinkStatus
from domain.ports import App
from domain.storage.work import Work
from domain.sync import (
    SYNC_INTERVAL_MIN,
    RunId,
    SyncCounts,
    SyncRun,
    SyncScope,
    SyncStatus,
    SyncTrigger,
)

JOB = "sync"


def job_of(provider_slug: str) -> str:
    """The jobs of each provider have a name of their own, so that a worker can bound them apart."""
    return f"{JOB}.{provider_slug}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSync:
    """Without ids: every link that can be pulled. `scopes` None is all of them."""

    actor: Actor
    link_id: LinkId | None
    account_id: AccountId | None
    scopes: frozenset[SyncScope] | None
    since: date | None
    until: date | None
    force: bool
    at: datetime


async def _may_request(app: App, cmd: RequestSync) -> None:
    await take(app, user_of(cmd.actor.user_id), app.limit_settings.sync)


@command("sync.request", permits=Permission.WRITE_DATA, limited=_may_request)
async def request_sync(app: App, cmd: RequestSync) -> list[SyncRun]:
    """Queue a run for each link meant, or join the one that is under way.

    Raises:
        InvalidInput: both ids, no scope, or days in the wrong order.
        NotFound: no such link or account.
        Conflict: LINK_NOT_ACTIVE, the named link cannot be pulled now; PROVIDER_DISABLED.
        RateLimited: SYNC_TOO_SOON, five minutes have not passed and `force` is not set; or too
            many of these.
    """
    _check(cmd)
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        named = cmd.link_id is not None or cmd.account_id is not None
        links, keys = await _meant(app, work, cmd)
        runs: list[SyncRun] = []
        waits: list[int] = []
        for link in links:
            wait = 0 if cmd.force else await _wait_s(work, link, cmd.at)
            active = await work.runs.active(link.id)
            if wait and active is None:
                waits.append(wait)
                continue
            runs.append(active or await _queue(work, link, cmd, keys))
        for slug in sorted({link.provider_slug for link in links}):
            await note_provider(work, cmd.actor, slug)
        if waits and (named or not runs):
            wait = min(waits)
            raise RateLimited(
                f"this was synced a moment ago; try again in {wait} s, or force it",
                retry_after_s=wait,
                code=ErrorCode.SYNC_TOO_SOON,
            )
    return runs


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSync:
    actor: Actor
    link_id: LinkId
    at: datetime


@command("sync.schedule", permits=None)
async def schedule_sync(app: App, cmd: ScheduleSync) -> SyncRun | None:
    """Queue the run of a link that is due; None where it no longer is."""
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        link = await work.links.get(cmd.link_id, lock=True)
        due = link.next_sync_at is not None and link.next_sync_at <= cmd.at
        if not due or not link.can_sync or not _can_be_pulled(app, link):
            if due:
                await work.links.save(replace(link, next_sync_at=None))
            return None
        # Set again when it has finished; were that never to come, the link is due again then.
        await work.links.save(link.scheduled(at=cmd.at))
        return await queue_run(
            work, link, trigger=SyncTrigger.SCHEDULE, scopes=frozenset(SyncScope), at=cmd.at
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelSync:
    actor: Actor
    run_id: RunId
    at: datetime


@command("sync.cancel", permits=Permission.WRITE_DATA)
async def cancel_sync(app: App, cmd: CancelSync) -> SyncRun:
    """A queued run is cancelled at once, a running one after the page it is storing.

    Raises NotFound. A run that has ended already is given back as it is.
    """
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        run = await work.runs.get(cmd.run_id, lock=True)
        if run.status is SyncStatus.QUEUED:
            run = run.cancelled(cmd.at)
            if run.trigger is SyncTrigger.IMPORT:
                await work.imports.shred(run.id)
        elif run.status is SyncStatus.RUNNING:
            run = replace(run, cancel_asked=True)
        else:
            return run
        await work.runs.save(run)
    return run


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayQuarantine:
    actor: Actor
    run_id: RunId
    at: datetime


@command("sync.replay", permits=Permission.WRITE_DATA)
async def replay_quarantine(app: App, cmd: ReplayQuarantine) -> SyncRun:
    """Read again what a run could not understand; what still cannot be read stays.

    Raises NotFound, and Conflict while the run is not over or its link was disconnected.
    """
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        run = await work.runs.get(cmd.run_id, lock=True)
        if not run.status.is_terminal:
            raise Conflict("the run is still under way")
        link = await work.links.get(run.link_id, lock=True)
        if link.status is LinkStatus.DISCONNECTED:
            raise Conflict("this link was disconnected", code=ErrorCode.LINK_NOT_ACTIVE)
        provider = app.providers.get(link.provider_slug)
        rows = await work.runs.quarantined(run.id)
        pages = provider.replay(rows) if provider else {}
        kinds = {row.id: row.kind for row in rows}
        freed: list[UUID] = []
        for id, page in pages.items():
            stored = await store_page(
                app, work, link=link, run=run, page=page, at=cmd.at, again=True
            )
            if not stored.quarantined:
                run = _replayed(run, kinds[id], stored)
                freed.append(id)
        if freed:
            await work.runs.release(freed)
            await work.runs.save(run)
    return run


async def queue_run(
    work: Work, link: Link, *, trigger: SyncTrigger, scopes: frozenset[SyncScope], at: datetime
) -> SyncRun:
    """A run of a link, or the one that is under way already."""
    if (active := await work.runs.active(link.id)) is not None:
        return active
    run = SyncRun(
        id=RunId(new_id()),
        user_id=link.user_id,
        link_id=link.id,
        trigger=trigger,
        status=SyncStatus.QUEUED,
        queued_at=at,
        scopes=scopes,
    )
    return await enqueue(work, run, link)


async def enqueue(work: Work, run: SyncRun, link: Link) -> SyncRun:
    await work.runs.add(run)
    _later(work, run, link)
    return run


async def take_up(app: App, user_id: UserId, run_id: RunId) -> None:
    """Another job for a run that has none, where it is not over. Nothing changes by that, so the
    audit log has no entry. Raises NotFound."""
    async with app.store.begin(Actor(user_id=user_id, role=Role.USER), None) as work:
        run = await work.runs.get(run_id)
        if not run.status.is_terminal:
            _later(work, run, await work.links.get(run.link_id))


def _later(work: Work, run: SyncRun, link: Link) -> None:
    payload = {"user": str(run.user_id), "run": str(run.id)}
    work.later(job_of(link.provider_slug), key=f"run:{run.id}", payload=payload)


def _replayed(run: SyncRun, kind: SyncScope, stored: Stored) -> SyncRun:
    """One row more that was understood; a balance of the past leaves its account as it is."""
    nothing = not (stored.accounts + stored.holdings + stored.transactions).received

    def counted(of: SyncScope, before: SyncCounts, more: SyncCounts) -> SyncCounts:
        if of is not kind:
            return before + more
        return before + more + SyncCounts(quarantined=-1, unchanged=int(nothing))

    return replace(
        run,
        accounts=counted(SyncScope.ACCOUNTS, run.accounts, stored.accounts),
        holdings=counted(SyncScope.HOLDINGS, run.holdings, stored.holdings),
        transactions=counted(SyncScope.TRANSACTIONS, run.transactions, stored.transactions),
    )


async def _queue(work: Work, link: Link, cmd: RequestSync, keys: frozenset[str] | None) -> SyncRun:
    return await enqueue(
        work,
        SyncRun(
            id=RunId(new_id()),
            user_id=link.user_id,
            link_id=link.id,
            trigger=SyncTrigger.USER,
            status=SyncStatus.QUEUED,
            queued_at=cmd.at,
            scopes=cmd.scopes or frozenset(SyncScope),
            since=cmd.since,
            until=cmd.until,
            force=cmd.force,
            account_keys=keys,
        ),
        link,
    )


async def _meant(
    app: App, work: Work, cmd: RequestSync
) -> tuple[Sequence[Link], frozenset[str] | None]:
    """The links meant, and the provider's keys of the one account meant."""
    if cmd.account_id is not None:
        account = await work.accounts.get(cmd.account_id)
        if account.link_id is None:
            raise Conflict(
                "no link feeds this account",
                field=("input", "accountId"),
                code=ErrorCode.LINK_NOT_ACTIVE,
            )
        by_key = await work.accounts.by_key(account.link_id)
        keys = frozenset(key for key, a in by_key.items() if a.id == account.id)
        return [_pullable(app, await work.links.get(account.link_id, lock=True))], keys
    if cmd.link_id is not None:
        return [_pullable(app, await work.links.get(cmd.link_id, lock=True))], None
    links = await work.links.list((LinkStatus.ACTIVE, LinkStatus.FAILED))
    return [link for link in links if _can_be_pulled(app, link)], None


def _pullable(app: App, link: Link) -> Link:
    if not link.can_sync:
        raise Conflict(
            f"this link is {link.status.value.lower().replace('_', ' ')}",
            code=ErrorCode.LINK_NOT_ACTIVE,
        )
    if not _is_offered(app, link):
        raise Conflict(
            "the provider of this link is not offered here", code=ErrorCode.PROVIDER_DISABLED
        )
    if not _can_be_pulled(app, link):
        raise Conflict("this link is fed by files", code=ErrorCode.LINK_NOT_ACTIVE)
    return link


def _is_offered(app: App, link: Link) -> bool:
    provider = app.providers.get(link.provider_slug)
    return provider is not None and provider.info.enabled


def _can_be_pulled(app: App, link: Link) -> bool:
    return _is_offered(app, link) and app.providers[link.provider_slug].info.can_be_pulled


async def _wait_s(work: Work, link: Link, at: datetime) -> int:
    """Seconds until a user may sync this link again."""
    last = await work.runs.last_user_finish(link.id)
    if last is None or at - last >= SYNC_INTERVAL_MIN:
        return 0
    return int((last + SYNC_INTERVAL_MIN - at).total_seconds()) + 1


def _check(cmd: RequestSync) -> None:
    if cmd.link_id is not None and cmd.account_id is not None:
        raise InvalidInput("give a link or an account, not both", field=("input", "accountId"))
    if cmd.scopes is not None and not cmd.scopes:
        raise InvalidInput("name at least one scope", field=("input", "scopes"))
    if cmd.since and cmd.until and cmd.since > cmd.until:
        raise InvalidInput("from is after to", field=("input", "from"))
