"""A layout's rows as positions, with the cash beside them and what they come to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from adapters.csv.cells import NOTHING
from adapters.csv.errors import Illegible
from adapters.csv.layouts import Table
from adapters.csv.rows import number_in, required_number
from adapters.csv.securities import security_of
from adapters.csv.table import Line
from domain.money import EXACT, Currency, Money, exact_sum
from domain.securities import AssetType
from domain.sync import ReceivedHolding


@dataclass(slots=True)
class Positions:
    holdings: list[ReceivedHolding] = field(default_factory=list)
    lost: list[tuple[Line, str]] = field(default_factory=list)
    cash: Money | None = None
    balance: Money | None = None


def positions_of(
    table: Table,
    rows: Sequence[Line],
    totals: Sequence[Line],
    *,
    key: str,
    of: Currency,
    as_of: datetime,
) -> Positions:
    """`totals` say what the account is worth; without any it is what stands above."""
    found = Positions()
    cash: list[Decimal] = []
    for line in rows:
        try:
            if _is_cash(table, line):
                cash.append(required_number(table, line, "value", of))
            else:
                found.holdings.append(_holding(table, line, key, of, as_of))
        except Illegible as fault:
            found.lost.append((line, str(fault)))
    for line in totals:
        try:
            found.balance = Money(required_number(table, line, "value", of), of)
        except Illegible as fault:
            found.lost.append((line, str(fault)))
    if cash:
        found.cash = Money(exact_sum(cash), of)
    if found.balance is None and not found.lost:
        values = [held.market_value.amount for held in found.holdings]
        found.balance = Money(exact_sum([*values, *cash]), of)
    return found


def _is_cash(table: Table, line: Line) -> bool:
    """What is cash has no quantity; a money market fund has one, and is a position."""
    kind = table.profile.assets.get(table.cell(line, "kind").casefold())
    has_none = table.cell(line, "quantity").casefold() in NOTHING
    said = table.cell(line, "symbol").casefold()
    return has_none and (kind is AssetType.CASH_EQUIVALENT or said.startswith("cash"))


def _holding(table: Table, line: Line, key: str, of: Currency, as_of: datetime) -> ReceivedHolding:
    def said(column: str) -> str:
        return table.cell(line, column)

    security = security_of(said("symbol"), said("description"), said("kind"), table.profile, of)
    if security is None:
        raise Illegible("the symbol is missing")
    quantity = required_number(table, line, "quantity")
    value = Money(required_number(table, line, "value", of), of)
    if value.amount and (quantity < 0) != (value.amount < 0):  # what is worthless has no sign
        raise Illegible("the quantity and the value are not of one sign")
    price, cost = (number_in(table, line, column, of) for column in ("price", "cost"))
    if cost is not None and (cost < 0) != (quantity < 0):
        cost = EXACT.minus(cost)
    market_price = Money(price, of) if price is not None else None
    if market_price is not None:
        worth = security.value(quantity, market_price)
        if worth.rounded() != value.rounded():
            market_price = None  # it is that of another quotation, or day
    return ReceivedHolding(
        account_key=key,
        security=security,
        quantity=quantity,
        market_value=value,
        as_of=as_of,
        market_price=market_price,
        cost_basis=Money(cost, of) if cost else None,
    )
