"""Refusing tokens after a breach, and which generation of them is good."""

from datetime import datetime

import strawberry

from domain.commands import rotation
from domain.identity import UserId
from domain.queries import identity as queries
from schema import ids
from schema.context import Info
from schema.errors import UserError
from schema.fields import described, given, optional
from schema.payloads import Payload, mutation


@strawberry.type(description="Which generation of tokens is good, for everybody.")
class SecurityConfig:
    global_token_version: int = described("Goes up with each `rotateAllTokens`.")
    grace_seconds: int = described("How long the generation before stayed good, the last time.")
    last_rotated_at: datetime | None
    last_rotation_reason: str | None


@strawberry.input(description="Why, and from when on.")
class RotateAllTokensInput:
    reason: str = described("1 to 500 characters, kept on record.")
    grace_seconds: int | None = optional(
        "How long what was issued until now stays good: 0 to 86400, 300 where it is left out."
    )


@strawberry.input(description="Whose, and why.")
class RotateUserTokensInput:
    user_id: strawberry.ID
    reason: str = described("1 to 500 characters, kept on record.")


@strawberry.type(description="The answer of `rotateAllTokens` and `rotateUserTokens`.")
class RotateTokensPayload:
    security_config: SecurityConfig | None
    errors: list[UserError]


@strawberry.type
class RotationMutation:
    @mutation(
        RotateTokensPayload,
        "Refuse all tokens and cookies that were issued until now, of everybody. Within the grace, "
        "whoever refreshes gets new ones.",
        runs=rotation.rotate_all_tokens,
    )
    async def rotate_all_tokens(self, info: Info, input: RotateAllTokensInput) -> Payload:
        context = info.context
        cmd = rotation.RotateAllTokens(
            actor=context.actor,
            reason=input.reason,
            grace_s=given(input.grace_seconds),
            at=context.now,
        )
        return Payload(security_config=await rotation.rotate_all_tokens(context.app, cmd))

    @mutation(
        RotateTokensPayload,
        "End all sessions of a person, with everything that was issued in them.",
        runs=rotation.rotate_user_tokens,
        id_at=("input", "userId"),
    )
    async def rotate_user_tokens(self, info: Info, input: RotateUserTokensInput) -> Payload:
        context, id = info.context, UserId(ids.key("User", input.user_id) or ids.ABSENT)
        cmd = rotation.RotateUserTokens(
            actor=context.actor, user_id=id, reason=input.reason, at=context.now
        )
        await rotation.rotate_user_tokens(context.app, cmd)
        context.clear_cookie |= id == context.actor.user_id
        return Payload(security_config=await queries.security_config(context.reads))
