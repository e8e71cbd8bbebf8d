"""uvicorn's HTTP, with a way to let go of a client that reads nothing."""

import asyncio
import socket
from typing import Any

from starlette.types import Scope

from gateway.http.protocol import HttpProtocol

TRANSPORT = "dashtam.transport"
UNHEARD_MS = 60_000  # of what was sent, before a peer that confirms nothing is dead


class HttpTransport(HttpProtocol):
    """uvicorn closes a connection once all is written: for ever, where nobody reads. So streams
    are given the transport itself.
    """

    def on_message_begin(self) -> None:
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {TRANSPORT: {TRANSPORT: self.transport}}


def prepare(scope: Scope) -> None:
    """A stream is written to for as long as it is open: whoever takes nothing of it is gone."""
    transport = _of(scope)
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)


def abort(scope: Scope) -> bool:
    """Drop the connection, with all that was not taken. Whether that could be done."""
    transport = _of(scope)
    if transport is None:
        return False
    transport.abort()
    return True


def _of(scope: Scope) -> asyncio.Transport | None:
    found: asyncio.Transport | None = scope.get("extensions", {}).get(TRANSPORT, {}).get(TRANSPORT)
    return found
