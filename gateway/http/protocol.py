"""uvicorn's HTTP/1.1, with an end to what never becomes a request, and refusals in JSON."""

import asyncio
import logging
import re
from http import HTTPStatus
from typing import cast
from uuid import uuid4

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.http.negotiation import LEGACY
from gateway.operations.faults import Fault
from gateway.operations.replies import encode, fault_error

HEAD_MAX = 64 << 10  # bytes of what comes after its first piece; the parser holds all of it
HEAD_S_MAX = 20.0  # from its first byte, or from the connection's beginning
HOST = re.compile(rb"(\[[\w.:~!$&'()*+,;=%-]+\]|[\w.~!$&'()*+,;=%-]*)(:\d*)?[ \t]*", re.ASCII)

log = structlog.get_logger("dashtam.http")
# uvicorn warns of each line that is no HTTP, with which a scanner would fill the log.
failures = logging.getLogger("uvicorn.error.failures")
failures.setLevel(logging.ERROR)


class HttpProtocol(HttpToolsProtocol):
    """A request's head is bounded, in size and in time, and says once for whom it is;
    `gateway.http.body` bounds it further once it is there. What is no HTTP, and never reaches the
    application, is refused as it would."""

    head_s_max = HEAD_S_MAX
    _in_head = _is_over = False
    _head_size = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.logger = failures
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        went_on = self._in_head
        super().data_received(data)
        if went_on and self._in_head and not self.transport.is_closing():
            self._head_size += len(data)
            if self._head_size > HEAD_MAX:
                self._refuse(Fault(431, "BAD_REQUEST", "the request's head is too large"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_size = True, 0
        self._head_came()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_came()
        if (wrong := self._host_is_wrong()) is not None:
            self._refuse(wrong)
            raise wrong  # so that the parser goes no further
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Fault(400, "BAD_REQUEST", msg))

    def _host_is_wrong(self) -> Fault | None:
        """RFC 9112, 3.2."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1 or (not hosts and self.parser.get_http_version() != "1.0"):
            return Fault(400, "BAD_REQUEST", "a request has one Host")
        if hosts and HOST.fullmatch(hosts[0]) is None:
            return Fault(400, "BAD_REQUEST", "the Host is none")
        return None

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_s_max, self._head_is_late)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if self._in_head:
            self._refuse(Fault(408, "TIMEOUT", "the request took too long to arrive"))
        else:
            self.transport.close()

    def _refuse(self, fault: Fault) -> None:
        """And close the connection: where the next request would begin, nobody knows. What was
        asked before is answered first."""
        if self.transport.is_closing() or self._is_over:
            return
        self._is_over = True
        log.debug("http.refused", status=fault.status)
        if not self._is_its_turn():
            last = self.pipeline[0][0] if self.pipeline else self.cycle
            last.keep_alive = False
            return
        content = encode({"errors": [fault_error(fault, uuid4().hex)]})
        phrase = HTTPStatus(fault.status).phrase
        head = [
            f"HTTP/1.1 {fault.status} {phrase}",
            f"content-type: {LEGACY}; charset=utf-8",
            f"content-length: {len(content)}",
            "cache-control: no-store",
            "connection: close",
            "",
            "",
        ]
        self.transport.write("\r\n".join(head).encode() + content)
        self.transport.close()

    def _is_its_turn(self) -> bool:
        """Whether no other answer is due before: nothing was asked, or it is what is being asked
        that turned out to be no request."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete:
            return True
        return not self.pipeline and cycle.more_body and not cycle.response_started
