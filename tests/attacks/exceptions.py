"""What code of ours or of a library may raise, each with a secret in every place that it has."""

import asyncio
import binascii
import csv
import decimal
import errno
import json
import ssl
import struct
import xml.etree.ElementTree as ET
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import argon2.exceptions
import asyncpg
import cryptography.exceptions
import httpx2
import joserfc.errors
import msgspec
import redis.exceptions
import sqlalchemy.exc
import starlette.exceptions
import starlette.requests
from graphql import GraphQLError, GraphQLSyntaxError, Source

from adapters.postgres import snapshot
from domain import errors
from domain.ports import Unsealable
from gateway.operations.faults import Fault
from gateway.operations.guard import Refused
from gateway.settings import SettingsError
from schema.context import Abandoned

Make = Callable[[str], BaseException]


@dataclass(frozen=True, slots=True)
class Kind:
    """`code` is what a client is told: INTERNAL of a bug, whose words are then masked."""

    name: str
    make: Make
    code: str = "INTERNAL"


def _said(kind: type[BaseException]) -> Make:
    def make(secret: str) -> BaseException:
        found = kind(secret)
        found.add_note(secret)
        return found

    return make


def _noted(make: Callable[[str], Exception]) -> Make:
    """A refusal, whose own words are for the client: what is behind it is not."""

    def noted(secret: str) -> Exception:
        found = make(secret)
        found.add_note(secret)
        found.__cause__ = KeyError(secret)
        return found

    return noted


class Wordy(Exception):
    """With attributes that graphql-core looks for."""

    def __init__(self, secret: str) -> None:
        super().__init__(secret)
        self.message, self.extensions = secret, {"secret": secret, "code": secret}
        self.path, self.nodes, self.source, self.positions = [secret], None, secret, [0]


class Speechless(Exception):
    """Of which not even the words can be had."""

    def __init__(self, secret: str) -> None:
        super().__init__(secret)
        self.secret = secret

    def __str__(self) -> str:
        raise ValueError(self.secret)


class Formatted(Exception):
    def __init__(self, secret: str) -> None:
        super().__init__(secret)
        self.detail, self.hint, self.query, self.params = (secret,) * 4


def _os(kind: type[OSError], number: int) -> Make:
    return lambda secret: kind(number, secret, f"/var/lib/{secret}", None, secret)


def _unicode_decode(secret: str) -> Exception:
    return UnicodeDecodeError("utf-8", secret.encode(), 0, 1, secret)


def _unicode_encode(secret: str) -> Exception:
    return UnicodeEncodeError("ascii", secret, 0, 1, secret)


def _unique(secret: str) -> Exception:
    fields = {"D": f"Key (email)=({secret}) exists.", "M": secret, "C": "23505", "s": secret}
    found: Exception = asyncpg.PostgresError.new(fields, query=f"INSERT INTO users ('{secret}')")
    return found


def _integrity(secret: str) -> Exception:
    return sqlalchemy.exc.IntegrityError(
        f"INSERT INTO users VALUES ('{secret}')", {"email": secret}, _unique(secret)
    )


def _status(secret: str) -> Exception:
    request = httpx2.Request("GET", f"https://{secret}.example/?key={secret}")
    response = httpx2.Response(500, text=secret, request=request)
    return httpx2.HTTPStatusError(secret, request=request, response=response)


def _group(secret: str) -> Exception:
    return ExceptionGroup(secret, [KeyError(secret), ValueError(secret)])


def _graphql_with_original(secret: str) -> Exception:
    return GraphQLError(secret, original_error=KeyError(secret), extensions={"secret": secret})


def _syntax(secret: str) -> Exception:
    return GraphQLSyntaxError(Source(secret), 0, secret)


def _from_another(secret: str) -> Exception:
    found = RuntimeError("while saving")
    found.__cause__ = ValueError(secret)
    found.__context__ = KeyError(secret)
    return found


LIBRARIES: tuple[tuple[Any, ...], ...] = (
    ("asyncpg.UniqueViolationError", _unique),
    ("asyncpg.InterfaceError", _said(asyncpg.InterfaceError)),
    ("asyncpg.QueryCanceledError", _said(asyncpg.QueryCanceledError)),
    ("asyncpg.DataError", _said(asyncpg.DataError)),
    ("sqlalchemy.IntegrityError", _integrity),
    ("sqlalchemy.TimeoutError", _said(sqlalchemy.exc.TimeoutError)),
    ("sqlalchemy.NoResultFound", _said(sqlalchemy.exc.NoResultFound)),
    ("redis.ConnectionError", _said(redis.exceptions.ConnectionError)),
    ("redis.ResponseError", _said(redis.exceptions.ResponseError)),
    ("httpx2.ConnectError", _said(httpx2.ConnectError)),
    ("httpx2.ReadTimeout", _said(httpx2.ReadTimeout)),
    ("httpx2.HTTPStatusError", _status),
    ("httpx2.InvalidURL", _said(httpx2.InvalidURL)),
    ("msgspec.ValidationError", _said(msgspec.ValidationError)),
    ("msgspec.DecodeError", _said(msgspec.DecodeError)),
    ("cryptography.InvalidTag", _said(cryptography.exceptions.InvalidTag)),
    ("argon2.VerifyMismatchError", _said(argon2.exceptions.VerifyMismatchError)),
    ("joserfc.BadSignatureError", joserfc.errors.BadSignatureError),
    ("starlette.HTTPException", lambda s: starlette.exceptions.HTTPException(418, s, {"x-s": s})),
    ("starlette.ClientDisconnect", _said(starlette.requests.ClientDisconnect)),
    ("GraphQLError of another", _graphql_with_original),
    ("GraphQLSyntaxError", _syntax),
)
STANDARD: tuple[tuple[Any, ...], ...] = (
    *(
        (f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."), _said(kind))
        for kind in (
            *(Exception, RuntimeError, ValueError, TypeError, KeyError, IndexError, LookupError),
            *(AttributeError, NameError, AssertionError, ArithmeticError, ZeroDivisionError),
            *(OverflowError, RecursionError, MemoryError, EOFError, BufferError, ImportError),
            *(TimeoutError, StopAsyncIteration, StopIteration, SyntaxError, Warning),
            *(decimal.InvalidOperation, decimal.DivisionByZero, binascii.Error, struct.error),
            *(csv.Error, ET.ParseError, zoneinfo.ZoneInfoNotFoundError),
            *(asyncio.InvalidStateError, asyncio.QueueFull, asyncio.CancelledError),
            *(Wordy, Speechless, Formatted),
        )
    ),
    ("OSError", _os(OSError, errno.EIO)),
    ("FileNotFoundError", _os(FileNotFoundError, errno.ENOENT)),
    ("PermissionError", _os(PermissionError, errno.EACCES)),
    ("ConnectionResetError", _os(ConnectionResetError, errno.ECONNRESET)),
    ("BrokenPipeError", _os(BrokenPipeError, errno.EPIPE)),
    ("ssl.SSLError", lambda secret: ssl.SSLError(1, secret)),
    ("UnicodeDecodeError", _unicode_decode),
    ("UnicodeEncodeError", _unicode_encode),
    ("json.JSONDecodeError", lambda secret: json.JSONDecodeError(secret, secret, 0)),
    ("IncompleteReadError", lambda s: asyncio.IncompleteReadError(s.encode(), None)),
    ("ExceptionGroup", _group),
    ("RuntimeError from another", _from_another),
)
OURS: tuple[tuple[Any, ...], ...] = (
    ("Unsealable", _said(Unsealable)),
    ("Abandoned while it was read", _said(snapshot.Abandoned)),
    ("SettingsError", _said(SettingsError)),
    ("Fault", lambda secret: Fault(400, secret, secret, {"x-secret": secret})),
    ("Refused", lambda secret: Refused(secret, [GraphQLError(secret)])),
    ("Abandoned", _noted(lambda _: Abandoned("the operation is over")), "UNAVAILABLE"),
    ("Unavailable", _noted(lambda _: errors.Unavailable("it is away")), "UNAVAILABLE"),
    ("Unauthenticated", _noted(lambda _: errors.Unauthenticated("sign in")), "UNAUTHENTICATED"),
    ("BadQuery", _noted(lambda _: errors.BadQuery("out of range")), "BAD_USER_INPUT"),
    ("TooMuch", _noted(lambda _: errors.TooMuch("too much")), "TOO_COMPLEX"),
    ("InvalidInput", _noted(lambda _: errors.InvalidInput("no")), "BAD_USER_INPUT"),
    ("NotFound", _noted(lambda _: errors.NotFound("no such thing")), "NOT_FOUND"),
    ("NotPermitted", _noted(lambda _: errors.NotPermitted("you may not")), "NOT_PERMITTED"),
    ("Conflict", _noted(lambda _: errors.Conflict("it is so already")), "CONFLICT"),
    (
        "RateLimited",
        _noted(lambda s: errors.RateLimited("too often", retry_after_s=7, key=f"sign_in:{s}")),
        "RATE_LIMITED",
    ),
    (
        "CredentialsRejected",
        _noted(lambda _: errors.CredentialsRejected("refused", provider="sandbox")),
        "BAD_USER_INPUT",
    ),
    (
        "ProviderUnavailable",
        _noted(lambda _: errors.ProviderUnavailable("no answer", provider="sandbox")),
        "UNAVAILABLE",
    ),
    ("UnreadableFile", _noted(lambda _: errors.UnreadableFile("no", line=3)), "BAD_USER_INPUT"),
)
KINDS = [Kind(*each) for each in (*STANDARD, *LIBRARIES, *OURS)]
