"""Becoming somebody."""

import strawberry

from domain.commands import registration
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
