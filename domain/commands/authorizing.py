"""Asking an owner for consent at a provider, and linking what they consented to.

authorize ──> state and URL, or a link token
complete_authorization ──> the state is spent ──> the code exchanged ──> linked as by credentials

A process that dies between the last two has lost what was granted: the link goes on waiting until
it is forgotten, and its owner begins again.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from domain.authorizations import Answer, Authorization
from domain.cancellation import to_its_end
from domain.commands.attempts import take, user_of
from domain.commands.credentials import opened
from domain.commands.links import (
    USING,
    Linking,
    blaming,
    is_cut,
    link_login,
    may_connect,
    mendable,
    provider_of,
)
from domain.errors import (
    Conflict,
    CredentialsRejected,
    DomainError,
    ErrorCode,
    InvalidInput,
    NotPermitted,
    ProviderUnavailable,
    Unavailable,
)
from domain.handling import command
from domain.identity import Actor, Permission, Role, SessionId, UserId, new_id
from domain.links import AuthMethod, Link, LinkId, LinkStatus, SealedCredentials, alias
from domain.ports import App, Unsealable
from domain.providers import Authorizing, Consent, Offering
from domain.sealing import Place, bound_to
from domain.secret import Secret, Secrets
from domain.storage.work import Work

STATE = ("input", "state")
WAITING_MAX = 20  # links of one user that wait for consent
# RFC 6749, 4.1.2.1: the provider's trouble; anything else is a refusal.
TROUBLE = frozenset({"server_error", "temporarily_unavailable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorize:
    """With `link_id` that link is to be mended. `return_to` is where our callback sends on."""

    actor: Actor
    provider_slug: str
    link_id: LinkId | None
    alias: str | None
    return_to: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a client needs to ask the owner: a URL and the state that comes back, or a token for
    the provider's own dialogue. `link_id` is the link that waits for the answer."""

    link_id: LinkId | None
    expires_at: datetime
    url: str | None = field(default=None, repr=False)
    state: Secret | None = None
    link_token: Secret | None = None


@command("link.authorize", permits=Permission.WRITE_LINKS, limited=may_connect)
async def authorize(app: App, cmd: Authorize) -> Asked:
    """Begin to ask for consent. A link that is to be mended stays as it is meanwhile.

    Raises:
        NotFound: no such provider, or no such link.
        InvalidInput: not this provider's way to connect, or nowhere to return to.
        Conflict: the provider is not offered, or what we know of the link cannot be opened.
        CredentialsRejected, ProviderUnavailable: as the provider says, of a link token.
        RateLimited: too many attempts.
    """
    provider = provider_of(app, cmd.provider_slug)
    app.returns.checked(cmd.return_to)
    alias(cmd.alias)
    methods = provider.info.auth_methods
    if AuthMethod.OAUTH2 in methods and isinstance(provider, Authorizing):
        return await _begun(app, cmd, provider)
    if AuthMethod.LINK_TOKEN in methods and isinstance(provider, Offering):
        return await _offered(app, cmd, provider)
    raise InvalidInput(f"{provider.info.name} does not connect by OAuth", field=(*USING, "oauth"))


async def _begun(app: App, cmd: Authorize, provider: Authorizing) -> Asked:
    if cmd.actor.session_id is None:
        raise NotPermitted("consent is asked for in a session")
    state, verifier, id = Secret(app.tokens.new_secret()), app.tokens.new_secret(), new_id()
    uri, user_id = app.returns.redirect_uri(cmd.provider_slug), cmd.actor.user_id
    consent = Consent(state=state.reveal(), verifier=verifier, redirect_uri=uri)
    url = provider.authorization_url(consent)
    place = bound_to(Place.VERIFIER, user_id, id)
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        link_id = await _waiting(work, cmd)
        authorization = Authorization(
            user_id=user_id,
            id=id,
            session_id=cmd.actor.session_id,
            digest=app.tokens.digest(state.reveal()),
            provider_slug=cmd.provider_slug,
            redirect_uri=uri,
            sealed_verifier=app.vault.seal(verifier.encode(), context=place),
            return_to=cmd.return_to,
            link_id=link_id,
            mends=cmd.link_id is not None,
            alias=alias(cmd.alias),
            created_at=cmd.at,
        )
        await work.authorizations.add(authorization)
    return Asked(link_id=link_id, expires_at=authorization.expires_at, url=url, state=state)


async def _waiting(work: Work, cmd: Authorize) -> LinkId:
    """The link that waits for the answer. Where too many do, the oldest attempts end."""
    if cmd.link_id is not None:
        return (await mendable(work, cmd.link_id, cmd.provider_slug)).id
    waiting = sorted(await work.links.list([LinkStatus.PENDING]), key=lambda link: link.created_at)
    for forgotten in waiting[: max(len(waiting) + 1 - WAITING_MAX, 0)]:
        await work.authorizations.forget_link(forgotten.id)
    link = Link(
        id=LinkId(new_id()),
        user_id=cmd.actor.user_id,
        provider_slug=cmd.provider_slug,
        status=LinkStatus.PENDING,
        created_at=cmd.at,
        alias=alias(cmd.alias),
    )
    await work.links.add(link)
    return link.id


async def _offered(app: App, cmd: Authorize, provider: Offering) -> Asked:
    """The provider knows the person by our id of them, which tells it nothing. With the credentials
    of the link it mends what there is; without, it would make another."""
    credentials = None
    if cmd.link_id is not None:
        async with app.begin(cmd, last=False) as work:
            link = await mendable(work, cmd.link_id, cmd.provider_slug)
            sealed = await work.links.credentials(link.id)
        credentials = None if sealed is None else _known(app, link, sealed)
    said = await provider.link_token(
        user=str(cmd.actor.user_id), credentials=credentials, at=cmd.at
    )
    return Asked(link_id=cmd.link_id, expires_at=said.expires_at, link_token=Secret(said.token))


def _known(app: App, link: Link, sealed: SealedCredentials) -> Secrets:
    try:
        return opened(app, link, sealed)
    except Unsealable as error:  # the operator's to mend: a new login would be made beside it
        raise Conflict(
            f"the stored credentials of this link cannot be opened: {error}",
            field=("input", "linkId"),
        ) from None


# ── the answer ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteAuthorization:
    """`provider_slug` is of the path that the answer came by; None where a client passes it on."""

    actor: Actor
    answer: Answer
    provider_slug: str | None
    at: datetime


async def _may_complete(app: App, cmd: CompleteAuthorization) -> None:
    """As often as it may be begun, in a bucket of its own: a code is good for seconds."""
    await take(app, f"completing:{user_of(cmd.actor.user_id)}", app.limit_settings.connect)


@command("link.complete", permits=Permission.WRITE_LINKS, limited=_may_complete)
async def complete_authorization(app: App, cmd: CompleteAuthorization) -> Link:
    """Link what the owner consented to, or mend a link; once for each state, whatever comes of it,
    and only in the session that began.

    It goes on where whoever asked for it goes away: a code is good once.

    Raises:
        InvalidInput: nothing of that state is under way here (TOKEN_INVALID), its time is over
            (TOKEN_EXPIRED), or the answer is not the provider's.
        CredentialsRejected: the owner did not consent, or the provider did not take the code.
        ProviderUnavailable: as the provider says.
        Conflict: the same login is linked already (`existing`), the link was disconnected
            meanwhile, or the provider is not offered any more.
        RateLimited: too many attempts.
    """
    return await to_its_end(_completed(app, cmd))


async def _completed(app: App, cmd: CompleteAuthorization) -> Link:
    begun, was = await _taken(app, cmd)
    try:
        return await _linked(app, cmd, begun, was)
    except Exception:
        if not begun.mends:
            with suppress(Unavailable):  # else the worker forgets it, when its time is over
                async with app.begin(cmd, last=False) as work:
                    await work.users.get(lock=True)
                    await work.authorizations.forget_link(begun.link_id)
        raise


async def _taken(app: App, cmd: CompleteAuthorization) -> tuple[Authorization, LinkStatus]:
    """Which nobody takes a second time: it is gone before anyone is asked. And how its link was."""
    if cmd.actor.session_id is not None:
        digest = app.tokens.digest(cmd.answer.state.reveal())
        async with app.begin(cmd, last=False) as work:
            begun = await work.authorizations.take(digest, SessionId(cmd.actor.session_id))
            if begun is not None:
                return begun, (await work.links.get(begun.link_id)).status
    raise InvalidInput(
        "no authorization of this state is under way in this session: begin again",
        field=STATE,
        code=ErrorCode.TOKEN_INVALID,
    )


async def _linked(
    app: App, cmd: CompleteAuthorization, begun: Authorization, was: LinkStatus
) -> Link:
    slug, answer = begun.provider_slug, cmd.answer
    if cmd.provider_slug not in (None, slug):
        raise InvalidInput("this is another provider's answer: begin again", field=STATE)
    if begun.expires_at <= cmd.at:
        raise InvalidInput(
            "this authorization took too long: begin again",
            field=STATE,
            code=ErrorCode.TOKEN_EXPIRED,
        )
    provider = provider_of(app, slug)
    if not isinstance(provider, Authorizing):
        raise InvalidInput(f"{provider.info.name} does not connect by OAuth", field=STATE)
    # One that does not announce `iss` is not trusted with it either (RFC 9207, 2.4).
    if answer.iss != provider.issuer:
        raise InvalidInput("this is not the provider's answer: begin again", field=("input", "iss"))
    if answer.code is None:
        raise _refused(answer.error, slug, provider.info.name)
    consent = Consent(
        state=answer.state.reveal(),
        verifier=_verifier(app, begun),
        redirect_uri=begun.redirect_uri,
    )
    with blaming(("input", "code")):
        login = await provider.exchange(answer.code.reveal(), consent, cmd.at)
    linking = Linking(
        actor=cmd.actor,
        provider_slug=slug,
        link_id=begun.link_id,
        alias=begun.alias,
        at=cmd.at,
        field=STATE,
    )
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        waiting = await work.links.get(begun.link_id, lock=True)
        waits = waiting.status is LinkStatus.PENDING
        if not (waits or (begun.mends and not is_cut(waiting, was))):
            raise Conflict(
                "this link waits for no consent any more",
                field=STATE,
                code=ErrorCode.LINK_NOT_ACTIVE,
            )
        app.explain(f"link:{begun.link_id}")
        return await link_login(app, work, linking, login)


def _verifier(app: App, begun: Authorization) -> str:
    place = bound_to(Place.VERIFIER, begun.user_id, begun.id)
    try:
        return app.vault.open(begun.sealed_verifier, context=place).decode()
    except Unsealable:
        raise InvalidInput("this authorization cannot be gone on with", field=STATE) from None


def _refused(error: str | None, slug: str, name: str) -> DomainError:
    """In our words: theirs come by a URL, which anyone can make up."""
    at_fault = ("input", "error")
    if error in TROUBLE:
        return ProviderUnavailable(
            f"{name} could not ask for consent now: begin again", provider=slug, field=at_fault
        )
    return CredentialsRejected(f"access at {name} was not granted", provider=slug, field=at_fault)


# ── what was not answered ───────────────────────────────────────────────────


async def forget_lapsed(app: App, user_id: UserId, at: datetime) -> None:
    """Authorizations of this user whose time is over. Nobody asked for it, so the audit log has no
    entry."""
    async with app.store.begin(Actor(user_id=user_id, role=Role.USER), None) as work:
        await work.users.get(lock=True)
        await work.authorizations.forget_lapsed(at)
