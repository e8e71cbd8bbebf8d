"""Linking providers: connect or mend, change, disconnect."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from domain.audit import Command
from domain.commands.attempts import take, user_of
from domain.commands.credentials import opened, sealed_login
from domain.commands.revoking import Grant, revoke_upstream
from domain.commands.sessions import note_provider
from domain.commands.sync import queue_run
from domain.commands.worth import tell_net_worth
from domain.errors import (
    Conflict,
    CredentialsRejected,
    DomainError,
    ErrorCode,
    Field,
    InvalidInput,
    NotFound,
)
from domain.events import Event, EventName
from domain.handling import command
from domain.identity import NOBODY, UNSET, Actor, Maybe, Permission, UserId, new_id
from domain.links import (
    AuthMethod,
    Link,
    LinkId,
    LinkStatus,
    ProviderInfo,
    SealedCredentials,
    alias,
    sync_every_s,
)
from domain.ports import App, Unsealable
from domain.providers import Provider
from domain.sealing import Place, bound_to
from domain.secret import Secrets
from domain.storage.work import Work
from domain.sync import Login, SyncScope, SyncStatus, SyncTrigger

CREDENTIAL_MAX = 8_192  # characters of one value
USING = ("input", "using")
CREDENTIALS = (*USING, "credentials")
NOTHING_GRANTED = (LinkStatus.PENDING, LinkStatus.DISCONNECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectProvider:
    """With `link_id` that link is mended. Exactly one of the two ways is given."""

    actor: Actor
    provider_slug: str
    link_id: LinkId | None
    alias: str | None
    credentials: Secrets | None
    nothing: bool | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Linking:
    """A login is linked: anew, or as the link that it is to mend. `field` is what brought it."""

    actor: Actor
    provider_slug: str
    link_id: LinkId | None
    alias: str | None
    at: datetime
    field: Field = USING


@contextmanager
def blaming(field: tuple[str, ...]) -> Iterator[None]:
    """Around presenting to a provider what one argument brought: what it rejects is that."""
    try:
        yield
    except CredentialsRejected as refusal:
        refusal.field = refusal.field or field
        raise


async def may_connect(app: App, cmd: Command) -> None:
    await take(app, user_of(cmd.actor.user_id), app.limit_settings.connect)


@command("link.connect", permits=Permission.WRITE_LINKS, limited=may_connect)
async def connect_provider(app: App, cmd: ConnectProvider) -> Link:
    """Link a login at a provider and queue its first sync, or mend a link and keep its accounts.

    Raises:
        NotFound: no such provider, or no such link.
        InvalidInput: not this provider's way to connect, or credentials of another form.
        Conflict: the same login is linked already (`existing`), the provider is not offered, or the
            link was disconnected while it was asked.
        CredentialsRejected, ProviderUnavailable: as the provider says.
        RateLimited: too many attempts.
    """
    alias(cmd.alias)  # before anyone is asked
    provider = provider_of(app, cmd.provider_slug)
    credentials = _credentials(provider.info, cmd)
    before = await _before(app, cmd)
    with blaming(USING if cmd.nothing else CREDENTIALS):
        login = await provider.connect(credentials, cmd.at)  # no transaction is open meanwhile
    linking = Linking(
        actor=cmd.actor,
        provider_slug=cmd.provider_slug,
        link_id=cmd.link_id,
        alias=cmd.alias,
        at=cmd.at,
    )
    try:
        async with app.begin(cmd) as work:
            await work.users.get(lock=True)
            if before is not None and is_cut(await work.links.get(before[0].id), before[0].status):
                raise Conflict("this link was disconnected", code=ErrorCode.LINK_NOT_ACTIVE)
            link = await link_login(app, work, linking, login)
    except DomainError:
        await _give_back(app, cmd, login)
        raise
    if before is not None and before[0].upstream not in (None, link.upstream):
        await revoke_upstream(app, [grant_of(app, *before)], cmd.at)
    return link


async def link_login(app: App, work: Work, asked: Linking, login: Login) -> Link:
    """In a unit of work that has the user's row locked.

    Raises NotFound, InvalidInput, Conflict.
    """
    slug, at = asked.provider_slug, asked.at
    await note_provider(work, asked.actor, slug)
    key = login_key(app, asked.actor.user_id, slug, login.identity)
    link = await _link(work, asked, key, login, upstream_key(app, slug, login.upstream))
    if app.providers[slug].info.can_be_pulled:  # due again even if the sync below is cancelled
        link = link.scheduled(at=at)
        await work.links.save(link)
    seal = partial(sealed_login, app, link, login)
    await work.links.save_credentials(link.id, seal, renew_at=login.renew_at)
    await queue_run(work, link, trigger=SyncTrigger.CONNECT, scopes=frozenset(SyncScope), at=at)
    work.record(link_event(EventName.LINK_CONNECTED, link, at))
    return link


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateLink:
    actor: Actor
    link_id: LinkId
    alias: Maybe[str]
    sync_every_s: Maybe[int]
    at: datetime


@command("link.update", permits=Permission.WRITE_LINKS)
async def update_link(app: App, cmd: UpdateLink) -> Link:
    """Raises NotFound, InvalidInput, and Conflict where the link was disconnected."""
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        link = await work.links.get(cmd.link_id, lock=True)
        if link.status is LinkStatus.DISCONNECTED:
            raise Conflict("this link was disconnected", code=ErrorCode.LINK_NOT_ACTIVE)
        changed = link
        if cmd.alias is not UNSET:
            changed = replace(changed, alias=alias(cmd.alias))
        if cmd.sync_every_s is not UNSET:
            changed = replace(changed, sync_every_s=sync_every_s(cmd.sync_every_s))
        if changed != link:
            await work.links.save(changed)
    return changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnect:
    actor: Actor
    link_id: LinkId
    delete_data: bool
    at: datetime


@command("link.disconnect", permits=Permission.WRITE_LINKS)
async def disconnect(app: App, cmd: Disconnect) -> Link:
    """Shred the credentials and stop syncing; with `delete_data` also delete what only it fed.

    A provider that can be is told to honour the login no more. Where something stands that only
    its owner can withdraw there, their activity and the event say so.

    Raises NotFound. Disconnecting twice changes nothing more.
    """
    standing = await _withdrawn(app, cmd)
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        link = await work.links.get(cmd.link_id, lock=True)
        if (run := await work.runs.active(link.id)) is not None:
            await work.runs.save(run.cancelled(cmd.at))
            await work.imports.shred(run.id)
        if cmd.delete_data:
            await _delete_data(work, link, cmd.at)
        if link.status is LinkStatus.DISCONNECTED:
            return link
        await work.links.shred_credentials(link.id)
        await work.authorizations.forget(link.id)
        link = replace(link.disconnected(), lease=None)
        await work.links.save(link)
        event = link_event(EventName.LINK_DISCONNECTED, link, cmd.at)
        work.record(replace(event, facts={**event.facts, **standing}))
    return link


async def _withdrawn(app: App, cmd: Disconnect) -> Mapping[str, str]:
    async with app.begin(cmd, last=False) as work:
        link = await work.links.get(cmd.link_id)
        sealed = await work.links.credentials(link.id)
    if link.status in NOTHING_GRANTED:
        return {}
    for name in await revoke_upstream(app, [grant_of(app, link, sealed)], cmd.at):
        app.explain(f"still to be withdrawn at {name}")
        return {"standing": name}
    return {}


async def _delete_data(work: Work, link: Link, at: datetime) -> None:
    """The accounts that no other link feeds; one that was disconnected feeds nothing any more.

    With them goes what runs kept of what they received. The events that told a balance expire
    with all others.
    """
    standing = [s for s in LinkStatus if s is not LinkStatus.DISCONNECTED]
    others = {one.id for one in await work.links.list(standing)} - {link.id}
    accounts = {a.id: a for a in (await work.accounts.by_key(link.id)).values()}
    gone = [a for a in accounts.values() if not others & {*a.link_ids}]
    await work.accounts.delete([a.id for a in gone])
    await tell_net_worth(work, gone, [], at, link=str(link.id))
    await work.accounts.unlink(link.id)
    await work.runs.forget_quarantine(link.id)
    await work.imports.forget_all(link.id)


def provider_of(app: App, slug: str) -> Provider:
    """Raises NotFound (PROVIDER_UNKNOWN), Conflict (PROVIDER_DISABLED)."""
    provider = app.providers.get(slug)
    if provider is None:
        raise NotFound(
            "there is no such provider",
            field=("input", "provider"),
            code=ErrorCode.PROVIDER_UNKNOWN,
        )
    if not provider.info.enabled:
        raise Conflict(
            f"{provider.info.name} is not offered here",
            field=("input", "provider"),
            code=ErrorCode.PROVIDER_DISABLED,
        )
    return provider


def login_key(app: App, user_id: UserId, slug: str, identity: str) -> str:
    """What one login of one user at one provider is known by, without telling it."""
    return app.vault.fingerprint(f"{slug}\n{identity}", context=bound_to(Place.LOGIN, user_id))


def upstream_key(app: App, slug: str, upstream: str | None) -> str | None:
    """What a webhook's word for a login is looked up by, before anyone is known."""
    if upstream is None:
        return None
    return app.vault.fingerprint(f"{slug}\n{upstream}", context=bound_to(Place.UPSTREAM, NOBODY))


def grant_of(app: App, link: Link, sealed: SealedCredentials | None) -> Grant:
    try:
        credentials = None if sealed is None else opened(app, link, sealed)
    except Unsealable:
        credentials = None
    return Grant(provider_slug=link.provider_slug, credentials=credentials)


def link_event(name: EventName, link: Link, at: datetime) -> Event:
    return Event(name=name, user_id=link.user_id, at=at, facts={"link": str(link.id)})


async def _before(app: App, cmd: ConnectProvider) -> tuple[Link, SealedCredentials | None] | None:
    """The link that is to be mended, as it is now."""
    if cmd.link_id is None:
        return None
    async with app.begin(cmd, last=False) as work:
        link = await mendable(work, cmd.link_id, cmd.provider_slug)
        return link, await work.links.credentials(link.id)


async def _give_back(app: App, cmd: ConnectProvider, login: Login) -> None:
    """Nobody is going to use this login: where it is one of its own at the provider, made by
    connecting, it is ended there, since it may be paid for, and may end the one that there is."""
    key = upstream_key(app, cmd.provider_slug, login.upstream)
    if key is None:
        return
    async with app.begin(cmd, last=False) as work:
        if await work.links.by_upstream(key) is not None:  # that of a link, connected once more
            return
    grant = Grant(provider_slug=cmd.provider_slug, credentials=login.credentials)
    await revoke_upstream(app, [grant], cmd.at)


async def _link(work: Work, asked: Linking, key: str, login: Login, upstream: str | None) -> Link:
    said_alias = alias(asked.alias)
    existing = await work.links.by_login(asked.provider_slug, key)
    if existing is None and upstream is not None:
        existing = await work.links.by_upstream(upstream)
    if existing is not None and existing.id != asked.link_id:
        raise Conflict(
            "this login is linked already", existing=("Link", existing.id), field=asked.field
        )
    if asked.link_id is None:
        link = Link(
            id=LinkId(new_id()),
            user_id=asked.actor.user_id,
            provider_slug=asked.provider_slug,
            status=LinkStatus.PENDING,
            created_at=asked.at,
            alias=said_alias,
            login=key,
            institution=login.institution,
            upstream=upstream,
        ).connected(at=asked.at, expire_at=login.expire_at)
        await work.links.add(link)
        return link
    link = await mendable(work, asked.link_id, asked.provider_slug)
    run = await work.runs.active(link.id)
    if run is not None and run.status is SyncStatus.RUNNING:  # with the credentials of before
        await work.runs.save(run.cancelled(asked.at))
    mended = replace(
        link.connected(at=asked.at, expire_at=login.expire_at),
        login=key,
        alias=said_alias or link.alias,
        institution=login.institution or link.institution,
        upstream=upstream,
        lease=None,
    )
    if (link.login, link.upstream) != (key, upstream):  # of another nothing has been read yet
        mended = replace(mended, cursor=None, last_synced_at=None, news_at=None)
        await work.runs.forget_places(link.id)
    await work.links.save(mended)
    return mended


async def mendable(work: Work, id: LinkId, provider_slug: str) -> Link:
    """Locked. Raises NotFound, and InvalidInput where it is to another provider."""
    link = await work.links.get(id, lock=True)
    if link.provider_slug != provider_slug:
        raise InvalidInput(f"that link is to {link.provider_slug}", field=("input", "provider"))
    return link


def is_cut(link: Link, was: LinkStatus) -> bool:
    """Whether its owner disconnected it since, which is not undone by what was begun before."""
    return link.status is LinkStatus.DISCONNECTED and was is not LinkStatus.DISCONNECTED


def _credentials(info: ProviderInfo, cmd: ConnectProvider) -> Mapping[str, str]:
    """What the provider is given, checked for form."""
    if AuthMethod.FILE_IMPORT in info.auth_methods:
        raise InvalidInput("this provider is linked by importing a statement", field=USING)
    if {*info.auth_methods} == {AuthMethod.OAUTH2}:
        raise InvalidInput(f"{info.name} connects by OAuth alone", field=USING)
    if cmd.nothing is not None:
        if not cmd.nothing or AuthMethod.NONE not in info.auth_methods:
            reason = (
                "this provider needs credentials" if cmd.nothing else "say true, or leave it out"
            )
            raise InvalidInput(reason, field=(*USING, "nothing"))
        return {}
    given = cmd.credentials or Secrets({})
    fields = {f.name: f for f in info.credential_fields}
    for name, value in given.items():
        if name not in fields:
            expected = ", ".join(fields) or "none"
            raise InvalidInput(
                f"there is no credential {name[:40]!r}; expected: {expected}",
                field=CREDENTIALS,
            )
        if not value or len(value) > CREDENTIAL_MAX:
            raise InvalidInput(f"{name} has 1 to {CREDENTIAL_MAX} characters", field=CREDENTIALS)
    missing = [f.name for f in fields.values() if f.required and f.name not in given]
    if missing:
        raise InvalidInput(f"missing: {', '.join(missing)}", field=CREDENTIALS)
    return given
