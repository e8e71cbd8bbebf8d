"""Refusals: what a caller may know, each with a stable code.

DomainError
├── InvalidInput          a value that breaks a rule
├── NotFound              no such thing, or not the asker's
├── NotPermitted          known, and not allowed
├── Conflict              true elsewhere already, or not in that state
├── RateLimited           too often; says when
├── CredentialsRejected   the provider refused what we presented
├── ProviderUnavailable   the provider gave no usable answer
└── UnreadableFile        an upload that could not be read; says where

BadQuery, TooMuch, Unauthenticated and Unavailable are refusals of a whole query, not of a command.
"""

from collections.abc import Sequence
from enum import Enum


class ErrorCode(Enum):
    INVALID_INPUT = "INVALID_INPUT"
    NOT_FOUND = "NOT_FOUND"
    NOT_PERMITTED = "NOT_PERMITTED"
    CONFLICT = "CONFLICT"
    RATE_LIMITED = "RATE_LIMITED"
    WEAK_PASSWORD = "WEAK_PASSWORD"
    SIGN_IN_FAILED = "SIGN_IN_FAILED"
    EMAIL_NOT_VERIFIED = "EMAIL_NOT_VERIFIED"
    TOKEN_INVALID = "TOKEN_INVALID"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    TOKEN_REUSED = "TOKEN_REUSED"
    MFA_REQUIRED = "MFA_REQUIRED"
    MFA_FAILED = "MFA_FAILED"
    PROVIDER_UNKNOWN = "PROVIDER_UNKNOWN"
    PROVIDER_DISABLED = "PROVIDER_DISABLED"
    CREDENTIALS_REJECTED = "CREDENTIALS_REJECTED"
    AUTHORIZATION_EXPIRED = "AUTHORIZATION_EXPIRED"
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    LINK_NOT_ACTIVE = "LINK_NOT_ACTIVE"
    SYNC_TOO_SOON = "SYNC_TOO_SOON"
    FILE_UNREADABLE = "FILE_UNREADABLE"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"


class LinkAction(Enum):
    """What the owner of a link can do about what is wrong with it."""

    REAUTHORIZE = "REAUTHORIZE"
    REPLACE_CREDENTIALS = "REPLACE_CREDENTIALS"
    PAY_PROVIDER = "PAY_PROVIDER"
    CONTACT_INSTITUTION = "CONTACT_INSTITUTION"


Field = Sequence[str] | None


class DomainError(Exception):
    """A refusal. `field` is the path of the value at fault, from the argument down."""

    codes: tuple[ErrorCode, ...] = ()

    def __init__(self, message: str, *, field: Field = None, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        if not self.codes or (code is not None and code not in self.codes):
            raise TypeError(f"{type(self).__name__} has no code {code}")
        self.message = message
        self.field = None if field is None else tuple(field)
        self.code = self.codes[0] if code is None else code


class InvalidInput(DomainError):
    codes = (
        ErrorCode.INVALID_INPUT,
        ErrorCode.WEAK_PASSWORD,
        ErrorCode.TOKEN_INVALID,
        ErrorCode.TOKEN_EXPIRED,
        ErrorCode.TOKEN_REUSED,
    )


class NotFound(DomainError):
    """No such thing, or not the asker's: the two look the same on purpose."""

    codes = (ErrorCode.NOT_FOUND, ErrorCode.PROVIDER_UNKNOWN)


class NotPermitted(DomainError):
    codes = (
        ErrorCode.NOT_PERMITTED,
        ErrorCode.SIGN_IN_FAILED,
        ErrorCode.EMAIL_NOT_VERIFIED,
        ErrorCode.MFA_REQUIRED,
        ErrorCode.MFA_FAILED,
    )


class Conflict(DomainError):
    """`existing` is the kind and id of what stands in the way, where it is the asker's own."""

    codes = (ErrorCode.CONFLICT, ErrorCode.LINK_NOT_ACTIVE, ErrorCode.PROVIDER_DISABLED)

    def __init__(
        self,
        message: str,
        *,
        existing: tuple[str, object] | None = None,
        field: Field = None,
        code: ErrorCode | None = None,
    ) -> None:
        super().__init__(message, field=field, code=code)
        self.existing = existing


class RateLimited(DomainError):
    """`key` is what was tried too often, after the limit's name and a colon; `burst` how often it
    may be, in `per_seconds`. By them the audit log has the first refusal of each.
    """

    codes = (ErrorCode.RATE_LIMITED, ErrorCode.SYNC_TOO_SOON)

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: int,
        key: str | None = None,
        burst: int = 0,
        per_seconds: int = 0,
        field: Field = None,
        code: ErrorCode | None = None,
    ) -> None:
        super().__init__(message, field=field, code=code)
        self.retry_after_s = retry_after_s
        self.key, self.burst, self.per_seconds = key, burst, per_seconds


class CredentialsRejected(DomainError):
    """`withdrawn`: the owner ended it at the provider."""

    codes = (ErrorCode.CREDENTIALS_REJECTED, ErrorCode.AUTHORIZATION_EXPIRED)

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        action: LinkAction | None = None,
        withdrawn: bool = False,
        field: Field = None,
        code: ErrorCode | None = None,
    ) -> None:
        super().__init__(message, field=field, code=code)
        self.provider, self.action, self.withdrawn = provider, action, withdrawn


class ProviderUnavailable(DomainError):
    """`asked` is false where it was not even asked, since it had been asked often enough."""

    codes = (ErrorCode.PROVIDER_UNAVAILABLE,)

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        retry_after_s: int | None = None,
        action: LinkAction | None = None,
        asked: bool = True,
        field: Field = None,
    ) -> None:
        super().__init__(message, field=field)
        self.provider, self.action, self.asked = provider, action, asked
        self.retry_after_s = retry_after_s


class UnreadableFile(DomainError):
    """`line` counts from 1, where a line is at fault."""

    codes = (ErrorCode.FILE_UNREADABLE, ErrorCode.FILE_TOO_LARGE)

    def __init__(
        self,
        message: str,
        *,
        line: int | None = None,
        field: Field = None,
        code: ErrorCode | None = None,
    ) -> None:
        super().__init__(message, field=field, code=code)
        self.line = line


class BadQuery(Exception):
    """A query's argument is out of range: a top-level BAD_USER_INPUT."""


class TooMuch(Exception):
    """A query takes more than one operation is given: a top-level TOO_COMPLEX."""


class Unauthenticated(Exception):
    """Nobody is signed in, and the field needs someone."""


class Unavailable(Exception):
    """Something that we need is away; the same request may work later."""

    audit_detail = "UNAVAILABLE"

    def __init__(self, message: str, *, retry_after_s: int = 2) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
