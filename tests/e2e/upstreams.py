"""A gateway and a worker whose providers are simulators, and people who link there."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import httpx2

from schema.ids import key
from tests.e2e.linking import SYNC, import_file
from tests.e2e.stack import Client, Stack, a_stack
from tests.providers.simulators import alpaca, plaid, schwab
from tests.providers.simulators.alpaca import AlpacaSimulator
from tests.providers.simulators.alpaca_books import Books
from tests.providers.simulators.base import Simulator
from tests.providers.simulators.plaid import PlaidServer
from tests.providers.simulators.schwab import SchwabSimulator
from tests.providers.simulators.simplefin import SimpleFinServer
from tests.servers import Database

PUBLIC = "http://127.0.0.1:8000"  # as the gateways of tests call themselves
BEGIN = """mutation Begin($input: ConnectProviderInput!) { connectProvider(input: $input) {
  link { id status } authorizationUrl state linkToken
  errors { __typename code message field ... on Conflict { existingId } } } }"""
COMPLETE = """mutation Complete($input: CompleteAuthorizationInput!) {
  completeAuthorization(input: $input) { link { id status } errors { code message } } }"""
REFRESH = """mutation($id: ID!) { refreshLinkCredentials(linkId: $id) {
  link { id status actionRequired error { code } } errors { __typename code message } } }"""

LINK = "query($id: ID!) { link(id: $id) { id status alias actionRequired error { code } lastRun { status trigger } } }"
ACCOUNTS = "query($link: ID!) { accounts(filter: {linkId: $link}) { id name mask balance { amount currency } } }"
ROWS = """query($link: ID!, $after: String) {
  transactions(filter: {linkIds: [$link]}, first: 500, after: $after) { totalCount
    pageInfo { hasNextPage endCursor }
    nodes { id type subtype status date description amount { amount } commission { amount }
      quantity } } }"""
HELD = """query($link: ID!) { accounts(filter: {linkId: $link}) { holdings { nodes { quantity
  marketValue { amount } costBasis { amount } security { symbol assetType multiplier
    option { underlying side strike { amount } } } } } } }"""


@dataclass(slots=True, kw_only=True)
class Upstreams:
    """`spy` sees every row, and turns a link's clock."""

    stack: Stack
    schwab: SchwabSimulator
    alpaca: AlpacaSimulator
    simplefin: SimpleFinServer
    plaid: PlaidServer
    spy: asyncpg.Connection

    @property
    def all(self) -> tuple[Simulator, ...]:
        return (self.schwab, self.alpaca, self.simplefin, self.plaid)

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Client]:
        """Signed in by a cookie, as a page is."""
        email = await self.stack.a_user()
        async with self.stack.nobody() as client:
            await client.sign_in(email, delivery="COOKIE")
            yield client

    # ── connecting ──────────────────────────────────────────────────────────

    async def consented(self, client: Client, provider: str, **said: Any) -> str:
        """By the provider's own page and back; the id of the link."""
        input = {"provider": provider, "using": {"oauth": {}}, **said}
        begun = await client.do(BEGIN, input=input)
        assert begun["errors"] == [], begun
        url = urlsplit(await redirected(begun["authorizationUrl"]))
        answer = await client.http.get(f"{url.path}?{url.query}")
        assert answer.status_code == 200, answer.text
        link_id: str = begun["link"]["id"]
        return link_id

    async def connected(
        self, client: Client, provider: str, credentials: Mapping[str, str], **said: Any
    ) -> str:
        told = [{"name": name, "value": value} for name, value in credentials.items()]
        input = {"provider": provider, "using": {"credentials": told}, **said}
        payload = await client.do(BEGIN, input=input)
        assert payload["errors"] == [], payload
        link_id: str = payload["link"]["id"]
        return link_id

    async def with_key(self, client: Client, books: Books) -> str:
        """At Alpaca, by a key of its own."""
        key = f"AK{books.number}"
        self.alpaca.keys[key] = books
        said = {"api_key": key, "api_secret": alpaca.SECRET}
        return await self.connected(client, "alpaca", said)

    async def with_setup_token(self, client: Client, code: str) -> str:
        return await self.connected(
            client, "simplefin", {"setup_token": self.simplefin.setup_token(code)}
        )


async def redirected(url: str) -> str:
    """Where a provider's page sends the browser, once its owner has said yes."""
    async with httpx2.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(url)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


async def synced(client: Client, status: str = "SUCCEEDED", **input: Any) -> dict[str, Any]:
    """The one run that was asked for, or that was under way, at its end."""
    payload = await client.do(SYNC, input={"waitSeconds": 25, **input})
    assert payload["errors"] == [], payload
    [run] = payload["runs"]
    assert run["status"] == status, run
    found: dict[str, Any] = run
    return found


def raw(id: str) -> UUID:
    """The key that its rows have."""
    found = key("Link", id)
    assert found is not None
    return found


async def imported(world: Upstreams, client: Client, content: bytes, **said: Any) -> dict[str, Any]:
    """By a token of the same person: a page would say so by its cookie."""
    async with world.stack.nobody() as by_token:
        await by_token.sign_in(client.email)
        payload = await import_file(by_token, content, **said)
    assert payload["run"]["status"] == "SUCCEEDED", payload
    return payload


async def rows(client: Client, link: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = (await client.ask(ROWS, link=link, after=after))["transactions"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            assert len(found) == page["totalCount"]
            return found
        after = page["pageInfo"]["endCursor"]


@asynccontextmanager
async def upstreams(database: Database, folder: Path) -> AsyncIterator[Upstreams]:
    def now() -> datetime:
        return datetime.now(UTC)

    async with AsyncExitStack() as stack:
        sims = {
            "schwab": SchwabSimulator(now=now, callbacks=(f"{PUBLIC}/oauth/schwab/callback",)),
            "alpaca": AlpacaSimulator(now=now, callbacks=(f"{PUBLIC}/oauth/alpaca/callback",)),
            "simplefin": SimpleFinServer(now=now),
            "plaid": PlaidServer(now=now),
        }
        for sim in sims.values():
            await stack.enter_async_context(sim)
        environ = {
            "DASHTAM_SCHWAB_BASE_URL": sims["schwab"].url,
            "DASHTAM_SCHWAB_CLIENT_ID": schwab.CLIENT_ID,
            "DASHTAM_SCHWAB_CLIENT_SECRET": schwab.CLIENT_SECRET,
            "DASHTAM_ALPACA_BASE_URL": sims["alpaca"].url,
            "DASHTAM_ALPACA_CLIENT_ID": alpaca.CLIENT_ID,
            "DASHTAM_ALPACA_CLIENT_SECRET": alpaca.CLIENT_SECRET,
            "DASHTAM_SIMPLEFIN_HOSTS": sims["simplefin"].host,
            "DASHTAM_PLAID_BASE_URL": sims["plaid"].url,
            "DASHTAM_PLAID_CLIENT_ID": plaid.CLIENT_ID,
            "DASHTAM_PLAID_SECRET": plaid.SECRET,
            "DASHTAM_LIMIT_CONNECT": "1000",
            "DASHTAM_LIMIT_SYNC": "1000",
        }
        running = await stack.enter_async_context(a_stack(database, folder, **environ))
        spy = await asyncpg.connect(database.superuser_url)
        stack.push_async_callback(spy.close)
        yield Upstreams(stack=running, spy=spy, **sims)  # type: ignore[arg-type]
