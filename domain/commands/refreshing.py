"""Renewing a link's credentials because its owner asks for it."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from domain.cancellation import to_its_end
from domain.commands import outcomes
from domain.commands.attempts import take, user_of
from domain.commands.leases import Busy, LeaseLost, is_held, leased
from domain.commands.renewing import RenewCredentials, renew_credentials, renewing
from domain.errors import Conflict, CredentialsRejected, ErrorCode, NotFound, Unavailable
from domain.handling import command
from domain.identity import Actor, Permission, new_id
from domain.links import Lease, Link, LinkId
from domain.ports import App


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshCredentials:
    actor: Actor
    link_id: LinkId
    at: datetime


async def _may_refresh(app: App, cmd: RefreshCredentials) -> None:
    await take(app, user_of(cmd.actor.user_id), app.limit_settings.sync)


@command("link.refresh_credentials", permits=Permission.WRITE_LINKS, limited=_may_refresh)
async def refresh_credentials(app: App, cmd: RefreshCredentials) -> Link:
    """Renew them now, as a sync does in good time.

    Raises:
        NotFound: no such link.
        InvalidInput: its provider has nothing that could be renewed.
        Conflict: a sync of it is running, which renews them by itself; or LINK_NOT_ACTIVE, its
            owner has to authorize again or has disconnected it.
        CredentialsRejected: the owner has to authorize again, which the link says from now on.
        ProviderUnavailable: as the provider says; the next sync tries again.
        RateLimited: too many of these.
    """
    lease = await _leased(app, cmd)
    at = app.now()
    renewal = RenewCredentials(actor=cmd.actor, link_id=cmd.link_id, lease=lease, at=at)
    try:
        await renew_credentials(app, renewal)
    except CredentialsRejected as refusal:
        with suppress(Unavailable, NotFound):  # else the lease ends, and the next sync is refused
            await to_its_end(_freed(app, cmd, lease, refusal=refusal))
        raise
    except LeaseLost:
        raise Conflict("this link was mended or disconnected meanwhile") from None
    except BaseException:
        with suppress(Unavailable, NotFound):
            await to_its_end(_freed(app, cmd, lease))
        raise
    return await _freed(app, cmd, lease, last=True)


async def _leased(app: App, cmd: RefreshCredentials) -> Lease:
    async with app.begin(cmd, last=False) as work:
        await work.users.get(lock=True)
        link = await work.links.get(cmd.link_id, lock=True)
        renewing(app, link)
        if not link.can_sync or link.is_over(cmd.at):
            raise Conflict("connect this link again", code=ErrorCode.LINK_NOT_ACTIVE)
        try:
            link, lease = leased(link, new_id(), app.now())
        except Busy:
            raise Conflict("a sync of this link is running, which renews by itself") from None
        await work.links.save(link)
    return lease


async def _freed(
    app: App,
    cmd: RefreshCredentials,
    lease: Lease,
    *,
    refusal: CredentialsRejected | None = None,
    last: bool = False,
) -> Link:
    """The link, which others may work on from now on."""
    async with app.begin(cmd, last=last) as work:
        await work.users.get(lock=True)
        link = await work.links.get(cmd.link_id, lock=True)
        if is_held(link, lease):
            if refusal is not None:
                link = outcomes.link_after_rejection(work, link, refusal, app.now())
            link = replace(link, lease=None)
            await work.links.save(link)
    return link
