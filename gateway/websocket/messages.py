"""The messages of graphql-transport-ws, strictly read.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.operations import strict_json

PROTOCOL = "graphql-transport-ws"
ID_MAX = 128  # characters; clients send a UUID or a number
REASON_BYTES_MAX = 123  # RFC 6455, 5.5

INVALID, UNAUTHORIZED, FORBIDDEN = 4400, 4401, 4403
WRONG_PROTOCOL, LATE, DUPLICATE, TOO_MANY = 4406, 4408, 4409, 4429
BROKEN, RESTARTING, AGAIN = 1011, 1012, 1013  # as registered with IANA


class Closing(Exception):
    """Ends a socket, with a code and a reason that the client sees."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Init:
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ping:
    payload: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Pong:
    pass


@dataclass(frozen=True, slots=True)
class Subscribe:
    """`payload` is None where it has text that nobody can store; `characters` are the message's."""

    id: str
    payload: dict[str, Any] | None
    characters: int


@dataclass(frozen=True, slots=True)
class Complete:
    id: str


Message: TypeAlias = Init | Ping | Pong | Subscribe | Complete


def read(text: str) -> Message:
    """Raises: Closing, with 4400."""
    try:
        said = strict_json.loads(text)
    except strict_json.NotJson as why:
        raise _invalid(f"a message {why}") from None
    except strict_json.NotText:
        return _unstorable(json.loads(text), len(text))
    if not isinstance(said, dict):
        raise _invalid("a message is an object")
    match said:
        case {"type": "connection_init"}:
            return Init(_payload(said) or {})
        case {"type": "ping"}:
            return Ping(_payload(said))
        case {"type": "pong"}:
            _payload(said)
            return Pong()
        case {"type": "subscribe"}:
            payload = _payload(said)
            if payload is None:
                raise _invalid("subscribe has a payload")
            return Subscribe(_id(said), payload, len(text))
        case {"type": "complete"}:
            return Complete(_id(said))
    raise _invalid("no such type of message")


def _unstorable(said: Any, characters: int) -> Message:
    """The operation is refused, and not the socket, where that can be told apart."""
    if isinstance(said, dict) and said.get("type") == "subscribe":
        return Subscribe(_id(said), None, characters)
    raise _invalid("text holds no NUL and no lone surrogate")


def _id(said: dict[str, Any]) -> str:
    id = said.get("id")
    if not isinstance(id, str) or not 0 < len(id) <= ID_MAX or not strict_json.storable(id):
        raise _invalid(f"an id is a string of 1 to {ID_MAX} characters")
    return id


def _payload(said: dict[str, Any]) -> dict[str, Any] | None:
    payload = said.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise _invalid("a payload is an object")
    return payload


def _invalid(reason: str) -> Closing:
    return Closing(INVALID, reason)
