"""Events over a socket, as a client that goes on where it was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import websockets

from domain.events import Event, EventName
from domain.identity import Actor, Role, UserId
from tests.e2e.live import Live, live
from tests.e2e.stack import Client, Program, Stack
from tests.servers import Database

SAID = "id cursor at category name message"
EVENTS = f"""subscription Events($categories: [EventCategory!], $after: String) {{
  events(categories: $categories, after: $after) {{ __typename {SAID}
    ... on SyncEvent {{ run {{ id status trigger transactions {{ created }} }} }}
    ... on LinkEvent {{ link {{ id status provider {{ slug }} }} }}
    ... on BalanceEvent {{ account {{ id name }} previous {{ amount currency }} current {{ amount }} }}
    ... on HoldingsEvent {{ account {{ id }} counts {{ created unchanged }} }}
    ... on NetWorthEvent {{ previous {{ amount currency }} current {{ amount currency }} }}
    ... on SecurityEvent {{ session {{ id device current }} detail }} }} }}"""
PLAIN = f"""subscription Plain($after: String) {{ events(after: $after) {{
  {SAID} ... on SecurityEvent {{ detail }} }} }}"""


@dataclass
class Listener:
    """What one client heard, over however many connections; it knows its last cursor."""

    client: Client
    query: str = PLAIN
    heard: list[dict[str, Any]] = field(default_factory=list)

    @property
    def cursor(self) -> str | None:
        return self.heard[-1]["cursor"] if self.heard else None

    @property
    def words(self) -> list[str]:
        return [event["detail"] for event in self.heard if event.get("detail")]

    @asynccontextmanager
    async def connected(self, program: Program) -> AsyncIterator[Live]:
        """It has subscribed: an answer to what was said later came."""
        async with live(program, self.client.token) as socket:
            await socket.subscribe(self.query, "events", after=self.cursor)
            await self.until_answered(socket)
            yield socket

    async def until_answered(self, socket: Live) -> None:
        await socket.subscribe("{ viewer { id } }", "q")
        while (message := await socket.next())["type"] != "complete" or message["id"] != "q":
            self._take(message)

    async def hear(self, socket: Live, count: int) -> None:
        """Until there are so many in all."""
        while len(self.heard) < count:
            self._take(await socket.next())

    async def hear_until_it_breaks(self, socket: Live) -> None:
        try:
            while True:
                self._take(await socket.next())
        except websockets.ConnectionClosed:
            return

    def _take(self, message: dict[str, Any]) -> None:
        if message["id"] == "events":
            assert message["type"] == "next", message
            assert "errors" not in message["payload"], message
            self.heard.append(message["payload"]["data"]["events"])


@dataclass
class Happening:
    """Events recorded as commands do it, by somebody who takes note of the order of none."""

    stack: Stack
    actor: Actor
    written: int = 0

    @classmethod
    async def to(cls, stack: Stack, client: Client) -> "Happening":
        known = await stack.wired.app.doors.user_by_email(client.email)
        assert known is not None
        return cls(stack, Actor(user_id=known.user.id, role=Role.USER))

    async def happen(self, count: int = 1) -> None:
        for _ in range(count):
            self.written += 1
            facts = {"ip_address": f"word {self.written}"}
            async with self.stack.wired.app.store.begin(self.actor, None) as work:
                at = datetime.now(UTC)
                name = EventName.SIGNIN_FAILED
                work.record(Event(name=name, user_id=self.actor.user_id, at=at, facts=facts))

    async def go_on(self, at_once: int = 3, rest_s: float = 0.01) -> None:
        """For ever, so many at the same moment."""
        while True:
            await asyncio.gather(*(self.happen() for _ in range(at_once)))
            await asyncio.sleep(rest_s)


async def words_of(database: Database, user_id: UserId) -> list[str]:
    """What was committed of Happening's, in the order of the table."""
    connection = await asyncpg.connect(database.superuser_url)
    try:
        rows = await connection.fetch(
            "SELECT facts->>'ip_address' AS word FROM events"
            " WHERE user_id = $1 AND facts->>'ip_address' LIKE 'word %' ORDER BY seq",
            user_id,
        )
    finally:
        await connection.close()
    return [row["word"] for row in rows]
