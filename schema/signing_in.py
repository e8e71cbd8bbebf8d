"""Signing in and out, and going on with a session."""

from enum import Enum

import strawberry

from domain.commands import sessions, signing_in
from domain.errors import InvalidInput
from domain.secret import Secret
from schema.context import Context, Info
from schema.errors import UserError
from schema.fields import described, given, optional
from schema.identity import Viewer
from schema.payloads import Payload, mutation


@strawberry.enum(
    description="How a session is kept: by tokens in the answer, or by a cookie whose secret "
    "no script can read."
)
class TokenDelivery(Enum):
    BODY = "BODY"
    COOKIE = "COOKIE"


@strawberry.input(description="Who signs in.")
class SignInInput:
    email: str
    password: str
    code: str | None = optional(
        "Of the second factor, where one is enabled: of the app, or a recovery code."
    )
    delivery: TokenDelivery = TokenDelivery.BODY


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


@strawberry.type
class SigningInMutation:
    @mutation(
        SignInPayload,
        "Begin a session. Stands alone in its operation.",
        runs=signing_in.sign_in,
        signed_out=True,
    )
    async def sign_in(self, info: Info, input: SignInInput) -> Payload:
        context, client = info.context, info.context.client
        cookie = input.delivery is TokenDelivery.COOKIE
        if cookie and not context.cookies:
            raise InvalidInput(
                "no cookie can be set here: sign in by POST", field=("input", "delivery")
            )
        code = given(input.code)
        replaced = context.viewer if context.by_cookie and cookie else None
        known = await signing_in.known_to_sign_in(context.app, input.email, client.known_device)
        cmd = signing_in.SignIn(
            actor=signing_in.actor_of(known, context.nobody),
            known=known,
            email=input.email,
            password=Secret(input.password),
            code=None if code is None else Secret(code),
            cookie=cookie,
            device=client.device,
            known_device=client.known_device,
            replaces=None if replaced is None else replaced.session_id,
            at=context.now,
        )
        signed_in = await signing_in.sign_in(context.app, cmd)
        if replaced is not None and replaced.user_id != signed_in.user.id:
            out = sessions.SignOut(actor=replaced, at=context.now)
            await sessions.sign_out(context.app, out)  # somebody else's, in the same browser
        return _signed_in(context, signed_in)

    @mutation(
        SignInPayload,
        "Exchange a refresh token for its successor: for clients that keep tokens. "
        "Stands alone in its operation.",
        runs=sessions.refresh_session,
        signed_out=True,
    )
    async def refresh_session(self, info: Info, refresh_token: str) -> Payload:
        context = info.context
        actor = await sessions.actor_of_token(context.app, refresh_token, context.nobody)
        cmd = sessions.RefreshSession(
            actor=actor, refresh_token=Secret(refresh_token), at=context.now
        )
        return _signed_in(context, await sessions.refresh_session(context.app, cmd))

    @mutation(
        SignOutPayload, "End this session. Stands alone in its operation.", runs=sessions.sign_out
    )
    async def sign_out(self, info: Info) -> Payload:
        context = info.context
        await sessions.sign_out(context.app, sessions.SignOut(actor=context.actor, at=context.now))
        context.clear_cookie = True
        return Payload(signed_out=True)


def _signed_in(context: Context, session: sessions.SignedIn) -> Payload:
    if context.viewer is not None and context.viewer.user_id != session.user.id:
        context.viewer = None  # somebody else asked: what is below is not to be read as theirs
    context.set_cookie, context.set_device = _told(session.cookie_secret), _told(session.device)
    return Payload(
        access_token=_told(session.access_token),
        refresh_token=_told(session.refresh_token),
        expires_in_seconds=None if session.cookie_secret else session.expires_in_s,
        viewer=session.user,
    )


def _told(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
