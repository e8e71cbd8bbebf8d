"""Sessions: what they go on with, and how their owners end them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from domain.audit import Command
from domain.commands.attempts import network_of, take, user_of
from domain.commands.ending import end, end_others, goes_on, session_event
from domain.commands.mailing import notify
from domain.errors import ErrorCode, InvalidInput, NotFound
from domain.events import EventName
from domain.handling import command
from domain.identity import (
    ACCESS_LIFETIME,
    REFRESH_GRACE,
    Actor,
    Permission,
    Session,
    SessionId,
    User,
)
from domain.mail import Template
from domain.ports import App
from domain.secret import Secret
from domain.storage.work import Work

TOKEN = ("refreshToken",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session just begun or gone on with: its tokens, or the secret of its cookie. `device` is
    what the client shows when it signs in again."""

    user: User
    access_token: Secret | None = None
    refresh_token: Secret | None = None
    cookie_secret: Secret | None = None
    device: Secret | None = None
    expires_in_s: int = int(ACCESS_LIFETIME.total_seconds())


async def actor_of_token(app: App, token: str, origin: Actor) -> Actor:
    """In which session whoever asks is; the `origin` itself where the token was never ours."""
    live = await app.doors.session_by_hash(app.tokens.digest(token))
    if live is None:
        return origin
    session = live.session
    return replace(origin, user_id=session.user_id, role=live.role, session_id=session.id)


async def begin_session(
    work: Work, user: User, session: Session, *, most: int, replaces: SessionId | None = None
) -> Session:
    """A session of this user, in a unit of work that has their row locked.

    It `replaces` the one whose cookie the browser had, if that is theirs too. Where there are
    more than `most`, those used longest ago end.
    """
    at, config = session.created_at, await work.security.get()
    session = session.stamped(token_version=user.token_version, config=config)
    live = await work.sessions.live(at, lock=True)
    others = [s for s in live if s.id != replaces and goes_on(s, user, config, at)]
    ending = [s for s in live if s.id == replaces]
    await end(work, [*ending, *others[: max(0, len(others) + 1 - most)]], at)
    await work.sessions.add(session)
    work.record(session_event(EventName.SESSION_STARTED, session, at))
    return session


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSession:
    actor: Actor
    refresh_token: Secret
    at: datetime


async def _may_refresh(app: App, cmd: RefreshSession) -> None:
    known = cmd.actor.session_id is not None
    key = user_of(cmd.actor.user_id) if known else network_of(cmd.actor)
    await take(app, key, app.limit_settings.refresh)


@command("session.refresh", permits=None, limited=_may_refresh)
async def refresh_session(app: App, cmd: RefreshSession) -> SignedIn:
    """Exchange a refresh token for its successor; a repeat within the grace gets the same one.

    Within the grace of a rotation of all tokens, what is given is of the new generation.

    Raises:
        InvalidInput: TOKEN_INVALID, TOKEN_EXPIRED, or TOKEN_REUSED, which ends the session.
        RateLimited: too many exchanges.
    """
    said = cmd.refresh_token.reveal()
    presented = app.tokens.digest(said)
    if cmd.actor.session_id is None:
        raise InvalidInput(
            "this refresh token is not known", field=TOKEN, code=ErrorCode.TOKEN_INVALID
        )
    successor = app.tokens.successor(said)
    following = app.tokens.digest(successor)
    try:
        async with app.begin(cmd) as work:
            user, session = await _refreshable(work, cmd.actor.session_id, cmd.at)
            if session.refresh_hash == presented:
                session = _here(app, session, cmd).rotated(refresh_hash=following, at=cmd.at)
                await work.sessions.spend(session.id, presented, cmd.at)
            else:
                spent_at = await work.sessions.spent_at(session.id, presented)
                follows = session.refresh_hash == following
                if not follows or spent_at is None or cmd.at - spent_at > REFRESH_GRACE:
                    raise _reused()
            await work.sessions.save(session)
    except InvalidInput as refusal:
        if refusal.code is ErrorCode.TOKEN_REUSED:
            await _end_reused(app, cmd, cmd.actor.session_id)
        raise
    return with_tokens(app, user, session, successor, cmd.at)


async def _refreshable(work: Work, id: SessionId, at: datetime) -> tuple[User, Session]:
    """As what is issued in it from now on has to be; locked."""
    session = await work.sessions.get(id, lock=True)
    if session is not None and not session.is_cookie:  # else the user may be gone, too
        user, config = await work.users.get(), await work.security.get()
        if goes_on(session, user, config, at):
            return user, session.stamped(token_version=user.token_version, config=config)
    raise InvalidInput("this session is over", field=TOKEN, code=ErrorCode.TOKEN_EXPIRED)


def _reused() -> InvalidInput:
    return InvalidInput(
        "this refresh token was used before; its session has been ended",
        field=TOKEN,
        code=ErrorCode.TOKEN_REUSED,
    )


async def _end_reused(app: App, cmd: RefreshSession, id: SessionId) -> None:
    """In a unit of its own: the command has failed, and the session ends all the same."""
    async with app.begin(cmd, last=False) as work:
        session = await work.sessions.get(id, lock=True)
        if session is None or session.ended_at is not None:
            return
        user = await work.users.get()
        work.record(session_event(EventName.TOKEN_REUSED, session, cmd.at))
        await end(work, [session], cmd.at)
        words = {"device": session.device or "", "ip_address": cmd.actor.ip_address or ""}
        notify(work, user, Template.TOKEN_REUSED, at=cmd.at, **words)


def _here(app: App, session: Session, cmd: RefreshSession) -> Session:
    """The session, used from where the actor is."""
    ip = cmd.actor.ip_address
    if ip is None or ip == session.ip_address:
        return session
    return replace(session, ip_address=ip, location=app.place_of(ip))


async def note_use(app: App, actor: Actor, at: datetime) -> None:
    """That the actor's session was used. Nobody asked for it, so the audit log has no entry."""
    if actor.session_id is None:
        return
    async with app.store.begin(actor, None) as work:
        session = await work.sessions.get(actor.session_id, lock=True)
        if session is None or not session.is_live(at):
            return
        used = session.used(at=at, ip=actor.ip_address)
        if used.ip_address is not None and used.ip_address != session.ip_address:
            used = replace(used, location=app.place_of(used.ip_address))
        if used != session:
            await work.sessions.save(used)


Renew = Callable[[Secret], None]
"""Given the new secret of the actor's cookie, once the old one is dead."""


async def secured(app: App, work: Work, cmd: Command, renew: Renew | None) -> Callable[[], None]:
    """After what signs in has changed: every other session ends, and the cookie of the actor's own
    gets a new secret; what is given says it to `renew`, and is for once this is committed. Without
    `renew`, nothing could tell the browser; and tokens stay as they are.
    """
    await end_others(work, cmd.actor, cmd.at)
    if renew is None or cmd.actor.session_id is None:
        return _nothing_new
    session = await work.sessions.get(cmd.actor.session_id, lock=True)
    if session is None or not session.is_cookie:
        return _nothing_new
    secret = app.tokens.new_secret()
    await work.sessions.renew(replace(session, refresh_hash=app.tokens.digest(secret)))
    return partial(renew, Secret(secret))


def _nothing_new() -> None:
    """The browser's cookie is as it was."""


async def note_provider(work: Work, actor: Actor, slug: str) -> None:
    """That a command of the actor's session had to do with this provider."""
    if actor.session_id is not None:
        await work.sessions.note_provider(actor.session_id, slug)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOut:
    actor: Actor
    at: datetime


@command("session.end", permits=None)
async def sign_out(app: App, cmd: SignOut) -> None:
    """End the actor's own session, everywhere at once."""
    if cmd.actor.session_id is None:
        return
    async with app.begin(cmd) as work:
        session = await work.sessions.get(cmd.actor.session_id, lock=True)
        if session is not None and session.ended_at is None:
            await end(work, [session], cmd.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeSession:
    actor: Actor
    session_id: SessionId
    at: datetime


@command("session.revoke", permits=Permission.WRITE_SESSIONS)
async def revoke_session(app: App, cmd: RevokeSession) -> None:
    """End one of the actor's sessions, which may be their own.

    Raises:
        NotFound: it is over, not theirs, or never was.
    """
    async with app.begin(cmd) as work:
        session = await work.sessions.get(cmd.session_id, lock=True)
        user, config = await work.users.get(), await work.security.get()
        if session is None or not goes_on(session, user, config, cmd.at):
            raise NotFound("no such session")
        await end(work, [session], cmd.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeOtherSessions:
    actor: Actor
    at: datetime


@command("session.revoke_others", permits=Permission.WRITE_SESSIONS)
async def revoke_other_sessions(app: App, cmd: RevokeOtherSessions) -> int:
    """End all of the actor's sessions but this one; how many went on until now."""
    async with app.begin(cmd) as work:
        user, config = await work.users.get(lock=True), await work.security.get()
        ended = await end_others(work, cmd.actor, cmd.at)
    return sum(goes_on(session, user, config, cmd.at) for session in ended)


def with_tokens(app: App, user: User, session: Session, refresh: str, at: datetime) -> SignedIn:
    access = app.tokens.issue(
        user_id=user.id,
        session_id=session.id,
        version=session.token_version,
        generation=session.generation,
        now=at,
    )
    return SignedIn(user=user, access_token=Secret(access), refresh_token=Secret(refresh))
