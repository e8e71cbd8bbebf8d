"""Whether what is reported of accounts agrees with itself."""

from collections import defaultdict
from collections.abc import Sequence

from domain.accounts import Account, AccountGroup, AccountId
from domain.holdings import Holding, HoldingFilter
from domain.queries.budget import Budget
from domain.reconciliation import POSITIONS_MAX, Balances, Reconciliation, reconcile
from domain.storage.reads import OwnedReads

_INVESTED = (AccountGroup.INVESTMENT, AccountGroup.OTHER)


async def reconciliations(
    reads: OwnedReads, accounts: Sequence[Account], budget: Budget
) -> list[Reconciliation]:
    """Of each account, in two statements at most. Raises TooMuch."""
    fed = {a.id: a for a in accounts if not a.is_manual}
    invested = [id for id, a in fed.items() if a.group in _INVESTED]
    banked = [id for id, a in fed.items() if a.group not in _INVESTED]
    positions: dict[AccountId, list[Holding]] = defaultdict(list)
    if invested:
        limit = POSITIONS_MAX + 1
        rows = await reads.holdings_of(invested, HoldingFilter(), limit=limit, after=None)
        budget.spend_objects(len(rows))
        for row in rows:
            positions[row.account_id].append(row)
    known = await reads.balances_and_transactions(banked) if banked else {}
    budget.spend_snapshots(sum(len(one.days) for one in known.values()))
    return [reconcile(a, positions[a.id], known.get(a.id, Balances())) for a in accounts]
