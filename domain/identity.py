"""People, what they may do, and their sessions."""

import os
import re
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import cache
from typing import NewType, Self, TypeAlias, TypeVar
from unicodedata import normalize
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from domain.errors import InvalidInput
from domain.idempotency import IdempotencyKey
from domain.money import Currency

T = TypeVar("T")


class Unset(Enum):
    """Not mentioned, as opposed to null, which clears."""

    UNSET = "UNSET"


UNSET = Unset.UNSET
Maybe: TypeAlias = T | Unset | None

UserId = NewType("UserId", UUID)
SessionId = NewType("SessionId", UUID)

SESSION_LIFETIME, ACCESS_LIFETIME = timedelta(days=30), timedelta(minutes=15)
REFRESH_GRACE = timedelta(seconds=10)
USE_NOTED_EVERY, MOVE_NOTED_EVERY = timedelta(hours=1), timedelta(minutes=1)
ROTATION_GRACE_S, ROTATION_GRACE_S_MAX = 300, 86_400
NEVER, ALWAYS = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
SESSION_LIMIT_MAX = 100
# RFC 5322's dot-atom before the @ and labels of a name behind it, with all of Unicode (RFC 6531);
# no quotes, comments or lists, so that an address is one wherever it is written.
_ATOM, _LABEL = r"[^\x00-\x20\x7f\"(),.:;<>@\[\\\]]+", r"[^\x00-,./:-@\[-`{-\x7f]+"
_EMAIL = re.compile(rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")


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
    """Object type and action, as the policy is asked.

    All but the last two are about what is one's own; "session" is all of one's identity: sessions,
    password, second factor, the account itself.
    """

    READ_SETTINGS = ("settings", "read")
    WRITE_SETTINGS = ("settings", "write")
    READ_LINKS = ("link", "read")
    WRITE_LINKS = ("link", "write")
    READ_DATA = ("data", "read")
    WRITE_DATA = ("data", "write")
    READ_SESSIONS = ("session", "read")
    WRITE_SESSIONS = ("session", "write")
    READ_ADMIN = ("admin", "read")
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
    password_changed_at: datetime | None = None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def today(self, at: datetime) -> date:
        """The day that it is then where they live."""
        return at.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user, as far as an administrator sees one."""

    id: UserId
    email: str
    email_verified: bool
    role: Role
    created_at: datetime
    last_sign_in_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who is asking: a user, in one session; `session_id` is None for the worker and the shell.

    `trace_id` is of the request, for the audit log; `idempotency_key` is held where it
    may be repeated.
    """

    user_id: UserId
    role: Role
    session_id: SessionId | None = None
    ip_address: str | None = None
    trace_id: str | None = None
    idempotency_key: IdempotencyKey | None = field(default=None, compare=False, repr=False)


NOBODY = UserId(UUID(int=0))  # whose attempts the audit log keeps where no user is meant


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """Which generation of tokens is good, for everybody.

    Each rotation begins the next; what is of the one before stays good for `grace_seconds` more.
    """

    global_token_version: int = 0
    grace_seconds: int = ROTATION_GRACE_S
    last_rotated_at: datetime | None = None
    last_rotation_reason: str | None = None

    def until(self, generation: int) -> datetime:
        """When what is of this generation is no longer good. One that is newer than we know was
        begun meanwhile."""
        if generation >= self.global_token_version:
            return ALWAYS
        if generation < self.global_token_version - 1 or self.last_rotated_at is None:
            return NEVER
        return self.last_rotated_at + timedelta(seconds=self.grace_seconds)


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

    def stamped(self, *, token_version: int, config: SecurityConfig) -> Self:
        """As what is issued now has to be."""
        return replace(self, token_version=token_version, generation=config.global_token_version)

    def used(self, *, at: datetime, ip: str | None) -> Self:
        """The session after a use, of which one an hour is noted, and one a minute from another
        address; a cookie's life begins anew."""
        moved = ip is not None and ip != self.ip_address
        if at - self.last_used_at < (MOVE_NOTED_EVERY if moved else USE_NOTED_EVERY):
            return self
        return replace(
            self,
            last_used_at=at,
            expires_at=at + SESSION_LIFETIME if self.is_cookie else self.expires_at,
            ip_address=ip if moved else self.ip_address,
        )

    def is_live(self, at: datetime) -> bool:
        return self.ended_at is None and at < self.expires_at

    def until(self, *, token_version: int, config: SecurityConfig) -> datetime:
        """When it is over, where nobody ends it: by its age, or because a rotation overtook it.

        `token_version` is the user's.
        """
        if self.ended_at is not None or self.token_version < token_version:
            return NEVER
        return min(self.expires_at, config.until(self.generation))


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSession:
    """A session that goes on, as its owner sees it."""

    id: SessionId
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    device: str | None
    location: str | None
    ip_address: str | None
    providers_accessed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpSecret:
    """What an authenticator app has too. `last_step` is the last one whose code was used."""

    sealed: bytes = field(repr=False)
    version: int
    last_step: int | None = None


def folded_email(said: str) -> str:
    """Lower case, in NFC, without surrounding blanks; nothing of what is far too long for one."""
    return normalize("NFC", said.strip().lower()) if len(said) <= 1_000 else ""


def normal_email(said: str) -> str:
    """The address as it is looked up. Raises InvalidInput for what is none."""
    address = folded_email(said)
    if len(address) > 254 or not _EMAIL.fullmatch(address) or not address.isprintable():
        raise InvalidInput("that is not an e-mail address", field=("input", "email"))
    return address


@cache
def _time_zones() -> frozenset[str]:
    """Read once: it walks the zone database. What this machine calls its own is no name of one."""
    return frozenset(available_timezones() - {"localtime"})


def known_time_zone(said: str) -> str:
    """Raises InvalidInput for what is no IANA time zone."""
    if said not in _time_zones():
        raise InvalidInput(
            "that is not an IANA time zone, such as Europe/Berlin", field=("input", "timeZone")
        )
    return said


def session_limit(said: int | None) -> int | None:
    """How many sessions may be open at once; None for our default. Raises InvalidInput."""
    if said is not None and not 1 <= said <= SESSION_LIMIT_MAX:
        raise InvalidInput(
            f"a session limit is 1 to {SESSION_LIMIT_MAX}", field=("input", "sessionLimit")
        )
    return said
