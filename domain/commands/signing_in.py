"""Signing in."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.commands.attempts import network_of_address, take_sign_in
from domain.commands.mailing import notify
from domain.commands.second_factor import counting_wrong_codes, pass_second_factor
from domain.commands.sessions import SignedIn, begin_session, with_tokens
from domain.errors import ErrorCode, InvalidInput, NotFound, NotPermitted, Unavailable
from domain.events import Event, EventName
from domain.handling import command
from domain.identity import (
    NOBODY,
    SESSION_LIFETIME,
    Actor,
    Role,
    Session,
    SessionId,
    User,
    UserId,
    new_id,
    normal_email,
)
from domain.mail import Template
from domain.ports import App
from domain.secret import Secret
from domain.storage.doors import KnownUser
from domain.storage.work import Work

FAILED = "signin.failed"  # the job's name


def actor_of(known: KnownUser | None, origin: Actor) -> Actor:
    """Whom an attempt on an address is about, for the audit log; nobody where it is unknown."""
    if known is None:
        return replace(origin, user_id=NOBODY, role=Role.READONLY)
    return replace(origin, user_id=known.user.id, role=known.user.role)


async def known_by_email(app: App, email: str) -> KnownUser | None:
    try:
        return await app.doors.user_by_email(normal_email(email))
    except InvalidInput:
        return None


async def known_to_sign_in(app: App, email: str, known_device: str | None) -> KnownUser | None:
    """Whose address it is.

    Raises:
        Unavailable: too many wait already; told before anything is looked up, unless the client
            may be a device that places are kept for.
    """
    if known_device is None:
        app.passwords.check()
    return await known_by_email(app, email)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """`known` is whose address it is, and `actor` that user, or nobody. `code` is of the second
    factor. `cookie`: the session is kept by a cookie's opaque secret, not by tokens. `device` is
    what the client calls itself, `known_device` what it was given when it signed in before.
    `replaces` is the session of the cookie that it has until now.
    """

    actor: Actor
    known: KnownUser | None
    email: str
    password: Secret
    code: Secret | None = None
    cookie: bool
    device: str | None
    known_device: str | None = field(default=None, repr=False)
    replaces: SessionId | None = None
    at: datetime

    def is_known(self, app: App) -> bool:
        """From a device that signed in to this account before."""
        user = None if self.known is None else self.known.user
        return app.devices.known(self.known_device, user, self.at)


async def _may_sign_in(app: App, cmd: SignIn) -> None:
    is_known = cmd.is_known(app)
    app.passwords.check(is_known=is_known)  # what cannot be evaluated is no attempt
    await take_sign_in(app, cmd.actor, cmd.email, is_known=is_known)


@command("session.start", permits=None, limited=_may_sign_in)
async def sign_in(app: App, cmd: SignIn) -> SignedIn:
    """Begin a session. Where there are too many, the one used longest ago ends.

    Whoever does not know the password learns nothing: an unknown address takes the same statements
    and the same work as a wrong password, and what differs is left to the worker.

    Raises:
        NotPermitted: SIGN_IN_FAILED, the same for an unknown address and a wrong password;
            after the right one EMAIL_NOT_VERIFIED, MFA_REQUIRED, MFA_FAILED.
        RateLimited: too many attempts on this account or from this address.
    """
    known = cmd.known
    try:
        for _ in range(2):
            await _verify(app, cmd, known)
            try:
                return await _begun(app, cmd, known)
            except (_Changed, NotFound):  # or the user is gone
                known = await known_by_email(app, cmd.email)
        raise _failed()
    except NotPermitted as refusal:
        if refusal.code in (ErrorCode.SIGN_IN_FAILED, ErrorCode.MFA_FAILED):
            await _leave_failed(app, cmd, refusal.code)
        raise


class _Changed(Exception):
    """The password that was right is not the user's any more, or was only hashed anew."""


async def _verify(app: App, cmd: SignIn, known: KnownUser | None) -> None:
    """One Argon2, whoever it is."""
    hashed = None if known is None else known.password_hash
    said, is_known = cmd.password.reveal(), cmd.is_known(app)
    if not await app.passwords.verify(said, hashed, is_known=is_known):
        raise _failed()


def _failed() -> NotPermitted:
    return NotPermitted("the address or the password is wrong", code=ErrorCode.SIGN_IN_FAILED)


async def _begun(app: App, cmd: SignIn, known: KnownUser | None) -> SignedIn:
    assert known is not None  # noqa: S101 - no password is right for nobody
    secret, rehashed = app.tokens.new_secret(), None
    if app.passwords.needs_rehash(known.password_hash):
        with suppress(Unavailable):  # another time, where too many wait
            rehashed = await app.passwords.hash(cmd.password.reveal())
    begun = await _session(app, cmd, known.user, secret)
    async with counting_wrong_codes(app, known), app.begin(cmd) as work:
        user = await work.users.get(lock=True)
        if await work.users.password_hash() != known.password_hash:
            raise _Changed
        await _admit(app, work, user, cmd)
        if rehashed:
            await work.users.save_password(rehashed, was=known.password_hash)
        if not cmd.is_known(app):
            await _tell_owner(work, user, begun)
        user = replace(user, last_sign_in_at=cmd.at)
        await work.users.save(user)
        session = await begin_session(
            work,
            user,
            begun,
            most=user.session_limit or app.session_limit,
            replaces=cmd.replaces,
        )
    device = app.devices.issue(user, cmd.at)
    if cmd.cookie:
        return SignedIn(user=user, cookie_secret=Secret(secret), device=device)
    return replace(with_tokens(app, user, session, secret, cmd.at), device=device)


async def _admit(app: App, work: Work, user: User, cmd: SignIn) -> None:
    """What else it takes, told only to whoever knows the password."""
    if not user.email_verified:
        raise NotPermitted(
            "this address is not confirmed yet: open the link that was mailed to it, or register "
            "again to get another",
            code=ErrorCode.EMAIL_NOT_VERIFIED,
        )
    if user.totp_enabled:
        await pass_second_factor(app, work, user, cmd.code, cmd.at, field=("input", "code"))


async def _tell_owner(work: Work, user: User, begun: Session) -> None:
    """Mail whom the account belongs to: it may be another who signs in from an unknown device.

    Not of the first time with this password, which is who chose it, and not where a session goes on
    that began with the same client at the same place, as one that keeps no device does each time.
    """
    last, changed = user.last_sign_in_at, user.password_changed_at
    if last is None or (changed is not None and last < changed):
        return
    for session in await work.sessions.live(begun.created_at):
        if _seen_as(session) == _seen_as(begun):
            return
    words = {"device": begun.device, "location": begun.location, "ip_address": begun.ip_address}
    said = {name: word or "" for name, word in words.items()}
    notify(work, user, Template.NEW_DEVICE, at=begun.created_at, **said)


def _seen_as(session: Session) -> tuple[str | None, str]:
    return session.device, network_of_address(session.ip_address)


async def _session(app: App, cmd: SignIn, user: User, secret: str) -> Session:
    ip = cmd.actor.ip_address
    return Session(
        id=SessionId(new_id()),
        user_id=user.id,
        created_at=cmd.at,
        last_used_at=cmd.at,
        expires_at=cmd.at + SESSION_LIFETIME,
        refresh_hash=app.tokens.digest(secret),
        is_cookie=cmd.cookie,
        device=await app.device_of(cmd.device),
        ip_address=ip,
        location=app.place_of(ip),
    )


async def _leave_failed(app: App, cmd: SignIn, code: ErrorCode) -> None:
    """For the worker, since only a user can be told: of nobody, nothing comes of it."""
    payload = {"at": cmd.at.isoformat(), "code": code.value, "ip": cmd.actor.ip_address or ""}
    async with app.begin(cmd, last=False) as work:
        work.later(FAILED, key=str(new_id()), payload=payload)


async def record_failed(app: App, user_id: UserId, payload: Mapping[str, str]) -> None:
    """The worker's part. Nobody asked for it; the audit log has the attempt itself.

    Raises NotFound where the user is gone by now.
    """
    if user_id == NOBODY:
        return
    facts = {"code": payload["code"], "ip_address": payload["ip"]}
    async with app.store.begin(Actor(user_id=user_id, role=Role.READONLY), None) as work:
        user = await work.users.get()
        at = datetime.fromisoformat(payload["at"])
        work.record(Event(name=EventName.SIGNIN_FAILED, user_id=user.id, at=at, facts=facts))
