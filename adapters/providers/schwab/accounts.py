"""Schwab's accounts and positions in our terms.

The total is Schwab's own (`liquidationValue`); of what it calls cash, in fields that overlap, that
is taken which comes to that total with the positions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from adapters.providers.kit import (
    Malformed,
    Record,
    as_record,
    decimal,
    decimal_or_none,
    inner_or_none,
    text,
    text_or_none,
)
from adapters.providers.schwab.figures import USD, figuring, fit, usd, usd_or_none
from adapters.providers.schwab.instruments import (
    instrument_of,
    is_contract,
    security_of,
    shown_multiplier,
)
from domain.accounts import AccountType, mask_of, masked
from domain.money import EXACT, exact_sum
from domain.securities import PERCENT_OF_PAR, AssetType, SecurityTerms
from domain.sync import ReceivedAccount, ReceivedHolding

INSTITUTION = "Charles Schwab"
NUMBER = "accountNumber"
PRICE_DIGITS = 10  # of a quotient that does not end
PAR_MAX = Decimal(5)  # dollars a dollar of par: what costs more is counted in bonds, not in dollars

_AVAILABLE = ("availableFunds", "cashAvailableForWithdrawal", "cashAvailableForTrading")
_ZERO = Decimal(0)
_Values: TypeAlias = Sequence[tuple[str | None, Decimal]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An account as it came: its record, and apart from that `positions`, None for what is no list
    of them."""

    record: Record
    positions: Sequence[object] | None

    @classmethod
    def of(cls, answer: Record) -> "Told":
        """Raises Malformed."""
        said = as_record(answer.get("securitiesAccount"), "securitiesAccount")
        positions = said.get("positions")
        bare = {name: value for name, value in said.items() if name != "positions"}
        whole = answer.get("aggregatedBalance")
        if isinstance(whole, Mapping):
            bare["aggregatedBalance"] = whole
        if positions is None:
            positions = []
        return cls(record=bare, positions=positions if isinstance(positions, list) else None)

    @property
    def number(self) -> str:
        """Raises Malformed."""
        return text(self.record, NUMBER)


@figuring()
def account_of(told: Told, *, key: str, nickname: str | None, at: datetime) -> ReceivedAccount:
    """Of `at`, since Schwab does not date it. Raises Malformed."""
    now = inner_or_none(told.record, "currentBalances") or {}
    values = _values(told.positions)
    total = _total(told.record, now, values)
    available = next(
        (v for name in _AVAILABLE if (v := decimal_or_none(now, name)) is not None), None
    )
    cash = _cash(told.record, now, total, values)
    return ReceivedAccount(
        key=key,
        institution=INSTITUTION,
        name=nickname or f"Schwab {masked(told.number)}",
        type=AccountType.BROKERAGE,  # CASH or MARGIN, and not what it is for
        currency=USD,
        balance=usd_or_none(total),
        as_of=at,
        number=told.number,
        mask=mask_of(told.number),
        available_balance=usd_or_none(available),
        cash=usd_or_none(cash),
    )


@figuring()
def holding_of(position: Record, *, account: str, at: datetime) -> ReceivedHolding | None:
    """None for what was sold out of today, which stays listed. Raises Malformed."""
    instrument = instrument_of(position)
    long = decimal_or_none(position, "longQuantity") or _ZERO
    short = decimal_or_none(position, "shortQuantity") or _ZERO
    quantity = EXACT.subtract(long, short)
    value = decimal(position, "marketValue")
    if not quantity and not value:
        return None
    if not quantity:
        raise Malformed("longQuantity and shortQuantity come to nothing, and are worth something")
    average = decimal_or_none(position, "averagePrice") or None
    gain = decimal_or_none(
        position, "longOpenProfitLoss" if quantity > 0 else "shortOpenProfitLoss"
    )
    if long and short:  # both at once: the price and the gain are of one of them only
        average = gain = None
    security = security_of(
        instrument, shown=_multiplier(instrument, quantity, value, average, gain)
    )
    is_future = security.asset_type is AssetType.FUTURE  # worth what was gained on it
    if quantity < 0 and not is_future:
        value = -abs(value)
    elif value < 0 and not is_future:
        raise Malformed("marketValue of what is owned is negative")
    price = None if is_future else _price(security, quantity, value)
    cost = None if is_future else _cost(security, quantity, value, average, gain)
    return ReceivedHolding(
        account_key=account,
        security=security,
        quantity=fit(quantity),
        market_value=usd(value),
        as_of=at,
        market_price=usd_or_none(price),
        average_price=usd_or_none(average),
        cost_basis=usd_or_none(cost),
    )


# ── the account's figures ───────────────────────────────────────────────────


def _values(positions: Sequence[object] | None) -> _Values | None:
    """Kind and value of each position; None where one of them cannot be read."""
    if positions is None:
        return None
    try:
        read = [as_record(each, "a position") for each in positions]
        kinds = [text_or_none(instrument_of(one), "assetType") for one in read]
        return [(kind, decimal(one, "marketValue")) for kind, one in zip(kinds, read, strict=True)]
    except Malformed:
        return None


def _total(record: Record, now: Record, values: _Values | None) -> Decimal | None:
    """What it is worth. Where the live total is left out, as the description has it: the aggregated
    one, else a margin account's equity, in which options do not count, else cash and positions.
    None where that takes a position that cannot be read."""
    whole = inner_or_none(record, "aggregatedBalance") or {}
    for place, name in (
        (now, "liquidationValue"),
        (whole, "currentLiquidationValue"),
        (whole, "liquidationValue"),
    ):
        if (found := decimal_or_none(place, name)) is not None:
            return found
    if values is None:
        return None
    equity = decimal_or_none(now, "equity")
    if equity is not None:
        return EXACT.add(equity, exact_sum(v for kind, v in values if kind == "OPTION"))
    cash = _named_cash(now)
    return None if cash is None else EXACT.add(cash, exact_sum(v for _, v in values))


def _cash(
    record: Record,
    now: Record,
    total: Decimal | None,
    values: _Values | None,
) -> Decimal | None:
    """Cash with what was borrowed on margin and what short sales brought, each once: in some
    accounts `cashBalance` has them in it, in others they stand beside it."""
    cash = _named_cash(now)
    debit = decimal_or_none(now, "marginBalance") or _ZERO
    credit = decimal_or_none(now, "shortBalance") or _ZERO
    if cash is None:
        return debit or None
    both = EXACT.add(cash, debit)
    if values is None:
        return both
    readings = (both, cash, EXACT.add(both, credit), EXACT.add(cash, credit))
    held = exact_sum(value for _, value in values)
    sweep = exact_sum(v for kind, v in values if kind in ("CASH_EQUIVALENT", "CURRENCY"))
    for once in (_ZERO, sweep):
        for reading in readings:
            if total == EXACT.subtract(EXACT.add(reading, held), once):
                return reading
    return both


def _named_cash(now: Record) -> Decimal | None:
    for name in ("cashBalance", "totalCash"):
        if (found := decimal_or_none(now, name)) is not None:
            return found
    return None


# ── a position's figures ────────────────────────────────────────────────────


def _multiplier(
    instrument: Record,
    quantity: Decimal,
    value: Decimal,
    average: Decimal | None,
    gain: Decimal | None,
) -> Decimal | None:
    """By what the contracts cost, which is their value less what was gained on them."""
    if average is None or gain is None or not is_contract(instrument):
        return None
    return shown_multiplier(EXACT.subtract(value, gain), quantity, average)


def _price(security: SecurityTerms, quantity: Decimal, value: Decimal) -> Decimal:
    """Of a unit, or in per cent of par: Schwab does not tell it."""
    of_one = EXACT.divide(value, quantity)
    factor = security.multiplier
    if security.asset_type is AssetType.FIXED_INCOME:
        factor = PERCENT_OF_PAR if of_one <= PAR_MAX else factor
    exact = EXACT.divide(of_one, factor)
    if -_exponent(exact) <= PRICE_DIGITS:
        return exact
    return exact.quantize(Decimal(1).scaleb(-PRICE_DIGITS), context=EXACT)


def _cost(
    security: SecurityTerms,
    quantity: Decimal,
    value: Decimal,
    average: Decimal | None,
    gain: Decimal | None,
) -> Decimal | None:
    """Exactly what the gain leaves; else by the average price, which is rounded."""
    if average is None:
        return None
    if gain is not None:
        cost = EXACT.subtract(value, gain)
        if (cost < 0) == (quantity < 0):
            return cost
    if security.asset_type is AssetType.FIXED_INCOME:
        return None  # in per cent of par or in dollars: it does not say
    return EXACT.multiply(EXACT.multiply(quantity, average), security.multiplier)


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 - finite: narrows the type for the checker
    return exponent
