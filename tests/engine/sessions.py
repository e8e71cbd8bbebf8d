"""Signing in, going on and signing out, as the session tests do it."""

import pytest

from domain.commands import signing_in
from domain.commands.sessions import (
    RefreshSession,
    SignedIn,
    SignOut,
    actor_of_token,
    refresh_session,
    sign_out,
)
from domain.commands.signing_in import SignIn, known_by_email, sign_in
from domain.errors import ErrorCode, InvalidInput
from domain.identity import NOBODY, Actor, Role, SessionId, UserId
from domain.ports import App
from domain.secret import Secret
from tests.engine.world import PASSWORD, Engine

EMAIL = "ann@example.com"
PHONE = "192.0.2.7"


def nobody(ip: str | None = PHONE) -> Actor:
    return Actor(user_id=NOBODY, role=Role.READONLY, ip_address=ip)


async def enter(
    engine: Engine,
    *,
    email: str = EMAIL,
    password: str = PASSWORD,
    code: str | Secret | None = None,
    cookie: bool = False,
    ip: str | None = PHONE,
    client: str | None = "Phone",
    known_device: Secret | None = None,
    replaces: SessionId | None = None,
    app: App | None = None,
) -> SignedIn:
    known = await known_by_email(engine.app, email)
    cmd = SignIn(
        actor=signing_in.actor_of(known, nobody(ip)),
        known=known,
        email=email,
        password=Secret(password),
        code=Secret(code) if isinstance(code, str) else code,
        cookie=cookie,
        device=client,
        known_device=None if known_device is None else known_device.reveal(),
        replaces=replaces,
        at=engine.clock(),
    )
    return await sign_in(app or engine.app, cmd)


async def refresh(engine: Engine, token: Secret | None, *, ip: str | None = PHONE) -> Secret:
    """The successor."""
    assert token is not None
    actor = await actor_of_token(engine.app, token.reveal(), nobody(ip))
    cmd = RefreshSession(actor=actor, refresh_token=token, at=engine.clock())
    successor = (await refresh_session(engine.app, cmd)).refresh_token
    assert successor is not None
    return successor


async def leave(engine: Engine, token: Secret | None) -> None:
    assert token is not None
    actor = await actor_of_token(engine.app, token.reveal(), nobody())
    await sign_out(engine.app, SignOut(actor=actor, at=engine.clock()))


async def actor_of(engine: Engine, signed_in: SignedIn, *, ip: str | None = PHONE) -> Actor:
    """Whoever asks in this session."""
    token = signed_in.refresh_token or signed_in.cookie_secret
    assert token is not None
    return await actor_of_token(engine.app, token.reveal(), nobody(ip))


async def refused(engine: Engine, token: Secret | None) -> ErrorCode:
    with pytest.raises(InvalidInput) as refusal:
        await refresh(engine, token)
    return refusal.value.code


async def is_good(engine: Engine, signed_in: SignedIn) -> bool:
    """Whether a gateway with nothing in memory takes what was issued: a token, or a cookie."""
    app, at = engine.app, engine.clock()
    if signed_in.cookie_secret is not None:
        live = await app.doors.session_by_hash(app.tokens.digest(signed_in.cookie_secret.reveal()))
        return live is not None and at < live.until
    assert signed_in.access_token is not None
    claims = engine.wired.tokens.read(signed_in.access_token.reveal(), now=at)
    live = await app.doors.session_by_id(UserId(claims.user_id), SessionId(claims.session_id))
    assert live is not None
    return live.admits(version=claims.version, generation=claims.generation, at=at)
