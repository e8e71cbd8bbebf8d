"""Holdings: pages over all accounts or of each, their totals, and the securities held."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from domain.accounts import AccountId
from domain.holdings import Holding, HoldingFilter, HoldingId, HoldingKey
from domain.queries.pages import AccountPage, counted, within
from domain.securities import Security, SecurityId
from domain.storage.reads import OwnedReads

HoldingPage: TypeAlias = AccountPage[Holding, HoldingFilter]


def key_of(holding: Holding) -> HoldingKey:
    security = holding.security
    by = security.name if security.symbol is None else security.symbol
    return HoldingKey(symbol=by, id=holding.id)


async def holdings(
    reads: OwnedReads, filter: HoldingFilter, *, limit: int, after: HoldingKey | None
) -> HoldingPage:
    """By symbol, then id."""
    rows: Sequence[Holding] = ()
    if filter.account_ids != ():
        rows = await reads.holdings(filter, limit=limit + 1, after=after)
    return HoldingPage.of(rows, limit=limit, after=after, filter=filter)


async def holdings_of_accounts(
    reads: OwnedReads,
    accounts: Sequence[AccountId],
    filter: HoldingFilter,
    *,
    limit: int,
    after: HoldingKey | None,
) -> list[HoldingPage]:
    """A page of each account, in one statement; the filter's own accounts intersect with it."""
    of: dict[AccountId, list[Holding]] = defaultdict(list)
    inside = replace(filter, account_ids=None)
    if asked := within(accounts, filter.account_ids):
        for row in await reads.holdings_of(asked, inside, limit=limit + 1, after=after):
            of[row.account_id].append(row)
    return [
        HoldingPage.of(of[id], limit=limit, after=after, filter=filter, account_id=id)
        for id in accounts
    ]


async def totals(reads: OwnedReads, pages: Sequence[HoldingPage]) -> list[int]:
    """How many holdings each page is a part of; a statement for each different filter."""
    return await counted(pages, reads.count_holdings, reads.count_holdings_of)


async def holdings_by_id(reads: OwnedReads, ids: Sequence[HoldingId]) -> list[Holding | None]:
    """Closed ones too."""
    found = {h.id: h for h in await reads.holdings_by_id(list(dict.fromkeys(ids)))}
    return [found.get(id) for id in ids]


async def securities_by_id(reads: OwnedReads, ids: Sequence[SecurityId]) -> list[Security | None]:
    found = {s.id: s for s in await reads.securities_by_id(list(dict.fromkeys(ids)))}
    return [found.get(id) for id in ids]
