"""Registering by mail: the answer is the same whoever has the address; the mail says the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from domain.commands.attempts import account_of, network_of, take
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
from domain.commands.people import new_user
from domain.errors import Conflict, NotFound
from domain.handling import command
from domain.identity import Actor, Role, UserId, normal_email
from domain.limits import Limit
from domain.mail import Purpose, Template
from domain.passwords import new_password
from domain.ports import App
from domain.secret import Secret

REGISTRATION = "registration"  # the job's name
# What is mailed to one address, whoever asks for it, and from wherever.
ALREADY = Limit(name="mail-already-registered", burst=1, per_seconds=3_600)
AGAIN = Limit(name="mail-verify", burst=5, per_seconds=3_600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """`actor` is nobody: whose address it is, the request does not look."""

    actor: Actor
    email: str
    password: Secret
    at: datetime


async def _may_register(app: App, cmd: Register) -> None:
    await take(app, network_of(cmd.actor), app.limit_settings.register)


@command("registration.request", permits=None, limited=_may_register)
async def register(app: App, cmd: Register) -> None:
    """Accepted whoever has the address, by the same work: what differs is left to the worker.

    Raises:
        InvalidInput: no address, or WEAK_PASSWORD.
        NotPermitted: this gateway sends no mail.
        RateLimited: too many from this place.
    """
    needs_mail(app)
    email, password = normal_email(cmd.email), cmd.password.reveal()
    new_password(password, email=email, common=app.common_passwords, field=("input", "password"))
    said = {"email": email, "password_hash": await app.passwords.hash(password)}
    async with app.begin(cmd) as work:
        leave(app, work, REGISTRATION, cmd.actor, said)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeUpRegistration:
    actor: Actor
    job: Left
    at: datetime


async def receive_registration(app: App, nobody: UserId, payload: Mapping[str, str]) -> None:
    """The worker's part: make the account, or mail whoever has it. A repeat makes nothing more."""
    job = await left(app, payload)
    if job.known is not None:
        limit = ALREADY if job.known.email_verified else AGAIN
        if not (await app.limits.take(account_of(job.email), limit)).allowed:
            return
    try:
        await take_up_registration(app, TakeUpRegistration(actor=job.actor, job=job, at=job.at))
    except (Conflict, NotFound):  # registered, or deleted, at the same moment
        await receive_registration(app, nobody, payload)


@command("user.register", permits=None)
async def take_up_registration(app: App, cmd: TakeUpRegistration) -> None:
    """Raises Conflict where nobody had the address and somebody has it now, else NotFound."""
    job, hashed = cmd.job, cmd.job.said["password_hash"]
    async with app.begin(cmd) as work:
        if job.known is None:
            user = new_user(job.actor.user_id, job.email, Role.USER, cmd.at, is_verified=False)
            await work.users.add(user, hashed)
        else:
            user = await work.users.get(lock=True)
            if not user.email_verified:
                # Who registered last is told by it what is missing, and let in by none: that is
                # the one whose mail is used.
                await work.users.replace_password(hashed)
        if user.email_verified:
            notify(work, user, Template.ALREADY_REGISTERED, at=cmd.at)
        else:
            await mail_token(app, work, job, Purpose.VERIFY, password_hash=hashed)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyEmail:
    """`actor` is whose token it is, or nobody."""

    actor: Actor
    token: Secret
    at: datetime


async def _may_verify(app: App, cmd: VerifyEmail) -> None:
    await take(app, network_of(cmd.actor), app.limit_settings.verify)


@command("email.verify", permits=None, limited=_may_verify)
async def verify_email(app: App, cmd: VerifyEmail) -> None:
    """The address is its owner's, and the password is that of the registration it was mailed for.

    The same token again, within its life, changes nothing and is no refusal: people click twice.

    Raises:
        InvalidInput: TOKEN_INVALID, TOKEN_EXPIRED.
        RateLimited: too many from this place.
    """
    field = ("token",)
    digest = app.tokens.digest(cmd.token.reveal())
    async with app.begin(cmd) as work:
        user = await owner_of_token(work, cmd.actor, field, lock=True)
        token = await redeemable(work, digest, Purpose.VERIFY, cmd.at, field)
        if token.used_at is not None:
            return
        if token.password_hash is not None:
            await work.users.replace_password(token.password_hash)
        await work.users.save(replace(user, email_verified=True))
        await work.email_tokens.use(token.id, cmd.at)
        await work.email_tokens.forget(Purpose.VERIFY, but=token.id)
