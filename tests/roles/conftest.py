"""A gateway in this process, on a database of its own, and people of every role."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx2
import pytest

from domain.identity import Actor, Role
from gateway.asgi import create_app
from gateway.settings import Settings
from gateway.wiring.root import Wired, wire
from tests.e2e.stack import Client, environment, make_user, served_here
from tests.servers import Database, Postgres

ROLES = (None, Role.READONLY, Role.USER, Role.ADMIN)  # None is signed out


@dataclass(slots=True, kw_only=True)
class Home:
    """`spy` sees every row; `wired` is another process's view."""

    settings: Settings
    database: Database
    wired: Wired
    url: str
    spy: asyncpg.Connection

    async def person(self, role: Role = Role.USER) -> tuple[str, Actor]:
        """The address of somebody new, and who they are."""
        email = f"{role.value.lower()}-{secrets.token_hex(6)}@example.com"
        await make_user(self.wired, email, role=role)
        known = await self.wired.app.doors.user_by_email(email)
        assert known is not None
        return email, Actor(user_id=known.user.id, role=role)

    @asynccontextmanager
    async def somebody(self, role: Role | None) -> AsyncIterator[Client]:
        async with httpx2.AsyncClient(base_url=self.url, timeout=40) as http:
            client = Client(http)
            if role is not None:
                email, _ = await self.person(role)
                assert (await client.sign_in(email))["errors"] == []
            yield client

    async def audited(self, action: str) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self.spy.fetch(
            "SELECT * FROM audit_log WHERE action = $1 ORDER BY seq", action
        )
        return rows


@asynccontextmanager
async def at_home(database: Database, folder: Path) -> AsyncIterator[Home]:
    settings = Settings.read(environment(database, folder, 8_000))
    async with AsyncExitStack() as stack:
        wired = await stack.enter_async_context(wire(settings))
        url = await stack.enter_async_context(served_here(create_app(settings)))
        spy = await asyncpg.connect(database.superuser_url)
        stack.push_async_callback(spy.close)
        yield Home(settings=settings, database=database, wired=wired, url=url, spy=spy)


@pytest.fixture(scope="session")
async def home(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    folder = tmp_path_factory.mktemp("roles")
    async with postgres.fresh_database() as database, at_home(database, folder) as opened:
        yield opened
