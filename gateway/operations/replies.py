"""What goes back, over whatever it goes: JSON in UTF-8, for every error a code and a trace id."""

import json
from typing import Any

import msgspec
from graphql import GraphQLError

from gateway.operations.faults import Fault
from gateway.telemetry import count_error

MESSAGE_MAX = 500  # characters: messages quote what the client wrote


def encode(body: dict[str, Any]) -> bytes:
    """msgspec takes no lone surrogate and no integer past 64 bits; a message that quotes one is
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
