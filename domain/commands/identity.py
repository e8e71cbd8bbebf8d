"""Signing in and out, and what a person says about themselves."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from domain.errors import ErrorCode, InvalidInput, NotPermitted, RateLimited
from domain.events import Event, EventName
from domain.handling import command
from domain.identity import (
    NOBODY,
    REFRESH_GRACE,
    SESSION_LIFETIME,
    UNSET,
    Actor,
    Maybe,
    Permission,
    Role,
    Session,
    SessionId,
    User,
    UserId,
    known_time_zone,
    new_id,
    normal_email,
    session_limit,
    strong_password,
)
from domain.money import Currency, currency
from domain.ports import App, KnownUser, Limit
from domain.storage import Work

ACCESS_LIFETIME = timedelta(minutes=15)
DEVICE_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A session just begun or gone on with: its tokens, or the secret of its cookie."""

    user: User
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    cookie_secret: str | None = field(default=None, repr=False)
    expires_in_s: int = int(ACCESS_LIFETIME.total_seconds())


async def actor_of_email(app: App, email: str, ip: str | None) -> Actor:
    """Whom an attempt on this address is about, for the audit log; nobody where it is unknown."""
    known = await _known(app, email)
    if known is None:
        return Actor(user_id=NOBODY, role=Role.READONLY, ip_address=ip)
    return Actor(user_id=known.user.id, role=known.user.role, ip_address=ip)


async def actor_of_token(app: App, token: str, ip: str | None) -> Actor:
    live = await app.doors.session_by_hash(app.tokens.digest(token))
    if live is None:
        return Actor(user_id=NOBODY, role=Role.READONLY, ip_address=ip)
    return Actor(
        user_id=live.session.user_id, role=live.role, session_id=live.session.id, ip_address=ip
    )


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
    await _take(app, _place(cmd.actor), limits.sign_in_address)
    await _take(app, f"account:{cmd.email.strip().lower()}", limits.sign_in_account)


@command("session.start", permits=None, limited=_may_sign_in)
async def sign_in(app: App, cmd: SignIn) -> SignedIn:
    """Begin a session. Where there are too many, the one used longest ago ends.

    Raises:
        NotPermitted: SIGN_IN_FAILED, the same for an unknown address and a wrong password.
        RateLimited: too many attempts on this account or from this address.
    """
    known = await _known(app, cmd.email)
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
        work.record(_session_event(EventName.SESSION_STARTED, session, cmd.at))
    if cmd.cookie:
        return SignedIn(user=user, cookie_secret=secret)
    return _with_tokens(app, user, session, secret, cmd.at)


async def _make_room(work: Work, most: int, at: datetime) -> None:
    live = await work.sessions.live(at, lock=True)
    for session in live[: max(0, len(live) + 1 - most)]:
        await work.sessions.save(replace(session, ended_at=at))
        work.record(_session_event(EventName.SESSION_REVOKED, session, at))


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSession:
    actor: Actor
    refresh_token: str = field(repr=False)
    at: datetime


async def _may_refresh(app: App, cmd: RefreshSession) -> None:
    known = cmd.actor.session_id is not None
    key = f"user:{cmd.actor.user_id}" if known else _place(cmd.actor)
    await _take(app, key, app.limit_settings.refresh)


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
    return _with_tokens(app, user, session, successor, cmd.at)


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
            work.record(_session_event(EventName.TOKEN_REUSED, session, cmd.at))
            work.record(_session_event(EventName.SESSION_REVOKED, session, cmd.at))


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
            work.record(_session_event(EventName.SESSION_REVOKED, session, cmd.at))


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSettings:
    actor: Actor
    base_currency: Maybe[str]
    time_zone: Maybe[str]
    session_limit: Maybe[int]
    at: datetime


@command("settings.update", permits=Permission.WRITE_SETTINGS)
async def update_settings(app: App, cmd: UpdateSettings) -> User:
    """Raises:
    InvalidInput: no such currency or time zone, or a limit out of range.
    """
    async with app.begin(cmd) as work:
        user = await work.users.get(lock=True)
        changed = replace(
            user,
            base_currency=_base_currency(cmd.base_currency, user.base_currency),
            time_zone=_time_zone(cmd.time_zone, user.time_zone),
            session_limit=user.session_limit
            if cmd.session_limit is UNSET
            else session_limit(cmd.session_limit),
        )
        if changed != user:
            await work.users.save(changed)
    return changed


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateUser:
    """`actor` is of the user to be: the identity inside which the row is made."""

    actor: Actor
    email: str
    password: str = field(repr=False)
    role: Role
    at: datetime


def actor_to_be(role: Role) -> Actor:
    return Actor(user_id=UserId(new_id()), role=role)


@command("user.create", permits=None)
async def create_user(app: App, cmd: CreateUser) -> User:
    """A person with a verified address, made by the operator from the shell.

    Raises:
        InvalidInput: no address, or WEAK_PASSWORD.
        Conflict: the address is taken.
    """
    email = normal_email(cmd.email)
    strong_password(cmd.password, email=email, field=("input", "password"))
    user = User(
        id=cmd.actor.user_id,
        email=email,
        email_verified=True,
        role=cmd.role,
        created_at=cmd.at,
        base_currency=Currency("USD"),
        time_zone="UTC",
    )
    hashed = await app.passwords.hash(cmd.password)
    async with app.begin(cmd) as work:
        await work.users.add(user, hashed)
    return user


async def _known(app: App, email: str) -> KnownUser | None:
    try:
        return await app.doors.user_by_email(normal_email(email))
    except InvalidInput:
        return None


async def _take(app: App, key: str, limit: Limit) -> None:
    verdict = await app.limits.take(key, limit)
    if not verdict.allowed:
        wait = int(verdict.retry_after_s) + 1
        raise RateLimited(f"too many attempts; try again in {wait} s", retry_after_s=wait)


def _place(actor: Actor) -> str:
    """From where: an address, or of IPv6 the /64, all of which one household has."""
    try:
        address = ip_address(actor.ip_address or "")
    except ValueError:
        return "address:unknown"
    return f"address:{ip_network((address, 64), strict=False) if address.version == 6 else address}"


def _with_tokens(app: App, user: User, session: Session, refresh: str, at: datetime) -> SignedIn:
    access = app.tokens.issue(
        user_id=user.id,
        session_id=session.id,
        role=user.role.value,
        version=user.token_version,
        now=at,
    )
    return SignedIn(user=user, access_token=access, refresh_token=refresh)


def _session_event(name: EventName, session: Session, at: datetime) -> Event:
    return Event(name=name, user_id=session.user_id, at=at, facts={"session": str(session.id)})


def _base_currency(said: Maybe[str], now: Currency) -> Currency:
    if said is UNSET or said is None:
        return now
    try:
        return currency(str(said))
    except ValueError as error:
        raise InvalidInput(str(error), field=("input", "baseCurrency")) from None


def _time_zone(said: Maybe[str], now: str) -> str:
    return now if said is UNSET or said is None else known_time_zone(str(said))
