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

END_DIGITS_MIN = 3  # of an account's number


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
    is alike, and only among accounts that nothing live feeds any more. Of those that another live
    link to the same provider feeds, number and name have to be the same: it was linked again with
    another choice of accounts, and would count twice.
    """
    if not unknown:
        return {}
    if s.is_file:
        return await _by_the_end_of_its_number(s, unknown, taken)
    numberless = {*await s.work.accounts.numberless()}
    left = [a for a in await _left_behind(s) if a.id not in taken]
    beside = [a for a in await _beside(s) if a.id not in taken and a.id in numberless]
    found: dict[str, Account] = {}
    for candidates, of in (
        *((left, of) for of in (_by_mask, _by_short_mask, _by_name)),
        (beside, _by_mask_and_name),
    ):
        known = {account.id for account in found.values()}
        ours = _once((of(s, a), a) for a in candidates if a.id not in known)
        theirs = _once((of(s, r), r) for r in unknown if r.key not in found)
        for likeness in ours.keys() & theirs.keys():
            account, received = ours[likeness], theirs[likeness]
            if received.number is None or account.id in numberless:  # two numbers are two accounts
                found[received.key] = account
    return found


async def _by_the_end_of_its_number(
    s: Storing, unknown: Sequence[ReceivedAccount], taken: set[AccountId | str]
) -> Mapping[str, Account]:
    """What a file tells only the last digits of, and what only such files, or links that tell no
    more, have told of until now.

    Institution, currency, group and these digits tell which account it is, where exactly one is
    alike; what kind of deposit it is such a file does not know.
    """
    ends = {r.key: r.mask or mask_of(r.number or "") for r in unknown}
    if not any(ends.values()):
        return {}
    numberless = {*await s.work.accounts.numberless()}
    every: dict[object, list[Account]] = defaultdict(list)
    for account in await s.work.accounts.all():
        if account.id not in taken and not account.is_manual:
            every[_short(account, account.mask)].append(account)
    found: dict[str, Account] = {}
    given: set[AccountId] = set()
    for received in unknown:
        end = ends[received.key]
        alike = [
            account
            for account in every[_short(received, end)]
            if (received.number is None or account.id in numberless)
            and _is_one_end(account.mask, end)
        ]
        if len(alike) == 1 and alike[0].id not in given:
            found[received.key] = alike[0]
            given.add(alike[0].id)
    return found


def _short(one: Account | ReceivedAccount, end: str | None) -> object:
    """What those are alike in whose numbers may end alike."""
    return (*_group(one), (end or "")[-END_DIGITS_MIN:])


def _is_one_end(one: str | None, other: str | None) -> bool:
    """Whether both are how one number ends; some tell three digits, some four."""
    if one is None or other is None or min(len(one), len(other)) < END_DIGITS_MIN:
        return False
    return one.endswith(other) or other.endswith(one)


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


async def _beside(s: Storing) -> list[Account]:
    """What other live links to the same provider feed."""
    live = await s.live_links() - {s.link.id}
    return [
        account
        for account in await s.work.accounts.all()
        if account.provider_slug == s.link.provider_slug
        and s.link.id not in account.link_ids
        and live & {*account.link_ids}
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


def _by_mask_and_name(s: Storing, one: Account | ReceivedAccount) -> object | None:
    has_number = isinstance(one, ReceivedAccount) and one.number is not None
    return None if one.mask is None or has_number else (*_kind(one), one.mask, one.name.casefold())


def _by_short_mask(s: Storing, one: Account | ReceivedAccount) -> object | None:
    """For an account of which a file told three digits."""
    mask = one.mask or (mask_of(one.number or "") if isinstance(one, ReceivedAccount) else None)
    if mask is None or (isinstance(one, Account) and len(mask) != END_DIGITS_MIN):
        return None
    return (*_group(one), mask[-END_DIGITS_MIN:])


def _by_name(s: Storing, one: Account | ReceivedAccount) -> object | None:
    """Where a mask is told it has to be the same, and so has been looked for."""
    slug = one.provider_slug if isinstance(one, Account) else s.link.provider_slug
    if one.mask is not None or (isinstance(one, ReceivedAccount) and one.number):
        return None
    return (*_kind(one), slug, one.name.casefold())


def _kind(one: Account | ReceivedAccount) -> tuple[str, str, str]:
    return _folded(one.institution), _kind_of(one.type), one.currency


def _group(one: Account | ReceivedAccount) -> tuple[str, AccountGroup, str]:
    return _folded(one.institution), one.type.group, one.currency


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
