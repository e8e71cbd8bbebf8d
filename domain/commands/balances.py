"""What an account was worth and when: snapshots of the balances that a page tells."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date

from domain.accounts import Account, AccountGroup, AccountId
from domain.commands.storing import Storing
from domain.commands.worth import said, tell_net_worth
from domain.events import EventName
from domain.history import BalanceSnapshot, SnapshotId, SnapshotSource
from domain.holdings import Holding
from domain.identity import new_id
from domain.merging import Merge
from domain.money import total
from domain.sync import ReceivedAccount, ReceivedBalance, SyncScope


async def snapshot_balances(
    s: Storing, merge: Merge[Account], received: Sequence[tuple[Account, ReceivedAccount]]
) -> None:
    """One whenever a balance differs, and at least one a UTC day; none where none is stated.

    A statement's balance is a fact of its own date: it is recorded there, even if what is known
    of the account by now is newer.
    """
    told = [(a, r, r.balance) for a, r in received if r.balance is not None]
    tell_balances(s.record, merge, {account.id for account, *_ in told})
    await tell_net_worth(s.work, merge.before, merge.written, s.at, run=str(s.run.id))
    if s.is_file:
        snapshots = [
            BalanceSnapshot(
                id=SnapshotId(new_id()),
                account_id=account.id,
                at=r.as_of,
                balance=balance,
                available_balance=r.available_balance,
                source=SnapshotSource.FILE_IMPORT,
            )
            for account, r, balance in told
        ]
    else:
        stated = [account for account, *_ in told]
        snapshots = [_seen(s, a) for a in await _changed(s, merge, stated)]
    await s.work.history.add(snapshots, run_id=s.run.id)


async def _changed(s: Storing, merge: Merge[Account], accounts: Sequence[Account]) -> list[Account]:
    moved = {a.id for a in merge.created} | {a.id for a in _moved(merge)}
    latest = await s.work.history.latest([a.id for a in accounts])

    def is_news(account: Account) -> bool:
        last = latest.get(account.id)
        if last is None or account.id in moved:
            return True
        if last.at > s.at:  # a statement that was drawn up ahead of its time
            return False
        return last.balance != account.balance or last.at.date() < s.at.date()

    return [account for account in accounts if is_news(account)]


def _seen(s: Storing, account: Account) -> BalanceSnapshot:
    return BalanceSnapshot(
        id=SnapshotId(new_id()),
        account_id=account.id,
        at=s.at,
        balance=account.balance,
        available_balance=account.available_balance,
        source=SnapshotSource.ACCOUNT_SYNC,
    )


def _moved(merge: Merge[Account]) -> list[Account]:
    before = {a.id: a.balance for a in merge.before}
    return [a for a in merge.updated if a.balance != before[a.id]]


def tell_balances(
    record: Callable[..., None], merge: Merge[Account], stated: Collection[AccountId]
) -> None:
    """Record which balances have moved."""
    before = {a.id: a.balance for a in merge.before}
    moved = [*(a for a in merge.created if a.id in stated), *_moved(merge)]
    for account in moved:
        facts = {"current": said(account.balance)}
        if account.id in before:
            facts["previous"] = said(before[account.id])
        record(EventName.BALANCE_CHANGED, account=str(account.id), **facts)


async def snapshot_holdings(
    s: Storing, account: Account, stored: Sequence[Holding], merge: Merge[Holding]
) -> None:
    """What of the balance is in positions: told by the run's own snapshot of the account, or by
    another one where it made none and positions have changed."""
    now = {h.id: h for h in (*stored, *merge.written)}
    values = [h.market_value for h in now.values() if h.is_active]
    if merge.written:
        counts = merge.counts
        s.record(
            EventName.HOLDINGS_CHANGED,
            account=str(account.id),
            created=str(counts.created),
            updated=str(counts.updated),
            unchanged=str(counts.unchanged),
            removed=str(counts.removed),
            quarantined=str(_lost_of(s, account)),
        )
    same = all(v.currency == account.currency for v in values)
    if s.is_file or not same or account.group is not AccountGroup.INVESTMENT:
        return
    held = total(values, account.currency)
    cash = account.balance - held
    split = await s.work.history.split(account.id, s.run.id, holdings_value=held, cash_value=cash)
    if split or not merge.written:
        return
    snapshot = BalanceSnapshot(
        id=SnapshotId(new_id()),
        account_id=account.id,
        at=s.at,
        balance=account.balance,
        available_balance=account.available_balance,
        holdings_value=held,
        cash_value=cash,
        source=SnapshotSource.HOLDINGS_SYNC,
    )
    await s.work.history.add([snapshot], run_id=s.run.id)


def _lost_of(s: Storing, account: Account) -> int:
    """Positions of the account that came and could not be read."""
    keys = [row.account_key for row in s.lost if row.scope is SyncScope.HOLDINGS]
    of = [s.account(key) for key in keys if key]
    return sum(one is not None and one.id == account.id for one in of)


async def store_history(s: Storing) -> None:
    """Balances of the past, for the days of which nothing is known yet."""
    received = [
        (account, b) for b in s.page.balances if (account := s.account_of(SyncScope.ACCOUNTS, b))
    ]
    if not received:
        return
    days = [_day(b) for _, b in received]
    taken = await s.work.history.days([a.id for a, _ in received], min(days), max(days))
    snapshots = [
        BalanceSnapshot(
            id=SnapshotId(new_id()),
            account_id=account.id,
            at=b.at,
            balance=b.balance,
            holdings_value=b.holdings_value,
            cash_value=b.cash_value,
            source=SnapshotSource.BACKFILL,
        )
        for (account, b), day in zip(received, days, strict=True)
        if (account.id, day) not in taken
    ]
    await s.work.history.add(snapshots, run_id=s.run.id)


def _day(balance: ReceivedBalance) -> date:
    return balance.at.astimezone(UTC).date()
