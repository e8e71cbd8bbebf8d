"""What providers tell us by webhook: a hint that there is news, or how a login fares.

Signed by the provider ──> whose link it is ──> receipt and effect, in one unit of work.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.commands import outcomes
from domain.commands.expiring import announce_expiry
from domain.commands.links import link_event, upstream_key
from domain.commands.sync import queue_run
from domain.errors import NotFound
from domain.events import EventName
from domain.handling import command
from domain.identity import Actor, Role
from domain.links import Link, LinkId, LinkStatus
from domain.ports import App
from domain.providers import Notice, Noticed
from domain.storage.work import Work
from domain.sync import SyncScope, SyncStatus, SyncTrigger

RECEIPTS_KEPT = timedelta(days=1)  # far longer than any signature is good for
# Of these only the last word counts, whichever order they come in.
STATES = (Noticed.REAUTHORIZE, Noticed.WITHDRAWN, Noticed.MENDED, Noticed.EXPIRING)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeNotice:
    actor: Actor
    link_id: LinkId
    notice: Notice
    at: datetime


async def receive_notice(
    app: App, provider_slug: str, notice: Notice, at: datetime, *, trace_id: str | None = None
) -> int:
    """Give it to each link that it is about; to how many. Raises Unavailable.

    Whoever sent it is told the same in any case.
    """
    key = upstream_key(app, provider_slug, notice.upstream)
    if key is None or notice.said is Noticed.NOTHING:
        return 0
    found = await app.doors.links_by_upstream(key)
    for user_id, link_id in found:
        actor = Actor(user_id=user_id, role=Role.USER, trace_id=trace_id)
        try:
            await take_notice(app, TakeNotice(actor=actor, link_id=link_id, notice=notice, at=at))
        except NotFound:  # deleted meanwhile
            continue
    return len(found)


@command("link.notice", permits=None)
async def take_notice(app: App, cmd: TakeNotice) -> Link:
    """Once: the same notice again, or one that was said before another that came, does nothing.

    Raises NotFound.
    """
    notice, at = cmd.notice, cmd.at
    app.explain(notice.said.value)
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        link = await work.links.get(cmd.link_id, lock=True)
        last = await work.receipts.latest(link.id, [said.name for said in STATES])
        is_new = await work.receipts.add(
            link.id, notice.receipt, said=notice.said.name, said_at=notice.at, at=at
        )
        if not is_new or link.status is LinkStatus.DISCONNECTED:
            return link
        if notice.said is Noticed.NEWS:
            return await read_soon(work, link, at)
        if last is not None and notice.at < last:
            return link
        now = await _moved(work, link, notice, at)
        if now != link:
            await work.links.save(now)
        if notice.said is Noticed.MENDED:
            return await read_soon(work, now, at)
        return now


async def read_soon(work: Work, link: Link, at: datetime) -> Link:
    """A run that reads what there is by now: one that waits already, or the one after that which
    is under way, since that may have read the place where the news is."""
    if not link.can_sync:
        return link
    active = await work.runs.active(link.id)
    if active is not None and not (
        active.status is SyncStatus.QUEUED and outcomes.is_whole(active)
    ):
        link = replace(link, news_at=link.news_at or at)
        await work.links.save(link)
        return link
    await queue_run(work, link, trigger=SyncTrigger.WEBHOOK, scopes=frozenset(SyncScope), at=at)
    return link


async def _moved(work: Work, link: Link, notice: Notice, at: datetime) -> Link:
    match notice.said:
        case Noticed.REAUTHORIZE if link.can_sync:
            await _stop(work, link)
            return outcomes.told_of_cut_off(work, link, link.lapsed(), at)
        case Noticed.WITHDRAWN if link.status is not LinkStatus.REVOKED:
            await _stop(work, link)
            return outcomes.told_of_cut_off(work, link, link.revoked(), at)
        case Noticed.MENDED if link.status is LinkStatus.NEEDS_REAUTHORIZATION:
            end = None if link.is_over(at) else link.credentials_expire_at
            mended = link.connected(at=at, expire_at=end).scheduled(at=at)
            work.record(link_event(EventName.LINK_CONNECTED, mended, at))
            return mended
        case Noticed.EXPIRING if link.can_sync and notice.expire_at is not None:
            return _expiring(work, link, notice.expire_at, at)
    return link


def _expiring(work: Work, link: Link, end: datetime, at: datetime) -> Link:
    """Told at once, and again at each mark before it."""
    if end == link.credentials_expire_at:
        return link
    announce_expiry(work, link, end, end - at, at)
    return link.renewed(expire_at=end).told(at)[0]


async def _stop(work: Work, link: Link) -> None:
    """What runs would be refused, and must not say at its end that the link is well."""
    run = await work.runs.active(link.id)
    if run is not None and run.trigger is not SyncTrigger.IMPORT:
        await work.runs.save(replace(run, cancel_asked=True))
