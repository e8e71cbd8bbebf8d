"""Renewing credentials: a provider's access ends by itself, and a token may be good only once.

Under the link's lease, so that no two workers present the same token:

    1. the intent is committed, with the lease's fence
    2. the provider is asked, once and for less than a lease
    3. its answer is sealed and committed, as the next version, and the intent is gone
    4. only then it is used

What was begun and is not known to have ended is suspect: whoever has the link next presents the
same token once more, and where that is refused its owner has to authorize again. So a token that
rotates is lost only where a process dies between 2 and 3.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.cancellation import to_its_end
from domain.commands.credentials import opened, sealed_login
from domain.commands.leases import LeaseLost, held, is_held
from domain.errors import (
    Conflict,
    CredentialsRejected,
    ErrorCode,
    InvalidInput,
    ProviderUnavailable,
    Unavailable,
)
from domain.events import Event, EventName
from domain.handling import command
from domain.identity import Actor
from domain.links import Lease, Link, LinkId, Renewal, SealedCredentials
from domain.ports import App
from domain.providers import RENEW_MAX, Provider, Renewing
from domain.sync import Login

AHEAD = timedelta(minutes=5)  # a pull takes no longer, or renews again between two pages
KEEP_FOR = timedelta(minutes=5)  # how long the answer waits for the database
KEEP_WAIT_FIRST, KEEP_WAIT_MAX = timedelta(milliseconds=100), timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewCredentials:
    """`lease` is of whoever asks."""

    actor: Actor
    link_id: LinkId
    lease: Lease
    at: datetime


@command("link.renew", permits=None)
async def renew_credentials(app: App, cmd: RenewCredentials) -> SealedCredentials:
    """What the link's provider lets us in by from now on.

    Raises:
        CredentialsRejected: the owner has to authorize again; the caller says so on the link.
        ProviderUnavailable: as the provider says, or it did not answer in time.
        LeaseLost: another worker took over, or the link was mended or disconnected.
        Unavailable: the database was away for so long that the answer could not be kept.
        Unsealable: they cannot be opened.
    """
    return await to_its_end(_renew(app, cmd))


async def _renew(app: App, cmd: RenewCredentials) -> SealedCredentials:
    link, presented, said = await _intended(app, cmd)
    try:
        login = await _asked(app, link, said)
    except CredentialsRejected as refusal:
        return await _won_by_another(app, cmd, presented, refusal)
    except ProviderUnavailable as refusal:
        if not refusal.asked:  # so nothing can have changed there
            await _noted(app, cmd, presented, None)
        raise
    return await _kept(app, cmd, presented, login)


def renewing(app: App, link: Link) -> Renewing:
    """Raises Conflict where its provider is not offered, InvalidInput where it renews nothing."""
    provider = app.providers.get(link.provider_slug)
    if provider is None:
        raise Conflict("the provider is not offered", code=ErrorCode.PROVIDER_DISABLED)
    if not isinstance(provider, Renewing):
        name = provider.info.name
        raise InvalidInput(f"{name} has no credentials that are renewed", field=("linkId",))
    return provider


def is_due(provider: Provider, known: SealedCredentials | None, at: datetime) -> bool:
    """Whether to renew before they are used, or because nobody knows what became of it."""
    if known is None or not isinstance(provider, Renewing):
        return False
    return known.renewal is not None or has_come(known.renew_at, at + AHEAD)


def has_come(when: datetime | None, at: datetime) -> bool:
    return when is not None and when <= at


async def _intended(
    app: App, cmd: RenewCredentials
) -> tuple[Link, SealedCredentials, Mapping[str, str]]:
    async with app.begin(cmd, last=False) as work:
        link = await held(work, cmd.link_id, cmd.lease)
        known = await work.links.credentials(link.id)
        if known is None:
            raise LeaseLost  # they were shredded, and that ends every lease
        said = opened(app, link, known)
        attempt = known.renewal.attempt + 1 if known.renewal else 1
        renewal = Renewal(fence=cmd.lease.fence, attempt=attempt, began_at=app.now())
        await work.links.save_renewal(link.id, renewal)
    return link, replace(known, renewal=renewal), said


async def _asked(app: App, link: Link, said: Mapping[str, str]) -> Login:
    provider = renewing(app, link)
    try:
        async with asyncio.timeout(RENEW_MAX.total_seconds()):
            return await provider.renew(said, app.now())
    except TimeoutError:
        name = app.providers[link.provider_slug].info.name
        raise ProviderUnavailable(
            f"{name} did not renew the access in time", provider=link.provider_slug
        ) from None


async def _noted(
    app: App, cmd: RenewCredentials, presented: SealedCredentials, renewal: Renewal | None
) -> None:
    async with app.begin(cmd, last=False) as work:
        link = await held(work, cmd.link_id, cmd.lease)
        known = await work.links.credentials(link.id)
        if known is not None and known.version == presented.version:
            await work.links.save_renewal(link.id, renewal)


async def _won_by_another(
    app: App, cmd: RenewCredentials, presented: SealedCredentials, refusal: CredentialsRejected
) -> SealedCredentials:
    """What a worker kept that was late with it; else it was refused for good."""
    async with app.begin(cmd, last=False) as work:
        link = await held(work, cmd.link_id, cmd.lease)
        known = await work.links.credentials(link.id)
    if known is None or known.version == presented.version:
        raise refusal
    return known


async def _kept(
    app: App, cmd: RenewCredentials, presented: SealedCredentials, login: Login
) -> SealedCredentials:
    """The answer, committed: it is the only one, so that it waits for a database that is away."""
    now, wait = asyncio.get_running_loop().time, KEEP_WAIT_FIRST
    give_up_at = now() + KEEP_FOR.total_seconds()
    mine: dict[int, bytes] = {}
    while True:
        try:
            return await _keep(app, cmd, presented, login, mine)
        except Unavailable:
            if now() + wait.total_seconds() > give_up_at:
                raise
        await asyncio.sleep(wait.total_seconds())
        wait = min(2 * wait, KEEP_WAIT_MAX)


async def _keep(
    app: App,
    cmd: RenewCredentials,
    presented: SealedCredentials,
    login: Login,
    mine: dict[int, bytes],
) -> SealedCredentials:
    """`mine` are the versions that were tried to be committed by now: of one of these the answer to
    COMMIT may have been lost.

    It counts even where the lease has run out, as long as nobody has saved others: what we
    presented is good no more.
    """
    if mine:
        async with app.begin(cmd, last=False) as work:
            known = await work.links.credentials(cmd.link_id)
        if known is not None and known.version in mine:
            return known
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        link = await work.links.get(cmd.link_id, lock=True)
        known = await work.links.credentials(link.id)
        if known is None or (known.version != presented.version and not is_held(link, cmd.lease)):
            raise LeaseLost

        def seal(version: int) -> bytes:
            mine[version] = sealed_login(app, link, login, version)
            return mine[version]

        await work.links.save_credentials(link.id, seal, renew_at=login.renew_at)
        await work.links.save(link.renewed(expire_at=login.expire_at))
        facts = {"link": str(link.id)}
        name = EventName.LINK_CREDENTIALS_REFRESHED
        work.record(Event(name=name, user_id=link.user_id, at=app.now(), facts=facts))
    version = max(mine)
    return SealedCredentials(mine[version], version, login.renew_at)
