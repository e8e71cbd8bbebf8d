"""A store in memory: a unit of work changes a copy, and a clean exit puts it in place."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

from domain.accounts import Account, AccountId
from domain.audit import Attempt, AuditOutcome
from domain.errors import NotFound
from domain.events import Event
from domain.history import BalanceSnapshot
from domain.holdings import Holding
from domain.identity import Actor, SecurityConfig, Session, SessionId, User, UserId
from domain.imports import ImportFile
from domain.limits import Limit, Verdict
from domain.links import Link, LinkId, LinkStatus, SealedCredentials
from domain.merging import Merge
from domain.money import Currency
from domain.rates import Rates
from domain.storage.doors import KnownUser, LiveSession
from domain.storage.work import Change, Work
from domain.sync import QuarantinedRow, RunId, SyncRun, SyncStatus, SyncTrigger
from domain.transactions import Transaction, TransactionId
from tests.rates.publications import rates_of
from tests.schema.ledger import Ledger


@dataclass(slots=True)
class MemoryStore:
    """`jobs` and `events` are what was committed; `audited` every outcome, in order."""

    ledgers: dict[UserId, Ledger] = field(default_factory=dict)
    passwords: dict[UserId, str] = field(default_factory=dict)
    sessions: dict[SessionId, Session] = field(default_factory=dict)
    spent: dict[bytes, tuple[SessionId, datetime]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    audited: list[tuple[str, str]] = field(default_factory=list)

    @asynccontextmanager
    async def begin(self, actor: Actor, settles: Attempt | None) -> AsyncIterator[Work]:
        work = _Work(self.ledgers[actor.user_id].copy(), dict(self.sessions), dict(self.spent))
        work.users.hashed = self.passwords.get(actor.user_id, "")
        yield cast("Work", work)
        self.ledgers[actor.user_id], self.sessions = work.ledger, work.sessions.by_id
        self.spent = work.sessions.spent
        self.events += work.events
        self.jobs += work.jobs
        if settles is not None:
            settles.settled = True
            self.audited.append((settles.action, "SUCCEEDED"))

    async def audit(
        self, attempt: Attempt, outcome: AuditOutcome, detail: str | None = None
    ) -> bool:
        self.audited.append((attempt.action, outcome.value))
        return True

    async def user_by_email(self, email: str) -> KnownUser | None:
        for ledger in self.ledgers.values():
            if ledger.user.email == email:
                return KnownUser(user=ledger.user, password_hash=self.passwords[ledger.user.id])
        return None

    async def session_by_hash(self, digest: bytes) -> LiveSession | None:
        spent = self.spent.get(digest, (None, None))
        for session in self.sessions.values():
            if digest == session.refresh_hash or session.id == spent[0]:
                user = self.ledgers[session.user_id].user
                return LiveSession(session=session, role=user.role, token_version=0)
        return None


class _Work:
    """Each repository that these tests need, over one copy of the rows."""

    def __init__(
        self,
        ledger: Ledger,
        sessions: dict[SessionId, Session],
        spent: dict[bytes, tuple[SessionId, datetime]],
    ) -> None:
        self.ledger = ledger
        self.events: list[Event] = []
        self.jobs: list[str] = []
        self.users, self.sessions = _Users(ledger), _Sessions(sessions, spent)
        self.security = _Security()
        self.links, self.accounts, self.runs = _Links(ledger), _Accounts(ledger), _Runs(ledger)
        self.holdings, self.transactions = _Holdings(ledger), _Transactions(ledger)
        self.history = _History(ledger)
        self.imports = _Imports()
        self.authorizations = _Authorizations()

    async def rates(self, currencies: Collection[Currency], day: date) -> Rates:
        return rates_of(self.ledger.published, "ECB")

    def record(self, event: Event) -> None:
        self.events.append(event)

    def later(
        self, job: str, *, key: str, payload: Mapping[str, str], of: UserId | None = None
    ) -> None:
        self.jobs.append(key)


@dataclass(slots=True)
class _Users:
    ledger: Ledger
    hashed: str = ""

    async def password_hash(self) -> str:
        return self.hashed

    async def get(self, *, lock: bool = False) -> User:
        return self.ledger.user

    async def save(self, user: User) -> None:
        self.ledger.user = user


class _Security:
    """No token was ever rotated."""

    async def get(self) -> SecurityConfig:
        return SecurityConfig()


@dataclass(slots=True)
class _Sessions:
    by_id: dict[SessionId, Session]
    spent: dict[bytes, tuple[SessionId, datetime]]

    async def get(self, id: SessionId, *, lock: bool = False) -> Session | None:
        return self.by_id.get(id)

    async def live(self, at: datetime, *, lock: bool = False) -> Sequence[Session]:
        return sorted(
            (s for s in self.by_id.values() if s.is_live(at)), key=lambda s: s.last_used_at
        )

    async def add(self, session: Session) -> None:
        self.by_id[session.id] = session

    save = add

    async def end(self, ids: Sequence[SessionId], at: datetime) -> None:
        for id in ids:
            self.by_id[id] = replace(self.by_id[id], ended_at=at)

    async def spend(self, id: SessionId, digest: bytes, at: datetime) -> None:
        self.spent[digest] = (id, at)

    async def spent_at(self, id: SessionId, digest: bytes) -> datetime | None:
        return self.spent[digest][1] if digest in self.spent else None


@dataclass(slots=True)
class _Links:
    ledger: Ledger
    sealed: dict[LinkId, bytes] = field(default_factory=dict)

    async def get(self, id: LinkId, *, lock: bool = False) -> Link:
        for link in self.ledger.links:
            if link.id == id:
                return link
        raise NotFound("no such link")

    async def by_login(self, provider_slug: str, login: str) -> Link | None:
        for link in self.ledger.links:
            if (link.provider_slug, link.login) == (provider_slug, login):
                return link
        return None

    async def list(self, statuses: Sequence[LinkStatus]) -> Sequence[Link]:
        return [link for link in self.ledger.links if link.status in statuses]

    async def add(self, link: Link) -> None:
        self.ledger.put("links", link)

    save = add

    async def credentials(self, id: LinkId) -> SealedCredentials | None:
        sealed = self.sealed.get(id)
        return None if sealed is None else SealedCredentials(sealed, 1)

    async def save_credentials(
        self, id: LinkId, seal: Callable[[int], bytes], *, renew_at: datetime | None = None
    ) -> None:
        self.sealed[id] = seal(1)

    async def shred_credentials(self, id: LinkId) -> None:
        self.sealed.pop(id, None)


@dataclass(slots=True)
class _Accounts:
    ledger: Ledger

    async def get(self, id: AccountId, *, lock: bool = False) -> Account:
        for account in self.ledger.accounts:
            if account.id == id:
                return account
        raise NotFound("no such account")

    async def by_key(
        self, link_id: LinkId, keys: Collection[str] | None = None
    ) -> Mapping[str, Account]:
        of_link = {str(a.id): a for a in self.ledger.accounts if link_id in a.link_ids}
        return {key: a for key, a in of_link.items() if keys is None or key in keys}

    async def all(self) -> Sequence[Account]:
        return [*self.ledger.accounts]

    async def count(self, provider_slug: str) -> int:
        return sum(a.provider_slug == provider_slug for a in self.ledger.accounts)

    async def write(self, merge: Merge[Account]) -> None:
        for account in merge.written:
            self.ledger.put("accounts", account)

    async def delete(self, ids: Sequence[AccountId]) -> None:
        for name in ("holdings", "transactions", "snapshots"):
            rows = getattr(self.ledger, name)
            rows[:] = [row for row in rows if row.account_id not in ids]
        self.ledger.accounts[:] = [a for a in self.ledger.accounts if a.id not in ids]


@dataclass(slots=True)
class _Holdings:
    ledger: Ledger

    async def of_accounts(self, accounts: Sequence[AccountId]) -> Sequence[Holding]:
        return [h for h in self.ledger.holdings if h.account_id in accounts]


@dataclass(slots=True)
class _Transactions:
    ledger: Ledger

    async def get(self, id: TransactionId, *, lock: bool = False) -> Transaction:
        for transaction in self.ledger.transactions:
            if transaction.id == id:
                return transaction
        raise NotFound("no such transaction")

    async def write(self, merge: Merge[Transaction]) -> None:
        for transaction in merge.written:
            self.ledger.put("transactions", transaction)


@dataclass(slots=True)
class _History:
    ledger: Ledger

    async def restate(self, snapshot: BalanceSnapshot) -> bool:
        rows = self.ledger.snapshots
        at = (snapshot.account_id, snapshot.at)
        same = [s for s in rows if (s.account_id, s.at) == at]
        if any(s.balance == snapshot.balance for s in same):
            return False
        rows[:] = [*(s for s in rows if s not in same), snapshot]
        return True


@dataclass(slots=True)
class _Runs:
    ledger: Ledger

    async def get(self, id: RunId, *, lock: bool = False) -> SyncRun:
        for run in self.ledger.runs:
            if run.id == id:
                return run
        raise NotFound("no such run")

    async def active(self, link_id: LinkId) -> SyncRun | None:
        for run in self.ledger.runs:
            if run.link_id == link_id and not run.status.is_terminal:
                return run
        return None

    async def last_alike(self, run: SyncRun) -> SyncRun | None:
        return None

    async def forget_places(self, link_id: LinkId) -> None: ...

    async def last_user_finish(self, link_id: LinkId) -> datetime | None:
        ends = [
            r.finished_at
            for r in self.ledger.runs
            if r.link_id == link_id and r.trigger is SyncTrigger.USER and r.finished_at
        ]
        return max(ends, default=None)

    async def add(self, run: SyncRun) -> None:
        assert run.status is SyncStatus.QUEUED or run.finished_at or run.cancel_asked
        self.ledger.put("runs", run)

    async def save(self, run: SyncRun) -> None:
        self.ledger.put("runs", run)

    async def quarantine(self, rows: Sequence[QuarantinedRow]) -> None:
        self.ledger.quarantine += rows

    async def quarantined(self, id: RunId) -> Sequence[QuarantinedRow]:
        return [row for row in self.ledger.quarantine if row.run_id == id]

    async def release(self, ids: Sequence[Any]) -> None:
        self.ledger.quarantine[:] = [r for r in self.ledger.quarantine if r.id not in ids]


class _Authorizations:
    """Nobody is asked for consent here."""

    async def forget(self, link_id: LinkId) -> None:
        pass


class _Imports:
    """Of statements in which there is nothing to import."""

    def __init__(self) -> None:
        self.files: list[ImportFile] = []

    async def add(self, file: ImportFile) -> None:
        self.files.append(file)

    async def changes(self, run_id: RunId) -> Sequence[Change]:
        return ()


class CountedLimits:
    """As many at once as the burst, and none comes back: no time passes here."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        self.taken[f"{limit.name}:{key}"] += cost
        left = limit.burst - self.taken[f"{limit.name}:{key}"]
        return Verdict(
            allowed=left >= 0,
            remaining=max(left, 0),
            retry_after_s=Decimal(30),
            next_s=Decimal(30),
            reset_s=Decimal(30),
        )

    async def settle(
        self, key: str, limit: Limit, units: int, *, taken: Verdict | None = None
    ) -> None:
        self.taken[f"{limit.name}:{key}"] += units
