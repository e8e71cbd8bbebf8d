"""Syncing: what a provider says, in our terms, and the durable record of asking it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import NewType, Self, TypeAlias
from uuid import UUID

from domain.accounts import AccountType
from domain.errors import ErrorCode
from domain.identity import UserId
from domain.links import LinkId, SyncError
from domain.money import Currency, MixedCurrencies, Money
from domain.securities import SecurityTerms
from domain.transactions import TransactionStatus, TransactionSubtype

RunId = NewType("RunId", UUID)
Day: TypeAlias = date  # in a class whose own field is called date

LEASE = timedelta(seconds=60)  # renewed with each page; a killed worker's link is free after it
SYNC_INTERVAL_MIN = timedelta(minutes=5)
OVERLAP = timedelta(days=14)  # what is read again, since pending rows settle and dates change
WAIT_S_MAX = 25
ATTEMPTS_MAX = 5


class SyncScope(Enum):
    ACCOUNTS = "ACCOUNTS"
    HOLDINGS = "HOLDINGS"
    TRANSACTIONS = "TRANSACTIONS"


class SyncTrigger(Enum):
    USER = "USER"
    SCHEDULE = "SCHEDULE"
    CONNECT = "CONNECT"
    IMPORT = "IMPORT"
    WEBHOOK = "WEBHOOK"


class SyncStatus(Enum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        return self not in (SyncStatus.QUEUED, SyncStatus.RUNNING)


# ── what a provider says ────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedAccount:
    """`key` is the provider's id of it; `number` the whole account number, where it is known.

    `balance` is None where none is stated; `as_of` is then of what is said of the account at all.
    `cash` is what of the balance is said to be cash, negative for what was borrowed on margin.
    `is_cash_alone`: nothing was said of positions, so that the balance is one only of an account
    of which none is known.
    """

    key: str
    institution: str
    name: str
    type: AccountType
    currency: Currency
    balance: Money | None
    as_of: datetime
    number: str | None = None
    mask: str | None = None
    available_balance: Money | None = None
    credit_limit: Money | None = None
    cash: Money | None = None
    is_cash_alone: bool = False

    def __post_init__(self) -> None:
        if self.balance is not None and self.balance.currency != self.currency:
            raise MixedCurrencies(f"{self.balance.currency} in an account in {self.currency}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedHolding:
    """Signs as on Holding: a short position is negative throughout."""

    account_key: str
    security: SecurityTerms
    quantity: Decimal
    market_value: Money
    as_of: datetime
    market_price: Money | None = None
    average_price: Money | None = None
    cost_basis: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedTransaction:
    """Signs as on Transaction. `replaces` is the provider's id of the pending row it settles.

    `key` names it for ever within its account and link: the provider's id, and where the provider
    reuses ids or has none, with amount, date and ordinal (`imports.content_keys`).
    """

    account_key: str
    key: str
    subtype: TransactionSubtype
    status: TransactionStatus
    amount: Money
    description: str
    date: Day
    merchant: str | None = None
    category: str | None = None
    settlement_date: Day | None = None
    security: SecurityTerms | None = None
    quantity: Decimal | None = None
    unit_price: Money | None = None
    commission: Money | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedBalance:
    """A balance of the past, from a provider that keeps a history."""

    account_key: str
    at: datetime
    balance: Money
    holdings_value: Money | None = None
    cash_value: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Something received that could not be understood, as it came. `line` counts from 1."""

    scope: SyncScope
    reason: str
    raw: str
    line: int | None = None
    account_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a pull that is stored as one.

    `cursor` resumes the pull after this page. `progress` is 0 to 1. With `accounts_complete`
    an account of the link that is not in this page is inactive from then on; so is a holding of
    the accounts in `holdings_complete` that is not in this page. `failed` holds the accounts that
    could not be read, each with its reason, once a pull. `position` is where the next incremental
    pull begins, for a provider that keeps such a place, on its last page.

    `pending` holds, of each account of which that is known, the keys of all that is pending in it
    now: what was pending and is not any more has settled, or was given up.

    Of a file also: `stated_at` is when the statement of each account was drawn up, `all_keys` are
    the account and key of every transaction that the whole file names.
    """

    step: SyncScope
    progress: Decimal
    cursor: str | None = None
    accounts: Sequence[ReceivedAccount] = ()
    accounts_complete: bool = False
    holdings: Sequence[ReceivedHolding] = ()
    holdings_complete: Sequence[str] = ()
    transactions: Sequence[ReceivedTransaction] = ()
    removed: Sequence[tuple[str, str]] = ()  # account key, transaction key
    pending: Mapping[str, Sequence[str]] = field(default_factory=dict)
    balances: Sequence[ReceivedBalance] = ()
    unreadable: Sequence[Unreadable] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    position: str | None = None
    stated_at: Mapping[str, datetime] = field(default_factory=dict)
    all_keys: Sequence[tuple[str, str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """`cursor` resumes this pull; `since` and `until` are the days asked for, None for all.

    `position` is where the last pull of this link ended, None to read everything. `link` names the
    link, for what is counted by it.
    """

    credentials: Mapping[str, str] = field(repr=False)
    scopes: frozenset[SyncScope]
    at: datetime
    since: date | None = None
    until: date | None = None
    cursor: str | None = None
    position: str | None = None
    account_keys: frozenset[str] | None = None
    file: bytes | None = field(default=None, repr=False)
    file_name: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What connecting found out: who is logged in there, and how long that is good for.

    `expire_at` is when the owner has to authorize again, `renew_at` when to renew by then, None
    for never. `upstream` is what the provider's webhooks call this login.
    """

    identity: str
    credentials: Mapping[str, str] = field(repr=False)
    institution: str | None = None
    expire_at: datetime | None = None
    renew_at: datetime | None = None
    upstream: str | None = None


# ── the record of a sync ────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCounts:
    """received = created + updated + unchanged + quarantined; removed is what was found gone."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    quarantined: int = 0

    @property
    def received(self) -> int:
        return self.created + self.updated + self.unchanged + self.quarantined

    def __add__(self, other: "SyncCounts") -> "SyncCounts":
        return SyncCounts(
            created=self.created + other.created,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            removed=self.removed + other.removed,
            quarantined=self.quarantined + other.quarantined,
        )


NO_COUNTS = SyncCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRun:
    """One sync or import of one link, from the moment it was asked for.

    `cursor` is where an interrupted run goes on, and the next one after one that failed;
    `position` where the next one begins, once the provider has said it; `read_accounts` how many
    accounts the provider named, `failed_accounts` how many of these could not be read. `attempts`
    counts how often it was begun since it last stored a page.
    """

    id: RunId
    user_id: UserId
    link_id: LinkId
    trigger: SyncTrigger
    status: SyncStatus
    queued_at: datetime
    scopes: frozenset[SyncScope] = frozenset(SyncScope)
    since: date | None = None
    until: date | None = None
    force: bool = False
    account_keys: frozenset[str] | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    step: SyncScope | None = None
    progress: Decimal = Decimal(0)
    accounts: SyncCounts = NO_COUNTS
    holdings: SyncCounts = NO_COUNTS
    transactions: SyncCounts = NO_COUNTS
    read_accounts: int = 0
    failed_accounts: int = 0
    error: SyncError | None = None
    attempts: int = 0
    cursor: str | None = None
    position: str | None = None
    cancel_asked: bool = False

    def started(self, at: datetime) -> Self:
        return replace(
            self,
            status=SyncStatus.RUNNING,
            started_at=self.started_at or at,
            attempts=self.attempts + 1,
        )

    @property
    def unread_as(self) -> ErrorCode:
        """The code of accounts that could not be read: reading a file again would not mend it."""
        is_file = self.trigger is SyncTrigger.IMPORT
        return ErrorCode.FILE_UNREADABLE if is_file else ErrorCode.PROVIDER_UNAVAILABLE

    def resuming(self, stopped: Self) -> Self:
        """The run from where that one stopped. What that one counted stays its own; which accounts
        could be read is of both."""
        return replace(
            self,
            step=stopped.step,
            progress=stopped.progress,
            read_accounts=stopped.read_accounts,
            failed_accounts=stopped.failed_accounts,
            cursor=stopped.cursor,
            position=stopped.position,
        )

    def advanced(
        self,
        page: Page,
        *,
        accounts: SyncCounts,
        holdings: SyncCounts,
        transactions: SyncCounts,
    ) -> Self:
        return replace(
            self,
            step=page.step,
            progress=max(self.progress, min(page.progress, Decimal(1))),
            cursor=page.cursor,
            position=page.position or self.position,
            accounts=self.accounts + accounts,
            holdings=self.holdings + holdings,
            transactions=self.transactions + transactions,
            read_accounts=self.read_accounts + _named(page),
            failed_accounts=self.failed_accounts + len(page.failed),
            error=self.error or _first_failure(page, self.unread_as),
            attempts=min(self.attempts, 1),
        )

    def finished(self, at: datetime) -> Self:
        """PARTIAL where some accounts could not be read, FAILED where none could."""
        status = SyncStatus.SUCCEEDED
        if self.failed_accounts:
            lost_all = self.failed_accounts >= max(self.read_accounts, 1)
            status = SyncStatus.FAILED if lost_all else SyncStatus.PARTIAL
        return replace(self, status=status, finished_at=at, progress=Decimal(1), cursor=None)

    def failed(self, at: datetime, error: SyncError) -> Self:
        return replace(self, status=SyncStatus.FAILED, finished_at=at, error=error)

    def cancelled(self, at: datetime) -> Self:
        return replace(self, status=SyncStatus.CANCELLED, finished_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRow:
    """Kept as it came, never dropped; with `account_key` it can be read again."""

    id: UUID
    run_id: RunId
    kind: SyncScope
    reason: str
    raw: str
    line: int | None = None
    account_key: str | None = None


def _named(page: Page) -> int:
    """The accounts that this page lists; one that fails later was listed before."""
    listed = {account.key for account in page.accounts}
    if page.step is SyncScope.ACCOUNTS:
        listed |= page.failed.keys()
    return len(listed)


def _first_failure(page: Page, code: ErrorCode) -> SyncError | None:
    """By the account's name: its key can hold its number."""
    names = {account.key: account.name for account in page.accounts}
    for key, reason in page.failed.items():
        message = f"{names.get(key, 'an account')}: {reason}"
        return SyncError(code=code, message=message[:500])
    return None
