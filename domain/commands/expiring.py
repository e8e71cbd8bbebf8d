"""What ends at a known time is announced before, and over at that time, without asking anybody."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.commands import outcomes
from domain.commands.leases import is_leased
from domain.commands.links import link_event
from domain.events import EventName
from domain.handling import command
from domain.identity import Actor
from domain.links import Link, LinkId
from domain.ports import App
from domain.storage.work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireLink:
    actor: Actor
    link_id: LinkId
    at: datetime


@command("link.expire", permits=None)
async def expire_link(app: App, cmd: ExpireLink) -> Link:
    """Tell the owner of a link that its authorization ends, once a mark, or that it has ended.

    Raises NotFound.
    """
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        link = await work.links.get(cmd.link_id, lock=True)
        now = _looked_at(work, link, cmd.at)
        if now != link:
            await work.links.save(now)
    return now


def _looked_at(work: Work, link: Link, at: datetime) -> Link:
    if not link.can_sync:
        return link
    if not link.is_over(at):
        now, mark = link.told(at)
        if mark is not None and link.credentials_expire_at is not None:
            announce_expiry(work, link, link.credentials_expire_at, mark, at)
        return now
    if is_leased(link, at):  # whoever runs it comes to its end, and the next look finds it free
        return link
    return outcomes.told_of_cut_off(work, link, link.lapsed(), at)


def announce_expiry(work: Work, link: Link, end: datetime, left: timedelta, at: datetime) -> None:
    """Tell the owner that what they authorized ends then, in so many whole hours, at least 0."""
    event = link_event(EventName.LINK_EXPIRING, link, at)
    hours = max(left, timedelta()) // timedelta(hours=1)
    facts = {"expires_at": end.isoformat(), "hours": str(hours)}
    work.record(replace(event, facts={**event.facts, **facts}))
