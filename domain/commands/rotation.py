"""After a breach: all tokens that were issued until now, of everybody or of one person, go."""

from dataclasses import dataclass, replace
from datetime import datetime

from domain.commands.ending import end_sessions
from domain.errors import InvalidInput
from domain.handling import command
from domain.identity import (
    ROTATION_GRACE_S,
    ROTATION_GRACE_S_MAX,
    Actor,
    Permission,
    SecurityConfig,
    UserId,
)
from domain.ports import App

REASON_MAX = 500  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateAllTokens:
    """`grace_s` is how long what was issued until now stays good; None is five minutes."""

    actor: Actor
    reason: str
    grace_s: int | None
    at: datetime


@command("tokens.rotate_all", permits=Permission.ADMINISTER)
async def rotate_all_tokens(app: App, cmd: RotateAllTokens) -> SecurityConfig:
    """Refuse every token and cookie that was issued before, of everybody and in every process.

    Within the grace, whoever refreshes gets tokens that live on; a cookie's owner signs in again
    after it. Without one everybody does, at once.

    Raises:
        InvalidInput: no reason, or one of over 500 characters; a grace of more than a day.
    """
    reason = _reason(app, cmd.reason)
    grace_s = ROTATION_GRACE_S if cmd.grace_s is None else cmd.grace_s
    if not 0 <= grace_s <= ROTATION_GRACE_S_MAX:
        raise InvalidInput(
            f"the grace is 0 to {ROTATION_GRACE_S_MAX} seconds", field=("input", "graceSeconds")
        )
    async with app.begin(cmd) as work:
        return await work.security.rotate(reason=reason, grace_s=grace_s, at=cmd.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateUserTokens:
    """`user_id` is whose they are."""

    actor: Actor
    user_id: UserId
    reason: str
    at: datetime


@command("tokens.rotate_user", permits=Permission.ADMINISTER)
async def rotate_user_tokens(app: App, cmd: RotateUserTokens) -> None:
    """End every session of a person, and refuse at once whatever was issued in them.

    Their next sign-in begins as any other does.

    Raises:
        InvalidInput: no reason, or one of over 500 characters.
        NotFound: no such person.
    """
    _reason(app, cmd.reason)
    async with app.begin(cmd) as work:
        user = await work.users.get(lock=True)
        await end_sessions(work, cmd.at)
        await work.users.save(replace(user, token_version=user.token_version + 1))


def _reason(app: App, said: str) -> str:
    reason = said.strip()
    if not 1 <= len(reason) <= REASON_MAX:
        raise InvalidInput(f"say why, in 1 to {REASON_MAX} characters", field=("input", "reason"))
    app.explain(reason)
    return reason
