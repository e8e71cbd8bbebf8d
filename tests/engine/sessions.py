"""Signing in, going on and signing out, as the session tests do it."""

from domain.commands.sessions import (
    RefreshSession,
    SignedIn,
    SignOut,
    actor_of_token,
    refresh_session,
    sign_out,
)
from domain.commands.signing_in import SignIn, actor_of_email, sign_in
from domain.ports import App
from tests.engine.world import PASSWORD, Engine

EMAIL = "ann@example.com"
PHONE = "192.0.2.7"


async def enter(
    engine: Engine,
    *,
    password: str = PASSWORD,
    cookie: bool = False,
    ip: str | None = PHONE,
    app: App | None = None,
) -> SignedIn:
    cmd = SignIn(
        actor=await actor_of_email(engine.app, EMAIL, ip),
        email=EMAIL,
        password=password,
        cookie=cookie,
        device="Phone",
        at=engine.clock(),
    )
    return await sign_in(app or engine.app, cmd)


async def refresh(engine: Engine, token: str | None, *, ip: str | None = PHONE) -> str:
    """The successor."""
    assert token is not None
    actor = await actor_of_token(engine.app, token, ip)
    cmd = RefreshSession(actor=actor, refresh_token=token, at=engine.clock())
    successor = (await refresh_session(engine.app, cmd)).refresh_token
    assert successor is not None
    return successor


async def leave(engine: Engine, token: str | None) -> None:
    assert token is not None
    actor = await actor_of_token(engine.app, token, PHONE)
    await sign_out(engine.app, SignOut(actor=actor, at=engine.clock()))
