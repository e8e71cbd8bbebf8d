"""Links: a user's standing connections to providers, and what providers are."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import NewType, Self
from uuid import UUID

from domain.errors import Conflict, ErrorCode, InvalidInput
from domain.identity import UserId

LinkId = NewType("LinkId", UUID)

FAILURES_MAX = 5
ALIAS_MAX = 60
SYNC_EVERY_S_MIN, SYNC_EVERY_S_MAX = 3_600, 30 * 86_400
SYNC_EVERY_S_DEFAULT = 21_600
BACK_OFF_FIRST, BACK_OFF_MAX = timedelta(minutes=15), timedelta(days=1)


class ProviderCategory(Enum):
    BROKERAGE = "BROKERAGE"
    BANK = "BANK"
    CRYPTO = "CRYPTO"
    RETIREMENT = "RETIREMENT"
    INVESTMENT = "INVESTMENT"
    AGGREGATOR = "AGGREGATOR"
    OTHER = "OTHER"


class AuthMethod(Enum):
    OAUTH2 = "OAUTH2"
    API_KEY = "API_KEY"
    SETUP_TOKEN = "SETUP_TOKEN"
    LINK_TOKEN = "LINK_TOKEN"
    CERTIFICATE = "CERTIFICATE"
    FILE_IMPORT = "FILE_IMPORT"
    NONE = "NONE"


class Capability(Enum):
    ACCOUNTS = "ACCOUNTS"
    HOLDINGS = "HOLDINGS"
    TRANSACTIONS = "TRANSACTIONS"
    BALANCE_HISTORY = "BALANCE_HISTORY"
    FILE_IMPORT = "FILE_IMPORT"


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialField:
    name: str
    label: str
    secret: bool
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFormat:
    """A kind of statement file that a provider reads; `extension` without the dot."""

    extension: str
    name: str
    provider_slug: str
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInfo:
    """What a provider is and can do, as anyone may read it."""

    slug: str
    name: str
    category: ProviderCategory
    auth_methods: tuple[AuthMethod, ...]
    capabilities: tuple[Capability, ...]
    credential_fields: tuple[CredentialField, ...] = ()
    import_formats: tuple[ImportFormat, ...] = ()
    documentation_url: str | None = None
    enabled: bool = True

    @property
    def can_be_pulled(self) -> bool:
        """Whether it can be asked at any time; a file's provider cannot, nor one without anything
        to tell."""
        return bool(self.capabilities) and not self.takes_files

    @property
    def takes_files(self) -> bool:
        return Capability.FILE_IMPORT in self.capabilities


class LinkStatus(Enum):
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    NEEDS_REAUTHORIZATION = "NEEDS_REAUTHORIZATION"
    FAILED = "FAILED"
    REVOKED = "REVOKED"
    DISCONNECTED = "DISCONNECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who may work on a link now, and until when; `fence` strictly grows from lease to lease."""

    holder: UUID
    until: datetime
    fence: int


@dataclass(frozen=True, slots=True)
class SealedCredentials:
    """`version` is never that of any others, of this link or another; 0 before that was counted."""

    sealed: bytes = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A user's standing connection to one provider.

    `login` identifies the login at the provider (a keyed hash), so that the same one is not linked
    twice. `cursor` is where the next incremental pull begins.
    """

    id: LinkId
    user_id: UserId
    provider_slug: str
    status: LinkStatus
    created_at: datetime
    alias: str | None = None
    login: str | None = None
    institution: str | None = None
    connected_at: datetime | None = None
    last_synced_at: datetime | None = None
    next_sync_at: datetime | None = None
    credentials_expire_at: datetime | None = None
    sync_every_s: int | None = None
    consecutive_failures: int = 0
    cursor: str | None = None
    lease: Lease | None = field(default=None, compare=False)

    def connected(self, *, at: datetime, expire_at: datetime | None = None) -> Self:
        """The link once its credentials work: from PENDING, or mended from any state."""
        return replace(
            self,
            status=LinkStatus.ACTIVE,
            connected_at=self.connected_at or at,
            credentials_expire_at=expire_at,
            consecutive_failures=0,
        )

    def synced(self, *, at: datetime, cursor: str | None, again: bool) -> Self:
        """The link after a sync; success also mends FAILED. `again`: it can be pulled any time."""
        return replace(
            self._open(),
            status=LinkStatus.ACTIVE,
            last_synced_at=at,
            next_sync_at=self._next(at) if again else None,
            consecutive_failures=0,
            cursor=cursor,
        )

    def scheduled(self, *, at: datetime) -> Self:
        """The link with its next sync one interval from now."""
        return replace(self, next_sync_at=self._next(at))

    def failed(self, *, at: datetime) -> Self:
        """The link after a sync that failed for another reason than its authorization."""
        failures = self._open().consecutive_failures + 1
        wait = min(BACK_OFF_FIRST * 2 ** min(failures - 1, 10), BACK_OFF_MAX)
        status = LinkStatus.FAILED if failures >= FAILURES_MAX else self.status
        return replace(self, status=status, consecutive_failures=failures, next_sync_at=at + wait)

    def lapsed(self) -> Self:
        """The link after its consent or token ended: the owner must authorize again."""
        return replace(self._open(), status=LinkStatus.NEEDS_REAUTHORIZATION, next_sync_at=None)

    def revoked(self) -> Self:
        """The link after the provider said that the owner withdrew."""
        return replace(self._open(), status=LinkStatus.REVOKED, next_sync_at=None)

    def disconnected(self) -> Self:
        return replace(
            self,
            status=LinkStatus.DISCONNECTED,
            next_sync_at=None,
            credentials_expire_at=None,
            cursor=None,
            login=None,
        )

    @property
    def can_sync(self) -> bool:
        return self.status in (LinkStatus.ACTIVE, LinkStatus.FAILED)

    def _next(self, at: datetime) -> datetime:
        return at + timedelta(seconds=self.sync_every_s or SYNC_EVERY_S_DEFAULT)

    def _open(self) -> Self:
        if self.status is LinkStatus.DISCONNECTED:
            raise Conflict("this link was disconnected", code=ErrorCode.LINK_NOT_ACTIVE)
        return self


def alias(said: str | None) -> str | None:
    """None clears. Raises InvalidInput for what is empty or over ALIAS_MAX characters."""
    if said is not None and not 0 < len(said.strip()) <= ALIAS_MAX:
        raise InvalidInput(f"an alias has 1 to {ALIAS_MAX} characters", field=("input", "alias"))
    return None if said is None else said.strip()


def sync_every_s(said: int | None) -> int | None:
    """Seconds between scheduled syncs; None for our default. Raises InvalidInput."""
    if said is not None and not SYNC_EVERY_S_MIN <= said <= SYNC_EVERY_S_MAX:
        raise InvalidInput(
            f"between {SYNC_EVERY_S_MIN} seconds and {SYNC_EVERY_S_MAX} seconds",
            field=("input", "syncEverySeconds"),
        )
    return said
