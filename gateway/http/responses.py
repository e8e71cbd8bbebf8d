"""What goes back: a JSON body, and for every error a code and a trace id."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec
from graphql import GraphQLError
from starlette.responses import Response

from gateway.http.negotiation import EVENTS, LEGACY
from gateway.operations.faults import Fault
from gateway.sse.messages import only
from gateway.telemetry import count_error

NOT_KEPT = "no-store"
REVALIDATED = "private, no-cache"  # by the client itself, which asks each time whether it still is
VARY = "Accept, Accept-Encoding"
MESSAGE_MAX = 500  # characters: messages quote what the client wrote


def answer(
    media: str,
    status: int,
    body: dict[str, Any],
    headers: Iterable[tuple[str, str]] = (),
    *,
    kept: str = NOT_KEPT,
) -> Response:
    """What is refused with a status is JSON, also to who would have read events."""
    content = encode(body)
    if media == EVENTS:
        media, status, content = (
            (EVENTS, 200, only(content)) if status < 300 else (LEGACY, status, content)
        )
    response = Response(content, status)
    response.headers["content-type"] = f"{media}; charset=utf-8"
    return _with(response, kept, headers)


def unchanged(etag: str, kept: str, headers: Iterable[tuple[str, str]]) -> Response:
    """What the client has is the answer: RFC 9110 section 15.4.5."""
    return _with(Response(status_code=304, headers={"etag": etag}), kept, headers)


def _with(response: Response, kept: str, headers: Iterable[tuple[str, str]]) -> Response:
    response.headers["cache-control"], response.headers["vary"] = kept, VARY
    for name, value in headers:
        response.headers.append(name, value)
    return response


def encode(body: dict[str, Any]) -> bytes:
    """JSON in UTF-8.

    msgspec takes no lone surrogate and no integer past 64 bits; a message that quotes one is
    escaped by the standard library, which takes both.
    """
    try:
        return msgspec.json.encode(body)
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()


def error(message: str, code: str, trace_id: str, **extensions: str | int) -> dict[str, Any]:
    """An error of the request."""
    count_error(code)
    return {"message": message, "extensions": {"code": code, **extensions, "traceId": trace_id}}


def fault_error(fault: Fault, trace_id: str) -> dict[str, Any]:
    """With what a socket has no header for: when to come back to what was too often."""
    if fault.status == 429:
        wait = int(fault.headers["retry-after"])
        return error(fault.message, fault.code, trace_id, retryAfterSeconds=wait)
    return error(fault.message, fault.code, trace_id)


def request_error(error_: GraphQLError, code: str, trace_id: str) -> dict[str, Any]:
    """A document or variable at fault, with the places in the document."""
    shown = error(error_.message[:MESSAGE_MAX], code, trace_id)
    if error_.locations:
        shown["locations"] = [{"line": at.line, "column": at.column} for at in error_.locations]
    return shown
