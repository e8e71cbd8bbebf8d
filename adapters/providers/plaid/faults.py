"""What Plaid's error codes mean, as data. See "Errors" in its documentation.

A code decides where it is known, else its type. What an Item lacks is no failure of a pull.
"""

import re

from adapters.providers.kit import Fault, Malformed, Record, Said, text_or_none
from domain.errors import CredentialsRejected, DomainError, ProviderUnavailable

SLUG = "plaid"
WORDS_MAX = 200  # characters of a message that is shown

_MARKUP = re.compile(r"<[^>]*>|[a-z]+://\S+", re.IGNORECASE)

CODES = {
    # the Item, that is the login at one institution
    "ITEM_LOGIN_REQUIRED": Fault.EXPIRED,
    "INVALID_CREDENTIALS": Fault.EXPIRED,
    "INVALID_MFA": Fault.EXPIRED,
    "INVALID_UPDATED_USERNAME": Fault.EXPIRED,
    "INSUFFICIENT_CREDENTIALS": Fault.EXPIRED,
    "USER_INPUT_TIMEOUT": Fault.EXPIRED,
    "INVALID_ACCESS_TOKEN": Fault.EXPIRED,
    "OAUTH_INVALID_TOKEN": Fault.EXPIRED,
    "OAUTH_CONSENT_EXPIRED": Fault.EXPIRED,
    "USER_PERMISSION_REVOKED": Fault.WITHDRAWN,
    "OAUTH_USER_REVOKED": Fault.WITHDRAWN,
    "ITEM_NOT_FOUND": Fault.WITHDRAWN,
    "ITEM_CONCURRENTLY_DELETED": Fault.WITHDRAWN,
    "ITEM_LOCKED": Fault.LOCKED,
    "PASSWORD_RESET_REQUIRED": Fault.LOCKED,
    "USER_SETUP_REQUIRED": Fault.LOCKED,
    "ACCESS_NOT_GRANTED": Fault.FORBIDDEN,
    "ADDITIONAL_CONSENT_REQUIRED": Fault.FORBIDDEN,
    "NO_ACCOUNTS": Fault.FORBIDDEN,
    "MFA_NOT_SUPPORTED": Fault.UNSUPPORTED,
    "ITEM_NOT_SUPPORTED": Fault.UNSUPPORTED,
    "INVALID_PUBLIC_TOKEN": Fault.REJECTED,
    # the institution
    "INSTITUTION_DOWN": Fault.DOWN,
    "INSTITUTION_NOT_RESPONDING": Fault.DOWN,
    "INSTITUTION_NOT_AVAILABLE": Fault.DOWN,
    "UNSUPPORTED_RESPONSE": Fault.DOWN,
    "INSTITUTION_NO_LONGER_SUPPORTED": Fault.UNSUPPORTED,
    "INSTITUTION_NOT_FOUND": Fault.UNSUPPORTED,
    "INSTITUTION_NOT_ENABLED_IN_ENVIRONMENT": Fault.MISTAKEN,
    "INSTITUTION_REGISTRATION_REQUIRED": Fault.MISTAKEN,
    "UNAUTHORIZED_INSTITUTION": Fault.MISTAKEN,
    # Plaid itself
    "INTERNAL_SERVER_ERROR": Fault.DOWN,
    "PLANNED_MAINTENANCE": Fault.DOWN,
    "PRODUCT_NOT_READY": Fault.NOT_READY,
    "RATE_LIMIT_EXCEEDED": Fault.BUSY,
}
TYPES = {
    "API_ERROR": Fault.DOWN,
    "INSTITUTION_ERROR": Fault.DOWN,
    "RATE_LIMIT_EXCEEDED": Fault.BUSY,
    "ITEM_ERROR": Fault.MISTAKEN,
    "INVALID_REQUEST": Fault.MISTAKEN,
    "INVALID_INPUT": Fault.MISTAKEN,
    "INVALID_RESULT": Fault.MISTAKEN,
    "OAUTH_ERROR": Fault.MISTAKEN,
    "TRANSACTIONS_ERROR": Fault.MISTAKEN,
}
# Of a product that not every Item has.
LACKING = frozenset(
    {
        "ADDITIONAL_CONSENT_REQUIRED",
        "INVESTMENTS_UNAVAILABLE",
        "ITEM_PRODUCT_NOT_READY",
        "NO_INVESTMENT_ACCOUNTS",
        "NO_LIABILITY_ACCOUNTS",
        "PRODUCTS_NOT_SUPPORTED",
        "PRODUCT_NOT_ENABLED",
        "PRODUCT_NOT_READY",
        "PRODUCT_NOT_SUPPORTED",
    }
)
GONE = frozenset({"INVALID_ACCESS_TOKEN", "ITEM_NOT_FOUND", "ITEM_CONCURRENTLY_DELETED"})
NO_KEY = "INVALID_WEBHOOK_VERIFICATION_KEY_ID"
MUTATED = "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION"


class Lacking(ProviderUnavailable):
    """The Item has not, or not yet, what was asked for. `said` is what that is in a call that
    every Item has to answer."""

    said: Said


class Mutated(ProviderUnavailable):
    """What is being read page by page has changed meanwhile: it is to be read again."""


class Gone(CredentialsRejected):
    """There is no such Item any more, or never was."""


class UnknownKey(ProviderUnavailable):
    """No key of webhooks has this id."""


def explain(status: int, body: object) -> Said | DomainError | None:
    """What an error answer says."""
    if not isinstance(body, dict) or (said := fault_of(body)) is None:
        return None
    code = body["error_code"]
    if code == MUTATED:
        return Mutated("Plaid changed a list while it was read", provider=SLUG, retry_after_s=60)
    if code in LACKING:
        lacking = Lacking(f"Plaid has none of this ({said.words})", provider=SLUG)
        lacking.said = said
        return lacking
    if code in GONE:
        f = said.fault
        return Gone(
            f"Plaid {f.words} ({said.words})",
            provider=SLUG,
            code=f.code,
            action=f.action,
            withdrawn=f is Fault.WITHDRAWN,
        )
    if code == NO_KEY:
        return UnknownKey("Plaid knows no such key", provider=SLUG)
    return said


def refusal(error: Record) -> DomainError | None:
    """What is wrong with an Item, by its own word, where it is for its owner to mend."""
    said = fault_of(error)
    if said is None or said.fault.is_retryable or said.fault is Fault.MISTAKEN:
        return None
    return said.fault.refusal(SLUG, said=said.words)


def fault_of(error: Record) -> Said | None:
    code, kind, reason = (
        error.get(name) for name in ("error_code", "error_type", "error_code_reason")
    )
    if not isinstance(code, str) or not code:
        return None
    fault = CODES.get(str(reason)) if code == "ITEM_LOGIN_REQUIRED" else None
    return Said(fault or CODES.get(code) or TYPES.get(str(kind), Fault.MISTAKEN), _words(error))


def _words(error: Record) -> str | None:
    """Its message for those it concerns, without markup and addresses, else its code."""
    for name in ("display_message", "error_code"):
        try:
            said = text_or_none(error, name)
        except Malformed:
            continue
        if said is not None and (plain := " ".join(_MARKUP.sub(" ", said).split())):
            return plain[:WORDS_MAX]
    return None
