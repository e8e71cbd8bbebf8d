"""What clients ask: HTTP requests, the operations in them, sockets, and the errors they get."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from graphql import DocumentNode, ExecutionResult, get_operation_ast
from opentelemetry.trace import Span, SpanKind, StatusCode, format_trace_id
from starlette.datastructures import Headers
from starlette.types import Scope

from gateway.telemetry import metrics as m
from gateway.telemetry.naming import id_of, name_of, route_of
from gateway.telemetry.spans import ERROR_TYPE, Spans, Watched, below, kind_of, remote, rooted
from schema.errors import code_of

OURS = frozenset(
    {"INTERNAL", "UNAVAILABLE", "TIMEOUT"}
)  # codes of errors that are not the client's
NAMED = "dashtam.document.id"


@dataclass(slots=True)
class Request:
    """`trace_id` is None where nothing is traced; `status` is set by whoever sends the answer, and
    `is_stream` of one that may take for days: it is counted with the sockets."""

    trace_id: str | None = None
    status: int = 0
    is_stream: bool = False


class Requests(Spans):
    @contextmanager
    def request(self, scope: Scope, *, quiet: bool) -> Iterator[Request]:
        """`quiet` is counted, and not traced."""
        headers, watched = Headers(scope=scope), Watched()
        method = m.within(scope["method"], m.METHODS, "_OTHER")
        self.instruments.move(m.HTTP_ACTIVE, 1)
        request = Request()
        try:
            if quiet:
                yield request
                return
            said = {
                "http.request.method": method,
                "url.scheme": scope.get("scheme", "http"),
                "network.protocol.version": scope.get("http_version", "1.1"),
            }
            name = "HTTP" if method == "_OTHER" else method
            parent = below(remote(headers.get("traceparent", "")))
            with self._span(name, SpanKind.SERVER, said, parent=parent) as span:
                context = span.get_span_context()
                request.trace_id = format_trace_id(context.trace_id) if context.is_valid else None
                try:
                    yield request
                finally:
                    _answered(span, name, scope, request.status)
        finally:
            self.instruments.move(m.HTTP_ACTIVE, -1)
            labels = {
                "http.request.method": method,
                "http.response.status_class": _class_of(request.status),
            }
            if route := route_of(scope):
                labels["http.route"] = route
            if not request.is_stream:
                self.instruments.record(m.HTTP, watched.seconds, labels)

    def shed(self, method: str, route: str) -> None:
        """A request that was refused before anything was done for it."""
        labels = {
            "http.request.method": m.within(method, m.METHODS, "_OTHER"),
            "http.response.status_class": "5xx",
            "http.route": route,
        }
        self.instruments.record(m.HTTP, 0.0, labels)

    @contextmanager
    def socket(self) -> Iterator[None]:
        self.instruments.move(m.SOCKETS, 1)
        try:
            yield
        finally:
            self.instruments.move(m.SOCKETS, -1)

    @contextmanager
    def operation(
        self, document: DocumentNode, name: str | None, trace_id: str
    ) -> Iterator[Callable[[ExecutionResult], None]]:
        """Named by its type, as the conventions for GraphQL want it; the document's text may have
        literals, so a hash stands for it, where it has no strings. Under no request, as on a
        socket, its trace has the id that its errors have.
        """
        node = get_operation_ast(document, name)
        kind = node.operation.value if node else "query"
        outcome, watched = "failed", Watched()
        self.instruments.move(m.OPERATIONS_ACTIVE, 1)
        said = {"graphql.operation.type": kind}
        with rooted(trace_id), self._span(kind, SpanKind.SERVER, said) as span:
            if span.is_recording():
                called = {"graphql.operation.name": name_of(node), NAMED: id_of(document)}
                span.set_attributes({key: word for key, word in called.items() if word})

            def seen(result: ExecutionResult) -> None:
                nonlocal outcome
                outcome = self._seen(span, result)

            try:
                yield seen
            except BaseException as error:
                outcome = "failed" if isinstance(error, Exception) else "cancelled"
                raise
            finally:
                self.instruments.move(m.OPERATIONS_ACTIVE, -1)
                labels = {"graphql.operation.type": kind, "outcome": outcome}
                self.instruments.record(m.OPERATIONS, watched.seconds, labels)

    def _seen(self, span: Span, result: ExecutionResult) -> str:
        errors = result.errors or []
        codes = [code_of(error) for error in errors]
        for error, code in zip(errors, codes, strict=True):
            # What becomes an error of the whole request is counted when that is written.
            if error.path is not None and code != "UNAVAILABLE":
                self.error(code)
        if not codes:
            return "ok"
        if span.is_recording():
            worst = next((code for code in codes if code in OURS), codes[0])
            span.set_attribute(ERROR_TYPE, worst)
            if worst in OURS:
                span.set_status(StatusCode.ERROR)
            bugs = [e for e, code in zip(errors, codes, strict=True) if code == "INTERNAL"]
            causes = {kind_of(e.original_error) for e in bugs if e.original_error is not None}
            for cause in sorted(causes)[:5]:
                span.add_event("exception", {"exception.type": cause})
        if result.data is not None:
            return "partial"
        return "refused" if all(error.path is None for error in errors) else "failed"

    def unpublished_document(self) -> None:
        self.instruments.add(m.UNPUBLISHED)

    def error(self, code: str) -> None:
        self.instruments.add(m.ERRORS, 1, {"code": m.within(code, m.CODES, "OTHER")})


def _answered(span: Span, name: str, scope: Scope, status: int) -> None:
    if not span.is_recording():
        return
    if route := route_of(scope):
        span.update_name(f"{name} {route}")
        span.set_attribute("http.route", route)
        if "{" not in route:
            span.set_attribute("url.path", route)
    if status:
        span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_attribute(ERROR_TYPE, str(status))
        span.set_status(StatusCode.ERROR)


def _class_of(status: int) -> str:
    return m.within(f"{status // 100}xx", m.STATUS_CLASSES, "none")
