"""How one page of a pull is stored: merged with what is there, in the caller's unit of work."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from domain.accounts import AccountId
from domain.commands.balances import snapshot_holdings, store_history
from domain.commands.fed_accounts import store_accounts
from domain.commands.storing import Stored, Storing
from domain.holdings import Holding
from domain.identity import new_id
from domain.links import Link, LinkId
from domain.merging import (
    PENDING_MAX,
    Merge,
    SecurityOf,
    StoredTransactions,
    days_around,
    given_up,
    gone_now,
    lapsed,
    merge_holdings,
    merge_securities,
    merge_transactions,
    remove_transactions,
)
from domain.ports import App
from domain.securities import SecurityTerms
from domain.storage.work import Work
from domain.sync import (
    Page,
    QuarantinedRow,
    ReceivedHolding,
    ReceivedTransaction,
    SyncCounts,
    SyncRun,
    SyncScope,
)
from domain.transactions import Transaction, TransactionId

RAW_MAX = 8_192  # characters of a quarantined row that are kept


async def store_page(
    app: App,
    work: Work,
    *,
    link: Link,
    run: SyncRun,
    page: Page,
    at: datetime,
    again: bool = False,
) -> Stored:
    """Merge a page into what is stored. Nothing of it is dropped: what has no place is quarantined.

    The same page again writes nothing. `again`: the page is of rows in quarantine, where what
    still has no place stays.
    """
    storing = Storing(app, work, link, run, page, at, list(page.unreadable))
    storing.accounts.update(await work.accounts.by_key(link.id, storing.named()))
    stored = Stored()
    if page.accounts or page.accounts_complete:
        await store_accounts(storing, stored)
    securities = await _store_securities(storing)
    if page.holdings or page.holdings_complete:
        await _store_holdings(storing, securities, stored)
    if page.transactions or page.removed or page.pending:
        await _store_transactions(storing, securities, stored)
    if page.balances:
        await store_history(storing)
    stored.quarantined = len(storing.lost)
    if not again:
        await _quarantine(storing, stored)
    return stored


async def _store_securities(s: Storing) -> SecurityOf:
    described: list[SecurityTerms] = [h.security for h in s.page.holdings]
    described += [t.security for t in s.page.transactions if t.security is not None]
    if not described:
        return {}
    merge, found = merge_securities(await s.work.securities.all(), described)
    await s.work.securities.write(merge)
    return found


async def _store_holdings(s: Storing, securities: SecurityOf, done: Stored) -> None:
    received: dict[AccountId, list[ReceivedHolding]] = defaultdict(list)
    for row in s.page.holdings:
        if account := s.account_of(SyncScope.HOLDINGS, row):
            received[account.id].append(row)
    complete = {account.id for k in s.page.holdings_complete if (account := s.account(k))}
    # A file's positions are of its day: they never replace those that are newer, or live.
    stated = ((s.account(key), at) for key, at in s.page.stated_at.items())
    outdated = await s.outdated((account, at) for account, at in stated if account is not None)
    for id in outdated:
        done.add(SyncScope.HOLDINGS, id, SyncCounts(unchanged=len(received[id])))
    touched = [id for id in dict.fromkeys((*received, *complete)) if id not in outdated]
    stored: dict[AccountId, list[Holding]] = defaultdict(list)
    for holding in await s.work.holdings.of_accounts(touched):
        stored[holding.account_id].append(holding)
    by_id = {a.id: a for a in s.accounts.values()}
    for id in touched:
        merge = merge_holdings(
            stored[id],
            received[id],
            account_id=id,
            securities=securities,
            complete=id in complete,
        )
        done.add(SyncScope.HOLDINGS, id, merge.counts)
        for odd in merge.odd:
            s.lose(SyncScope.HOLDINGS, odd, "the rest of its position is in another currency")
        await s.work.holdings.write(merge)
        await s.remember(merge)
        await snapshot_holdings(s, by_id[id], stored[id], merge)


async def _store_transactions(s: Storing, securities: SecurityOf, done: Stored) -> None:
    received = [
        (account.id, row)
        for row in s.page.transactions
        if (account := s.account_of(SyncScope.TRANSACTIONS, row))
    ]
    keys = [(id, row.key) for id, row in received]
    keys += [(id, row.replaces) for id, row in received if row.replaces is not None]
    gone = [(account.id, key) for k, key in s.page.removed if (account := s.account(k))]
    days = days_around(row for _, row in received)
    named_now = None
    if s.page.all_keys is not None:
        all_keys = ((s.account(key), name) for key, name in s.page.all_keys)
        named_now = [(account.id, name) for account, name in all_keys if account]
    stored = await s.work.transactions.stored(s.link.id, [*keys, *gone], days, named_now=named_now)
    stored = await _told_apart(s, await _with_lapsed(s, replace(stored, are_ids=not s.is_file)))
    merge = merge_transactions(stored, received, securities=securities, at=s.at)
    await s.work.transactions.write(merge)
    await s.work.transactions.name(s.link.id, merge)
    unsettled = [t for t in given_up(stored.lapsed, merge) if t.id not in stored.foreign]
    lost = remove_transactions([*gone_now(stored, merge, gone), *unsettled], s.at)
    await s.work.transactions.write(lost)
    await s.remember(merge, lost)
    for id, counts in _by_account(received, merge, lost).items():
        done.add(SyncScope.TRANSACTIONS, id, counts)


async def _with_lapsed(s: Storing, stored: StoredTransactions) -> StoredTransactions:
    """What was pending, of a provider that tells all that is."""
    still = {a.id: [*keys] for key, keys in s.page.pending.items() if (a := s.account(key))}
    if not still:
        return stored
    for key, name in s.page.all_keys or ():  # what another page tells is not gone
        if (account := s.account(key)) and account.id in still:
            still[account.id].append(name)
    # A file says nothing of the days after it, and nothing new where a newer one was read.
    told = [(a, at) for key, at in s.page.stated_at.items() if (a := s.account(key))]
    stated = {account.id: at for account, at in told}
    stored = replace(stored, outdated=await s.outdated(told))
    ends = {id: stated.get(id, s.at) for id in still}
    since = (min(ends.values()) - PENDING_MAX).date()
    named = await s.work.transactions.pending(s.link.id, list(still), since)
    if s.is_file:
        named = [(t, key) for t, key in named if t.date <= ends[t.account_id].date()]
    names: dict[TransactionId, list[str]] = defaultdict(list)
    for transaction, key in named:
        names[transaction.id].append(key)
    return replace(stored, lapsed=lapsed(named, still), names=names)


async def _told_apart(s: Storing, stored: StoredTransactions) -> StoredTransactions:
    """Which of several links tells a transaction, so that they do not take turns.

    A live link goes before the others, and of equals the one that was linked first.
    """
    if all({*account.link_ids} <= {s.link.id} for account in s.accounts.values()):
        return stored
    ids = [t.id for t in (*stored.by_key.values(), *stored.others, *stored.unnamed, *stored.lapsed)]
    others = await s.work.transactions.named_by_others(s.link.id, ids)
    live = await s.live_links()

    def is_ours(links: Collection[LinkId]) -> bool:
        every = {s.link.id, *links}
        return min(every & live or every) == s.link.id

    foreign = {id for id, links in others.items() if not is_ours(links)}
    return replace(stored, shared=others.keys(), foreign=foreign)


def _by_account(
    received: Sequence[tuple[AccountId, ReceivedTransaction]],
    merge: Merge[Transaction],
    lost: Merge[Transaction],
) -> Mapping[AccountId, SyncCounts]:
    """What was received and is neither created nor updated is unchanged."""
    told = Counter(id for id, _ in received)
    created = Counter(t.account_id for t in merge.created)
    updated = Counter(t.account_id for t in merge.updated)
    removed = Counter(t.account_id for t in lost.removed)
    return {
        id: SyncCounts(
            created=created[id],
            updated=updated[id],
            unchanged=told[id] - created[id] - updated[id],
            removed=removed[id],
        )
        for id in told.keys() | removed.keys()
    }


async def _quarantine(s: Storing, done: Stored) -> None:
    """In the order in which they came, which ids of one millisecond do not have by themselves."""
    ids = sorted(new_id() for _ in s.lost)
    await s.work.runs.quarantine(
        [
            QuarantinedRow(
                id=id,
                run_id=s.run.id,
                kind=row.scope,
                reason=row.reason,
                raw=row.raw[:RAW_MAX],
                line=row.line,
                account_key=row.account_key and s.kept_key(row.account_key),
            )
            for id, row in zip(ids, s.lost, strict=True)
        ]
    )
    for row in s.lost:
        account = s.account(row.account_key) if row.account_key else None
        done.add(row.scope, account.id if account else None, SyncCounts(quarantined=1))
