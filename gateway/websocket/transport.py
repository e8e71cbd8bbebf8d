"""uvicorn's WebSocket, with what it leaves undone."""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LINGER_S = 5.0


class WebSocketTransport(WebSocketsSansIOProtocol):
    """uvicorn closes a transport, which waits until everything is written: for ever, where nobody
    reads. So it is aborted a while later.
    """

    _aborting: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # Too long for the library, whose answer uvicorn does not send.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.handshake_complete = self.close_sent = True
            self.transport.close()
            self._abort_later()

    async def send(self, message: Any) -> None:
        await super().send(message)
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
