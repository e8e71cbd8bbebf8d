"""Links: a user's standing connections to providers, and what providers are."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from hashlib import blake2b
from typing import NewType, Self
from uuid import UUID

from domain.errors import (
    Conflict,
    CredentialsRejected,
    DomainError,
    ErrorCode,
    InvalidInput,
    LinkAction,
)
from domain.identity import UserId

LinkId = NewType("LinkId", UUID)

FAILURES_MAX = 5
ALIAS_MAX = 60
SYNC_EVERY_S_MIN, SYNC_EVERY_S_MAX = 3_600, 30 * 86_400
SYNC_EVERY_S_DEFAULT = 21_600
BACK_OFF_FIRST, BACK_OFF_MAX = timedelta(minutes=15), timedelta(days=1)
PATIENCE_MAX = timedelta(hours=6)
PAUSE_MIN = timedelta(minutes=1)  # before a provider is asked again, whatever it says
# An interval is so many parts, one of which is up to chance: links that are made at once do not
# stay together.
SPREAD = 10
CHANCES = 1_000_000
EXPIRY_MARKS = (timedelta(hours=48), timedelta(hours=12))  # before its end, when its owner is told


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """One that was begun in the lease of this fence, and is not known to have ended. `attempt`
    counts how often these credentials were presented for it, from 1."""

    fence: int
    attempt: int
    began_at: datetime


@dataclass(frozen=True, slots=True)
class SealedCredentials:
    """`version` is never that of any others, of this link or another; 0 before that was counted.

    `renew_at` is when to renew them by, None for never.
    """

    sealed: bytes = field(repr=False)
    version: int
    renew_at: datetime | None = None
    renewal: Renewal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncError:
    """Why a run failed, or what is wrong with a link, as its owner may read it."""

    code: ErrorCode
    message: str
    retry_after_s: int | None = None
    action: LinkAction | None = None

    @classmethod
    def of(cls, refusal: DomainError) -> Self:
        wait = getattr(refusal, "retry_after_s", None)
        action = getattr(refusal, "action", None)
        if action is None and isinstance(refusal, CredentialsRejected):
            action = _MENDS[refusal.code]
        return cls(code=refusal.code, message=refusal.message, retry_after_s=wait, action=action)


_MENDS = {
    ErrorCode.CREDENTIALS_REJECTED: LinkAction.REPLACE_CREDENTIALS,
    ErrorCode.AUTHORIZATION_EXPIRED: LinkAction.REAUTHORIZE,
}
EXPIRED = SyncError(
    code=ErrorCode.AUTHORIZATION_EXPIRED,
    message="the authorization has ended",
    action=LinkAction.REAUTHORIZE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A user's standing connection to one provider.

    `login` identifies the login at the provider (a keyed hash), so that the same one is not linked
    twice. `cursor` is where the next incremental pull begins. `expiry_due_at` is when to look at
    its deadline again, None for the first mark before it. `upstream` is what its provider's
    webhooks call it (a keyed hash), `news_at` since when there has been more than the run that is
    under way may read.
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
    error: SyncError | None = None
    expiry_due_at: datetime | None = None
    upstream: str | None = None
    news_at: datetime | None = None
    lease: Lease | None = field(default=None, compare=False)

    def connected(self, *, at: datetime, expire_at: datetime | None = None) -> Self:
        """The link once its credentials work: from PENDING, or mended from any state."""
        return replace(
            self.renewed(expire_at=expire_at),
            status=LinkStatus.ACTIVE,
            connected_at=self.connected_at or at,
            consecutive_failures=0,
            error=None,
        )

    def renewed(self, *, expire_at: datetime | None) -> Self:
        """The link with credentials that are good until then; another deadline is told anew."""
        due = self.expiry_due_at if expire_at == self.credentials_expire_at else None
        return replace(self, credentials_expire_at=expire_at, expiry_due_at=due)

    def synced(
        self, *, at: datetime, cursor: str | None, again: bool, error: SyncError | None = None
    ) -> Self:
        """The link after a sync; success also mends FAILED. `again`: it can be pulled any time.
        `error` is what went wrong in a part of it."""
        return replace(
            self._open(),
            status=LinkStatus.ACTIVE,
            last_synced_at=at,
            next_sync_at=self._next(at) if again else None,
            consecutive_failures=0,
            cursor=cursor,
            error=error,
        )

    def scheduled(self, *, at: datetime) -> Self:
        """The link with its next sync one interval from now."""
        return replace(self, next_sync_at=self._next(at))

    def failed(self, *, at: datetime, error: SyncError) -> Self:
        """The link after a sync that failed for another reason than its authorization.

        It backs off, half of it by chance, and never comes back before the provider said.
        """
        failures = self._open().consecutive_failures + 1
        wait = min(BACK_OFF_FIRST * 2 ** min(failures - 1, 10), BACK_OFF_MAX)
        wait = wait / 2 + self._some(wait / 2, at)
        return replace(
            self,
            status=LinkStatus.FAILED if failures >= FAILURES_MAX else self.status,
            consecutive_failures=failures,
            next_sync_at=at + max(wait, self._said(at, error)),
            error=error,
        )

    def postponed(self, *, at: datetime, error: SyncError) -> Self:
        """The link after a sync that was not let ask any more, which is no failure.

        It waits up to as long again as since it was last synced, by chance: what may be asked first
        is one call, and a pull takes several. Were each call taken as it comes, by whichever link,
        none would ever come to its end.
        """
        since = min(at - (self.last_synced_at or self.created_at), PATIENCE_MAX)
        patience = self._some(since, at)
        wait = self._said(at, error) if error.retry_after_s is not None else BACK_OFF_FIRST
        return replace(self._open(), next_sync_at=at + max(wait, patience, PAUSE_MIN))

    def lapsed(self, error: SyncError = EXPIRED) -> Self:
        """The link after its consent or token ended: the owner must authorize again."""
        return self._ended(LinkStatus.NEEDS_REAUTHORIZATION, error)

    def revoked(self, error: SyncError = EXPIRED) -> Self:
        """The link after the provider said that the owner withdrew."""
        return self._ended(LinkStatus.REVOKED, error)

    def disconnected(self) -> Self:
        return replace(
            self,
            status=LinkStatus.DISCONNECTED,
            next_sync_at=None,
            credentials_expire_at=None,
            expiry_due_at=None,
            cursor=None,
            login=None,
            upstream=None,
            news_at=None,
            error=None,
        )

    def is_over(self, at: datetime) -> bool:
        """Known by its deadline, without a call that fails."""
        return self.credentials_expire_at is not None and self.credentials_expire_at <= at

    def told(self, at: datetime) -> tuple[Self, timedelta | None]:
        """The link once its owner has been told of its end, and the mark that they are told now.

        None where there is none: it is far yet, or over, or they were told. Of two marks that have
        passed unseen only the nearer one is told.
        """
        end = self.credentials_expire_at
        if end is None:
            return replace(self, expiry_due_at=None), None
        passed = [mark for mark in EXPIRY_MARKS if end - mark <= at < end]
        ahead = [end - mark for mark in EXPIRY_MARKS if end - mark > at]
        due = self.expiry_due_at
        is_new = bool(passed) and (due is None or end - min(passed) >= due)
        nearest = min(passed) if is_new else None
        return replace(self, expiry_due_at=min(ahead, default=end)), nearest

    @property
    def action_required(self) -> LinkAction | None:
        """What its owner can do about it."""
        if self.error is not None:
            return self.error.action
        is_over = self.status in (LinkStatus.NEEDS_REAUTHORIZATION, LinkStatus.REVOKED)
        return LinkAction.REAUTHORIZE if is_over else None

    @property
    def can_sync(self) -> bool:
        return self.status in (LinkStatus.ACTIVE, LinkStatus.FAILED)

    def _ended(self, status: LinkStatus, error: SyncError) -> Self:
        return replace(self._open(), status=status, next_sync_at=None, error=error)

    def _next(self, at: datetime) -> datetime:
        every = timedelta(seconds=self.sync_every_s or SYNC_EVERY_S_DEFAULT)
        return at + every - every / SPREAD / 2 + self._some(every / SPREAD, at)

    def _said(self, at: datetime, error: SyncError) -> timedelta:
        """How long the provider wants to be left alone, and a little longer."""
        said = timedelta(seconds=min(error.retry_after_s or 0, SYNC_EVERY_S_MAX))
        return said + self._some(said / SPREAD, at)

    def _some(self, of: timedelta, at: datetime) -> timedelta:
        """A part of it, by chance: of this link at this time, the same for whoever asks."""
        drawn = blake2b(self.id.bytes + at.isoformat().encode(), digest_size=8)
        return of * (int.from_bytes(drawn.digest(), "big") % CHANCES) / CHANCES

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
