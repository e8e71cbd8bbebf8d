"""Merging the positions of one account."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from domain.accounts import AccountId
from domain.holdings import Holding, HoldingId
from domain.identity import new_id
from domain.merging.merge import Merge
from domain.merging.securities import SecurityOf
from domain.money import Money, exact_sum, total
from domain.securities import Security, SecurityId
from domain.sync import ReceivedHolding

Position = tuple[SecurityId, bool]  # a security, and whether it is held short


@dataclass(slots=True)
class HoldingMerge(Merge[Holding]):
    """`odd` are parts of a position in another currency than the rest, which cannot be added."""

    odd: list[ReceivedHolding] = field(default_factory=list)


def merge_holdings(
    stored: Iterable[Holding],
    received: Iterable[ReceivedHolding],
    *,
    account_id: AccountId,
    securities: SecurityOf,
    complete: bool,
) -> HoldingMerge:
    """One account's holdings. Parts of one position (lots, sub-accounts) are added up.

    With `complete`, what is not named any more becomes inactive.
    """
    by_position = {_position(h.security.id, h.quantity): h for h in stored}
    parts: dict[Position, list[ReceivedHolding]] = defaultdict(list)
    for row in received:
        parts[_position(securities[row.security].id, row.quantity)].append(row)
    merge = HoldingMerge()
    for position, said in parts.items():
        before = by_position.pop(position, None)
        security = securities[said[0].security]
        rows, odd = _by_currency(said, security)
        merge.odd += odd
        merge.meet(before, _holding(before, rows, account_id, security))
        merge.unchanged += len(rows) - 1  # the further parts of one position
    for holding in by_position.values():
        if complete and holding.is_active:
            merge.lose(holding, replace(holding, is_active=False))
    return merge


def _position(security_id: SecurityId, quantity: Decimal) -> Position:
    return security_id, quantity < 0


def _by_currency(
    rows: Sequence[ReceivedHolding], security: Security
) -> tuple[list[ReceivedHolding], list[ReceivedHolding]]:
    """Those in the security's own currency (where there are none, in that of the first), and the
    others."""
    told = [row.market_value.currency for row in rows]
    of = security.currency if security.currency in told else told[0]
    pairs = list(zip(rows, told, strict=True))
    return [row for row, its in pairs if its == of], [row for row, its in pairs if its != of]


def _holding(
    before: Holding | None,
    rows: Sequence[ReceivedHolding],
    account_id: AccountId,
    security: Security,
) -> Holding:
    first = rows[0]
    average_price, cost_basis = first.average_price, first.cost_basis
    prices = {r.market_price for r in rows}
    if len(rows) > 1:
        average_price = None
        cost_basis = _sum([r.cost_basis for r in rows])
    now = Holding(
        id=before.id if before else HoldingId(new_id()),
        account_id=account_id,
        security=security,
        quantity=exact_sum(r.quantity for r in rows),
        market_value=_total([r.market_value for r in rows]),
        as_of=before.as_of if before else first.as_of,
        market_price=first.market_price if len(prices) == 1 else None,  # not that of all of it
        average_price=average_price,
        cost_basis=cost_basis,
        data_version=before.data_version if before else 0,
    )
    if before is None or replace(now, security=before.security) == before:
        return now
    return replace(now, as_of=max(r.as_of for r in rows))


def _total(amounts: Sequence[Money]) -> Money:
    return total(amounts, amounts[0].currency)


def _sum(amounts: Sequence[Money | None]) -> Money | None:
    """None where one is unknown or in another currency."""
    summed = amounts[0]
    for amount in amounts[1:]:
        if summed is None or amount is None or amount.currency != summed.currency:
            return None
        summed += amount
    return summed
