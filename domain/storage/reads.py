"""One snapshot to read from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from domain.accounts import Account, AccountId
from domain.audit import AuditEntry
from domain.changes import Changed, Position
from domain.events import EventId
from domain.history import BalanceSnapshot
from domain.holdings import Holding, HoldingFilter, HoldingId, HoldingKey
from domain.identity import OwnSession, Person, SecurityConfig, User, UserId
from domain.jobs import JobsStatus
from domain.links import Link, LinkId
from domain.money import Currency
from domain.rates import Rates
from domain.reconciliation import Balances
from domain.securities import Security, SecurityId
from domain.sync import QuarantinedRow, RunId, SyncRun
from domain.told import Stretch
from domain.transactions import (
    Transaction,
    TransactionFilter,
    TransactionId,
    TransactionKey,
    TransactionOrder,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many the viewer has, whatever their state: what lists that are read whole come to at
    most, as of one data version. `accounts_of_link` are those that the link with most feeds.
    """

    links: int = 0
    accounts: int = 0
    accounts_of_link: int = 0


class OwnedReads(Protocol):
    """One snapshot of the viewer's own rows: everything read through it is of one instant.

    Batch methods take keys and give what they found, in the order that each says; a key without
    a row is simply not in the answer. `statements` counts what was sent, BEGIN and COMMIT left
    out. All raise Unavailable while the database is away.
    """

    statements: int

    async def viewer(self) -> User: ...
    async def data_version(self) -> int:
        """Of all that is read here; no statement."""

    async def counts(self) -> Counts: ...
    async def links(self, ids: Sequence[LinkId] | None = None) -> Sequence[Link]:
        """By `connected_at`, those never connected last, then id; all where `ids` is None."""

    async def accounts(self) -> Sequence[Account]:
        """All of the viewer's, inactive ones too, by name then id; read once a snapshot."""

    async def holdings(
        self, filter: HoldingFilter, *, limit: int, after: HoldingKey | None
    ) -> Sequence[Holding]:
        """By symbol (a security without one sorts by its name) then id."""

    async def holdings_of(
        self,
        accounts: Sequence[AccountId],
        filter: HoldingFilter,
        *,
        limit: int,
        after: HoldingKey | None,
    ) -> Sequence[Holding]:
        """At most `limit` of each account, in one statement."""

    async def holdings_by_id(self, ids: Sequence[HoldingId]) -> Sequence[Holding]: ...
    async def count_holdings(self, filter: HoldingFilter) -> int: ...
    async def count_holdings_of(
        self, accounts: Sequence[AccountId], filter: HoldingFilter
    ) -> Mapping[AccountId, int]: ...
    async def securities_by_id(self, ids: Sequence[SecurityId]) -> Sequence[Security]: ...
    async def transactions(
        self,
        filter: TransactionFilter,
        order: TransactionOrder,
        *,
        limit: int,
        after: TransactionKey | None,
    ) -> Sequence[Transaction]:
        """By date or signed amount, then id, in the order's direction."""

    async def transactions_of(
        self,
        accounts: Sequence[AccountId],
        filter: TransactionFilter,
        order: TransactionOrder,
        *,
        limit: int,
        after: TransactionKey | None,
    ) -> Sequence[Transaction]:
        """At most `limit` of each account, in one statement."""

    async def transactions_by_id(self, ids: Sequence[TransactionId]) -> Sequence[Transaction]: ...
    async def count_transactions(self, filter: TransactionFilter) -> int: ...
    async def count_transactions_of(
        self, accounts: Sequence[AccountId], filter: TransactionFilter
    ) -> Mapping[AccountId, int]: ...
    async def snapshots(
        self, accounts: Sequence[AccountId], *, since: datetime, before: datetime, limit: int
    ) -> Sequence[BalanceSnapshot]:
        """Those in [since, before) and each account's last one earlier, by account then time: at
        most `limit`."""

    async def latest_snapshots(
        self, accounts: Sequence[AccountId], *, count: int
    ) -> Sequence[BalanceSnapshot]:
        """The last `count` of each account, by account then time."""

    async def rates(self, currencies: Collection[Currency], *, since: date, until: date) -> Rates:
        """By which amounts of these currencies are converted into one another on those days."""

    async def balances_and_transactions(
        self, accounts: Sequence[AccountId]
    ) -> Mapping[AccountId, Balances]:
        """In one statement; an account without transactions is not in the answer.

        Of the DAYS_MAX days before the account's own balance, which is the last to be told, but not
        from before its first transaction.
        """

    async def changed(self, after: Position, *, limit: int) -> Sequence[Changed]:
        """Links, accounts, securities, holdings and transactions by the data version at which each
        was last written, and tombstones of those that are gone since `after.since`."""

    async def runs_by_id(self, ids: Sequence[RunId]) -> Sequence[SyncRun]: ...
    async def runs(
        self, link_id: LinkId | None, *, limit: int, after: RunId | None
    ) -> Sequence[SyncRun]:
        """The newest first."""

    async def last_runs(self, links: Sequence[LinkId]) -> Mapping[LinkId, SyncRun]: ...
    async def quarantine(
        self, runs: Sequence[RunId], *, limit: int
    ) -> Mapping[RunId, Sequence[QuarantinedRow]]: ...

    async def events(self, place: int, *, limit: int) -> Stretch:
        """What happened after that place, the oldest first: at most `limit`."""

    async def event_place(self, id: EventId) -> int | None: ...
    async def last_event(self) -> int:
        """The place of the last one; 0 where nothing has happened yet."""


class PeopleReads(Protocol):
    """Of the viewer: where they are signed in, and what was done. Of others, to administrators who
    were asked for their permission before: that they are there, and never what is theirs.
    """

    async def sessions(self) -> Sequence[OwnSession]:
        """Those that go on, the last used first."""

    async def security_config(self) -> SecurityConfig: ...
    async def activity(self, *, limit: int, after: UUID | None) -> Sequence[AuditEntry]:
        """What is about the viewer, the newest first."""

    async def activity_by_id(self, ids: Sequence[UUID]) -> Sequence[AuditEntry]: ...
    async def people(
        self, sought: str | None, *, limit: int, after: str | None
    ) -> Sequence[Person]:
        """By address, those after `after` whose address has `sought` in it."""

    async def people_by_id(self, ids: Sequence[UserId]) -> Sequence[Person]: ...
    async def jobs(self) -> JobsStatus: ...
    async def audit(
        self, user_id: UserId | None, action: str | None, *, limit: int, after: UUID | None
    ) -> Sequence[AuditEntry]:
        """The same of everyone, or of one person or action."""


class Reads(OwnedReads, PeopleReads, Protocol):
    """All of it; whoever opened it closes it."""

    async def close(self) -> None: ...
