"""Storing the accounts of a page: recognised again, merged, and deactivated when they are gone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from domain.accounts import Account, AccountGroup, AccountId, masked
from domain.commands.balances import snapshot_balances
from domain.commands.storing import Stored, Storing
from domain.links import Link
from domain.merging import Merge, merge_account
from domain.ports import App
from domain.sealing import Place, bound_to
from domain.sync import ReceivedAccount, SyncCounts, SyncScope, Unreadable


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of a received account, and what it is recognised by from now on."""

    account: Account | None
    mark: str


async def store_accounts(s: Storing, done: Stored) -> None:
    latest = {r.key: r for r in s.page.accounts}  # told twice: the later word counts
    found = await _recognised(s, list(latest.values()))
    merge: Merge[Account] = Merge(unchanged=len(s.page.accounts) - len(latest))
    whole = [r for r in latest.values() if not _is_in_another_currency(s, r, found[r.key].account)]
    pairs = ((found[r.key].account, r.as_of) for r in whole)
    outdated = await s.outdated((a, as_of) for a, as_of in pairs if a is not None)
    stored: list[tuple[Account, ReceivedAccount]] = []
    names: dict[str, AccountId] = {}
    for received in whole:
        before = found[received.key].account
        account = await _merged(s, merge, before, received, outdated)
        stored.append((account, received))
        known = s.account(received.key)
        if known is None or known.id != account.id:
            names[s.kept_key(received.key)] = account.id
        s.accounts[s.kept_key(received.key)] = account
    if s.page.accounts_complete and s.run.account_keys is None:
        await _deactivate(s, merge)
    await s.work.accounts.write(merge)
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


async def _recognised(s: Storing, accounts: Sequence[ReceivedAccount]) -> Mapping[str, _Found]:
    """By the link's own key, else by number, else by the provider and its key.

    Two keys of one page are never one account, even if they have a number in common.
    """
    found: dict[str, _Found] = {}
    taken: set[AccountId | str] = set()
    unknown: list[ReceivedAccount] = []
    for received in accounts:
        known = s.account(received.key)
        if known is None or known.id in taken:
            unknown.append(received)
            continue
        found[received.key] = _Found(known, fingerprint_of(s.app, s.link, received))
        taken |= {known.id, found[received.key].mark}
    marks = {r.key: (fingerprint_of(s.app, s.link, r), _own_mark(s, r)) for r in unknown}
    elsewhere = await s.work.accounts.by_fingerprint([m for both in marks.values() for m in both])
    for received in unknown:
        number, own = marks[received.key]
        new = own if number in taken or number in elsewhere else number
        known_by = ((elsewhere.get(mark), mark) for mark in (number, own))
        free = ((a, mark) for a, mark in known_by if a is not None and a.id not in taken)
        account, mark = next(free, (None, new))
        found[received.key] = _Found(account, mark)
        taken |= {mark} if account is None else {mark, account.id}
    return found


def _is_in_another_currency(s: Storing, received: ReceivedAccount, known: Account | None) -> bool:
    """Then it is quarantined: what is stored stays in its own currency."""
    if known is None or known.currency == received.currency:
        return False
    number = received.number and masked(received.number)
    raw = json.dumps(
        {**asdict(received), "key": s.kept_key(received.key), "number": number}, default=str
    )
    reason = f"the account was in {known.currency}, and is in {received.currency} now"
    s.lost.append(
        Unreadable(scope=SyncScope.ACCOUNTS, reason=reason, raw=raw, account_key=received.key)
    )
    return True


async def _merged(
    s: Storing,
    merge: Merge[Account],
    found: Account | None,
    received: ReceivedAccount,
    outdated: set[AccountId],
) -> Account:
    is_other = found is not None and found.link_id != s.link.id
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


def fingerprint_of(app: App, link: Link, received: ReceivedAccount) -> str:
    """What an account is recognised by over files, formats and links, without its number.

    Institution, account number, currency and kind: a member of a credit union has one number for
    checking and savings. Of what is no deposit only the group counts, since sources differ on
    what they call a retirement account. Where a provider does not tell the number, its own key.
    """
    number = "".join(c for c in (received.number or "") if c.isalnum()).upper()
    if not number:
        return _mark(app, link, received, f"{link.provider_slug}|{received.key}")
    group = received.type.group
    kind = received.type.name if group is AccountGroup.DEPOSIT else group.name
    return _mark(app, link, received, f"{number}\n{kind}")


def _own_mark(s: Storing, received: ReceivedAccount) -> str:
    return fingerprint_of(s.app, s.link, replace(received, number=None))


def _mark(app: App, link: Link, received: ReceivedAccount, name: str) -> str:
    institution = "".join(c for c in received.institution.casefold() if c.isalnum())
    text = f"{institution}\n{name}\n{received.currency}"
    return app.vault.fingerprint(text, context=bound_to(Place.ACCOUNT, link.user_id))


def _sealed_number(s: Storing, received: ReceivedAccount, id: AccountId) -> bytes | None:
    if not received.number:
        return None
    place = bound_to(Place.ACCOUNT_NUMBER, s.link.user_id, id)
    return s.app.vault.seal(received.number.encode(), context=place)
