"""One socket of graphql-transport-ws, from its opening to its end."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from domain.errors import Unavailable
from domain.identity import SessionId
from gateway.auth import Admitted
from gateway.http.answers import REPORT
from gateway.http.reading import LONG
from gateway.live.connections import SLOW, End
from gateway.live.view import Live, LiveContext
from gateway.live.watching import Watch
from gateway.operations.clients import ANONYMOUS, client_said
from gateway.operations.faults import Fault
from gateway.operations.replies import encode
from gateway.websocket.messages import (
    AGAIN,
    BROKEN,
    DUPLICATE,
    FORBIDDEN,
    INVALID,
    LATE,
    RESTARTING,
    TOO_MANY,
    UNAUTHORIZED,
    Closing,
    Complete,
    Init,
    Message,
    Ping,
    Pong,
    Subscribe,
    read,
)
from gateway.websocket.operation import SocketOperation

CLOSE_S_MAX = 1.0
LAST_WORDS_S_MAX = {UNAUTHORIZED: 0.25, RESTARTING: 5.0}
"""How long what was begun may still be answered: signOut ends the socket that it came by."""
CODES = {
    End.SIGNED_OUT: UNAUTHORIZED,
    End.RESTARTING: RESTARTING,  # which graphql-ws and browsers' clients take to come back
    End.AWAY: AGAIN,
    End.SLOW: AGAIN,
}

log = structlog.get_logger("dashtam.sockets")


class Socket:
    """Messages are taken one after the other, so that a flood waits in the client."""

    def __init__(self, live: Live[Any], websocket: WebSocket, *, is_foreign: bool) -> None:
        self._live, self._websocket, self._is_foreign = live, websocket, is_foreign
        self.whose = live.stranger(websocket)  # until it was greeted
        self._client = ANONYMOUS
        self._reports_cost = False
        self._watch: Watch | None = None
        self._is_initialised = False
        self._operations: dict[str, SocketOperation] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Future[Closing | None] = asyncio.get_running_loop().create_future()
        self._turn = asyncio.Lock()

    @property
    def admitted(self) -> Admitted | None:
        return self._watch.admitted if self._watch else None

    @property
    def session_id(self) -> SessionId | None:
        return self.admitted.actor.session_id if self.admitted else None

    def end(self, code: int, reason: str) -> None:
        if not self._ending.done():
            self._ending.set_result(Closing(code, reason))

    def _gone(self, _: object) -> None:
        if not self._ending.done():
            self._ending.set_result(None)

    def over(self, end: End, reason: str) -> None:
        self.end(CODES[end], reason)

    def look_again(self) -> None:
        if self._watch is not None:
            self._watch.again()

    async def run(self) -> None:
        late = asyncio.get_running_loop().call_later(
            self._live.limits.init_s, self.end, LATE, "send connection_init first"
        )
        reading = asyncio.create_task(self._read(late))
        reading.add_done_callback(self._gone)
        try:
            if (closing := await self._ending) is not None:
                await self._close(closing)
        finally:
            late.cancel()
            reading.cancel()
            self._settling.add(reading)
            self._stop_all(lambda _: True)
            if self._watch is not None:
                await self._watch.close()
            # Until all has been given back; each of them limits the time that takes.
            await asyncio.gather(*self._settling, return_exceptions=True)

    async def _close(self, closing: Closing) -> None:
        if closing.reason == SLOW:
            await self._leave_behind(closing)
            return
        self._stop_all(lambda operation: operation.answered.done())
        begun = [operation.answered for operation in self._operations.values()]
        wait_s = LAST_WORDS_S_MAX.get(closing.code)
        if begun and wait_s:
            await asyncio.wait(begun, timeout=wait_s)
        self._stop_all(lambda _: True)
        await self._farewell(closing, CLOSE_S_MAX)

    async def _leave_behind(self, closing: Closing) -> None:
        """Each of its operations is told, if the client now reads again."""
        behind = [*self._operations.values()]
        self._stop_all(lambda _: True)
        said = [{"id": one.id, "type": "error", "payload": one.refused(SLOW)} for one in behind]
        await self._farewell(closing, self._live.limits.slow_s, said)

    async def _farewell(
        self, closing: Closing, within_s: float, said: Iterable[dict[str, Any]] = ()
    ) -> None:
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(within_s):
                for message in said:
                    await self._websocket.send_text(encode(message).decode())
                await self._websocket.close(closing.code, closing.reason)

    # ── what comes in ───────────────────────────────────────────────────────

    async def _read(self, late: asyncio.TimerHandle) -> None:
        """Until the client is gone, or breaks the rules."""
        try:
            while True:
                event = await self._websocket.receive()
                if event["type"] == "websocket.disconnect":
                    return
                await self._take(await _message(event), late)
        except Closing as closing:
            self.end(closing.code, closing.reason)
        except Exception:
            log.exception("socket.bug")
            self.end(BROKEN, "internal error")

    async def _take(self, message: Message, late: asyncio.TimerHandle) -> None:
        """Raises: Closing."""
        match message:
            case Init():
                if self._is_initialised:
                    raise Closing(TOO_MANY, "connection_init came twice")
                late.cancel()
                await self._initialise(message.payload)
            case Ping():
                pong = {"type": "pong"}
                await self.say(pong | ({"payload": message.payload} if message.payload else {}))
            case Pong():
                pass
            case Complete():
                if (operation := self._operations.get(message.id)) is not None:
                    self._stop(operation)
            case Subscribe():
                await self._begin(message)

    async def _initialise(self, payload: dict[str, Any]) -> None:
        """Raises: Closing."""
        self._is_initialised = True
        self._client = client_said(payload, self._websocket.headers)
        # As a header would say it, which a page in a browser cannot give a WebSocket.
        self._reports_cost = "report" in _named(REPORT, payload)
        said = _named("authorization", payload)
        if len(said) > 1 or not all(isinstance(value, str | None) for value in said):
            raise Closing(INVALID, "authorization is one string")
        authorization: str | None = (said or [None])[0]
        try:
            admitted = await self._live.admit(self._websocket, authorization)
        except Fault as fault:
            raise Closing(UNAUTHORIZED, fault.message) from None
        except Unavailable as error:
            raise Closing(AGAIN, str(error)) from None
        if self._is_foreign and admitted is None:
            raise Closing(FORBIDDEN, "this site may not open sockets here")
        self.whose = self._live.whose(self._websocket, admitted)
        if not self._live.has_room_for(self.whose):
            raise Closing(TOO_MANY, "too many sockets")
        if admitted is not None:
            self._watch = self._live.watch(self._websocket, authorization, admitted, self.over)
            self._watch.again()
        await self.say({"type": "connection_ack"})

    async def _begin(self, message: Subscribe) -> None:
        """Raises: Closing."""
        if not self._is_initialised:
            raise Closing(UNAUTHORIZED, "send connection_init first")
        if message.id in self._operations:
            raise Closing(DUPLICATE, f"there is a subscriber {message.id} already")
        if self._ending.done():
            return  # what was begun may still be answered, and nothing else
        operation = SocketOperation(
            message,
            self._live,
            self._open_context,
            self._say_of,
            client=self._client,
            whose=self.whose,
        )
        if (many := self._too_many(operation)) is not None:
            # Said here, so that a flood of them waits in the client too.
            await self.say({"id": message.id, "type": "error", "payload": operation.refused(many)})
            return
        self._operations[message.id] = operation
        operation.start()

    def _open_context(self, trace_id: str) -> LiveContext:
        context: LiveContext = self._live.open_context(self._websocket, self.admitted, trace_id)
        context.reports_cost |= self._reports_cost
        return context

    def _too_many(self, operation: SocketOperation) -> str | None:
        limits, begun = self._live.limits, self._operations.values()
        if max(len(begun), len(self._settling)) >= limits.operations:
            return f"at most {limits.operations} operations on one socket"
        if sum(each.characters for each in (operation, *begun)) > limits.characters:
            return f"at most {limits.characters} characters of operations on one socket"
        return None

    def _stop_all(self, those: Callable[[SocketOperation], bool]) -> None:
        for operation in [*filter(those, self._operations.values())]:
            self._stop(operation)

    def _stop(self, operation: SocketOperation) -> None:
        self._operations.pop(operation.id, None)
        if not operation.task.done():
            operation.task.cancel()
            self._settling.add(operation.task)
            operation.task.add_done_callback(self._settling.discard)

    # ── what goes out ───────────────────────────────────────────────────────

    async def _say_of(self, operation: SocketOperation, kind: str, payload: Any) -> None:
        """Nothing is said of an operation that the client has completed."""
        if self._operations.get(operation.id) is not operation:
            return
        if kind != "next":  # its id is free again before the client can know
            del self._operations[operation.id]
        said = {"id": operation.id, "type": kind}
        await self.say(said if payload is None else said | {"payload": payload})

    async def say(self, message: dict[str, Any]) -> None:
        """Waits for the client to read, so that nothing piles up here."""
        text = encode(message).decode()
        try:
            # The time of those before it is not its own: the first who waits too long ends it.
            async with self._turn, asyncio.timeout(self._live.limits.send_s):
                await self._websocket.send_text(text)
        except TimeoutError:
            self.over(End.SLOW, SLOW)
        except (WebSocketDisconnect, RuntimeError):  # it is closed, which `_read` hears of too
            return


def _named(name: str, payload: dict[str, Any]) -> list[Any]:
    return [value for key, value in payload.items() if key.lower() == name]


async def _message(event: Any) -> Message:
    """Raises: Closing."""
    text = event.get("text")
    if text is None:
        raise Closing(INVALID, "a message is text")
    return await asyncio.to_thread(read, text) if len(text) > LONG else read(text)
