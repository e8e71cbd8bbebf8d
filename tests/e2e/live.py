"""Following runs over a socket, as a client does it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from tests.e2e.stack import Client, Program

PROGRESS = """subscription Progress($id: ID!) { syncProgress(runId: $id) {
  id status step progress startedAt finishedAt attempts
  accounts { created updated unchanged } transactions { created updated unchanged }
  link { id status accounts { name } lastRun { id status progress } }
  error { code message } } }"""


class Live:
    """One socket that was greeted."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(30):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        return message

    async def subscribe(self, query: str, of: str = "1", **variables: Any) -> None:
        await self.say(
            id=of, type="subscribe", payload={"query": query, "variables": dict(variables)}
        )

    async def follow(self, run_id: str, of: str = "1") -> list[dict[str, Any]]:
        """Every state of the run, to its end."""
        await self.subscribe(PROGRESS, of, id=run_id)
        return await self.states(of)

    async def states(self, of: str = "1") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while (message := await self.next())["type"] != "complete":
            assert (message["id"], message["type"]) == (of, "next"), message
            assert "errors" not in message["payload"], message
            found.append(message["payload"]["data"]["syncProgress"])
        return found

    async def ask(self, query: str, of: str = "q", **variables: Any) -> dict[str, Any]:
        """The payload of a query."""
        await self.subscribe(query, of, **variables)
        message = await self.next()
        assert (message["id"], message["type"]) == (of, "next"), message
        assert (await self.next())["type"] == "complete"
        payload: dict[str, Any] = message["payload"]
        return payload

    async def closed(self, *, within_s: float) -> int:
        async with asyncio.timeout(within_s):
            try:
                while True:
                    await self.socket.recv()
            except websockets.ConnectionClosed:
                return self.socket.close_code or 0


@asynccontextmanager
async def live(
    program: Program, token: str | None = None, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Live]:
    url = program.url.replace("http", "ws", 1) + "/graphql"
    async with websockets.connect(
        url,
        subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
        additional_headers=headers,
        max_size=None,
    ) as socket:
        said = Live(socket)
        payload = {"authorization": f"Bearer {token}"} if token else {}
        await said.say(type="connection_init", payload=payload)
        assert await said.next() == {"type": "connection_ack"}
        yield said


@asynccontextmanager
async def live_of(client: Client, program: Program) -> AsyncIterator[Live]:
    async with live(program, client.token) as socket:
        yield socket
