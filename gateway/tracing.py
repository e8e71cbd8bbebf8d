"""A trace id and a request id for each request, in its log lines, errors and answer."""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("dashtam.http")

# https://www.w3.org/TR/trace-context/#traceparent-header
TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
QUIET = frozenset({"/healthz", "/readyz"})


class Traced:
    """The trace id is the caller's where a valid `traceparent` came, else a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace_id, request_id = trace_id_of(Headers(scope=scope)), uuid4().hex
        scope.setdefault("state", {})["trace_id"] = trace_id
        structlog.contextvars.bind_contextvars(trace_id=trace_id, request_id=request_id)
        started, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            if scope["path"] not in QUIET:
                ms = round((time.perf_counter() - started) * 1000, 1)
                log.info("http.answered", method=scope["method"], status=status, ms=ms)
            structlog.contextvars.unbind_contextvars("trace_id", "request_id")


def trace_id_of(headers: Headers) -> str:
    found = TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    if found and found[1].strip("0"):
        return found[1]
    return uuid4().hex
