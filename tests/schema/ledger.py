"""One user's rows in memory, and the `Reads` over them: it filters, sorts, limits and counts."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from domain.accounts import Account, AccountId
from domain.changes import Changed, Position
from domain.events import EventId
from domain.history import BalanceSnapshot, SnapshotSource
from domain.holdings import Holding, HoldingFilter, HoldingId, HoldingKey
from domain.identity import User
from domain.links import Link, LinkId
from domain.money import Currency
from domain.queries.holdings import key_of
from domain.queries.transactions import key_of as transaction_key
from domain.rates import GAP_MAX, Publication, Rates
from domain.reconciliation import Balances, DayBalance
from domain.securities import Security, SecurityId
from domain.storage.reads import Counts
from domain.sync import QuarantinedRow, RunId, SyncRun
from domain.told import Stretch, Told
from domain.transactions import (
    Transaction,
    TransactionFilter,
    TransactionId,
    TransactionKey,
    TransactionOrder,
    TransactionStatus,
)
from tests.builders import in_order
from tests.rates.publications import rates_of

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Ledger:
    user: User
    links: list[Link] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    holdings: list[Holding] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    snapshots: list[BalanceSnapshot] = field(default_factory=list)
    runs: list[SyncRun] = field(default_factory=list)
    quarantine: list[QuarantinedRow] = field(default_factory=list)
    published: list[Publication] = field(default_factory=list)
    version: int = 0
    events: list[Told] = field(default_factory=list)

    def copy(self) -> "Ledger":
        own = ("user", "version")
        lists = {f.name: list(getattr(self, f.name)) for f in fields(self) if f.name not in own}
        return Ledger(user=self.user, version=self.version, **lists)

    def put(self, name: str, row: Any) -> None:
        rows = getattr(self, name)
        rows[:] = [*(r for r in rows if r.id != row.id), row]


class LedgerReads:
    """A snapshot: what is written after its first read is not seen."""

    def __init__(self, ledger: Ledger) -> None:
        self._live, self._seen = ledger, None
        self._user: User | None = None
        self._accounts: Sequence[Account] | None = None
        self._lock = asyncio.Lock()
        self.statements = 0
        self.sent: list[str] = []
        self.closed = False
        self.down: Exception | None = None

    _seen: Ledger | None

    async def _send(self, what: str) -> Ledger:
        assert not self.closed, f"{what} is read after the snapshot was closed"
        if self.down is not None:
            raise self.down
        self.statements += 1
        self.sent.append(what)
        await asyncio.sleep(0)
        if self._seen is None:
            self._seen = self._live.copy()
        return self._seen

    async def events(self, place: int, *, limit: int) -> Stretch:
        later = [e for e in (await self._send("events")).events if e.seq > place]
        seq = later[:limit][-1].seq if later else place
        return Stretch(events=later[:limit], seq=seq, is_last=len(later) < limit)

    async def event_place(self, id: EventId) -> int | None:
        found = (await self._send("event_place")).events
        return next((event.seq for event in found if event.id == id), None)

    async def last_event(self) -> int:
        return max((event.seq for event in (await self._send("last_event")).events), default=0)

    async def viewer(self) -> User:
        async with self._lock:
            if self._user is None:
                self._user = (await self._send("viewer")).user
        return self._user

    async def data_version(self) -> int:
        """As of its first statement, which this is not."""
        return self._live.version

    async def changed(self, after: Position, *, limit: int) -> Sequence[Changed]:
        raise AssertionError("the rows of a ledger carry no versions: ask PostgreSQL for changes")

    async def counts(self) -> Counts:
        found = await self._send("counts")
        fed = Counter(id for account in found.accounts for id in account.link_ids)
        return Counts(
            links=len(found.links),
            accounts=len(found.accounts),
            accounts_of_link=max(fed.values(), default=0),
        )

    async def links(self, ids: Sequence[LinkId] | None = None) -> Sequence[Link]:
        found = (await self._send("links")).links
        kept = found if ids is None else [link for link in found if link.id in ids]
        return sorted(
            kept, key=lambda x: (x.connected_at is None, x.connected_at or x.created_at, x.id)
        )

    async def accounts(self) -> Sequence[Account]:
        async with self._lock:
            if self._accounts is None:
                self._accounts = in_order((await self._send("accounts")).accounts)
        return self._accounts

    async def holdings(
        self, filter: HoldingFilter, *, limit: int, after: HoldingKey | None
    ) -> Sequence[Holding]:
        return _held((await self._send("holdings")).holdings, filter, after)[:limit]

    async def holdings_of(
        self,
        accounts: Sequence[AccountId],
        filter: HoldingFilter,
        *,
        limit: int,
        after: HoldingKey | None,
    ) -> Sequence[Holding]:
        rows = _held((await self._send("holdings_of")).holdings, filter, after)
        return _each(rows, accounts, limit)

    async def holdings_by_id(self, ids: Sequence[HoldingId]) -> Sequence[Holding]:
        return [h for h in (await self._send("holdings_by_id")).holdings if h.id in ids]

    async def count_holdings(self, filter: HoldingFilter) -> int:
        return len(_held((await self._send("count_holdings")).holdings, filter, None))

    async def count_holdings_of(
        self, accounts: Sequence[AccountId], filter: HoldingFilter
    ) -> Mapping[AccountId, int]:
        rows = _held((await self._send("count_holdings_of")).holdings, filter, None)
        return _counts(rows, accounts)

    async def securities_by_id(self, ids: Sequence[SecurityId]) -> Sequence[Security]:
        held = (await self._send("securities_by_id")).holdings
        return list({h.security.id: h.security for h in held if h.security.id in ids}.values())

    async def transactions(
        self,
        filter: TransactionFilter,
        order: TransactionOrder,
        *,
        limit: int,
        after: TransactionKey | None,
    ) -> Sequence[Transaction]:
        ledger = await self._send("transactions")
        return _happened(ledger, filter, order, after)[:limit]

    async def transactions_of(
        self,
        accounts: Sequence[AccountId],
        filter: TransactionFilter,
        order: TransactionOrder,
        *,
        limit: int,
        after: TransactionKey | None,
    ) -> Sequence[Transaction]:
        ledger = await self._send("transactions_of")
        return _each(_happened(ledger, filter, order, after), accounts, limit)

    async def transactions_by_id(self, ids: Sequence[TransactionId]) -> Sequence[Transaction]:
        return [t for t in (await self._send("transactions_by_id")).transactions if t.id in ids]

    async def count_transactions(self, filter: TransactionFilter) -> int:
        ledger = await self._send("count_transactions")
        return len(_happened(ledger, filter, TransactionOrder.DATE_ASC, None))

    async def count_transactions_of(
        self, accounts: Sequence[AccountId], filter: TransactionFilter
    ) -> Mapping[AccountId, int]:
        ledger = await self._send("count_transactions_of")
        return _counts(_happened(ledger, filter, TransactionOrder.DATE_ASC, None), accounts)

    async def snapshots(
        self, accounts: Sequence[AccountId], *, since: datetime, before: datetime, limit: int
    ) -> Sequence[BalanceSnapshot]:
        rows = _by_time((await self._send("snapshots")).snapshots, accounts)
        last = {s.account_id: s.id for s in rows if s.at < since}
        inside = [s for s in rows if since <= s.at < before or last.get(s.account_id) == s.id]
        return inside[:limit]

    async def latest_snapshots(
        self, accounts: Sequence[AccountId], *, count: int
    ) -> Sequence[BalanceSnapshot]:
        rows = _by_time((await self._send("latest_snapshots")).snapshots, accounts)
        return [s for id in accounts for s in [r for r in rows if r.account_id == id][-count:]]

    async def rates(self, currencies: Collection[Currency], *, since: date, until: date) -> Rates:
        """Only those that are asked for, as from the real one."""
        told = rates_of((await self._send("rates")).published, "ECB")
        newest = told.newest or until
        first = min(since, newest) - GAP_MAX
        near = {
            c: {day: quoted for day, quoted in of.items() if first <= day <= until}
            for c, of in told.quotes.items()
            if c in currencies
        }
        return Rates(near, told.newest)

    async def balances_and_transactions(
        self, accounts: Sequence[AccountId]
    ) -> Mapping[AccountId, Balances]:
        ledger = await self._send("balances_and_transactions")
        found = {a.id: _balances(ledger, a) for a in ledger.accounts if a.id in accounts}
        return {id: balances for id, balances in found.items() if balances.days}

    async def runs_by_id(self, ids: Sequence[RunId]) -> Sequence[SyncRun]:
        return [r for r in (await self._send("runs_by_id")).runs if r.id in ids]

    async def runs(
        self, link_id: LinkId | None, *, limit: int, after: RunId | None
    ) -> Sequence[SyncRun]:
        rows = sorted((await self._send("runs")).runs, key=lambda r: r.id, reverse=True)
        return [
            r for r in rows if link_id in (None, r.link_id) and (after is None or r.id < after)
        ][:limit]

    async def last_runs(self, links: Sequence[LinkId]) -> Mapping[LinkId, SyncRun]:
        rows = sorted((await self._send("last_runs")).runs, key=lambda r: r.id)
        return {r.link_id: r for r in rows if r.link_id in links}

    async def quarantine(
        self, runs: Sequence[RunId], *, limit: int
    ) -> Mapping[RunId, Sequence[QuarantinedRow]]:
        rows = (await self._send("quarantine")).quarantine
        return {id: [r for r in rows if r.run_id == id][:limit] for id in runs}

    async def close(self) -> None:
        self.closed = True


def _balances(ledger: Ledger, account: Account) -> Balances:
    """Of days that a provider or a statement says; none is left out for what it follows from."""
    settled = [
        t
        for t in ledger.transactions
        if t.account_id == account.id
        and t.status is TransactionStatus.SETTLED
        and t.removed_at is None
    ]
    if not settled:
        return Balances()
    ours = [t for t in settled if t.amount.currency == account.currency]

    def up_to(day: date) -> Decimal:
        return sum((t.amount.amount for t in ours if t.date <= day), Decimal(0))

    stated = (SnapshotSource.BACKFILL, SnapshotSource.FILE_IMPORT)
    begun = min(t.date for t in settled) - timedelta(days=1)
    known = [
        (s.at.astimezone(UTC).date(), s.balance, s.source is SnapshotSource.BACKFILL)
        for s in _by_time(ledger.snapshots, [account.id])
        if s.source in stated and s.at.astimezone(UTC).date() >= begun
    ]
    known.append((account.as_of.astimezone(UTC).date(), account.balance, False))
    known.sort(key=lambda one: one[0])
    around = (0, -1, 1)
    return Balances(
        days=[
            DayBalance(
                day=day,
                balance=balance,
                entered=tuple(up_to(day + timedelta(days=n)) for n in around[: 1 if sure else 3]),
            )
            for day, balance, sure in known
        ],
        foreign=len(settled) - len(ours),
    )


def _held(
    rows: Iterable[Holding], filter: HoldingFilter, after: HoldingKey | None
) -> list[Holding]:
    kept = [
        h
        for h in rows
        if (filter.include_closed or h.is_active)
        and (filter.account_ids is None or h.account_id in filter.account_ids)
        and (filter.asset_types is None or h.security.asset_type in filter.asset_types)
        and _is_symbol(filter.symbol, h.security)
    ]

    def at(h: Holding) -> tuple[str, Any]:
        key = key_of(h)
        return key.symbol, key.id

    begin = None if after is None else (after.symbol, after.id)
    return sorted((h for h in kept if begin is None or at(h) > begin), key=at)


def _is_symbol(asked: str | None, security: Security | None) -> bool:
    held = None if security is None else security.symbol
    return asked is None or (held is not None and held.upper() == asked.upper())


def _happened(
    ledger: Ledger,
    f: TransactionFilter,
    order: TransactionOrder,
    after: TransactionKey | None,
) -> list[Transaction]:
    links = {a.id: a.link_ids for a in ledger.accounts}

    def among(allowed: Sequence[Any] | None, value: Any) -> bool:
        return allowed is None or value in allowed

    kept = [
        t
        for t in ledger.transactions
        if (f.include_removed or t.removed_at is None)
        and among(f.account_ids, t.account_id)
        and (f.link_ids is None or not {*f.link_ids}.isdisjoint(links[t.account_id]))
        and among(f.types, t.type)
        and among(f.subtypes, t.subtype)
        and among(f.statuses, t.status)
        and among(f.categories, t.category)
        and (f.since is None or t.date >= f.since)
        and (f.until is None or t.date <= f.until)
        and _is_symbol(f.symbol, t.security)
        and (
            f.search is None
            or f.search.casefold() in f"{t.description}\n{t.merchant or ''}".casefold()
        )
        and (f.min_amount is None or t.amount.amount >= f.min_amount)
        and (f.max_amount is None or t.amount.amount <= f.max_amount)
    ]

    def at(t: Transaction) -> tuple[Any, Any]:
        key = transaction_key(t, order)
        return key.by, key.id

    kept.sort(key=at, reverse=order.descending)
    if after is None:
        return kept
    begin = (after.by, after.id)
    return [t for t in kept if (at(t) < begin if order.descending else at(t) > begin)]


def _each(rows: Iterable[Any], accounts: Sequence[AccountId], limit: int) -> list[Any]:
    of: dict[AccountId, list[Any]] = defaultdict(list)
    for row in rows:
        of[row.account_id].append(row)
    return [row for id in accounts for row in of[id][:limit]]


def _counts(rows: Iterable[Any], accounts: Sequence[AccountId]) -> dict[AccountId, int]:
    counts: dict[AccountId, int] = defaultdict(int)
    for row in rows:
        if row.account_id in accounts:
            counts[row.account_id] += 1
    return counts


def _by_time(
    rows: Iterable[BalanceSnapshot], accounts: Sequence[AccountId]
) -> list[BalanceSnapshot]:
    kept = [s for s in rows if s.account_id in accounts]
    return sorted(kept, key=lambda s: (s.account_id, s.at))
