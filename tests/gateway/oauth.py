"""A gateway whose banks ask for consent at a server of their own, and the people who use it."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import asyncpg
import httpx2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from domain.commands.sessions import note_use
from gateway.asgi import graphql_view
from gateway.auth import Authenticator
from gateway.routes.oauth import Callback
from gateway.telemetry.tracing import Traced
from gateway.wiring.root import Wired, wire
from tests.e2e.stack import Client, make_user
from tests.engine.world import known, roomy, settings_of
from tests.providers.authorized import Bank, Dialogue
from tests.providers.simulators.authorization import AuthorizationServer
from tests.servers import Database

HERE = "http://127.0.0.1:8000"
APP = "https://app.example.com/links?tab=new"
BEGIN = """mutation Begin($input: ConnectProviderInput!) { connectProvider(input: $input) {
  link { id status } authorizationUrl state linkToken expiresAt
  errors { __typename code message field ... on Conflict { existingId } } } }"""
COMPLETE = """mutation Complete($input: CompleteAuthorizationInput!) {
  completeAuthorization(input: $input) { link { id status provider { slug } lastRun { trigger } }
  authorizationUrl state linkToken expiresAt
  errors { __typename code message field ... on Conflict { existingId } } } }"""


@dataclass(slots=True)
class Clock:
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.at

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass(frozen=True, slots=True)
class Begun:
    """What a browser brings back from the provider, before it is followed."""

    url: str
    state: str
    link_id: str
    said: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Gateway:
    """`server` is behind the provider bank, and `strict`, which says `iss`, behind trust."""

    wired: Wired
    app: Starlette
    callback: Callback
    server: AuthorizationServer
    strict: AuthorizationServer
    clock: Clock
    spy: asyncpg.Connection

    def browser(self, **said: Any) -> httpx2.AsyncClient:
        """Which reaches the gateway in this process, and all else by its sockets."""
        mounts = {HERE: httpx2.ASGITransport(app=self.app)}
        return httpx2.AsyncClient(base_url=HERE, mounts=mounts, **said)

    @asynccontextmanager
    async def person(self, *, email: str = "", delivery: str = "COOKIE") -> AsyncIterator[Client]:
        if not email:
            email = f"person-{secrets.token_hex(6)}@example.com"
            await make_user(self.wired, email)
        async with self.browser() as http:
            client = Client(http)
            assert (await client.sign_in(email, delivery=delivery))["errors"] == []
            yield client

    async def begin(self, client: Client, provider: str = "bank", **said: Any) -> Begun:
        oauth = {"returnTo": said.pop("return_to")} if "return_to" in said else {}
        payload = await client.do(
            BEGIN, input={"provider": provider, "using": {"oauth": oauth}, **said}
        )
        assert payload["errors"] == [], payload
        async with httpx2.AsyncClient() as browser:
            sent_back = await browser.get(payload["authorizationUrl"])
        url = sent_back.headers["location"]
        return Begun(
            url=url,
            state=payload["state"],
            link_id=payload["link"]["id"],
            said=dict(parse_qsl(urlsplit(url).query)),
        )

    async def counts(self) -> dict[str, int]:
        return {
            "active": await self._count("links WHERE status = 'ACTIVE'"),
            "credentials": await self._count("credentials"),
            "runs": await self._count("sync_runs"),
            "tokens": self.server.token_calls + self.strict.token_calls,
        }

    async def _count(self, what: str) -> int:
        return int(await self.spy.fetchval(f"SELECT count(*) FROM {what}"))


def fragment(answer: httpx2.Response) -> tuple[str, dict[str, str]]:
    """Where a browser is sent on to, and what it is told there."""
    assert answer.status_code == 303, answer.text
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    place, _, told = answer.headers["location"].partition("#")
    return place, dict(parse_qsl(told, strict_parsing=True))


@asynccontextmanager
async def a_gateway(database: Database, folder: Path) -> AsyncIterator[Gateway]:
    callback = f"{HERE}/oauth/%s/callback"
    settings = settings_of(database, folder, DASHTAM_ALLOWED_ORIGINS="https://app.example.com")
    clock = Clock()
    async with AsyncExitStack() as stack:
        server = AuthorizationServer(redirect_uris=[callback % "bank"])
        strict = AuthorizationServer(redirect_uris=[callback % "trust"], by_form=True)
        for simulator in (server, strict):
            await stack.enter_async_context(simulator)
        strict.issuer = strict.url
        bank, trust = Bank(server), Bank(strict, slug="trust", issuer=strict.url)
        for one in (bank, trust):
            stack.push_async_callback(one.http.aclose)
        wired = await stack.enter_async_context(wire(settings))
        app = replace(
            wired.app, now=clock, limit_settings=roomy(), providers=known(bank, trust, Dialogue())
        )
        wired = replace(wired, app=app)
        authenticator = Authenticator(
            tokens=wired.tokens,
            devices=app.devices,
            doors=app.doors,
            note_use=partial(note_use, app),
            now=clock,
            hears=lambda: False,
            secure=False,
            trusted_proxies=(),
        )
        callback_ = Callback(app, authenticator)
        view = Route("/graphql", graphql_view(wired, authenticator))
        spy = await asyncpg.connect(database.superuser_url)
        stack.push_async_callback(spy.close)
        yield Gateway(
            wired=wired,
            app=Starlette(routes=[view, *callback_.routes()], middleware=[Middleware(Traced)]),
            callback=callback_,
            server=server,
            strict=strict,
            clock=clock,
            spy=spy,
        )
