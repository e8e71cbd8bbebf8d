"""Which of our accounts a received one is, over keys, numbers, links and formats."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from domain.accounts import Account, AccountGroup, AccountId, AccountType, mask_of
from domain.commands.storing import Storing
from domain.sealing import Place, bound_to
from domain.sync import ReceivedAccount

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a received account, and what it is recognised by from now on.

    `renamed`: this link called it by another key before, and so its transactions too.
    """

    account: Account | None
    mark: str
    renamed: AccountId | None = None


async def recognised(s: Storing, accounts: Sequence[ReceivedAccount]) -> Mapping[str, Found]:
    """By the link's own key, else by number, else by the provider and its key, else by likeness.

    Two keys of one page are never one account, even if they have a number in common.
    """
    found: dict[str, Found] = {}
    taken: set[AccountId | str] = set()
    unknown: list[ReceivedAccount] = []
    for received in accounts:
        known = s.account(received.key)
        if known is None or known.id in taken:
            unknown.append(received)
            continue
        found[received.key] = Found(known, _fingerprint(s, received))
        taken |= {known.id, found[received.key].mark}
    marks = {r.key: (_fingerprint(s, r), _own_mark(s, r)) for r in unknown}
    elsewhere = await s.work.accounts.by_fingerprint([m for both in marks.values() for m in both])
    for received in unknown:
        number, own = marks[received.key]
        new = own if number in taken or number in elsewhere else number
        known_by = ((elsewhere.get(mark), mark) for mark in (number, own))
        free = ((a, mark) for a, mark in known_by if a is not None and a.id not in taken)
        account, mark = next(free, (None, new))
        found[received.key] = Found(account, mark)
        taken |= {mark} if account is None else {mark, account.id}
    lost = [r for r in unknown if found[r.key].account is None]
    for key, account in (await _alike(s, lost, taken)).items():
        found[key] = replace(found[key], account=account)
    return {key: _as_renamed(s, one, key) for key, one in found.items()}


def _as_renamed(s: Storing, found: Found, key: str) -> Found:
    """Only a list of all accounts says that an old key is used no more; a file has several."""
    account = found.account
    if s.is_file or not s.page.accounts_complete or account is None:
        return found
    is_ours = s.link.id in account.link_ids and s.account(key) is None
    return replace(found, renamed=account.id) if is_ours else found


async def _alike(
    s: Storing, unknown: Sequence[ReceivedAccount], taken: set[AccountId | str]
) -> Mapping[str, Account]:
    """Those whose every id changed upstream, as they do when an institution is linked again.

    Institution, currency, kind and the end of the number tell which account it is; between pulls
    of one provider that never told a number, its name does. Only where exactly one on either side
    is alike, and only among accounts that nothing live feeds any more.
    """
    if not unknown or s.is_file:
        return {}
    left = [a for a in await _left_behind(s) if a.id not in taken]
    found: dict[str, Account] = {}
    for of in (_by_mask, _by_name):
        ours = _once((of(s, a), a) for a in left if a not in found.values())
        theirs = _once((of(s, r), r) for r in unknown if r.key not in found)
        for likeness in ours.keys() & theirs.keys():
            found[theirs[likeness].key] = ours[likeness]
    return found


async def _left_behind(s: Storing) -> list[Account]:
    """What no link is alive for; and of this one, what a list of all its accounts lacks."""
    named = {account.id for r in s.page.accounts if (account := s.account(r.key))}
    live = {*await s.live_links()}
    if s.page.accounts_complete:
        live.discard(s.link.id)
    return [
        account
        for account in await s.work.accounts.all()
        if account.id not in named and not account.is_manual and not live & {*account.link_ids}
    ]


def _once(told: Iterable[tuple[object | None, _T]]) -> dict[object, _T]:
    """Those that are alike to no other; None is like nothing."""
    alike: dict[object, list[_T]] = defaultdict(list)
    for likeness, one in told:
        if likeness is not None:
            alike[likeness].append(one)
    return {likeness: ones[0] for likeness, ones in alike.items() if len(ones) == 1}


def _by_mask(s: Storing, one: Account | ReceivedAccount) -> object | None:
    mask = one.mask or (mask_of(one.number or "") if isinstance(one, ReceivedAccount) else None)
    return None if mask is None else (*_kind(one), mask)


def _by_name(s: Storing, one: Account | ReceivedAccount) -> object | None:
    """Where a mask is told it has to be the same, and so has been looked for."""
    slug = one.provider_slug if isinstance(one, Account) else s.link.provider_slug
    if one.mask is not None or (isinstance(one, ReceivedAccount) and one.number):
        return None
    return (*_kind(one), slug, one.name.casefold())


def _kind(one: Account | ReceivedAccount) -> tuple[str, str, str]:
    return _folded(one.institution), _kind_of(one.type), one.currency


def _kind_of(type: AccountType) -> str:
    """A member of a credit union has one number for checking and savings. Of what is no deposit
    only the group counts, since sources differ on what they call a retirement account."""
    return type.name if type.group is AccountGroup.DEPOSIT else type.group.name


def _fingerprint(s: Storing, received: ReceivedAccount) -> str:
    """What an account is recognised by over files, formats and links, without its number.

    Institution, account number, currency and kind. Where a provider does not tell the number, its
    own key.
    """
    number = "".join(c for c in (received.number or "") if c.isalnum()).upper()
    if not number:
        return _mark(s, received, f"{s.link.provider_slug}|{received.key}")
    return _mark(s, received, f"{number}\n{_kind_of(received.type)}")


def _own_mark(s: Storing, received: ReceivedAccount) -> str:
    return _fingerprint(s, replace(received, number=None))


def _mark(s: Storing, received: ReceivedAccount, name: str) -> str:
    text = f"{_folded(received.institution)}\n{name}\n{received.currency}"
    return s.app.vault.fingerprint(text, context=bound_to(Place.ACCOUNT, s.link.user_id))


def _folded(institution: str) -> str:
    return "".join(c for c in institution.casefold() if c.isalnum())
