"""A trace id and a request id for each request and socket, in its log lines, errors and answer."""

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import telemetry
from gateway.telemetry.naming import logged
from gateway.telemetry.traceparent import TRACEPARENT

if TYPE_CHECKING:
    from gateway.telemetry.requests import Request

log = structlog.get_logger("dashtam.http")

QUIET = frozenset({"/healthz", "/readyz"})


class Traced:
    """The trace id is the caller's where a valid `traceparent` came, else a new one; where traces
    are exported, the exported one's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = telemetry.current()
        if scope["type"] == "websocket":
            with nullcontext() if watch is None else watch.socket():
                await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if watch is None:
            await self._request(scope, receive, send, None)
            return
        with watch.request(scope, quiet=scope["path"] in QUIET) as seen:
            await self._request(scope, receive, send, seen)

    async def _request(
        self, scope: Scope, receive: Receive, send: Send, seen: "Request | None"
    ) -> None:
        trace_id = (seen and seen.trace_id) or trace_id_of(Headers(scope=scope))
        request_id = uuid4().hex
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
            if seen is not None:
                seen.status = status
                seen.is_stream = scope["state"].get("is_stream", False)
            if scope["path"] not in QUIET:
                ms = round((time.perf_counter() - started) * 1000, 1)
                log.info(
                    "http.answered", method=scope["method"], status=status, ms=ms, **logged(scope)
                )
            structlog.contextvars.unbind_contextvars("trace_id", "request_id")

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Its operations have trace ids of their own; its request id is in all of their lines."""
        trace_id, request_id = trace_id_of(Headers(scope=scope)), uuid4().hex
        scope.setdefault("state", {})["trace_id"] = trace_id
        structlog.contextvars.bind_contextvars(trace_id=trace_id, request_id=request_id)
        opened, code, status = time.perf_counter(), 1006, 101

        async def sending(message: Message) -> None:
            nonlocal code, status
            if message["type"] == "websocket.close":
                code = message.get("code", 1000)
            elif message["type"] == "websocket.accept":
                log.info("socket.opened")
            elif message["type"] == "websocket.http.response.start":
                status = message["status"]
            await send(message)

        async def receiving() -> Message:
            nonlocal code
            message = await receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code", 1005)
            return message

        try:
            await self._app(scope, receiving, sending)
        finally:
            ms = round((time.perf_counter() - opened) * 1000, 1)
            if status == 101:
                log.info("socket.closed", code=code, ms=ms)
            else:
                log.info("socket.refused", status=status, ms=ms)
            structlog.contextvars.unbind_contextvars("trace_id", "request_id")


def trace_id_of(headers: Headers) -> str:
    found = TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    if found and found[1].strip("0"):
        return found[1]
    return uuid4().hex
