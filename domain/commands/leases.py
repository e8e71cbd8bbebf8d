"""Who may work on a link: one at a time, each with a fence that is higher than the one before."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from domain.links import Lease, Link, LinkId
from domain.storage.work import Work
from domain.sync import LEASE


class Busy(Exception):
    """Another worker has the link; ask again after `retry_after_s`."""

    audit_detail = "BUSY"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("another worker has this link")
        self.retry_after_s = retry_after_s


class LeaseLost(Exception):
    """Another worker took over: this one stores nothing more."""

    audit_detail = "LEASE_LOST"


def leased(link: Link, holder: UUID, at: datetime) -> tuple[Link, Lease]:
    """The link in a new lease. Raises Busy."""
    last = link.lease
    if last is not None and last.until > at:
        raise Busy(int((last.until - at).total_seconds()) + 1)
    lease = Lease(holder=holder, until=at + LEASE, fence=last.fence + 1 if last else 1)
    return replace(link, lease=lease), lease


def is_leased(link: Link, at: datetime) -> bool:
    return link.lease is not None and link.lease.until > at


def extended(link: Link, lease: Lease, at: datetime) -> Link:
    return replace(link, lease=replace(lease, until=at + LEASE))


def is_held(link: Link, lease: Lease) -> bool:
    """Whether the link is still in this lease, however late it is."""
    now = link.lease
    return now is not None and (now.holder, now.fence) == (lease.holder, lease.fence)


async def held(work: Work, link_id: LinkId, lease: Lease) -> Link:
    """The link, locked, where it is still in this lease. Raises NotFound, LeaseLost."""
    await work.users.get(lock=True)
    link = await work.links.get(link_id, lock=True)
    if not is_held(link, lease):
        raise LeaseLost
    return link
