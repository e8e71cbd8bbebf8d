"""Storing the accounts of a page: recognised again, merged, and deactivated when they are gone."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

from domain.accounts import Account, AccountId, masked
from domain.commands.balances import snapshot_balances
from domain.commands.recognition import recognised
from domain.commands.storing import Stored, Storing
from domain.imports import CASH_ALONE
from domain.merging import Merge, merge_account
from domain.sealing import Place, bound_to
from domain.storage.work import Work
from domain.sync import ReceivedAccount, SyncCounts, SyncScope, Unreadable


async def store_accounts(s: Storing, done: Stored) -> None:
    latest = {r.key: r for r in s.page.accounts}  # told twice: the later word counts
    found = await recognised(s, list(latest.values()))
    merge: Merge[Account] = Merge(unchanged=len(s.page.accounts) - len(latest))
    known = {key: one.account for key, one in found.items() if one.account is not None}
    whole = [r for r in latest.values() if not _is_in_another_currency(s, r, known.get(r.key))]
    beside = await beside_positions(s.work, whole, known)
    for received in whole:
        if received.key in beside:
            _lose(s, received, CASH_ALONE)
    whole = [replace(r, balance=None) if r.key in beside else r for r in whole]
    pairs = ((found[r.key].account, r.as_of) for r in whole)
    outdated = await s.outdated((a, as_of) for a, as_of in pairs if a is not None)
    stored: list[tuple[Account, ReceivedAccount]] = []
    names: dict[str, AccountId] = {}
    for received in whole:
        before = found[received.key].account
        account = await _merged(s, merge, before, received, outdated)
        stored.append((account, received))
        named = s.account(received.key)
        if named is None or named.id != account.id:
            names[s.kept_key(received.key)] = account.id
        s.accounts[s.kept_key(received.key)] = account
    if s.page.accounts_complete and s.run.account_keys is None:
        await _deactivate(s, merge)
    await s.work.accounts.write(merge)
    renamed = [id for id in names.values() if any(f.renamed == id for f in found.values())]
    await s.work.accounts.unname(s.link.id, renamed)
    await s.work.transactions.unname(s.link.id, renamed)
    await s.work.accounts.name(s.link.id, names)
    await s.work.accounts.identify(
        {
            account.id: (found[received.key].mark, _sealed_number(s, received, account.id))
            for account, received in stored
            if s.kept_key(received.key) in names
        }
    )
    await s.remember(merge)
    await snapshot_balances(s, merge, stored)
    done.add(SyncScope.ACCOUNTS, None, replace(merge.counts, created=0))
    for account in merge.created:
        done.add(SyncScope.ACCOUNTS, account.id, SyncCounts(created=1))


async def beside_positions(
    work: Work, received: Iterable[ReceivedAccount], known: Mapping[str, Account]
) -> set[str]:
    """Of which accounts what is told is cash alone, and positions are known beside it."""
    ids = {r.key: known[r.key].id for r in received if r.is_cash_alone and r.key in known}
    held = {h.account_id for h in await work.holdings.of_accounts([*ids.values()]) if h.is_active}
    return {key for key, id in ids.items() if id in held}


def _is_in_another_currency(s: Storing, received: ReceivedAccount, known: Account | None) -> bool:
    """Then it is quarantined: what is stored stays in its own currency."""
    if known is None or known.currency == received.currency:
        return False
    _lose(s, received, f"the account was in {known.currency}, and is in {received.currency} now")
    return True


def _lose(s: Storing, received: ReceivedAccount, reason: str) -> None:
    number = received.number and masked(received.number)
    raw = json.dumps(
        {**asdict(received), "key": s.kept_key(received.key), "number": number}, default=str
    )
    s.lost.append(
        Unreadable(scope=SyncScope.ACCOUNTS, reason=reason, raw=raw, account_key=received.key)
    )


async def _merged(
    s: Storing,
    merge: Merge[Account],
    found: Account | None,
    received: ReceivedAccount,
    outdated: set[AccountId],
) -> Account:
    is_other = found is not None and found.link_id != s.link.id
    if found is not None and s.is_file and received.number is None:
        # A file without the number is of some account of these digits; which, is known better.
        received = replace(
            received,
            institution=found.institution,
            name=found.name,
            type=found.type,
            mask=found.mask or received.mask,
        )
    return merge_account(
        merge,
        found,
        received,
        link_id=s.link.id,
        provider_slug=s.link.provider_slug,
        may_set_balance=found is None or found.id not in outdated,
        outranks=found is not None
        and is_other
        and not s.is_file
        and found.link_id not in await s.live_links(),
    )


async def _deactivate(s: Storing, merge: Merge[Account]) -> None:
    """What the provider does not name any more, unless another live link still does."""
    named = {account.id for r in s.page.accounts if (account := s.account(r.key))}
    live = await s.live_links()
    for account in {a.id: a for a in s.accounts.values()}.values():
        others = [id for id in account.link_ids if id != s.link.id and id in live]
        if account.id not in named and account.is_active and not others:
            merge.lose(account, replace(account, is_active=False))


def _sealed_number(s: Storing, received: ReceivedAccount, id: AccountId) -> bytes | None:
    if not received.number:
        return None
    place = bound_to(Place.ACCOUNT_NUMBER, s.link.user_id, id)
    return s.app.vault.seal(received.number.encode(), context=place)
