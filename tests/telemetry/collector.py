"""A collector of our own: takes OTLP over HTTP and shows what came."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

WAIT_S_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One span, with what its resource says of who made it."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    attributes: dict[str, Any]
    links: tuple[str, ...]  # trace ids
    events: tuple[dict[str, Any], ...]
    is_error: bool
    status_message: str
    resource: dict[str, Any]
    nanoseconds: int


@dataclass(slots=True)
class Collector:
    url: str
    bodies: list[bytes] = field(default_factory=list)
    spans: list[Seen] = field(default_factory=list)
    metrics: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)  # by role and name

    def trace(self, trace_id: str) -> list[Seen]:
        return [span for span in [*self.spans] if span.trace_id == trace_id]

    async def until(self, trace_id: str, has: Callable[[list[Seen]], bool]) -> list[Seen]:
        """The spans of a trace, once they are what they should be."""
        give_up_at = time.monotonic() + WAIT_S_MAX
        while not has(found := self.trace(trace_id)):
            assert time.monotonic() < give_up_at, [span.name for span in found]
            await asyncio.sleep(0.02)
        return found

    async def find(self, is_it: Callable[[Seen], bool]) -> Seen:
        give_up_at = time.monotonic() + WAIT_S_MAX
        while not (found := [span for span in [*self.spans] if is_it(span)]):
            assert time.monotonic() < give_up_at, sorted({span.name for span in self.spans})
            await asyncio.sleep(0.02)
        return found[-1]

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        if path == "/v1/traces":
            asked = ExportTraceServiceRequest.FromString(body)
            for of in asked.resource_spans:
                resource = read(of.resource.attributes)
                for scope in of.scope_spans:
                    self.spans += [_seen(span, resource) for span in scope.spans]
        elif path == "/v1/metrics":
            for sent in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                about = read(sent.resource.attributes)
                for within in sent.scope_metrics:
                    role = about["dashtam.role"]
                    self.metrics |= {(role, metric.name): about for metric in within.metrics}


def read(attributes: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


def _seen(span: Any, resource: dict[str, Any]) -> Seen:
    return Seen(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        attributes=read(span.attributes),
        links=tuple(link.trace_id.hex() for link in span.links),
        events=tuple({"name": e.name, **read(e.attributes)} for e in span.events),
        is_error=span.status.code == 2,
        status_message=span.status.message,
        resource=resource,
        nanoseconds=span.end_time_unix_nano - span.start_time_unix_nano,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(self.path, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    serving = Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
