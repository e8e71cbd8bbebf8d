"""One operation on a socket: a query or mutation, or a subscription with all its events."""

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog
from graphql import ExecutionResult, GraphQLError, OperationType

from domain.errors import Unavailable
from gateway.execution import attended
from gateway.faults import Fault, bad_text
from gateway.guard import Refused
from gateway.operations import Operation, bug, not_persisted
from gateway.parameters import Parameters, PersistedOnly, parameters
from gateway.responses import error, fault_error, request_error
from gateway.websocket.messages import INVALID, Closing, Subscribe

if TYPE_CHECKING:
    from gateway.websocket.connection import LiveContext, Socket


class SocketOperation:
    """`answered` is done once a query or mutation is over, and for a subscription at once."""

    task: asyncio.Task[None]

    def __init__(self, socket: "Socket", message: Subscribe) -> None:
        """Raises: Closing, for a payload that is none of a subscribe message."""
        self.id, self.characters = message.id, message.characters
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._socket, self._trace_id = socket, uuid4().hex
        self._refusal: Exception | None = None
        try:
            self._asked = _asked(message.payload)
        except (Fault, Refused) as refusal:
            if isinstance(refusal, Fault) and refusal.code == "BAD_REQUEST":
                raise Closing(INVALID, refusal.message) from None
            self._refusal = refusal

    def refused(self, message: str) -> list[dict[str, Any]]:
        """Instead of `start`."""
        return [error(message, "RATE_LIMITED", self._trace_id)]

    def start(self) -> None:
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(lambda _: self._answered())

    def _answered(self) -> None:
        if not self.answered.done():
            self.answered.set_result(None)

    async def _run(self) -> None:
        structlog.contextvars.bind_contextvars(trace_id=self._trace_id)
        said = await self._errors()
        if said is None:
            await self._socket.say_of(self, "complete", last=True)
        else:
            await self._socket.say_of(self, "error", said, last=True)

    async def _errors(self) -> list[dict[str, Any]] | None:
        """What ended it, or None where it came to its end."""
        present = self._socket.server.operations.present
        try:
            operation = await self._chosen()
            if operation.kind is OperationType.SUBSCRIPTION:
                self._answered()
                return await self._events(operation)
            return await self._answer(operation)
        except Refused as refused:
            return [request_error(e, refused.code, self._trace_id) for e in refused.errors]
        except Fault as fault:
            return [fault_error(fault, self._trace_id)]
        except Unavailable as away:
            return [error(str(away), "UNAVAILABLE", self._trace_id)]
        except GraphQLError as refusal:  # of the field that makes the events
            return [present(refusal, self._trace_id)]
        except Exception as found:  # noqa: BLE001 - `bug` logs it
            return [bug(found, self._trace_id)]

    async def _chosen(self) -> Operation:
        """Raises: Fault, Refused."""
        if self._refusal is not None:
            raise self._refusal
        return await self._socket.server.operations.chosen(self._asked)

    async def _answer(self, operation: Operation) -> list[dict[str, Any]] | None:
        with self._socket.server.operations.places.taken():
            result = await self._executed(operation, self._open())
        return await self._say(result)

    async def _events(self, operation: Operation) -> list[dict[str, Any]] | None:
        server, context = self._socket.server, self._open()
        with server.subscriptions.taken():
            try:
                found = await server.operations.subscribe(operation, context)
                if isinstance(found, ExecutionResult):
                    present = server.operations.present
                    return server.operations.never_ran(found, self._trace_id) or [
                        present(e, self._trace_id) for e in found.errors or ()
                    ]
                async with aclosing(found) as events:
                    async for event in events:
                        result = await self._executed(operation, context.event(), event)
                        if (said := await self._say(result)) is not None:
                            return said
            finally:
                await context.close()
        return None

    def _open(self) -> "LiveContext":
        socket = self._socket
        context: LiveContext = socket.server.open_context(
            socket.websocket, socket.admitted, self._trace_id
        )
        return context

    async def _executed(
        self, operation: Operation, context: "LiveContext", event: Any = None
    ) -> ExecutionResult:
        """Raises: Fault 503 TIMEOUT."""
        server = self._socket.server
        return await attended(
            server.operations.run(operation, context, event=event),
            receive=None,
            deadline=asyncio.get_running_loop().time() + server.limits.deadline_s,
            close=context.close,
        )

    async def _say(self, result: ExecutionResult) -> list[dict[str, Any]] | None:
        """Raises: Unavailable."""
        operations = self._socket.server.operations
        if (never := operations.never_ran(result, self._trace_id)) is not None:
            return never
        reply = operations.reply(result, self._trace_id)
        await self._socket.say_of(self, "next", reply, last=False)
        return None


def _asked(payload: dict[str, Any] | None) -> Parameters:
    """Raises: Fault, Refused."""
    if payload is None:
        raise bad_text()
    try:
        return parameters(payload)
    except PersistedOnly:
        raise not_persisted() from None
