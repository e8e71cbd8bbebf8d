"""How one page of a pull is stored: merged with what is there, in the caller's unit of work."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from domain.accounts import Account, AccountGroup, AccountId
from domain.events import Event, EventName
from domain.history import BalanceSnapshot, SnapshotId, SnapshotSource
from domain.holdings import Holding
from domain.identity import new_id
from domain.links import Link, LinkId, LinkStatus
from domain.merging import (
    Merge,
    SecurityOf,
    days_around,
    merge_account,
    merge_holdings,
    merge_securities,
    merge_transactions,
    remove_transactions,
)
from domain.money import total
from domain.ports import App
from domain.storage import Work
from domain.sync import (
    NO_COUNTS,
    Page,
    QuarantinedRow,
    ReceivedAccount,
    ReceivedHolding,
    SyncCounts,
    SyncRun,
    SyncScope,
    SyncTrigger,
    Unreadable,
)

RAW_MAX = 8_192  # characters of a quarantined row that are kept


@dataclass(slots=True, kw_only=True)
class Stored:
    """What storing one page did."""

    accounts: SyncCounts = NO_COUNTS
    holdings: SyncCounts = NO_COUNTS
    transactions: SyncCounts = NO_COUNTS
    quarantined: int = 0


@dataclass(slots=True)
class _Storing:
    """One page on its way: what it is stored for, and the link's accounts by the provider's key."""

    app: App
    work: Work
    link: Link
    run: SyncRun
    page: Page
    at: datetime
    accounts: dict[str, Account]
    lost: list[Unreadable]

    @property
    def is_file(self) -> bool:
        return self.run.trigger is SyncTrigger.IMPORT

    async def remember(self, *merges: Merge[Any]) -> None:
        """An import can be undone."""
        if self.is_file and any(m.written for m in merges):
            await self.work.imports.remember(self.run.id, merges)

    def record(self, name: EventName, **facts: str) -> None:
        self.work.record(Event(name=name, user_id=self.link.user_id, at=self.at, facts=facts))


async def store_page(
    app: App, work: Work, *, link: Link, run: SyncRun, page: Page, at: datetime
) -> Stored:
    """Merge a page into what is stored. Nothing of it is dropped: what has no place is quarantined.

    The same page again writes nothing.
    """
    accounts = dict(await work.accounts.by_key(link.id))
    storing = _Storing(app, work, link, run, page, at, accounts, list(page.unreadable))
    stored = Stored()
    if page.accounts or page.accounts_complete:
        stored.accounts = await _store_accounts(storing)
    securities = await _store_securities(storing)
    if page.holdings or page.holdings_complete:
        stored.holdings = await _store_holdings(storing, securities)
    if page.transactions or page.removed:
        stored.transactions = await _store_transactions(storing, securities)
    if page.balances:
        await _store_history(storing)
    await _quarantine(storing, stored)
    return stored


# ── accounts ────────────────────────────────────────────────────────────────


async def _store_accounts(s: _Storing) -> SyncCounts:
    fingerprints = {r.key: fingerprint_of(s.app, s.link, r) for r in s.page.accounts if r.number}
    elsewhere = await s.work.accounts.by_fingerprint(
        [f for key, f in fingerprints.items() if key not in s.accounts]
    )
    live = await _live_links(s)
    merge: Merge[Account] = Merge()
    names: dict[str, AccountId] = {}
    fresh: dict[str, Account] = {}  # made by this very page, by fingerprint
    for received in s.page.accounts:
        found = s.accounts.get(received.key)
        mark = fingerprints.get(received.key)
        if found is None and mark is not None:
            found = fresh.get(mark) or elsewhere.get(mark)
        account = merge_account(
            merge,
            found,
            received,
            link_id=s.link.id,
            provider_slug=s.link.provider_slug,
            may_set_balance=not s.is_file or found is None or found.link_id not in live,
        )
        if received.key not in s.accounts:
            names[received.key] = account.id
        if mark is not None:
            fresh[mark] = account
        s.accounts[received.key] = account
    if s.page.accounts_complete and s.run.account_keys is None:
        _deactivate(s, merge, live)
    await s.work.accounts.write(merge)
    await s.work.accounts.name(s.link.id, names)
    for received in s.page.accounts:
        if received.key in names and received.number:
            await _identify(s, received, names[received.key], fingerprints[received.key])
    await s.remember(merge)
    await _snapshot_balances(s, merge)
    return merge.counts


def _deactivate(s: _Storing, merge: Merge[Account], live: frozenset[LinkId]) -> None:
    """What the provider does not name any more, unless another live link still does."""
    named = {r.key for r in s.page.accounts}
    for key, account in s.accounts.items():
        others = [id for id in account.link_ids if id != s.link.id and id in live]
        if key not in named and account.is_active and not others:
            merge.lose(account, replace(account, is_active=False))


def fingerprint_of(app: App, link: Link, received: ReceivedAccount) -> str:
    """What an account is recognised by over files, formats and links, without its number.

    Institution, account number and currency.
    """
    institution = "".join(c for c in received.institution.casefold() if c.isalnum())
    number = "".join(c for c in (received.number or "") if c.isalnum()).upper()
    text = f"{institution}\n{number}\n{received.balance.currency}"
    return app.vault.fingerprint(text, context=b"account|" + link.user_id.bytes)


async def _identify(s: _Storing, received: ReceivedAccount, id: AccountId, mark: str) -> None:
    context = b"number|" + s.link.user_id.bytes + id.bytes
    sealed = s.app.vault.seal((received.number or "").encode(), context=context)
    await s.work.accounts.identify(id, fingerprint=mark, sealed_number=sealed)


async def _live_links(s: _Storing) -> frozenset[LinkId]:
    """The links that are asked again and again: their balances win over a file's."""
    links = await s.work.links.list((LinkStatus.ACTIVE, LinkStatus.FAILED))
    providers = s.app.providers
    return frozenset(
        link.id
        for link in links
        if link.provider_slug in providers and providers[link.provider_slug].info.can_be_pulled
    )


async def _snapshot_balances(s: _Storing, merge: Merge[Account]) -> None:
    """One whenever a balance differs, and at least one a UTC day."""
    named = {a.id: a for a in (s.accounts[r.key] for r in s.page.accounts)}
    before = {a.id: a.balance for a in merge.before}
    latest = await s.work.history.latest(list(named))
    snapshots: list[BalanceSnapshot] = []
    for account in named.values():
        last = latest.get(account.id)
        at = account.as_of if s.is_file else s.at
        if s.is_file:
            wanted = account.link_id == s.link.id and (last is None or last.at != at)
        else:
            wanted = last is None or last.balance != account.balance or last.at.date() < at.date()
        if wanted and not (last is not None and s.is_file and last.balance == account.balance):
            snapshots.append(
                BalanceSnapshot(
                    id=SnapshotId(new_id()),
                    account_id=account.id,
                    at=at,
                    balance=account.balance,
                    available_balance=account.available_balance,
                    source=SnapshotSource.FILE_IMPORT if s.is_file else SnapshotSource.ACCOUNT_SYNC,
                )
            )
        previous = before.get(account.id)
        if account in merge.created or (previous and previous != account.balance):
            s.record(
                EventName.BALANCE_CHANGED,
                account=str(account.id),
                current=f"{account.balance.amount:f} {account.currency}",
                **({"previous": f"{previous.amount:f} {previous.currency}"} if previous else {}),
            )
    await s.work.history.add(snapshots, run_id=s.run.id)


# ── securities and holdings ─────────────────────────────────────────────────


async def _store_securities(s: _Storing) -> SecurityOf:
    described = [h.security for h in s.page.holdings]
    described += [t.security for t in s.page.transactions if t.security is not None]
    if not described:
        return {}
    merge, found = merge_securities(await s.work.securities.all(), described)
    await s.work.securities.write(merge)
    return found


async def _store_holdings(s: _Storing, securities: SecurityOf) -> SyncCounts:
    received: dict[AccountId, list[ReceivedHolding]] = defaultdict(list)
    for row in s.page.holdings:
        if account := _account_of(s, SyncScope.HOLDINGS, row.account_key, row):
            received[account.id].append(row)
    complete = {s.accounts[k].id for k in s.page.holdings_complete if k in s.accounts}
    touched = [*dict.fromkeys((*received, *complete))]
    stored: dict[AccountId, list[Holding]] = defaultdict(list)
    for holding in await s.work.holdings.of_accounts(touched):
        stored[holding.account_id].append(holding)
    counts = SyncCounts()
    by_id = {a.id: a for a in s.accounts.values()}
    for id in touched:
        merge = merge_holdings(
            stored[id],
            received[id],
            account_id=id,
            securities=securities,
            complete=id in complete,
        )
        counts += merge.counts
        if merge.written:
            await s.work.holdings.write(merge)
            await s.remember(merge)
            await _snapshot_holdings(s, by_id[id], stored[id], merge)
    return counts


async def _snapshot_holdings(
    s: _Storing, account: Account, stored: Sequence[Holding], merge: Merge[Holding]
) -> None:
    now = {h.id: h for h in (*stored, *merge.written)}
    active = [h for h in now.values() if h.is_active]
    counts = merge.counts
    s.record(
        EventName.HOLDINGS_CHANGED,
        account=str(account.id),
        created=str(counts.created),
        updated=str(counts.updated),
        removed=str(counts.removed),
    )
    values = [h.market_value for h in active]
    same = all(v.currency == account.currency for v in values)
    if s.is_file or not same or account.group is not AccountGroup.INVESTMENT:
        return
    held = total(values, account.currency)
    await s.work.history.add(
        [
            BalanceSnapshot(
                id=SnapshotId(new_id()),
                account_id=account.id,
                at=s.app.now(),
                balance=account.balance,
                available_balance=account.available_balance,
                holdings_value=held,
                cash_value=account.balance - held,
                source=SnapshotSource.HOLDINGS_SYNC,
            )
        ],
        run_id=s.run.id,
    )


# ── transactions and history ────────────────────────────────────────────────


async def _store_transactions(s: _Storing, securities: SecurityOf) -> SyncCounts:
    received = [
        (account.id, row)
        for row in s.page.transactions
        if (account := _account_of(s, SyncScope.TRANSACTIONS, row.account_key, row))
    ]
    keys = [(id, row.key) for id, row in received]
    keys += [(id, row.replaces) for id, row in received if row.replaces is not None]
    gone = [(s.accounts[k].id, key) for k, key in s.page.removed if k in s.accounts]
    days = days_around(row for _, row in received)
    stored = await s.work.transactions.stored(s.link.id, [*keys, *gone], days)
    merge = merge_transactions(stored, received, securities=securities, at=s.at)
    await s.work.transactions.write(merge)
    await s.work.transactions.name(s.link.id, merge)
    kept = {t.id for t in merge.written}
    lost = remove_transactions(
        (t for key in gone if (t := stored.by_key.get(key)) and t.id not in kept), s.at
    )
    await s.work.transactions.write(lost)
    await s.remember(merge, lost)
    return merge.counts + lost.counts


async def _store_history(s: _Storing) -> None:
    """Balances of the past; one that is stored at the same instant stays."""
    snapshots = [
        BalanceSnapshot(
            id=SnapshotId(new_id()),
            account_id=s.accounts[b.account_key].id,
            at=b.at,
            balance=b.balance,
            holdings_value=b.holdings_value,
            cash_value=b.cash_value,
            source=SnapshotSource.BACKFILL,
        )
        for b in s.page.balances
        if b.account_key in s.accounts
    ]
    await s.work.history.add(snapshots, run_id=s.run.id)


# ── what has no place ───────────────────────────────────────────────────────


def _account_of(s: _Storing, scope: SyncScope, key: str, row: object) -> Account | None:
    account = s.accounts.get(key)
    if account is None:
        reason = "its account is not known, or could not be read"
        s.lost.append(Unreadable(scope=scope, reason=reason, raw=_raw(row), account_key=key))
    return account


async def _quarantine(s: _Storing, stored: Stored) -> None:
    await s.work.runs.quarantine(
        [
            QuarantinedRow(
                id=new_id(),
                run_id=s.run.id,
                kind=row.scope,
                reason=row.reason,
                raw=row.raw[:RAW_MAX],
                line=row.line,
                account_key=row.account_key,
            )
            for row in s.lost
        ]
    )
    of = _by_scope(s.lost)
    stored.quarantined = len(s.lost)
    stored.accounts += SyncCounts(quarantined=of[SyncScope.ACCOUNTS])
    stored.holdings += SyncCounts(quarantined=of[SyncScope.HOLDINGS])
    stored.transactions += SyncCounts(quarantined=of[SyncScope.TRANSACTIONS])


def _by_scope(rows: Iterable[Unreadable]) -> Mapping[SyncScope, int]:
    counts: dict[SyncScope, int] = defaultdict(int)
    for row in rows:
        counts[row.scope] += 1
    return counts


def _raw(row: object) -> str:
    return json.dumps(asdict(row), default=str)  # type: ignore[call-overload]  # a dataclass
