"""What is mailed: which letter, to whom and about what; and the tokens that some of them carry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

from domain.identity import UserId
from domain.secret import Secret

VERIFY_LIFETIME = timedelta(hours=24)
RESET_LIFETIME = timedelta(minutes=15)
TOKEN_KEPT = timedelta(days=7)  # after its end, so that it is told from one that never was
MAIL_KEPT_TRYING = timedelta(days=1)


class Template(Enum):
    """Which letter it is; beside it the values that it takes."""

    VERIFY_EMAIL = "verify_email"
    ALREADY_REGISTERED = "already_registered"
    RESET_PASSWORD = "reset_password"
    PASSWORD_CHANGED = "password_changed"
    TOKEN_REUSED = "token_reused"  # device, ip_address
    SECOND_FACTOR_CHANGED = "second_factor_changed"  # change: "enabled" or "disabled"
    NEW_DEVICE = "new_device"  # device, location, ip_address
    ROLE_CHANGED = "role_changed"  # role
    ACCOUNT_DELETED = "account_deleted"  # standing: where something is left to withdraw, or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """`at` is when what it tells of happened; no value is a secret, but for the `token`.

    One that is sent twice, since nobody knows whether it was, has the same `id`.
    """

    id: UUID
    to: str
    template: Template
    at: datetime
    values: Mapping[str, str] = field(default_factory=dict)
    token: Secret | None = None


class Undeliverable(Exception):
    """Nobody will ever take this letter; `reason` names no address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Purpose(Enum):
    VERIFY = "VERIFY"
    RESET = "RESET"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailToken:
    """A token that was mailed, of which we keep the digest.

    `id` is of the job that made it. One that verifies carries the password hash of the
    registration that it belongs to, which becomes the account's: whoever registers somebody
    else's address before them gains nothing.
    """

    user_id: UserId
    id: UUID
    purpose: Purpose
    digest: bytes
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    password_hash: str | None = field(default=None, repr=False)
