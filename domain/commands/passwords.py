"""One's own password: proving it while signed in, and changing it."""

from dataclasses import dataclass
from datetime import datetime

from domain.audit import Command
from domain.commands.attempts import take, user_of
from domain.commands.mailing import notify
from domain.commands.sessions import Renew, secured
from domain.errors import Conflict, ErrorCode, Field, InvalidInput, NotPermitted
from domain.events import Event, EventName
from domain.handling import command
from domain.identity import Actor, Permission, User
from domain.mail import Template
from domain.passwords import new_password
from domain.ports import App
from domain.secret import Secret
from domain.storage.doors import KnownUser
from domain.storage.work import Work


async def may_prove(app: App, cmd: Command) -> None:
    """An attempt on one's own password or code, counted apart from those to sign in: whoever
    guesses at the account from outside does not keep its owner from changing the password.

    Raises RateLimited.
    """
    await take(app, user_of(cmd.actor.user_id), app.limit_settings.sign_in_account)


async def proved(app: App, cmd: Command, password: Secret, *, field: Field) -> KnownUser:
    """Whose password it is. No transaction is open while it is checked; `unchanged` looks again.

    Raises:
        NotPermitted: SIGN_IN_FAILED, it is another.
    """
    async with app.begin(cmd, last=False) as work:
        user, hashed = await work.users.get(), await work.users.password_hash()
    # Whoever has a session is no stranger in a flood of those who would have one.
    if not await app.passwords.verify(password.reveal(), hashed, is_known=True):
        raise NotPermitted("that is not your password", field=field, code=ErrorCode.SIGN_IN_FAILED)
    return KnownUser(user=user, password_hash=hashed)


async def unchanged(work: Work, known: KnownUser) -> User:
    """The user, locked. Raises Conflict where the password was changed since it was proved."""
    user = await work.users.get(lock=True)
    if await work.users.password_hash() != known.password_hash:
        raise Conflict("your password was changed meanwhile: try again")
    return user


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword:
    actor: Actor
    current: Secret
    new: Secret
    at: datetime
    renew: Renew | None = None


@command("password.change", permits=Permission.WRITE_SESSIONS, limited=may_prove)
async def change_password(app: App, cmd: ChangePassword) -> None:
    """Every other session ends, and no device is known any more.

    Raises:
        NotPermitted: SIGN_IN_FAILED, the current password is another.
        InvalidInput: WEAK_PASSWORD, or the new password is the current one.
        Conflict: it was changed meanwhile.
        RateLimited: too many attempts.
    """
    known = await proved(app, cmd, cmd.current, field=("input", "currentPassword"))
    field, new = ("input", "newPassword"), cmd.new.reveal()
    if cmd.new == cmd.current:
        raise InvalidInput("that is your password already", field=field)
    new_password(
        new,
        email=known.user.email,
        common=app.common_passwords,
        second_factor=known.user.totp_enabled,
        field=field,
    )
    hashed = await app.passwords.hash(new)
    async with app.begin(cmd) as work:
        user = await unchanged(work, known)
        if user.totp_enabled != known.user.totp_enabled:  # what its length was measured by
            raise Conflict("your second factor was changed meanwhile: try again")
        await work.users.replace_password(hashed)
        renew = await secured(app, work, cmd, cmd.renew)
        work.record(Event(name=EventName.PASSWORD_CHANGED, user_id=user.id, at=cmd.at))
        notify(work, user, Template.PASSWORD_CHANGED, at=cmd.at)
    renew()
