"""Links: connecting providers."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import strawberry

import domain.accounts
import domain.links
import domain.sync
from domain.authorizations import Answer
from domain.commands import authorizing, refreshing
from domain.commands import links as commands
from domain.errors import InvalidInput, LinkAction
from domain.identity import Permission
from domain.links import LinkId, LinkStatus
from domain.queries import accounts as account_queries
from domain.queries import links as queries
from domain.queries import sync as sync_queries
from domain.secret import Secrets
from schema import ids
from schema.context import Context, Info
from schema.edges import edge
from schema.errors import UserError, sync_error
from schema.fields import NOT_GIVEN, described, field, given, optional, query, said
from schema.ids import Node, describes
from schema.payloads import Payload, mutation
from schema.providers import Provider
from schema.sync import SyncRun

if TYPE_CHECKING:
    from schema.accounts import Account

AnAccount: TypeAlias = Annotated["Account", strawberry.lazy("schema.accounts")]

strawberry.enum(
    LinkStatus,
    description="How a link is. NEEDS_REAUTHORIZATION: consent or token ended. FAILED: five "
    "failures in a row; it is still tried. REVOKED: withdrawn at the provider.",
)


async def accounts_of_links(
    context: Context, links: Sequence[domain.links.Link]
) -> list[list[domain.accounts.Account]]:
    """The active accounts that it feeds, by name."""
    return await account_queries.accounts_of_links(context.reads, [link.id for link in links])


async def errors_of_links(
    context: Context, links: Sequence[domain.links.Link]
) -> list[UserError | None]:
    """What is wrong with it now."""
    return [
        sync_error(link.error, context.provider(link.provider_slug)) if link.error else None
        for link in links
    ]


async def last_runs_of_links(
    context: Context, links: Sequence[domain.links.Link]
) -> list[domain.sync.SyncRun | None]:
    """The newest run."""
    return await sync_queries.last_runs(context.reads, [link.id for link in links])


strawberry.enum(
    LinkAction, description="What the owner of a link can do about what is wrong with it."
)


@strawberry.type(description="A standing connection to one provider.")
class Link(Node):
    is_type_of = describes(domain.links.Link)

    alias: str | None = described("Your name for it.")
    status: LinkStatus
    connected_at: datetime | None
    last_synced_at: datetime | None
    next_sync_at: datetime | None = described("When it is due by itself; null when it is not.")
    credentials_expire_at: datetime | None
    sync_every_s: int | None = described(
        "Between two syncs by itself; null for the default.", name="syncEverySeconds"
    )
    consecutive_failures: int
    accounts: list[AnAccount] = edge(accounts_of_links, of=list[AnAccount])
    error: UserError | None = edge(errors_of_links, of=UserError | None)
    action_required: LinkAction | None = described("What you can do about what is wrong with it.")
    last_run: SyncRun | None = edge(last_runs_of_links, of=SyncRun | None)

    @field(Provider)
    def provider(self: Any, info: Info) -> domain.links.ProviderInfo:
        return info.context.provider(self.provider_slug)


@strawberry.input(description="Where the provider's consent page leads back to.")
class OAuthInput:
    return_to: str | None = optional(
        "Where our callback sends the browser back: of an allowed origin or app scheme."
    )


@strawberry.input(description="One of the provider's `credentialFields`.")
class CredentialInput:
    name: str
    value: str


@strawberry.input(one_of=True, description="How to connect: exactly one of them.")
class ConnectUsing:
    oauth: OAuthInput | None = optional("Answers with where to send the browser.")
    credentials: list[CredentialInput] | None = optional("API keys, a setup token, a link token.")
    nothing: bool | None = optional("True, for a provider whose authMethod is NONE.")


@strawberry.input(
    description="With `linkId` it mends that link (new consent, new credentials) and keeps its "
    "accounts."
)
class ConnectProviderInput:
    provider: str = described("Its slug.")
    using: ConnectUsing
    link_id: strawberry.ID | None = optional()
    alias: str | None = optional("Your name for it.")


@strawberry.input(
    description="What the provider said as it sent the browser back: a code, or an error."
)
class CompleteAuthorizationInput:
    state: str
    code: str | None = optional("Left out with an error.")
    iss: str | None = optional("Where the provider says who it is.")
    error: str | None = optional()


@strawberry.input(description="What is left out stays as it is; null goes back to the default.")
class UpdateLinkInput:
    link_id: strawberry.ID
    alias: str | None = optional()
    sync_every_seconds: int | None = optional()


@strawberry.type(
    description="The answer of `connectProvider`: a link, or where its consent is to be given."
)
class ConnectProviderPayload:
    link: Link | None
    authorization_url: str | None
    state: str | None
    link_token: str | None
    expires_at: datetime | None
    errors: list[UserError]


@strawberry.type(description="The answer of `updateLink`.")
class UpdateLinkPayload:
    link: Link | None
    errors: list[UserError]


@strawberry.type(description="The answer of `disconnect`.")
class DisconnectPayload:
    link: Link | None
    errors: list[UserError]


@strawberry.type
class LinkQuery:
    @query(
        list[Link],
        "By when they were connected. Without `status`, all but those that were disconnected.",
        permits=Permission.READ_LINKS,
    )
    async def links(
        self, info: Info, status: list[LinkStatus] | None = NOT_GIVEN
    ) -> list[domain.links.Link]:
        return info.context.paid(await queries.links(info.context.reads, given(status)))

    @query(Link | None, permits=Permission.READ_LINKS)
    async def link(self, info: Info, id: strawberry.ID) -> domain.links.Link | None:
        reads, key = info.context.reads, ids.key("Link", id)
        return None if key is None else (await queries.links_by_id(reads, [LinkId(key)]))[0]


@strawberry.type
class LinkMutation:
    @mutation(
        ConnectProviderPayload,
        "Link a provider, or mend a link; its first sync is queued.",
        runs=commands.connect_provider,
        id_at=("input", "linkId"),
    )
    async def connect_provider(self, info: Info, input: ConnectProviderInput) -> Payload:
        context, asked, using = info.context, given(input.link_id), input.using
        oauth = given(using.oauth)
        if oauth is not None:
            return await _authorized(context, input, given(oauth.return_to))
        cmd = commands.ConnectProvider(
            actor=context.actor,
            provider_slug=input.provider,
            link_id=None if asked is None else _named(asked),
            alias=given(input.alias),
            credentials=_credentials(given(using.credentials)),
            nothing=given(using.nothing),
            at=context.now,
        )
        link = await commands.connect_provider(context.app, cmd)
        return Payload(link=await _link(context, link.id))

    @mutation(
        ConnectProviderPayload,
        "Pass on what a provider said as it sent the browser back, in the session that asked for "
        "consent. Our callback does so itself where the browser has that session's cookie.",
        runs=authorizing.complete_authorization,
    )
    async def complete_authorization(
        self, info: Info, input: CompleteAuthorizationInput
    ) -> Payload:
        context = info.context
        answer = Answer.of(
            input.state,
            code=given(input.code) or None,
            iss=given(input.iss),
            error=given(input.error),
        )
        cmd = authorizing.CompleteAuthorization(
            actor=context.actor, answer=answer, provider_slug=None, at=context.now
        )
        link = await authorizing.complete_authorization(context.app, cmd)
        return Payload(link=await _link(context, link.id))

    @mutation(
        UpdateLinkPayload,
        "Change what you say about a link.",
        runs=commands.update_link,
        id_at=("input", "linkId"),
    )
    async def update_link(self, info: Info, input: UpdateLinkInput) -> Payload:
        context, id = info.context, _named(input.link_id)
        cmd = commands.UpdateLink(
            actor=context.actor,
            link_id=id,
            alias=said(input.alias),
            sync_every_s=said(input.sync_every_seconds),
            at=context.now,
        )
        await commands.update_link(context.app, cmd)
        return Payload(link=await _link(context, id))

    @mutation(
        UpdateLinkPayload,
        "Renew what the provider lets us in by, now; a sync does so by itself in good time.",
        runs=refreshing.refresh_credentials,
        id_at=("linkId",),
    )
    async def refresh_link_credentials(self, info: Info, link_id: strawberry.ID) -> Payload:
        context, id = info.context, _named(link_id)
        cmd = refreshing.RefreshCredentials(actor=context.actor, link_id=id, at=context.now)
        await refreshing.refresh_credentials(context.app, cmd)
        return Payload(link=await _link(context, id))

    @mutation(
        DisconnectPayload,
        "End a link. With `deleteData` the accounts that nothing else feeds are deleted.",
        runs=commands.disconnect,
        id_at=("linkId",),
    )
    async def disconnect(
        self, info: Info, link_id: strawberry.ID, delete_data: bool = False
    ) -> Payload:
        context, id = info.context, _named(link_id)
        cmd = commands.Disconnect(
            actor=context.actor, link_id=id, delete_data=delete_data, at=context.now
        )
        await commands.disconnect(context.app, cmd)
        return Payload(link=await _link(context, id))


async def _authorized(
    context: Context, input: ConnectProviderInput, return_to: str | None
) -> Payload:
    link_id = given(input.link_id)
    cmd = authorizing.Authorize(
        actor=context.actor,
        provider_slug=input.provider,
        link_id=None if link_id is None else _named(link_id),
        alias=given(input.alias),
        return_to=return_to,
        at=context.now,
    )
    asked = await authorizing.authorize(context.app, cmd)
    return Payload(
        link=None if asked.link_id is None else await _link(context, asked.link_id),
        authorization_url=asked.url,
        state=None if asked.state is None else asked.state.reveal(),
        link_token=None if asked.link_token is None else asked.link_token.reveal(),
        expires_at=asked.expires_at,
    )


def _named(id: str) -> LinkId:
    return LinkId(ids.key("Link", id) or ids.ABSENT)


def _credentials(said: Sequence[CredentialInput] | None) -> Secrets | None:
    """Raises InvalidInput where one is given twice."""
    if said is None:
        return None
    credentials = {c.name: c.value for c in said}
    if len(credentials) < len(said):
        raise InvalidInput("a credential is given twice", field=("input", "using", "credentials"))
    return Secrets(credentials)


async def _link(context: Context, id: LinkId) -> domain.links.Link | None:
    return (await queries.links_by_id(context.reads, [id]))[0]
