"""Becoming somebody, forgetting a password, and leaving."""

import strawberry

from domain.commands import deleting, password_reset, registration
from domain.commands.mailed_tokens import actor_of_email_token
from domain.secret import Secret
from schema.context import Info
from schema.errors import UserError
from schema.fields import described
from schema.payloads import Payload, mutation


@strawberry.input(description="Whose account it is to be.")
class RegisterInput:
    email: str
    password: str = described("At least 15 characters, of any kind.")


@strawberry.type(description="The answer of `register`: the same whether or not there is one.")
class RegisterPayload:
    accepted: bool = described("A mail is on its way that says how it goes on.")
    errors: list[UserError]


@strawberry.type(description="The answer of `verifyEmail`.")
class VerifyEmailPayload:
    verified: bool
    errors: list[UserError]


@strawberry.type(
    description="The answer of `requestPasswordReset`: the same whether or not there is an account."
)
class RequestPasswordResetPayload:
    accepted: bool = described("Whoever has an account with this address gets a mail.")
    errors: list[UserError]


@strawberry.input(description="A new password in the place of a forgotten one.")
class ResetPasswordInput:
    token: str = described("Of the link that was mailed; good for 15 minutes, once.")
    new_password: str


@strawberry.type(description="The answer of `resetPassword`.")
class ResetPasswordPayload:
    reset: bool
    errors: list[UserError]


@strawberry.type(description="The answer of `deleteViewer`.")
class DeleteViewerPayload:
    deleted: bool
    errors: list[UserError]


@strawberry.type
class RegistrationMutation:
    @mutation(
        RegisterPayload,
        "Ask for an account. The mail that follows has a link to confirm the address; asking again "
        "sends it again. Stands alone in its operation.",
        runs=registration.register,
        signed_out=True,
    )
    async def register(self, info: Info, input: RegisterInput) -> Payload:
        context = info.context
        cmd = registration.Register(
            actor=context.nobody,
            email=input.email,
            password=Secret(input.password),
            at=context.now,
        )
        await registration.register(context.app, cmd)
        return Payload(accepted=True)

    @mutation(
        VerifyEmailPayload,
        "Confirm an address by the token that was mailed to it; good for a day. Saying it again "
        "changes nothing. Stands alone in its operation.",
        runs=registration.verify_email,
        signed_out=True,
    )
    async def verify_email(self, info: Info, token: str) -> Payload:
        context = info.context
        actor = await actor_of_email_token(context.app, token, context.nobody)
        cmd = registration.VerifyEmail(actor=actor, token=Secret(token), at=context.now)
        await registration.verify_email(context.app, cmd)
        return Payload(verified=True)

    @mutation(
        RequestPasswordResetPayload,
        "Ask for a link to choose a new password with. Stands alone in its operation.",
        runs=password_reset.request_password_reset,
        signed_out=True,
    )
    async def request_password_reset(self, info: Info, email: str) -> Payload:
        context = info.context
        cmd = password_reset.RequestPasswordReset(actor=context.nobody, email=email, at=context.now)
        await password_reset.request_password_reset(context.app, cmd)
        return Payload(accepted=True)

    @mutation(
        ResetPasswordPayload,
        "Choose a new password by the token that was mailed. Every session ends. Stands alone in "
        "its operation.",
        runs=password_reset.reset_password,
        signed_out=True,
    )
    async def reset_password(self, info: Info, input: ResetPasswordInput) -> Payload:
        context = info.context
        actor = await actor_of_email_token(context.app, input.token, context.nobody)
        cmd = password_reset.ResetPassword(
            actor=actor,
            token=Secret(input.token),
            new_password=Secret(input.new_password),
            at=context.now,
        )
        await password_reset.reset_password(context.app, cmd)
        return Payload(reset=True)

    @mutation(
        DeleteViewerPayload,
        "Delete your account and everything in it, for good. Stands alone in its operation.",
        runs=deleting.delete_viewer,
    )
    async def delete_viewer(self, info: Info, password: str) -> Payload:
        context = info.context
        cmd = deleting.DeleteViewer(actor=context.actor, password=Secret(password), at=context.now)
        await deleting.delete_viewer(context.app, cmd)
        context.clear_cookie = True
        return Payload(deleted=True)
