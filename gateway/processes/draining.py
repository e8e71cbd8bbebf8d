"""How a gateway ends: it says so first, then takes nothing new, and finishes what it began."""

import asyncio
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from ctypes import addressof, create_string_buffer
from types import FrameType
from typing import Any

import structlog
from starlette.applications import Starlette

Handler = Callable[[int, FrameType | None], Any] | int | None

log = structlog.get_logger("dashtam.process")

DRAIN_S = 2.0  # from /readyz turning red to the listener's end: a balancer's time to notice
SETTLE_S = 0.05  # until what was connected is accepted
SO_ATTACH_FILTER = 26  # of Linux, which the socket module does not name
# struct sock_filter: load the byte of TCP's flags; where SYN is set take nothing of it, else all.
NO_SYN = b"".join(
    struct.pack("HBBI", *each)
    for each in ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFF))
)


class Drain:
    """Of one process. The first signal turns /readyz red, and its sockets and streams go, spread
    over `drain_s`; then it ends as it would have at once. A second one ends it at once, if it comes
    later than `same_s`: before, it is the same wish, said to a parent and its children alike.
    """

    def __init__(self, app: Starlette, drain_s: float, *, same_s: float = 0.0) -> None:
        self._state, self._drain_s, self._same_s = app.state, drain_s, same_s
        self._began_at = 0.0
        self._draining: asyncio.Task[None] | None = None

    def begin(self, end: Callable[[], None]) -> None:
        """In a signal's handler, so amid anything: it takes no lock, as a line of the log would."""
        if getattr(self._state, "connections", None) is None:  # it is not up yet
            end()
        elif self._draining is None:
            self._state.health.draining, self._began_at = True, time.monotonic()
            self._draining = asyncio.get_running_loop().create_task(self._drain(end))
        elif time.monotonic() - self._began_at >= self._same_s:
            end()

    def install(self) -> None:
        """Before the handlers of a server that loads the application and knows nothing of this."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._first(signal.getsignal(number)))

    def _first(self, then: Handler) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            self.begin(lambda: then(number, None) if callable(then) else None)

        return handle

    async def _drain(self, end: Callable[[], None]) -> None:
        try:
            log.info("process.draining")
            self._state.connections.drain(self._drain_s)
            await asyncio.sleep(self._drain_s)
            await self._state.connections.drained()  # which the server would close, not end
        finally:
            end()


def turn_away(listening: socket.socket) -> None:
    """No new connection is made, and none that was made is lost: the end of a listener resets what
    nobody had accepted. Whoever comes now asks again a second later, and is refused then.
    """
    if sys.platform == "linux":
        program = create_string_buffer(NO_SYN)
        count = len(NO_SYN) // struct.calcsize("HBBI")
        asked = struct.pack("HL", count, addressof(program))
        with suppress(OSError):  # a sandbox may not have it: then a few are reset
            listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, asked)
