"""Refusals: as data in a mutation's payload, as coded errors at the top level of a query."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import strawberry
import structlog
from graphql import GraphQLError

from domain import errors as domain_errors
from domain.errors import (
    BadQuery,
    DomainError,
    ErrorCode,
    TooMuch,
    Unauthenticated,
    Unavailable,
)
from domain.links import ProviderInfo, SyncError
from schema.context import Abandoned
from schema.fields import described
from schema.ids import global_id
from schema.providers import Provider

MESSAGE_MAX = 500  # characters: messages quote what the client wrote

log = structlog.get_logger("dashtam.graphql")

strawberry.enum(ErrorCode, description="Why something was refused. Codes are stable.")


@strawberry.interface(description="A refusal: what was asked for did not happen, and why.")
class UserError:
    code: ErrorCode
    message: str = described("In English, for a person to read.")
    field: list[str] | None = described(
        'The path of the value at fault, from the argument down: ["input", "timeZone"].'
    )


@strawberry.type(description="A value that breaks a rule.")
class InvalidInput(UserError):
    pass


@strawberry.type(description="No such thing, or not yours: the two look the same on purpose.")
class NotFound(UserError):
    pass


@strawberry.type(description="You are known, and may not do this.")
class NotPermitted(UserError):
    pass


@strawberry.type(description="It is true elsewhere already, or not in a state for this.")
class Conflict(UserError):
    existing_id: strawberry.ID | None = described("What stands in the way, where it is yours.")


@strawberry.type(description="Too often, or too soon.")
class RateLimited(UserError):
    retry_after_seconds: int


@strawberry.type(description="The provider refused the credentials that we presented.")
class CredentialsRejected(UserError):
    provider: Provider


@strawberry.type(description="The provider gave no usable answer.")
class ProviderUnavailable(UserError):
    provider: Provider
    retry_after_seconds: int | None = described("When it is worth another try, where known.")


@strawberry.type(description="A file that could not be read.")
class UnreadableFile(UserError):
    line: int | None = described("Counted from 1, where a line is at fault.")


TYPES: dict[type[DomainError], type[UserError]] = {
    domain_errors.InvalidInput: InvalidInput,
    domain_errors.NotFound: NotFound,
    domain_errors.NotPermitted: NotPermitted,
    domain_errors.Conflict: Conflict,
    domain_errors.RateLimited: RateLimited,
    domain_errors.CredentialsRejected: CredentialsRejected,
    domain_errors.ProviderUnavailable: ProviderUnavailable,
    domain_errors.UnreadableFile: UnreadableFile,
}
_BY_CODE = {code: TYPES[kind] for kind in TYPES for code in kind.codes}


def user_error(refusal: DomainError, provider: Callable[[str], ProviderInfo]) -> UserError:
    """A copy: graphql-core raises whatever is an Exception, even as an item of a list."""
    more: dict[str, Any] = {}
    match refusal:
        case domain_errors.Conflict(existing=(str(kind), UUID() as id)):
            more["existing_id"] = global_id(kind, id)
        case domain_errors.Conflict():
            more["existing_id"] = None
        case domain_errors.RateLimited():
            more["retry_after_seconds"] = refusal.retry_after_s
        case domain_errors.CredentialsRejected():
            more["provider"] = provider(refusal.provider)
        case domain_errors.ProviderUnavailable():
            more["provider"] = provider(refusal.provider)
            more["retry_after_seconds"] = refusal.retry_after_s
        case domain_errors.UnreadableFile():
            more["line"] = refusal.line
    path = None if refusal.field is None else list(refusal.field)
    kind_ = TYPES[type(refusal)]
    return kind_(code=refusal.code, message=refusal.message, field=path, **more)


def sync_error(error: SyncError, provider: ProviderInfo) -> UserError:
    """Why a run of this provider's link failed, or what is wrong with the link."""
    kind = _BY_CODE[error.code]
    more: dict[str, Any] = {}
    if kind is RateLimited:
        more["retry_after_seconds"] = error.retry_after_s or 0
    if kind is ProviderUnavailable:
        more["retry_after_seconds"] = error.retry_after_s
    if kind in (CredentialsRejected, ProviderUnavailable):
        more["provider"] = provider
    if kind is Conflict:
        more["existing_id"] = None
    if kind is UnreadableFile:
        more["line"] = None
    return kind(code=error.code, message=error.message, field=None, **more)


def code_of(error: GraphQLError) -> str:
    """What `public` gives as its code."""
    cause = error.original_error
    if cause is None:
        return "BAD_USER_INPUT"
    if isinstance(cause, GraphQLError):
        # A variable that does not coerce is of no field, and an argument that does not is pointed
        # at; what a resolver raises is of its field, and points nowhere.
        is_pointed_at = bool(cause.nodes) and cause.original_error is None
        return "BAD_USER_INPUT" if error.path is None or is_pointed_at else "INTERNAL"
    return _code(cause) or "INTERNAL"


def public(error: GraphQLError, trace_id: str) -> dict[str, Any]:
    """The last word on a field's error: a refusal by its code, a bug masked and logged."""
    extensions: dict[str, Any] = {"code": (code := code_of(error))}
    message = error.message
    cause = error.original_error
    if cause is not None and code == "INTERNAL":
        message = "internal error"
        extensions["incident"] = _incident(error, cause, trace_id)
    elif cause is not None and not isinstance(cause, GraphQLError):
        message = str(cause)
        if isinstance(wait := getattr(cause, "retry_after_s", None), int):
            extensions["retryAfterSeconds"] = wait
    shown: dict[str, Any] = {"message": message[:MESSAGE_MAX]}
    if error.locations:
        shown["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path is not None:
        shown["path"] = list(error.path)
    shown["extensions"] = extensions | {"traceId": trace_id}
    return shown


_CODES: tuple[tuple[type[Exception], str], ...] = (
    (Unauthenticated, "UNAUTHENTICATED"),
    (BadQuery, "BAD_USER_INPUT"),
    (TooMuch, "TOO_COMPLEX"),
    (Unavailable, "UNAVAILABLE"),
    (Abandoned, "UNAVAILABLE"),
    (domain_errors.NotFound, "NOT_FOUND"),
    (domain_errors.NotPermitted, "NOT_PERMITTED"),
    (domain_errors.Conflict, "CONFLICT"),
    (domain_errors.RateLimited, "RATE_LIMITED"),
    (domain_errors.ProviderUnavailable, "UNAVAILABLE"),
    (DomainError, "BAD_USER_INPUT"),
)


def _code(cause: Exception) -> str | None:
    return next((code for kind, code in _CODES if isinstance(cause, kind)), None)


def _incident(error: GraphQLError, cause: Exception, trace_id: str) -> str:
    """One bug is one incident, however many fields it fails."""
    found = cause.__dict__.get("incident")
    if isinstance(found, str):
        return found
    incident = uuid4().hex[:12]
    cause.__dict__["incident"] = incident
    log.error(
        "graphql.bug",
        incident=incident,
        trace_id=trace_id,
        path=error.path,
        exc_info=cause,
    )
    return incident
