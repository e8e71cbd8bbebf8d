"""uvicorn's WebSocket, with what it leaves undone."""

import asyncio
import logging
from typing import Any

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

LINGER_S = 5.0

log = logging.getLogger("uvicorn.error.sockets")
# A message that is no UTF-8 is its sender's affair, and no exception of ours.
log.addFilter(lambda record: record.funcName != "send_receive_event_to_app")


class WebSocketTransport(WebSocketsSansIOProtocol):
    """uvicorn closes a transport, which waits until everything is written: for ever, where nobody
    reads. So it is aborted a while later.

    It also answers every ping at once, and keeps the fragments of a message one by one, both
    without end: so whoever does not read our pongs is not read either, and fragments are joined
    as they come.

    Thousands of them are open: what the handshake leaves behind is dropped, and the queue is one
    that takes no more than what is in it.
    """

    _aborting: asyncio.TimerHandle | None = None
    _holding = False  # until they read our pongs

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.queue = _Inbox()  # type: ignore[assignment]
        self.logger = log

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # Too long for the library, whose answer uvicorn does not send.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.handshake_complete = self.close_sent = True
            self.transport.close()
            self._abort_later()

    def handle_ping(self) -> None:
        super().handle_ping()
        if not self.writable.is_set():
            self._holding = True
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._holding:
            self._holding = False
            if not self.read_paused:
                self.transport.resume_reading()

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if self._holding:
            self.transport.pause_reading()
        return message

    def handle_cont(self, event: Frame) -> None:
        begun: Any = self.frames[0]
        joined = begun if isinstance(begun, bytearray) else bytearray(begun)
        joined += event.data
        self.frames = [joined]  # type: ignore[list-item]  # which is decoded alike
        if event.fin:
            self.send_receive_event_to_app()

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.accept":
            self.request.headers.clear()  # the scope has them
            self.response.headers.clear()
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # else it is logged as an error that it never was

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self._abort_later()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._abort_later()

    def shutdown(self) -> None:
        super().shutdown()
        self._abort_later()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._aborting is not None:
            self._aborting.cancel()

    def _abort_later(self) -> None:
        if self._aborting is None and not self.disconnected:
            self._aborting = self.loop.call_later(LINGER_S, self.transport.abort)


class _Inbox:
    """As much of asyncio.Queue as is used here, where one task alone takes from it."""

    def __init__(self) -> None:
        self._messages: list[ASGIReceiveEvent] = []
        self._coming: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        return not self._messages

    def put_nowait(self, message: ASGIReceiveEvent) -> None:
        self._messages.append(message)
        if self._coming is not None and not self._coming.done():
            self._coming.set_result(None)

    async def get(self) -> ASGIReceiveEvent:
        while not self._messages:
            self._coming = asyncio.get_running_loop().create_future()
            await self._coming
        return self._messages.pop(0)
