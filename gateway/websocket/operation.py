"""One operation on a socket: a query or mutation, or a subscription with all its events."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any
from uuid import uuid4

import structlog
from graphql import OperationType

from gateway.live.subscription import Errors, ended, executed, follow, subscribed
from gateway.live.view import Live, LiveContext
from gateway.operations.clients import Client
from gateway.operations.faults import Fault, bad_text
from gateway.operations.parameters import Parameters, parameters
from gateway.operations.replies import error
from gateway.operations.running import Operation
from gateway.websocket.messages import INVALID, Closing, Subscribe


class SocketOperation:
    """`open_context` is given a trace id. `say` sends a message of it, by its type, and a payload;
    "next" is not the last one. `answered` is done once a query or mutation is over, and for a
    subscription at once.
    """

    task: asyncio.Task[None]

    def __init__(
        self,
        message: Subscribe,
        live: Live[Any],
        open_context: Callable[[str], LiveContext],
        say: Callable[["SocketOperation", str, Any], Awaitable[None]],
        *,
        client: Client,
        whose: Hashable,
    ) -> None:
        """Raises: Closing, for a payload that is none of a subscribe message."""
        self.id, self.characters = message.id, message.characters
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._live, self._open_context, self._say = live, open_context, say
        self._client, self._whose, self._trace_id = client, whose, uuid4().hex
        self._refusal: Fault | None = None
        try:
            self._asked = _asked(message.payload)
        except Fault as refusal:
            if refusal.code == "BAD_REQUEST":
                raise Closing(INVALID, refusal.message) from None
            self._refusal = refusal

    def refused(self, message: str) -> Errors:
        """In place of all that it would have said."""
        return [error(message, "RATE_LIMITED", self._trace_id)]

    def start(self) -> None:
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(lambda _: self._answered())

    def _answered(self) -> None:
        if not self.answered.done():
            self.answered.set_result(None)

    async def _run(self) -> None:
        structlog.contextvars.bind_contextvars(trace_id=self._trace_id)
        said = await ended(self._work(), self._live, self._trace_id)
        await self._say(self, "complete" if said is None else "error", said)

    async def _work(self) -> Errors | None:
        """Raises: whatever `ended` puts into words."""
        if self._refusal is not None:
            raise self._refusal
        operations = self._live.operations
        operation = await operations.chosen(self._asked, self._client, self._whose)
        if operation.kind is OperationType.SUBSCRIPTION:
            self._answered()
            return await self._events(operation)
        async with operations.places.taken(self._whose):
            context = self._open_context(self._trace_id)
            result = await executed(self._live, operation, context)
        if (never := operations.never_ran(result, self._trace_id)) is not None:
            return never
        await self._reply(operations.reply(result, self._trace_id))
        return None

    async def _events(self, operation: Operation) -> Errors | None:
        context = self._open_context(self._trace_id)
        async with subscribed(self._live, operation, context) as found:
            if isinstance(found, list):
                return found
            return await follow(self._live, operation, context, found, self._reply)

    async def _reply(self, reply: dict[str, Any], _: str | None = None) -> None:
        await self._say(self, "next", reply)


def _asked(payload: dict[str, Any] | None) -> Parameters:
    """Raises: Fault."""
    if payload is None:
        raise bad_text()
    return parameters(payload)
