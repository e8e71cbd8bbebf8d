"""One socket of graphql-transport-ws, from its opening to its end."""

import asyncio
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from domain.errors import Unavailable
from domain.identity import SessionId
from gateway.auth import Admitted
from gateway.execution import OperationContext
from gateway.faults import Fault
from gateway.reading import LONG
from gateway.responses import encode
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

if TYPE_CHECKING:
    from gateway.websocket.endpoint import GraphQLOverWs

CLOSE_S_MAX = 1.0
LAST_WORDS_S_MAX = {UNAUTHORIZED: 0.25, RESTARTING: 5.0}
"""How long what was begun may still be answered: signOut ends the socket that it came by."""
STUCK = "the client reads nothing"

log = structlog.get_logger("dashtam.sockets")


class LiveContext(OperationContext, Protocol):
    def event(self) -> "LiveContext":
        """What the resolvers of the event that was just made share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    """`look_s` is how often it is asked whether they are still signed in; `look_deaf_s` how often
    while news of ended sessions do not arrive. `send_s` is for one message to be taken from us,
    before whoever reads nothing is let go.
    """

    sockets: int = 2_000
    sockets_each: int = 40  # of one user, or signed out of one address
    subscriptions: int = 4_000  # in this process
    operations: int = 50  # on one socket, and as many that were stopped and have not settled
    characters: int = 2 << 20  # of the messages that asked for these
    init_s: float = 5.0
    deadline_s: float = 30.0
    send_s: float = 20.0
    look_s: float = 60.0
    look_deaf_s: float = 3.0


class Socket:
    """Messages are taken one after the other, so that a flood waits in the client."""

    def __init__(
        self, server: "GraphQLOverWs[Any]", websocket: WebSocket, *, is_foreign: bool
    ) -> None:
        self.server, self.websocket, self._is_foreign = server, websocket, is_foreign
        self.admitted: Admitted | None = None
        self.whose: Hashable = None  # until it was greeted
        self._authorization: str | None = None
        self._is_initialised = False
        self._operations: dict[str, SocketOperation] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._ending: asyncio.Future[Closing] = asyncio.get_running_loop().create_future()
        self._turn = asyncio.Lock()
        self._look = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    @property
    def session_id(self) -> SessionId | None:
        return self.admitted.actor.session_id if self.admitted else None

    def end(self, code: int, reason: str) -> None:
        if not self._ending.done():
            self._ending.set_result(Closing(code, reason))

    def look_again(self) -> None:
        self._look.set()

    async def run(self) -> None:
        late = asyncio.get_running_loop().call_later(
            self.server.limits.init_s, self.end, LATE, "send connection_init first"
        )
        reading = asyncio.create_task(self._read(late))
        ends: set[asyncio.Future[Any]] = {reading, self._ending}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._ending.done():
                await self._close(self._ending.result())
        finally:
            late.cancel()
            for task in (reading, self._watching):
                if task is not None:
                    task.cancel()
                    self._settling.add(task)
            self._stop_all(lambda _: True)
            # Until all has been given back; each of them limits the time that takes.
            await asyncio.gather(*self._settling, return_exceptions=True)

    async def _close(self, closing: Closing) -> None:
        self._stop_all(lambda operation: operation.answered.done())
        begun = [operation.answered for operation in self._operations.values()]
        wait_s = LAST_WORDS_S_MAX.get(closing.code)
        if begun and wait_s:
            await asyncio.wait(begun, timeout=wait_s)
        self._stop_all(lambda _: True)
        if closing.reason == STUCK:
            return  # it would read no farewell either
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(CLOSE_S_MAX):
                await self.websocket.close(closing.code, closing.reason)

    # ── what comes in ───────────────────────────────────────────────────────

    async def _read(self, late: asyncio.TimerHandle) -> None:
        """Until the client is gone, or breaks the rules."""
        try:
            while True:
                event = await self.websocket.receive()
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
        said = [value for name, value in payload.items() if name.lower() == "authorization"]
        if len(said) > 1 or not all(isinstance(value, str | None) for value in said):
            raise Closing(INVALID, "authorization is one string")
        self._authorization = (said or [None])[0]
        try:
            self.admitted = await self.server.admit(self.websocket, self._authorization)
        except Fault as fault:
            raise Closing(UNAUTHORIZED, fault.message) from None
        except Unavailable as error:
            raise Closing(AGAIN, str(error)) from None
        if self._is_foreign and self.admitted is None:
            raise Closing(FORBIDDEN, "this site may not open sockets here")
        user_id = self.admitted.actor.user_id if self.admitted else None
        self.whose = user_id or self.server.address(self.websocket) or "nobody knows"
        if self.server.sockets.of(self.whose) > self.server.limits.sockets_each:
            raise Closing(TOO_MANY, "too many sockets")
        if self.admitted is not None:
            # At once, since the session may have ended while it was being looked for.
            self._look.set()
            self._watching = asyncio.create_task(self._watch(self.admitted))
        await self.say({"type": "connection_ack"})

    async def _begin(self, message: Subscribe) -> None:
        """Raises: Closing."""
        if not self._is_initialised:
            raise Closing(UNAUTHORIZED, "send connection_init first")
        if message.id in self._operations:
            raise Closing(DUPLICATE, f"there is a subscriber {message.id} already")
        if self._ending.done():
            return  # what was begun may still be answered, and nothing else
        operation = SocketOperation(self, message)
        if (many := self._too_many(operation)) is not None:
            # Said here, so that a flood of them waits in the client too.
            await self.say({"id": message.id, "type": "error", "payload": operation.refused(many)})
            return
        self._operations[message.id] = operation
        operation.start()

    def _too_many(self, operation: SocketOperation) -> str | None:
        limits, begun = self.server.limits, self._operations.values()
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

    async def say_of(
        self, operation: SocketOperation, kind: str, payload: Any = None, *, last: bool
    ) -> None:
        """Nothing is said of an operation that the client has completed."""
        if self._operations.get(operation.id) is not operation:
            return
        if last:  # its id is free again before the client can know
            del self._operations[operation.id]
        said = {"id": operation.id, "type": kind}
        await self.say(said if payload is None else said | {"payload": payload})

    async def say(self, message: dict[str, Any]) -> None:
        """Waits for the client to read, so that nothing piles up here."""
        text = encode(message).decode()
        try:
            # The time of those before it is not its own: the first who waits too long ends it.
            async with self._turn, asyncio.timeout(self.server.limits.send_s):
                await self.websocket.send_text(text)
        except TimeoutError:
            self.end(BROKEN, STUCK)
        except (WebSocketDisconnect, RuntimeError):  # it is closed, which `_read` hears of too
            return

    # ── whose it is ─────────────────────────────────────────────────────────

    async def _watch(self, admitted: Admitted) -> None:
        """Close it as soon as whoever opened it is no longer signed in."""
        limits = self.server.limits
        while True:
            left_s = (admitted.until - datetime.now(UTC)).total_seconds()
            every_s = limits.look_s if self.server.hears() else limits.look_deaf_s
            with suppress(TimeoutError):
                # `wait_for` of Python 3.11 forgets a cancellation that comes with the event.
                async with asyncio.timeout(max(min(left_s, every_s), 0)):
                    await self._look.wait()
            self._look.clear()
            try:
                found = await self.server.admit(self.websocket, self._authorization)
            except Fault as fault:
                self.end(UNAUTHORIZED, fault.message)
                return
            except Unavailable:  # the database is away, where nobody can end a session either
                if left_s <= 0:
                    self.end(AGAIN, "nobody can tell whether you are signed in")
                    return
                await asyncio.sleep(limits.look_deaf_s)
                continue
            if found is None or found.actor.user_id != admitted.actor.user_id:
                self.end(UNAUTHORIZED, "the session is over")
                return
            self.admitted = admitted = found


async def _message(event: Any) -> Message:
    """Raises: Closing."""
    text = event.get("text")
    if text is None:
        raise Closing(INVALID, "a message is text")
    return await asyncio.to_thread(read, text) if len(text) > LONG else read(text)
