"""Signing in."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.commands.attempts import place_of, take
from domain.commands.sessions import SignedIn, session_event, with_tokens
from domain.errors import ErrorCode, InvalidInput, NotPermitted
from domain.events import EventName
from domain.handling import command
from domain.identity import (
    NOBODY,
    SESSION_LIFETIME,
    Actor,
    Role,
    Session,
    SessionId,
    new_id,
    normal_email,
)
from domain.ports import App, KnownUser
from domain.storage.work import Work

DEVICE_MAX = 200


async def actor_of_email(app: App, email: str, ip: str | None) -> Actor:
    """Whom an attempt on this address is about, for the audit log; nobody where it is unknown."""
    known = await known_by_email(app, email)
    if known is None:
        return Actor(user_id=NOBODY, role=Role.READONLY, ip_address=ip)
    return Actor(user_id=known.user.id, role=known.user.role, ip_address=ip)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """`cookie`: the session is kept by a cookie's opaque secret, not by tokens."""

    actor: Actor
    email: str
    password: str = field(repr=False)
    cookie: bool
    device: str | None
    at: datetime


async def _may_sign_in(app: App, cmd: SignIn) -> None:
    limits = app.limit_settings
    await take(app, place_of(cmd.actor), limits.sign_in_address)
    await take(app, f"account:{cmd.email.strip().lower()}", limits.sign_in_account)


@command("session.start", permits=None, limited=_may_sign_in)
async def sign_in(app: App, cmd: SignIn) -> SignedIn:
    """Begin a session. Where there are too many, the one used longest ago ends.

    Raises:
        NotPermitted: SIGN_IN_FAILED, the same for an unknown address and a wrong password.
        RateLimited: too many attempts on this account or from this address.
    """
    known = await known_by_email(app, cmd.email)
    right = await app.passwords.verify(cmd.password, known.password_hash if known else None)
    if known is None or not right:
        raise NotPermitted("the address or the password is wrong", code=ErrorCode.SIGN_IN_FAILED)
    if not known.user.email_verified:
        raise NotPermitted("this address has not been verified", code=ErrorCode.EMAIL_NOT_VERIFIED)
    secret = app.tokens.new_secret()
    session = Session(
        id=SessionId(new_id()),
        user_id=known.user.id,
        created_at=cmd.at,
        last_used_at=cmd.at,
        expires_at=cmd.at + SESSION_LIFETIME,
        refresh_hash=app.tokens.digest(secret),
        is_cookie=cmd.cookie,
        device=cmd.device[:DEVICE_MAX] if cmd.device else None,
        ip_address=cmd.actor.ip_address,
    )
    rehashed = None
    if app.passwords.needs_rehash(known.password_hash):
        rehashed = await app.passwords.hash(cmd.password)
    async with app.begin(cmd) as work:
        user = await work.users.get(lock=True)
        if rehashed:
            await work.users.save_password(rehashed, was=known.password_hash)
        await _make_room(work, user.session_limit or app.session_limit, cmd.at)
        await work.sessions.add(session)
        work.record(session_event(EventName.SESSION_STARTED, session, cmd.at))
    if cmd.cookie:
        return SignedIn(user=user, cookie_secret=secret)
    return with_tokens(app, user, session, secret, cmd.at)


async def _make_room(work: Work, most: int, at: datetime) -> None:
    live = await work.sessions.live(at, lock=True)
    for session in live[: max(0, len(live) + 1 - most)]:
        await work.sessions.save(replace(session, ended_at=at))
        work.record(session_event(EventName.SESSION_REVOKED, session, at))


async def known_by_email(app: App, email: str) -> KnownUser | None:
    try:
        return await app.doors.user_by_email(normal_email(email))
    except InvalidInput:
        return None
