"""A log of its own: written by the store, sealed by a sealer, looked at by a superuser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.connections import open_engine
from adapters.postgres.store import PostgresStore
from adapters.security.audit import AuditKeys
from adapters.security.keyring import Keyring
from domain.audit import Attempt, AuditOutcome
from domain.identity import Actor, Role, SessionId, UserId, new_id
from gateway.audit.checkpoints import Checkpoints
from gateway.audit.sealer import UNSIGNED, Sealer
from gateway.audit.verifying import Verdict, verified
from tests.servers import Database

BEFORE_MACS = """
INSERT INTO audit_log (user_id, at, action, outcome, ip_address, id)
VALUES ($1, $2, 'session.start', 'ATTEMPTED', '192.0.2.7', NULL)"""


@dataclass(slots=True, kw_only=True)
class Log:
    database: Database
    keys: AuditKeys
    checkpoints: Checkpoints
    engine: AsyncEngine
    pool: asyncpg.Pool
    superuser: asyncpg.Connection
    store: PostgresStore
    people: list[Actor] = field(default_factory=list)
    written: int = 0

    def sealer(self, ahead: timedelta = UNSIGNED) -> Sealer:
        """One that has just been started; its clock is so far ahead that no gateway of the release
        before writes any more."""
        return Sealer(self.pool, self.keys, self.checkpoints, lambda: datetime.now(UTC) + ahead)

    async def seal(self, ahead: timedelta = UNSIGNED) -> None:
        """By a worker that then ends: its last checkpoint is of all that there is."""
        sealer = self.sealer(ahead)
        await sealer.run()
        await sealer.close()

    async def attempt(self, outcome: AuditOutcome | None = AuditOutcome.SUCCEEDED) -> Attempt:
        """One command's two rows, or its first."""
        self.written += 1
        number = self.written
        actor = self.people[number % len(self.people)]
        attempt = Attempt(
            ("session.start", "link.disconnect", "role.set")[number % 3],
            actor,
            datetime.now(UTC),
            resource=f"link:{new_id()}" if number % 3 == 1 else None,
        )
        await self.store.audit(attempt, AuditOutcome.ATTEMPTED)
        if outcome is not None:
            detail = "NOT_FOUND" if outcome is AuditOutcome.FAILED else None
            await self.store.audit(attempt, outcome, detail)
        return attempt

    async def verdict(self) -> Verdict:
        return await verified(self.superuser, self.keys, self.checkpoints)

    async def rows(self, statement: str, *given: Any) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = await self.superuser.fetch(statement, *given)
        return found


def somebody(number: int) -> Actor:
    return Actor(
        user_id=UserId(new_id()),
        role=Role.USER,
        session_id=SessionId(new_id()) if number % 2 else None,
        ip_address=f"192.0.2.{number}",
        trace_id=new_id().hex,
    )


async def a_log(log: Log) -> None:
    for number in range(3):
        at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=number)
        await log.superuser.execute(BEFORE_MACS, log.people[0].user_id, at)
    for count in (4, 6, 3, 7):  # pairs; with what was before them a checkpoint each
        for number in range(count):
            await log.attempt(AuditOutcome.FAILED if number % 4 == 3 else AuditOutcome.SUCCEEDED)
        await log.seal()
    for _ in range(2):
        await log.attempt()


@asynccontextmanager
async def opened(database: Database, folder: Path) -> AsyncIterator[Log]:
    keys = AuditKeys(Keyring.new())
    engine = open_engine(database.app_url, 4)
    superuser = await asyncpg.connect(database.superuser_url)
    async with asyncpg.create_pool(database.app_url, min_size=1, max_size=4) as pool:
        yield Log(
            database=database,
            keys=keys,
            checkpoints=Checkpoints(folder, keys),
            engine=engine,
            pool=pool,
            superuser=superuser,
            store=PostgresStore(engine, mac=keys.mac),
            people=[somebody(number) for number in range(3)],
        )
    await superuser.close()
    await engine.dispose()
