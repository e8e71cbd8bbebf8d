"""What is said to requests before the application sees them: not now, and not here any more."""

import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog
from starlette.requests import HTTPConnection

from gateway import telemetry
from gateway.http.negotiation import negotiate
from gateway.http.responses import answer
from gateway.operations.faults import Fault
from gateway.operations.replies import fault_error
from gateway.routes.health import Health
from gateway.sse.transport import HttpTransport
from gateway.telemetry.tracing import trace_id_of

if TYPE_CHECKING:  # a worker needs none of it
    from gateway.http.endpoint import GraphQLOverHttp

PATH = "/graphql"
METHODS = frozenset({"GET", "POST", "QUERY"})
CLOSE = (b"connection", b"close")
SAY_EVERY_S = 1.0
FRESH_S = 1.0

log = structlog.get_logger("dashtam.http")


class SheddingTransport(HttpTransport):
    """At five times what a process can answer it refuses four for each that it answers. So an
    operation that `app.state.graphql` has no place for is refused here, as soon as its head is
    read: no task, no route, no span, no log line each, and no look at its body, which the parser
    passes over. What only the application can say, it says: of a page of another origin, whether it
    may read the refusal; and of requests that came before the answers to others.

    While `app.state.health` is draining, every answer says that the connection ends with it.
    """

    def shutdown(self) -> None:
        if self.cycle is None:  # whoever has just connected is about to ask, and is answered
            self.loop.call_later(FRESH_S, super().shutdown)
        else:
            super().shutdown()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        state = getattr(self.app, "state", None)
        health: Health | None = getattr(state, "health", None)
        if health is not None and health.draining:
            cycle.default_headers = [*cycle.default_headers, CLOSE]
        view: GraphQLOverHttp[Any] | None = getattr(state, "graphql", None)
        if view is not None and self._is_ours(cycle.scope):
            connection = HTTPConnection(cycle.scope)
            try:
                view.check(connection)
            except Fault as fault:
                self._shed(cycle, view, connection, fault)
                return
        super()._start_asgi_task(cycle, app)

    def _is_ours(self, scope: Any) -> bool:
        if scope["method"] not in METHODS or not scope["path"].startswith(PATH):
            return False
        if self.pipeline or self.flow.write_paused:  # who reads nothing waits for it there
            return False
        said = dict(scope["headers"])
        origin = said.get(b"origin")
        return origin is None or origin.partition(b"://")[2] == said.get(b"host")

    def _shed(
        self, cycle: Any, view: "GraphQLOverHttp[Any]", connection: HTTPConnection, fault: Fault
    ) -> None:
        headers = connection.headers
        said = view.profile.to_fault(fault, negotiate(headers.get("accept")))
        errors = [fault_error(fault, trace_id_of(headers))]
        more = {"x-request-id": uuid4().hex, **fault.headers}
        refusal = answer(*said, {"errors": errors}, more.items())
        lines = [b"HTTP/1.1 %d Service Unavailable" % refusal.status_code]
        lines += [b"%b: %b" % header for header in (*cycle.default_headers, *refusal.raw_headers)]
        # Whether the body of who waits to be asked for it still comes, nobody knows.
        ends = not cycle.keep_alive or cycle.waiting_for_100_continue
        if ends and CLOSE not in cycle.default_headers:
            lines.append(b"%b: %b" % CLOSE)
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"\r\n".join([*lines, b"", refusal.body]))
        if ends or CLOSE in cycle.default_headers:
            self.transport.close()
        self.on_response_complete()
        _count(cycle.scope["method"])


class _Said:
    """How many were refused since that was last said."""

    count, at = 0, 0.0


def _count(method: str) -> None:
    if (watch := telemetry.current()) is not None:
        watch.shed(method, PATH)
    _Said.count += 1
    now = time.monotonic()
    if now >= _Said.at + SAY_EVERY_S:
        log.warning("http.shed", count=_Said.count)
        _Said.count, _Said.at = 0, now
