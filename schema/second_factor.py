"""One's own second factor."""

import strawberry

from domain.commands import second_factor
from domain.secret import Secret
from schema.context import Info
from schema.errors import UserError
from schema.fields import described
from schema.payloads import Payload, mutation


@strawberry.type(
    description="The answer of `enableTotp`: what an authenticator app is given, once."
)
class EnableTotpPayload:
    secret: str | None = described("To be typed: base32.")
    uri: str | None = described("To be read from a QR code: otpauth://totp/…")
    errors: list[UserError]


@strawberry.type(description="The answer of `confirmTotp`.")
class ConfirmTotpPayload:
    recovery_codes: list[str] = described(
        "Each signs in once in place of a code of the app. Nobody can show them again."
    )
    errors: list[UserError]


@strawberry.type(description="The answer of `disableTotp`.")
class DisableTotpPayload:
    disabled: bool
    errors: list[UserError]


@strawberry.type
class SecondFactorMutation:
    @mutation(
        EnableTotpPayload,
        "Begin a second factor: it is asked for once `confirmTotp` has seen a code of it. "
        "Stands alone in its operation.",
        runs=second_factor.enable_totp,
    )
    async def enable_totp(self, info: Info) -> Payload:
        context = info.context
        cmd = second_factor.EnableTotp(actor=context.actor, at=context.now)
        begun = await second_factor.enable_totp(context.app, cmd)
        return Payload(secret=begun.secret.reveal(), uri=begun.uri.reveal())

    @mutation(
        ConfirmTotpPayload,
        "From now on signing in takes a code. Every other session ends. "
        "Stands alone in its operation.",
        runs=second_factor.confirm_totp,
    )
    async def confirm_totp(self, info: Info, code: str) -> Payload:
        context = info.context
        cmd = second_factor.ConfirmTotp(
            actor=context.actor, code=Secret(code), at=context.now, renew=context.new_cookie
        )
        codes = await second_factor.confirm_totp(context.app, cmd)
        return Payload(recovery_codes=[code.reveal() for code in codes])

    @mutation(
        DisableTotpPayload,
        "Signing in takes the password alone again, which has to be of 15 characters or more. "
        "Every other session ends. Stands alone in its operation.",
        runs=second_factor.disable_totp,
    )
    async def disable_totp(self, info: Info, password: str, code: str) -> Payload:
        context = info.context
        cmd = second_factor.DisableTotp(
            actor=context.actor,
            password=Secret(password),
            code=Secret(code),
            at=context.now,
            renew=context.new_cookie,
        )
        await second_factor.disable_totp(context.app, cmd)
        return Payload(disabled=True)
