"""One unit of work to write in, and the repositories of what people own."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from domain.accounts import Account, AccountId
from domain.authorizations import Authorization
from domain.events import Event
from domain.history import BalanceSnapshot
from domain.holdings import Holding, HoldingId
from domain.idempotency import IdempotencyKey, IdempotencyRecord
from domain.identity import SessionId, UserId
from domain.imports import ImportFile
from domain.links import Link, LinkId, LinkStatus, Renewal, SealedCredentials
from domain.merging import Merge, StoredTransactions, TransactionMerge
from domain.money import Currency, Money
from domain.rates import Rates
from domain.securities import Security
from domain.storage.people import EmailTokens, Rotation, SecondFactors, Sessions, Users
from domain.sync import QuarantinedRow, RunId, SyncRun
from domain.transactions import Transaction, TransactionId


class Links(Protocol):
    async def get(self, id: LinkId, *, lock: bool = False) -> Link:
        """Raises NotFound."""

    async def by_login(self, provider_slug: str, login: str) -> Link | None:
        """A link that is not disconnected."""

    async def by_upstream(self, upstream: str) -> Link | None:
        """One that is not disconnected."""

    async def list(self, statuses: Sequence[LinkStatus]) -> Sequence[Link]: ...
    async def add(self, link: Link) -> None: ...
    async def save(self, link: Link) -> None: ...
    async def credentials(self, id: LinkId) -> SealedCredentials | None: ...
    async def save_credentials(
        self, id: LinkId, seal: Callable[[int], bytes], *, renew_at: datetime | None = None
    ) -> None:
        """`seal` is given their version, which the link never had before, nor has again. No
        renewal of them has begun."""

    async def save_renewal(self, id: LinkId, renewal: Renewal | None) -> None:
        """What is known of the renewal of its credentials."""

    async def shred_credentials(self, id: LinkId) -> None: ...


class Receipts(Protocol):
    """Which webhooks came, for as long as they could come again."""

    async def add(
        self, link_id: LinkId, receipt: str, *, said: str, said_at: datetime, at: datetime
    ) -> bool:
        """Whether it is new. `said` is the name of what it says."""

    async def latest(self, link_id: LinkId, said: Collection[str]) -> datetime | None:
        """When one of these was last said."""


class Authorizations(Protocol):
    async def add(self, authorization: Authorization) -> None: ...
    async def take(self, digest: bytes, session_id: SessionId) -> Authorization | None:
        """The one of this state, which is no more: of this session, whether or not in time."""

    async def forget(self, link_id: LinkId) -> None:
        """All that are under way for this link."""

    async def forget_link(self, id: LinkId) -> None:
        """One that waits for consent, and will not get it; any other stays."""

    async def forget_lapsed(self, at: datetime) -> None:
        """Those whose time is over, and the links that waited for them."""


class Accounts(Protocol):
    async def get(self, id: AccountId, *, lock: bool = False) -> Account:
        """Raises NotFound."""

    async def all(self) -> Sequence[Account]: ...
    async def by_id(self, ids: Sequence[AccountId]) -> Sequence[Account]: ...
    async def count(self, provider_slug: str) -> int: ...
    async def by_key(
        self, link_id: LinkId, keys: Collection[str] | None = None
    ) -> Mapping[str, Account]:
        """The link's accounts, or those of them that have one of `keys`, by the provider's key."""

    async def by_fingerprint(self, fingerprints: Sequence[str]) -> Mapping[str, Account]: ...
    async def write(self, merge: Merge[Account]) -> None: ...
    async def identify(self, marks: Mapping[AccountId, tuple[str, bytes | None]]) -> None:
        """By a fingerprint each, and with the sealed number where one is known."""

    async def name(self, link_id: LinkId, keys: Mapping[str, AccountId]) -> None:
        """From now on the link's provider calls these accounts by these keys."""

    async def numberless(self) -> Collection[AccountId]:
        """Of which nobody has told the whole number."""

    async def unread(self, link_id: LinkId) -> Collection[str]:
        """The link's keys of active accounts of which not all of the past has been read yet."""

    async def mark_read(self, link_id: LinkId, keys: Collection[str] | None) -> None:
        """All of the past of these has been read by now; None: of all of the link."""

    async def unname(self, link_id: LinkId, ids: Sequence[AccountId]) -> None:
        """The link's provider does not call them by any key that it had for them."""

    async def unlink(self, link_id: LinkId) -> None: ...
    async def emptied(self, ids: Sequence[AccountId]) -> set[AccountId]:
        """Those of them that hold no transaction and no holding any more."""

    async def delete(self, ids: Sequence[AccountId]) -> None:
        """With everything in them; a tombstone of each stays."""


class Securities(Protocol):
    async def all(self) -> Sequence[Security]: ...
    async def write(self, merge: Merge[Security]) -> None: ...


class Holdings(Protocol):
    async def of_accounts(self, accounts: Sequence[AccountId]) -> Sequence[Holding]:
        """Inactive ones too."""

    async def write(self, merge: Merge[Holding]) -> None: ...
    async def delete(self, ids: Sequence[HoldingId]) -> None: ...


class Transactions(Protocol):
    async def get(self, id: TransactionId, *, lock: bool = False) -> Transaction:
        """Raises NotFound."""

    async def stored(
        self,
        link_id: LinkId,
        keys: Sequence[tuple[AccountId, str]],
        days: tuple[date, date] | None,
        *,
        named_now: Sequence[tuple[AccountId, str]] | None = None,
    ) -> StoredTransactions:
        """With `named_now`, all keys of a file: the link's own transactions that these do not name
        are `unnamed`."""

    async def pending(
        self, link_id: LinkId, accounts: Sequence[AccountId], since: date
    ) -> Sequence[tuple[Transaction, str]]:
        """What is pending there since, removed ones too, by each key that the link has for it."""

    async def write(self, merge: Merge[Transaction]) -> None: ...
    async def name(self, link_id: LinkId, merge: TransactionMerge) -> None: ...
    async def unname(self, link_id: LinkId, accounts: Sequence[AccountId]) -> None:
        """Of these accounts the link's provider calls none by a key that it had for it."""

    async def delete(self, ids: Sequence[TransactionId]) -> None:
        """With their keys; a tombstone of each stays."""

    async def named_by_others(
        self, link_id: LinkId, ids: Sequence[TransactionId]
    ) -> Mapping[TransactionId, Collection[LinkId]]:
        """Those of them that other links name, and which."""


class History(Protocol):
    async def latest(
        self, accounts: Sequence[AccountId]
    ) -> Mapping[AccountId, BalanceSnapshot]: ...
    async def add(self, snapshots: Sequence[BalanceSnapshot], *, run_id: RunId | None) -> int:
        """How many were new: an account has one snapshot at an instant."""

    async def restate(self, snapshot: BalanceSnapshot) -> bool:
        """The owner's word of one instant, in place of what they said of it before; false where
        it is the same."""

    async def days(
        self, accounts: Sequence[AccountId], since: date, until: date
    ) -> set[tuple[AccountId, date]]:
        """The UTC days, both inclusive, on which an account has a snapshot."""

    async def split(
        self, account_id: AccountId, run_id: RunId, *, holdings_value: Money, cash_value: Money
    ) -> bool:
        """Add the parts of the balance to the run's own snapshot; false where it made none."""

    async def delete_of_run(self, run_id: RunId) -> None: ...


class Runs(Protocol):
    async def get(self, id: RunId, *, lock: bool = False) -> SyncRun:
        """Raises NotFound."""

    async def active(self, link_id: LinkId) -> SyncRun | None:
        """The queued or running one; a link has at most one."""

    async def last_alike(self, run: SyncRun) -> SyncRun | None:
        """The last of its link that has ended and was asked for the same, forced or not."""

    async def forget_places(self, link_id: LinkId) -> None:
        """No run goes on where one that has ended stopped."""

    async def last_user_finish(self, link_id: LinkId) -> datetime | None: ...
    async def add(self, run: SyncRun) -> None: ...
    async def save(self, run: SyncRun) -> None: ...
    async def quarantine(self, rows: Sequence[QuarantinedRow]) -> None: ...
    async def quarantined(self, id: RunId) -> Sequence[QuarantinedRow]: ...
    async def release(self, ids: Sequence[UUID]) -> None:
        """These rows have been read after all."""

    async def forget_quarantine(self, link_id: LinkId) -> None:
        """Of all runs of the link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an import did to one row. `before` is None where it made it, or `confirmed` it as it
    was."""

    kind: str  # account, holding, transaction
    id: UUID
    before: Account | Holding | Transaction | None
    version: int
    confirmed: bool = False


class Imports(Protocol):
    async def add(self, file: ImportFile) -> None: ...
    async def get(self, run_id: RunId) -> ImportFile | None: ...
    async def shred(self, run_id: RunId) -> None:
        """Forget the bytes; the record stays."""

    async def remember(self, run_id: RunId, merges: Sequence[Merge[Any]]) -> None:
        """What was written, so that it can be taken back."""

    async def changes(self, run_id: RunId) -> Sequence[Change]:
        """The latest first."""

    async def hand_over(self, run_id: RunId) -> set[UUID]:
        """What later imports wrote or confirmed too becomes theirs; which rows that is.

        The snapshots of such an account go to the import that stated no other.
        """

    async def unname(self, run_id: RunId, link_id: LinkId) -> None:
        """Its link names no more what only this import of it told: it keeps nothing from going."""

    async def forget(self, run_id: RunId) -> None: ...
    async def forget_all(self, link_id: LinkId) -> None:
        """What all imports of the link changed: they cannot be taken back any more."""

    async def restored(self, changes: Sequence[Change]) -> None:
        """These rows are again as the imports before left them, at a new version."""

    async def versions(self, kind: str, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """The data version of each row that still exists."""


class IdempotencyKeys(Protocol):
    """Requests that may be repeated, for as long as they may."""

    async def take(self, key: IdempotencyKey, fingerprint: bytes, at: datetime) -> bool:
        """Whether it is held from now on; not while another holds it, or once it is done."""

    async def known(self, id: UUID) -> IdempotencyRecord | None: ...
    async def answer(
        self, key: IdempotencyKey, sealed: bytes | None, at: datetime, *, if_done: bool
    ) -> bool:
        """Whether it was: not where another has taken over, or with `if_done` nothing was done."""

    async def give_up(self, key: IdempotencyKey, at: datetime) -> None:
        """It may be taken at once; where something was done, that stays on record."""


class Work(Protocol):
    """One transaction, inside one user's identity: on a clean exit all of it commits, on an
    exception none of it. Rows that are written carry the user's next data version."""

    users: Users
    sessions: Sessions
    security: Rotation
    email_tokens: EmailTokens
    second_factors: SecondFactors
    links: Links
    authorizations: Authorizations
    receipts: Receipts
    accounts: Accounts
    securities: Securities
    holdings: Holdings
    transactions: Transactions
    history: History
    runs: Runs
    imports: Imports
    idempotency_keys: IdempotencyKeys

    async def rates(self, currencies: Collection[Currency], day: date) -> Rates:
        """By which amounts of these currencies are converted into one another on that day."""

    def record(self, event: Event) -> None: ...
    def later(
        self, job: str, *, key: str, payload: Mapping[str, str], of: UserId | None = None
    ) -> None:
        """A job, enqueued as this commits; one of the same key that waits already is enough.

        It works in this user's identity, or in that of whom it is `of`.
        """
