"""Sessions: what they go on with, and how they end."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.commands.attempts import place_of, take
from domain.errors import ErrorCode, InvalidInput
from domain.events import Event, EventName
from domain.handling import command
from domain.identity import NOBODY, REFRESH_GRACE, Actor, Role, Session, SessionId, User
from domain.ports import App
from domain.storage.work import Work

ACCESS_LIFETIME = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session just begun or gone on with: its tokens, or the secret of its cookie."""

    user: User
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    cookie_secret: str | None = field(default=None, repr=False)
    expires_in_s: int = int(ACCESS_LIFETIME.total_seconds())


async def actor_of_token(app: App, token: str, ip: str | None) -> Actor:
    live = await app.doors.session_by_hash(app.tokens.digest(token))
    if live is None:
        return Actor(user_id=NOBODY, role=Role.READONLY, ip_address=ip)
    return Actor(
        user_id=live.session.user_id, role=live.role, session_id=live.session.id, ip_address=ip
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSession:
    actor: Actor
    refresh_token: str = field(repr=False)
    at: datetime


async def _may_refresh(app: App, cmd: RefreshSession) -> None:
    known = cmd.actor.session_id is not None
    key = f"user:{cmd.actor.user_id}" if known else place_of(cmd.actor)
    await take(app, key, app.limit_settings.refresh)


@command("session.refresh", permits=None, limited=_may_refresh)
async def refresh_session(app: App, cmd: RefreshSession) -> SignedIn:
    """Exchange a refresh token for its successor; a repeat within the grace gets the same one.

    Raises:
        InvalidInput: TOKEN_INVALID, TOKEN_EXPIRED, or TOKEN_REUSED, which ends the session.
        RateLimited: too many exchanges.
    """
    presented = app.tokens.digest(cmd.refresh_token)
    if cmd.actor.session_id is None:
        raise InvalidInput(
            "this refresh token is not known",
            field=("refreshToken",),
            code=ErrorCode.TOKEN_INVALID,
        )
    successor = app.tokens.successor(cmd.refresh_token)
    try:
        async with app.begin(cmd) as work:
            session = await _refreshable(work, cmd.actor.session_id, cmd.at)
            user = await work.users.get()
            if session.refresh_hash == presented:
                session = session.rotated(refresh_hash=app.tokens.digest(successor), at=cmd.at)
                await work.sessions.save(session)
                await work.sessions.spend(session.id, presented, cmd.at)
            else:
                spent_at = await work.sessions.spent_at(session.id, presented)
                follows = session.refresh_hash == app.tokens.digest(successor)
                if not follows or spent_at is None or cmd.at - spent_at > REFRESH_GRACE:
                    raise _reused()
    except InvalidInput as refusal:
        if refusal.code is ErrorCode.TOKEN_REUSED:
            await _end_reused(app, cmd, cmd.actor.session_id)
        raise
    return with_tokens(app, user, session, successor, cmd.at)


async def _refreshable(work: Work, id: SessionId, at: datetime) -> Session:
    session = await work.sessions.get(id, lock=True)
    if session is None or session.is_cookie or not session.is_live(at):
        raise InvalidInput(
            "this session is over", field=("refreshToken",), code=ErrorCode.TOKEN_EXPIRED
        )
    return session


def _reused() -> InvalidInput:
    return InvalidInput(
        "this refresh token was used before; its session has been ended",
        field=("refreshToken",),
        code=ErrorCode.TOKEN_REUSED,
    )


async def _end_reused(app: App, cmd: RefreshSession, id: SessionId) -> None:
    """In a unit of its own: the command has failed, and the session ends all the same."""
    async with app.begin(cmd, last=False) as work:
        session = await work.sessions.get(id, lock=True)
        if session is not None and session.ended_at is None:
            await work.sessions.save(replace(session, ended_at=cmd.at))
            work.record(session_event(EventName.TOKEN_REUSED, session, cmd.at))
            work.record(session_event(EventName.SESSION_REVOKED, session, cmd.at))


async def note_use(app: App, actor: Actor, at: datetime) -> None:
    """That the actor's session was used. Nobody asked for it, so the audit log has no entry."""
    if actor.session_id is None:
        return
    async with app.store.begin(actor, None) as work:
        session = await work.sessions.get(actor.session_id, lock=True)
        if session is not None and session.is_live(at) and session.used(at=at) != session:
            await work.sessions.save(session.used(at=at))


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
            await work.sessions.save(replace(session, ended_at=cmd.at))
            work.record(session_event(EventName.SESSION_REVOKED, session, cmd.at))


def with_tokens(app: App, user: User, session: Session, refresh: str, at: datetime) -> SignedIn:
    access = app.tokens.issue(
        user_id=user.id,
        session_id=session.id,
        role=user.role.value,
        version=user.token_version,
        now=at,
    )
    return SignedIn(user=user, access_token=access, refresh_token=refresh)


def session_event(name: EventName, session: Session, at: datetime) -> Event:
    return Event(name=name, user_id=session.user_id, at=at, facts={"session": str(session.id)})
