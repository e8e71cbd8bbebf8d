"""People, what they may do, and their sessions."""

import os
import re
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import NewType, Self, TypeAlias, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from domain.errors import ErrorCode, InvalidInput
from domain.money import Currency

T = TypeVar("T")


class Unset(Enum):
    """Not mentioned, as opposed to null, which clears."""

    UNSET = "UNSET"


UNSET = Unset.UNSET
Maybe: TypeAlias = T | Unset | None

UserId = NewType("UserId", UUID)
SessionId = NewType("SessionId", UUID)

SESSION_LIFETIME = timedelta(days=30)
REFRESH_GRACE = timedelta(seconds=10)
USE_NOTED_EVERY = timedelta(hours=1)
SESSION_LIMIT_MAX = 100
PASSWORD_MIN, PASSWORD_MAX_BYTES = 12, 1024
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f.][^@\s\x00-\x1f\x7f]{0,252}")


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    ms = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (ms & (2**48 - 1)) << 80 | 0x7 << 76 | (random >> 68) << 64
    value |= 0b10 << 62 | random & (2**62 - 1)
    return UUID(int=value)


class Role(Enum):
    ADMIN = "ADMIN"
    USER = "USER"
    READONLY = "READONLY"


class Permission(Enum):
    """Object type and action, as the policy is asked."""

    WRITE_SETTINGS = ("settings", "write")
    WRITE_LINKS = ("link", "write")
    WRITE_DATA = ("data", "write")
    WRITE_SESSIONS = ("session", "write")
    ADMINISTER = ("admin", "write")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    id: UserId
    email: str
    email_verified: bool
    role: Role
    created_at: datetime
    base_currency: Currency
    time_zone: str
    session_limit: int | None = None
    totp_enabled: bool = False
    token_version: int = 0
    last_sign_in_at: datetime | None = None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who is asking: a user, in one session; `session_id` is None for the worker and the shell.

    `trace_id` is of the request, for the audit log.
    """

    user_id: UserId
    role: Role
    session_id: SessionId | None = None
    ip_address: str | None = None
    trace_id: str | None = None


NOBODY = UserId(UUID(int=0))  # whose attempts the audit log keeps where no user is meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in. `refresh_hash` is of the current refresh token, or of a cookie's secret.

    `token_version` and `generation` are the user's and the gateway's token versions at its last
    issue of a token. `providers_accessed` are slugs.
    """

    id: SessionId
    user_id: UserId
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    refresh_hash: bytes
    is_cookie: bool
    device: str | None = None
    ip_address: str | None = None
    ended_at: datetime | None = None
    location: str | None = None
    providers_accessed: tuple[str, ...] = ()
    token_version: int = 0
    generation: int = 0

    def rotated(self, *, refresh_hash: bytes, at: datetime) -> Self:
        return replace(
            self,
            refresh_hash=refresh_hash,
            last_used_at=at,
            expires_at=at + SESSION_LIFETIME,
        )

    def used(self, *, at: datetime) -> Self:
        """The session after a use, of which one an hour is noted; a cookie's life begins anew."""
        if at - self.last_used_at < USE_NOTED_EVERY:
            return self
        expires_at = at + SESSION_LIFETIME if self.is_cookie else self.expires_at
        return replace(self, last_used_at=at, expires_at=expires_at)

    def is_live(self, at: datetime) -> bool:
        return self.ended_at is None and at < self.expires_at


def normal_email(said: str) -> str:
    """Lower case, without surrounding blanks. Raises InvalidInput for what is no address."""
    address = said.strip().lower()
    if len(address) > 254 or not _EMAIL.fullmatch(address) or "." not in address.split("@")[1]:
        raise InvalidInput("that is not an e-mail address", field=("input", "email"))
    return address


def strong_password(said: str, *, email: str, field: tuple[str, ...]) -> str:
    """NIST 800-63B: length counts, composition does not; nothing that names its owner.

    Raises:
        InvalidInput: WEAK_PASSWORD, saying what is missing.
    """
    reason, own_name = None, email.partition("@")[0]
    if len(said) < PASSWORD_MIN:
        reason = f"a password has at least {PASSWORD_MIN} characters"
    elif len(said.encode()) > PASSWORD_MAX_BYTES:
        reason = f"a password has at most {PASSWORD_MAX_BYTES} bytes"
    elif len(set(said)) < 5:
        reason = "a password has at least five different characters"
    elif len(own_name) > 3 and own_name in said.lower():
        reason = "a password does not hold your own name"
    if reason:
        raise InvalidInput(reason, field=field, code=ErrorCode.WEAK_PASSWORD)
    return said


@cache
def _time_zones() -> frozenset[str]:
    """Read once: it walks the zone database."""
    return frozenset(available_timezones())


def known_time_zone(said: str) -> str:
    """Raises InvalidInput for what is no IANA time zone."""
    if said not in _time_zones():
        raise InvalidInput(
            "that is not an IANA time zone, such as Europe/Berlin", field=("input", "timeZone")
        )
    return said


def session_limit(said: int | None) -> int | None:
    if said is not None and not 1 <= said <= SESSION_LIMIT_MAX:
        raise InvalidInput(
            f"a session limit is 1 to {SESSION_LIMIT_MAX}", field=("input", "sessionLimit")
        )
    return said
