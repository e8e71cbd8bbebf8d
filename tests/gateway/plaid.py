"""A gateway that is told by Plaid: its GraphQL and its webhooks, and Plaid behind both."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from adapters.providers.plaid import Plaid
from adapters.providers.sandbox import Sandbox
from domain.commands.running import RunSync, run_sync
from domain.commands.sessions import note_use
from domain.identity import Actor, Role, UserId, new_id
from domain.limits import Limit
from domain.sync import RunId, SyncRun
from gateway.asgi import graphql_view
from gateway.auth import Authenticator
from gateway.routes.webhooks import Webhooks
from gateway.telemetry.tracing import Traced
from gateway.wiring.root import Wired, wire
from tests.e2e.stack import Client, make_user
from tests.engine.world import known, roomy, settings_of
from tests.gateway.oauth import Clock
from tests.providers.fakes import Clock as Chance
from tests.providers.simulators.plaid import PlaidServer
from tests.providers.simulators.plaid_books import Item, household
from tests.providers.test_plaid_conformance import a_client
from tests.servers import Database

CONNECT = """mutation Connect($input: ConnectProviderInput!) { connectProvider(input: $input) {
  link { id status actionRequired accounts { institution } lastRun { trigger status } } linkToken expiresAt
  authorizationUrl errors { __typename code message ... on Conflict { existingId } } } }"""
HERE = "http://127.0.0.1:8000"
PUBLIC = "https://money.example.com"
HOOK = "/webhooks/plaid"


@dataclass(slots=True, kw_only=True)
class Gateway:
    wired: Wired
    app: Starlette
    plaid: PlaidServer
    clock: Clock
    spy: asyncpg.Connection

    def browser(self) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=True)
        return httpx2.AsyncClient(base_url=HERE, transport=transport)

    @asynccontextmanager
    async def person(self) -> AsyncIterator[Client]:
        email = f"person-{secrets.token_hex(6)}@example.com"
        await make_user(self.wired, email)
        async with self.browser() as http:
            client = Client(http)
            assert (await client.sign_in(email))["errors"] == []
            yield client

    def item(self, name: str = "") -> Item:
        """Somebody's, at a bank of their own, that tells us of news."""
        name = name or secrets.token_hex(6)
        item = household(self.plaid.item(name, institution_id=f"ins_{name}"))
        item.webhook = PUBLIC + HOOK
        return item

    # ── webhooks ────────────────────────────────────────────────────────────

    async def post(self, body: bytes, headers: dict[str, str], to: str = HOOK) -> httpx2.Response:
        async with self.browser() as http:
            return await http.post(to, content=body, headers=headers)

    async def tell(self, item: Item | None, kind: str, code: str, **said: Any) -> httpx2.Response:
        """As Plaid does, now."""
        body = self.plaid.webhook(item, kind, code, **said)
        return await self.post(body, self.plaid.signed(body, j=secrets.token_hex(4)))

    # ── what comes of it ────────────────────────────────────────────────────

    async def link(self, item: Item) -> asyncpg.Record:
        """Of the item's name, which is its alias."""
        [row] = await self.spy.fetch("SELECT * FROM links WHERE alias = $1", item.id)
        return row

    async def runs(self, link_id: object) -> list[asyncpg.Record]:
        query = "SELECT * FROM sync_runs WHERE link_id = $1 ORDER BY id"
        return list(await self.spy.fetch(query, link_id))

    async def events(self, link_id: object) -> list[asyncpg.Record]:
        query = "SELECT * FROM events WHERE facts->>'link' = $1 ORDER BY seq"
        return list(await self.spy.fetch(query, str(link_id)))

    async def run_waiting(self, item: Item) -> list[SyncRun]:
        """What a worker would do with the runs of its link that are queued by now."""
        query = (
            "SELECT r.user_id, r.id FROM sync_runs r JOIN links l ON l.id = r.link_id"
            " WHERE r.status = 'QUEUED' AND l.alias = $1 ORDER BY r.id"
        )
        found = []
        for row in await self.spy.fetch(query, item.id):
            actor = Actor(user_id=UserId(row["user_id"]), role=Role.USER)
            cmd = RunSync(actor=actor, run_id=RunId(row["id"]), worker=new_id(), at=self.clock())
            found.append(await run_sync(self.wired.app, cmd))
        return found


@asynccontextmanager
async def a_gateway(database: Database, folder: Path) -> AsyncIterator[Gateway]:
    clock = Clock()
    plaid = PlaidServer(now=clock)
    provider = Plaid(a_client(plaid), plaid.inside(Chance()), public_url=PUBLIC)
    async with AsyncExitStack() as stack:
        wired = await stack.enter_async_context(wire(settings_of(database, folder)))
        limits = replace(roomy(), webhook=Limit(name="roomy", burst=10_000, per_seconds=1))
        providers = known(provider, Sandbox())
        app = replace(wired.app, now=clock, limit_settings=limits, providers=providers)
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
        view = Route("/graphql", graphql_view(wired, authenticator))
        routes = [view, *Webhooks(app, authenticator).routes()]
        spy = await asyncpg.connect(database.superuser_url)
        stack.push_async_callback(spy.close)
        yield Gateway(
            wired=wired,
            app=Starlette(routes=routes, middleware=[Middleware(Traced)]),
            plaid=plaid,
            clock=clock,
            spy=spy,
        )


async def connect(gateway: Gateway, client: Client, item: Item, **said: Any) -> dict[str, Any]:
    token = gateway.plaid.public_token(item)
    using = {"credentials": [{"name": "publicToken", "value": token}]}
    given = {"provider": "plaid", "alias": item.id, "using": using, **said}
    return await client.do(CONNECT, input=given)


async def linked(gateway: Gateway, client: Client, item: Item) -> str:
    """The global id of a link that has been synced once."""
    payload = await connect(gateway, client, item)
    assert payload["errors"] == [], payload
    await gateway.run_waiting(item)
    id: str = payload["link"]["id"]
    return id
