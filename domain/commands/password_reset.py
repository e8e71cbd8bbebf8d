"""A forgotten password: a link by mail, and a new one in its place."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from domain.commands.attempts import account_of, network_of, take
from domain.commands.ending import end_sessions
from domain.commands.mailed_tokens import (
    Left,
    leave,
    left,
    mail_token,
    needs_mail,
    owner_of_token,
    redeemable,
)
from domain.commands.mailing import notify
from domain.errors import Conflict, InvalidInput
from domain.events import Event, EventName
from domain.handling import command
from domain.identity import Actor, User, UserId, normal_email
from domain.mail import Purpose, Template
from domain.passwords import new_password
from domain.ports import App
from domain.secret import Secret
from domain.storage.work import Work

PASSWORD_RESET = "password_reset"  # the job's name
TOKEN, NEW_PASSWORD = ("input", "token"), ("input", "newPassword")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPasswordReset:
    """`actor` is nobody: whose address it is, the request does not look."""

    actor: Actor
    email: str
    at: datetime


async def _may_ask(app: App, cmd: RequestPasswordReset) -> None:
    await take(app, network_of(cmd.actor), app.limit_settings.reset)


@command("password_reset.request", permits=None, limited=_may_ask)
async def request_password_reset(app: App, cmd: RequestPasswordReset) -> None:
    """What is too often for one address is accepted too, and leads to nothing.

    Raises:
        InvalidInput: no address.
        NotPermitted: this gateway sends no mail.
        RateLimited: too many from this place.
    """
    needs_mail(app)
    try:
        email = normal_email(cmd.email)
    except InvalidInput as refusal:
        raise InvalidInput(refusal.message, field=("email",)) from None
    verdict = await app.limits.take(account_of(email), app.limit_settings.reset_account)
    if not verdict.allowed:
        return
    async with app.begin(cmd) as work:
        leave(app, work, PASSWORD_RESET, cmd.actor, {"email": email})


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeUpReset:
    actor: Actor
    job: Left
    at: datetime


async def receive_password_reset(app: App, _: UserId, payload: Mapping[str, str]) -> None:
    """The worker's part: mail whoever has the address. A repeat makes nothing more."""
    job = await left(app, payload)
    if job.known is not None:
        await take_up_reset(app, TakeUpReset(actor=job.actor, job=job, at=job.at))


@command("password_reset.mail", permits=None)
async def take_up_reset(app: App, cmd: TakeUpReset) -> None:
    """An address that was never verified gets it too: what is mailed there proves as much."""
    async with app.begin(cmd) as work:
        await work.users.get(lock=True)
        await mail_token(app, work, cmd.job, Purpose.RESET)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPassword:
    """`actor` is whose token it is, or nobody."""

    actor: Actor
    token: Secret
    new_password: Secret
    at: datetime


async def _may_reset(app: App, cmd: ResetPassword) -> None:
    await take(app, f"token:{network_of(cmd.actor)}", app.limit_settings.reset)


@command("password.reset", permits=None, limited=_may_reset)
async def reset_password(app: App, cmd: ResetPassword) -> None:
    """From now on only the new password signs in: every session ends, every other link is void.

    The address is its owner's, since the token came there: so is that of an account which somebody
    else registered, whose password and links this takes from them.

    Raises:
        InvalidInput: TOKEN_INVALID, TOKEN_EXPIRED, WEAK_PASSWORD.
        Conflict: the second factor was changed meanwhile, by which the length is measured.
        RateLimited: too many from this place.
    """
    digest, password = app.tokens.digest(cmd.token.reveal()), cmd.new_password.reveal()
    async with app.begin(cmd, last=False) as work:
        user = await owner_of_token(work, cmd.actor, TOKEN)
        await redeemable(work, digest, Purpose.RESET, cmd.at, TOKEN)
    new_password(
        password,
        email=user.email,
        common=app.common_passwords,
        second_factor=user.totp_enabled,
        field=NEW_PASSWORD,
    )
    hashed = await app.passwords.hash(password)  # no transaction is open meanwhile
    async with app.begin(cmd) as work:
        now = await owner_of_token(work, cmd.actor, TOKEN, lock=True)
        if now.totp_enabled != user.totp_enabled:
            raise Conflict("your second factor was changed meanwhile: try again")
        await redeemable(work, digest, Purpose.RESET, cmd.at, TOKEN)
        await work.users.replace_password(hashed)
        await _begin_anew(work, now, cmd.at)


async def _begin_anew(work: Work, user: User, at: datetime) -> None:
    again = replace(user, email_verified=True, token_version=user.token_version + 1)
    await work.users.save(again)
    for purpose in Purpose:
        await work.email_tokens.forget(purpose)
    await end_sessions(work, at)
    work.record(Event(name=EventName.PASSWORD_CHANGED, user_id=user.id, at=at))
    notify(work, user, Template.PASSWORD_CHANGED, at=at)
