"""The second factor: codes of an authenticator app, and recovery codes for when it is lost."""

import base64
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from domain.commands.attempts import look, user_of
from domain.commands.mailing import notify
from domain.commands.passwords import may_prove, proved, unchanged
from domain.commands.sessions import Renew, secured
from domain.errors import Conflict, ErrorCode, Field, InvalidInput, NotPermitted
from domain.events import Event, EventName
from domain.handling import command
from domain.identity import Actor, Permission, User
from domain.limits import Limit
from domain.mail import Template
from domain.passwords import LENGTH_MIN, is_long
from domain.ports import App
from domain.sealing import Bound, Place, bound_to
from domain.secret import Secret
from domain.storage.doors import KnownUser
from domain.storage.work import Work

RECOVERY_CODES = 10
RECOVERY_BYTES = 10  # 80 bits: 16 letters and digits
RECOVERY_GROUP = 4
# At any moment three of a million codes are right. Whoever knows the password is given so many
# wrong ones, however often the limits of signing in refill.
WRONG_CODES = Limit(name="second-factor", burst=20, per_seconds=86_400, shared_only=True)


@asynccontextmanager
async def counting_wrong_codes(app: App, known: KnownUser) -> AsyncIterator[None]:
    """Around what asks for a code. A new password begins anew: no owner has to wait for whoever
    knew the old one.

    Raises RateLimited.
    """
    digest = app.tokens.digest(known.password_hash).hex()
    key = f"{user_of(known.user.id)}:{digest}"
    if known.user.totp_enabled:
        await look(app, key, WRONG_CODES)
    try:
        yield
    except NotPermitted as refusal:
        if refusal.code is ErrorCode.MFA_FAILED:
            await app.limits.take(key, WRONG_CODES)
        raise


async def pass_second_factor(
    app: App, work: Work, user: User, code: Secret | None, at: datetime, *, field: Field
) -> None:
    """Use up a code of the app or a recovery code; the user's row is locked.

    Raises:
        NotPermitted: MFA_REQUIRED without a code, MFA_FAILED with a wrong one or a used one.
    """
    said = "" if code is None else "".join(code.reveal().split())
    if not said:
        raise NotPermitted(
            "say the code of your authenticator app, or a recovery code",
            field=field,
            code=ErrorCode.MFA_REQUIRED,
        )
    if said.isascii() and said.isdigit():
        right = await _use_step(app, work, user, said, at)
    else:
        right = await work.second_factors.spend_code(_digest(app, said))
    if not right:
        raise wrong_code(field)


def wrong_code(field: Field) -> NotPermitted:
    return NotPermitted(
        "that code is wrong, or was used before", field=field, code=ErrorCode.MFA_FAILED
    )


async def _use_step(app: App, work: Work, user: User, code: str, at: datetime) -> bool:
    """Whether it is the code of a step after the last one that was used."""
    secret = await work.second_factors.secret()
    if secret is None:
        return False
    seed = app.vault.open(secret.sealed, context=_place(user, secret.version)).decode()
    step = app.one_time_codes.step(seed, code, at)
    if step is None or (secret.last_step is not None and step <= secret.last_step):
        return False
    await work.second_factors.use_step(step)
    return True


def _place(user: User, version: int) -> Bound:
    return bound_to(Place.TOTP_SEED, user.id, version=version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """For the app: `secret` to be typed, `uri` to be read from a QR code."""

    secret: Secret
    uri: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableTotp:
    actor: Actor
    at: datetime


@command("second_factor.begin", permits=Permission.WRITE_SESSIONS)
async def enable_totp(app: App, cmd: EnableTotp) -> Enrolment:
    """Begin; nothing is asked for at sign-in until a code of it was confirmed.

    A second call begins anew. Raises Conflict where it is on.
    """
    seed = app.one_time_codes.new_seed()
    async with app.begin(cmd) as work:
        user = await work.users.get(lock=True)
        if user.totp_enabled:
            raise Conflict("your second factor is on: disable it before you enable another")
        await work.second_factors.save_secret(
            lambda version: app.vault.seal(seed.encode(), context=_place(user, version))
        )
    uri = app.one_time_codes.uri(seed, account=user.email)
    return Enrolment(secret=Secret(seed), uri=Secret(uri))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmTotp:
    actor: Actor
    code: Secret
    at: datetime
    renew: Renew | None = None


@command("second_factor.enable", permits=Permission.WRITE_SESSIONS, limited=may_prove)
async def confirm_totp(app: App, cmd: ConfirmTotp) -> list[Secret]:
    """Turn it on, and every other session out: the recovery codes, which nobody can show again.
    No device is known any more.

    Raises:
        Conflict: it is on already, or was not begun.
        NotPermitted: MFA_FAILED.
        RateLimited: too many attempts.
    """
    codes = [secrets.token_bytes(RECOVERY_BYTES) for _ in range(RECOVERY_CODES)]
    texts = [base64.b32encode(code).decode().lower() for code in codes]
    async with app.begin(cmd) as work:
        user = await work.users.get(lock=True)
        if user.totp_enabled:
            raise Conflict("your second factor is on already")
        if await work.second_factors.secret() is None:
            raise Conflict("begin with enableTotp")
        said = "".join(cmd.code.reveal().split())
        if not await _use_step(app, work, user, said, cmd.at):
            raise wrong_code(("code",))
        await work.second_factors.replace_codes([_digest(app, text) for text in texts])
        renew = await _changed(app, work, replace(user, totp_enabled=True), cmd)
    renew()
    return [Secret(_grouped(text)) for text in texts]


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableTotp:
    actor: Actor
    password: Secret
    code: Secret
    at: datetime
    renew: Renew | None = None


@command("second_factor.disable", permits=Permission.WRITE_SESSIONS, limited=may_prove)
async def disable_totp(app: App, cmd: DisableTotp) -> None:
    """Turn it off, its recovery codes with it, and every other session out.

    Raises:
        NotPermitted: SIGN_IN_FAILED, MFA_REQUIRED, MFA_FAILED.
        InvalidInput: WEAK_PASSWORD, the password is too short to stand alone.
        Conflict: it is off, or the password was changed meanwhile.
        RateLimited: too many attempts.
    """
    known = await proved(app, cmd, cmd.password, field=("password",))
    if not known.user.totp_enabled:
        raise Conflict("your second factor is off already")
    if not is_long(cmd.password.reveal()):
        raise InvalidInput(
            f"without a second factor a password has at least {LENGTH_MIN} characters: "
            "change yours first",
            field=("password",),
            code=ErrorCode.WEAK_PASSWORD,
        )
    async with counting_wrong_codes(app, known), app.begin(cmd) as work:
        user = await unchanged(work, known)
        if not user.totp_enabled:
            raise Conflict("your second factor is off already")
        await pass_second_factor(app, work, user, cmd.code, cmd.at, field=("code",))
        await work.second_factors.forget()
        renew = await _changed(app, work, replace(user, totp_enabled=False), cmd)
    renew()


async def _changed(
    app: App, work: Work, user: User, cmd: "ConfirmTotp | DisableTotp"
) -> Callable[[], None]:
    at, change = cmd.at, "enabled" if user.totp_enabled else "disabled"
    await work.users.save(user)
    renew = await secured(app, work, cmd, cmd.renew)
    facts = {"change": change}
    work.record(Event(name=EventName.SECOND_FACTOR_CHANGED, user_id=user.id, at=at, facts=facts))
    notify(work, user, Template.SECOND_FACTOR_CHANGED, at=at, change=change)
    return renew


def _digest(app: App, code: str) -> bytes:
    """However it was copied: dashes and case do not count."""
    return app.tokens.digest("".join(c for c in code.lower() if c.isalnum()))


def _grouped(text: str) -> str:
    parts = range(0, len(text), RECOVERY_GROUP)
    return "-".join(text[at : at + RECOVERY_GROUP] for at in parts)
