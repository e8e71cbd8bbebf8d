"""One's own password: changed, or forgotten."""

import strawberry

from domain.commands import password_reset, passwords
from domain.commands.mailed_tokens import actor_of_email_token
from domain.secret import Secret
from schema.context import Info
from schema.errors import UserError
from schema.fields import described
from schema.payloads import Payload, mutation


@strawberry.input(description="At least 15 characters, or 8 with a second factor; at most 256.")
class ChangePasswordInput:
    current_password: str
    new_password: str


@strawberry.type(description="The answer of `changePassword`.")
class ChangePasswordPayload:
    changed: bool
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


@strawberry.type
class PasswordMutation:
    @mutation(
        ChangePasswordPayload,
        "Every other session ends. Stands alone in its operation.",
        runs=passwords.change_password,
    )
    async def change_password(self, info: Info, input: ChangePasswordInput) -> Payload:
        context = info.context
        cmd = passwords.ChangePassword(
            actor=context.actor,
            current=Secret(input.current_password),
            new=Secret(input.new_password),
            at=context.now,
            renew=context.new_cookie,
        )
        await passwords.change_password(context.app, cmd)
        return Payload(changed=True)

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
