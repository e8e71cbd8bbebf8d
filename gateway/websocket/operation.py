"""One operation on a socket: a query or mutation, or a subscription with all its events."""

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog
from graphql import OperationType

from gateway.http.responses import error
from gateway.live.subscription import Errors, ended, executed, follow, subscribed
from gateway.live.view import LiveContext
from gateway.operations.faults import Fault, bad_text
from gateway.operations.parameters import Parameters, parameters
from gateway.operations.running import Operation
from gateway.websocket.messages import INVALID, Closing, Subscribe

if TYPE_CHECKING:
    from gateway.websocket.connection import Socket


class SocketOperation:
    """`answered` is done once a query or mutation is over, and for a subscription at once."""

    task: asyncio.Task[None]

    def __init__(self, socket: "Socket", message: Subscribe) -> None:
        """Raises: Closing, for a payload that is none of a subscribe message."""
        self.id, self.characters = message.id, message.characters
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._socket, self._trace_id = socket, uuid4().hex
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
        said = await ended(self._work(), self._socket.live, self._trace_id)
        if said is None:
            await self._socket.say_of(self, "complete", last=True)
        else:
            await self._socket.say_of(self, "error", said, last=True)

    async def _work(self) -> Errors | None:
        """Raises: whatever `ended` puts into words."""
        if self._refusal is not None:
            raise self._refusal
        operations = self._socket.live.operations
        operation = await operations.chosen(self._asked, client=self._socket.client)
        if operation.kind is OperationType.SUBSCRIPTION:
            self._answered()
            return await self._events(operation)
        async with operations.places.taken(self._socket.whose):
            result = await executed(self._socket.live, operation, self._open())
        if (never := operations.never_ran(result, self._trace_id)) is not None:
            return never
        await self._say(operations.reply(result, self._trace_id))
        return None

    async def _events(self, operation: Operation) -> Errors | None:
        live, context = self._socket.live, self._open()
        async with subscribed(live, operation, context) as found:
            if isinstance(found, list):
                return found
            return await follow(live, operation, context, found, self._say)

    def _open(self) -> LiveContext:
        socket = self._socket
        context: LiveContext = socket.live.open_context(
            socket.websocket, socket.admitted, self._trace_id
        )
        context.reports_cost |= socket.reports_cost
        return context

    async def _say(self, reply: dict[str, Any], _: str | None = None) -> None:
        await self._socket.say_of(self, "next", reply, last=False)


def _asked(payload: dict[str, Any] | None) -> Parameters:
    """Raises: Fault."""
    if payload is None:
        raise bad_text()
    return parameters(payload)
