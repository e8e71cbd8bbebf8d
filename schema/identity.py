"""The viewer, their sessions and their settings."""

from datetime import datetime
from enum import Enum

import strawberry

import domain.identity
from domain.commands import identity as commands
from domain.errors import InvalidInput
from domain.identity import Role
from domain.money import Currency
from domain.queries import identity as queries
from schema.context import Context, Info
from schema.errors import UserError
from schema.fields import described, field, optional, said
from schema.ids import Node, describes
from schema.payloads import Payload, mutation

STANDS_ALONE = frozenset({"signIn", "refreshSession", "signOut"})
"""The identity mutations: no other root field beside them, and no alias."""

strawberry.enum(Role, description="What a person may do. READONLY: read, and their own identity.")


@strawberry.enum(
    description="How a session is kept: by tokens in the answer, or by a cookie whose secret "
    "no script can read."
)
class TokenDelivery(Enum):
    BODY = "BODY"
    COOKIE = "COOKIE"


@strawberry.type(description="You.")
class Viewer(Node):
    is_type_of = describes(domain.identity.User)

    email: str
    email_verified: bool
    role: Role
    created_at: datetime
    base_currency: Currency = described("What net worth is shown in by default.")
    time_zone: str = described("An IANA name: the days of a history are days of it.")
    session_limit: int | None = described(
        "How many sessions may be open at once; null for the default."
    )
    totp_enabled: bool = described("Whether signing in takes a second factor.")


@strawberry.input(description="Who signs in.")
class SignInInput:
    email: str
    password: str
    code: str | None = optional("Of the second factor, where one is enabled.")
    delivery: TokenDelivery = TokenDelivery.BODY


@strawberry.input(description="What is left out stays as it is.")
class UpdateSettingsInput:
    base_currency: Currency | None = optional()
    time_zone: str | None = optional("An IANA name, such as Europe/Berlin.")
    session_limit: int | None = optional("Null for the default.")


@strawberry.type(
    description="The answer of `signIn` and `refreshSession`. With a cookie, the tokens are null."
)
class SignInPayload:
    access_token: str | None = described("For the header `Authorization: Bearer`.")
    refresh_token: str | None = described("For `refreshSession`, once.")
    expires_in_seconds: int | None = described("How long the access token is good for.")
    viewer: Viewer | None
    errors: list[UserError]


@strawberry.type(description="The answer of `signOut`.")
class SignOutPayload:
    signed_out: bool
    errors: list[UserError]


@strawberry.type(description="The answer of `updateSettings`.")
class UpdateSettingsPayload:
    viewer: Viewer | None
    errors: list[UserError]


@strawberry.type
class IdentityQuery:
    @field(Viewer, "You.")
    async def viewer(self, info: Info) -> domain.identity.User:
        return await queries.viewer(info.context.reads)


@strawberry.type
class IdentityMutation:
    @mutation(
        SignInPayload,
        "Begin a session. Stands alone in its operation.",
        signed_out=True,
    )
    async def sign_in(self, info: Info, input: SignInInput) -> Payload:
        context, client = info.context, info.context.client
        if input.delivery is TokenDelivery.COOKIE and not context.cookies:
            raise InvalidInput(
                "no cookie can be set here: sign in by POST", field=("input", "delivery")
            )
        actor = await commands.actor_of_email(context.app, input.email, client.ip)
        cmd = commands.SignIn(
            actor=actor,
            email=input.email,
            password=input.password,
            cookie=input.delivery is TokenDelivery.COOKIE,
            device=client.device,
            at=context.now,
        )
        return _signed_in(context, await commands.sign_in(context.app, cmd))

    @mutation(
        SignInPayload,
        "Exchange a refresh token for its successor: for clients that keep tokens. "
        "Stands alone in its operation.",
        signed_out=True,
    )
    async def refresh_session(self, info: Info, refresh_token: str) -> Payload:
        context = info.context
        actor = await commands.actor_of_token(context.app, refresh_token, context.client.ip)
        cmd = commands.RefreshSession(actor=actor, refresh_token=refresh_token, at=context.now)
        return _signed_in(context, await commands.refresh_session(context.app, cmd))

    @mutation(SignOutPayload, "End this session. Stands alone in its operation.")
    async def sign_out(self, info: Info) -> Payload:
        context = info.context
        await commands.sign_out(context.app, commands.SignOut(actor=context.actor, at=context.now))
        context.clear_cookie = True
        return Payload(signed_out=True)

    @mutation(UpdateSettingsPayload, "Change your settings.")
    async def update_settings(self, info: Info, input: UpdateSettingsInput) -> Payload:
        context = info.context
        cmd = commands.UpdateSettings(
            actor=context.actor,
            base_currency=said(input.base_currency),
            time_zone=said(input.time_zone),
            session_limit=said(input.session_limit),
            at=context.now,
        )
        await commands.update_settings(context.app, cmd)
        return Payload(viewer=await queries.viewer(context.reads))


def _signed_in(context: Context, session: commands.SignedIn) -> Payload:
    context.set_cookie = session.cookie_secret
    return Payload(
        access_token=session.access_token,
        refresh_token=session.refresh_token,
        expires_in_seconds=None if session.cookie_secret else session.expires_in_s,
        viewer=session.user,
    )
