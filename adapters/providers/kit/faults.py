"""What goes wrong at providers, in one table: the code, and what the owner can do about it.

Each adapter says which of these its provider's own words are. An asterisk in the table: it may be
worth another try, without anyone doing anything.

fault          code                    what the owner can do
REJECTED       CREDENTIALS_REJECTED    REPLACE_CREDENTIALS
EXPIRED        AUTHORIZATION_EXPIRED   REAUTHORIZE
WITHDRAWN      AUTHORIZATION_EXPIRED   REAUTHORIZE; the link is REVOKED
LOCKED         CREDENTIALS_REJECTED    CONTACT_INSTITUTION
FORBIDDEN      CREDENTIALS_REJECTED    REAUTHORIZE, with more rights
UNPAID         PROVIDER_UNAVAILABLE    PAY_PROVIDER
UNSUPPORTED    PROVIDER_UNAVAILABLE    CONTACT_INSTITUTION
DOWN *         PROVIDER_UNAVAILABLE    nothing, but wait
BUSY *         PROVIDER_UNAVAILABLE    nothing, but wait; we asked too often
NOT_READY *    PROVIDER_UNAVAILABLE    nothing, but wait
MISTAKEN       PROVIDER_UNAVAILABLE    nothing: we, or the operator, ask for what there is not
"""

from dataclasses import dataclass
from enum import Enum

from adapters.providers.kit.names import named
from domain.errors import (
    CredentialsRejected,
    DomainError,
    ErrorCode,
    LinkAction,
    ProviderUnavailable,
)


class Fault(Enum):
    """Code, whether it may be worth another try, what the owner can do, and our words for it."""

    REJECTED = (
        ErrorCode.CREDENTIALS_REJECTED,
        False,
        LinkAction.REPLACE_CREDENTIALS,
        "refused the credentials",
    )
    EXPIRED = (
        ErrorCode.AUTHORIZATION_EXPIRED,
        False,
        LinkAction.REAUTHORIZE,
        "needs you to authorize again",
    )
    WITHDRAWN = (
        ErrorCode.AUTHORIZATION_EXPIRED,
        False,
        LinkAction.REAUTHORIZE,
        "says that access was withdrawn there",
    )
    LOCKED = (
        ErrorCode.CREDENTIALS_REJECTED,
        False,
        LinkAction.CONTACT_INSTITUTION,
        "has locked the login",
    )
    FORBIDDEN = (
        ErrorCode.CREDENTIALS_REJECTED,
        False,
        LinkAction.REAUTHORIZE,
        "does not let us read this",
    )
    UNPAID = (
        ErrorCode.PROVIDER_UNAVAILABLE,
        False,
        LinkAction.PAY_PROVIDER,
        "wants to be paid first",
    )
    UNSUPPORTED = (
        ErrorCode.PROVIDER_UNAVAILABLE,
        False,
        LinkAction.CONTACT_INSTITUTION,
        "does not offer this institution or login any more",
    )
    DOWN = (ErrorCode.PROVIDER_UNAVAILABLE, True, None, "is down")
    BUSY = (ErrorCode.PROVIDER_UNAVAILABLE, True, None, "wants to be asked less often")
    NOT_READY = (ErrorCode.PROVIDER_UNAVAILABLE, True, None, "is not ready yet")
    MISTAKEN = (ErrorCode.PROVIDER_UNAVAILABLE, False, None, "did not accept what we asked")

    def __init__(
        self, code: ErrorCode, is_retryable: bool, action: LinkAction | None, words: str
    ) -> None:
        self.code, self.is_retryable, self.action, self.words = code, is_retryable, action, words

    def refusal(
        self, provider: str, *, said: str | None = None, retry_after_s: int | None = None
    ) -> DomainError:
        """`said` is what the provider says of it: its code, or words fit for the owner's eyes."""
        message = f"{named(provider)} {self.words}" + (f" ({said})" if said else "")
        if self.code is ErrorCode.PROVIDER_UNAVAILABLE:
            return ProviderUnavailable(
                message, provider=provider, retry_after_s=retry_after_s, action=self.action
            )
        return CredentialsRejected(
            message,
            provider=provider,
            code=self.code,
            action=self.action,
            withdrawn=self is Fault.WITHDRAWN,
        )


@dataclass(frozen=True, slots=True)
class Said:
    """What a provider's own words mean. `words` are its code, or what its owner may read."""

    fault: Fault
    words: str | None = None
