"""Accounts: all of the viewer's are read once a snapshot, and chosen from here."""

from collections import defaultdict
from collections.abc import Sequence

from domain.accounts import Account, AccountFilter, AccountId
from domain.links import LinkId
from domain.storage.reads import OwnedReads


async def accounts(reads: OwnedReads, filter: AccountFilter) -> list[Account]:
    """By name, then id."""
    return [a for a in await reads.accounts() if filter.matches(a)]


async def accounts_by_id(reads: OwnedReads, ids: Sequence[AccountId]) -> list[Account | None]:
    """Inactive ones too."""
    found = {a.id: a for a in await reads.accounts()}
    return [found.get(id) for id in ids]


async def accounts_of_links(reads: OwnedReads, links: Sequence[LinkId]) -> list[list[Account]]:
    """The active accounts that each link feeds, by name then id."""
    fed: dict[LinkId, list[Account]] = defaultdict(list)
    for account in await reads.accounts():
        if account.is_active:
            for link_id in account.link_ids:
                fed[link_id].append(account)
    return [fed[id] for id in links]
