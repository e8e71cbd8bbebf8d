"""What happened in Schwab's accounts, in our terms.

An activity is an amount and what was transferred for it: the instruments, and in dollars each fee
and what was paid. Schwab's amounts have its owner's signs, as ours do.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from adapters.providers.kit import (
    Malformed,
    Record,
    as_record,
    choice,
    decimal,
    decimal_or_none,
    key,
    text,
    text_or_none,
)
from adapters.providers.schwab.figures import USD, figuring, fit, usd, usd_or_none
from adapters.providers.schwab.instruments import (
    day_of,
    instrument_of,
    is_contract,
    is_money,
    security_of,
    shown_multiplier,
)
from domain.money import EXACT, exact_sum
from domain.securities import AssetType, SecurityTerms
from domain.sync import ReceivedTransaction
from domain.transactions import TransactionStatus, TransactionSubtype, TransactionType

S = TransactionSubtype

# By whether money came in. What is said as another type than its sign allows was taken back.
_TRANSFERS = {
    "ACH_RECEIPT": (S.ACH_IN, S.ACH_OUT),
    "ACH_DISBURSEMENT": (S.ACH_IN, S.ACH_OUT),
    "ELECTRONIC_FUND": (S.ACH_IN, S.ACH_OUT),
    "CASH_RECEIPT": (S.DEPOSIT, S.WITHDRAWAL),
    "CASH_DISBURSEMENT": (S.DEPOSIT, S.WITHDRAWAL),
    "WIRE_IN": (S.WIRE_IN, S.WIRE_OUT),
    "WIRE_OUT": (S.WIRE_IN, S.WIRE_OUT),
    "JOURNAL": (S.JOURNAL, S.JOURNAL),
    "MONEY_MARKET": (S.INTERNAL, S.INTERNAL),  # to the sweep fund and back
    "MEMORANDUM": (S.OTHER, S.OTHER),
    "MARGIN_CALL": (S.OTHER, S.OTHER),
    "SMA_ADJUSTMENT": (S.OTHER, S.OTHER),
}
TRADE, DELIVERY, INCOME = "TRADE", "RECEIVE_AND_DELIVER", "DIVIDEND_OR_INTEREST"
TYPES = (TRADE, DELIVERY, INCOME, *_TRANSFERS)  # every one that there is

_STATUSES = {
    "VALID": TransactionStatus.SETTLED,
    "PENDING": TransactionStatus.PENDING,
    "INVALID": TransactionStatus.CANCELLED,
    "UNKNOWN": TransactionStatus.SETTLED,  # it is booked, and that is all that is known
}

# The first that a description has says what kind of income or charge it is.
_CHARGES = (
    (re.compile(r"\bMARGIN INT", re.IGNORECASE), S.MARGIN_INTEREST),
    (re.compile(r"\bTAX|\bWITHH|\bNRA\b", re.IGNORECASE), S.TAX),
    (re.compile(r"\bFEES?\b|\bADR\b|\bCHARGE", re.IGNORECASE), S.ACCOUNT_FEE),
)
_INCOMES = (
    (re.compile(r"\bREINV", re.IGNORECASE), S.REINVESTMENT),
    (re.compile(r"\bCAP(ITAL)?\b.*\bGAIN|\bGAINS? DIST", re.IGNORECASE), S.CAPITAL_GAIN),
    (re.compile(r"\bDIV", re.IGNORECASE), S.DIVIDEND),
    (re.compile(r"\bINT(EREST)?\b|\bCOUPON\b", re.IGNORECASE), S.INTEREST),
)
_DELIVERIES = (
    (re.compile(r"\bASSIGN", re.IGNORECASE), S.OPTION_ASSIGNMENT),
    (re.compile(r"\bEXERCI", re.IGNORECASE), S.OPTION_EXERCISE),
    (re.compile(r"\bEXPIR", re.IGNORECASE), S.OPTION_EXPIRATION),
    (re.compile(r"\bSPLIT\b", re.IGNORECASE), S.SPLIT),
)
_WORDED = re.compile(r"(BOUGHT|SOLD) ([\d.,]+) (\S+) @ \$?([\d.,]+)", re.IGNORECASE)
_SPELT = {TRADE: "Trade", DELIVERY: "Transfer of securities", INCOME: "Dividend or interest"}
_INTEREST_BEARING = (AssetType.FIXED_INCOME, AssetType.CASH_EQUIVALENT, AssetType.OTHER)
_OVER = (S.OPTION_EXPIRATION, S.OPTION_ASSIGNMENT, S.OPTION_EXERCISE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leg:
    """One instrument that was transferred: `quantity` is negative for what left."""

    security: SecurityTerms
    quantity: Decimal
    cost: Decimal
    price: Decimal | None = None
    effect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Activity:
    """`fees` is negative for what was charged."""

    type: str
    amount: Decimal
    description: str | None
    day: date
    sub_account: str | None
    legs: Sequence[_Leg]
    fees: Decimal


@figuring()
def transactions_of(record: Record, *, account: str) -> list[ReceivedTransaction]:
    """One for each instrument; of several the first has the fees. Raises Malformed."""
    activity = _activity(record)
    status = choice(record, "status", _STATUSES) if record.get("status") else _STATUSES["VALID"]
    id = key(record, "activityId")
    whole = _transaction(activity, account=account, id=id, status=status)
    whole = replace(whole, settlement_date=day_of(record, "settlementDate"))
    if not activity.legs:
        return [whole]
    found: list[ReceivedTransaction] = []
    left = activity.amount
    for number, leg in enumerate(activity.legs):
        amount, fees = left, activity.fees if number == 0 else Decimal(0)
        if number + 1 < len(activity.legs):
            amount = EXACT.add(leg.cost, fees)
            left = EXACT.subtract(left, amount)
        one = replace(
            whole,
            key=f"{id}/{number + 1}" if number else id,
            subtype=_subtype(replace(activity, amount=amount), leg),
            amount=usd(amount),
            security=leg.security,
            quantity=None if _is_paid_out(activity, leg) else fit(leg.quantity) or None,
            unit_price=usd_or_none(leg.price),
            commission=usd(fees) if fees < 0 else None,
        )
        found.append(_signed(one))
    return found


def _is_paid_out(activity: _Activity, leg: _Leg) -> bool:
    """Whether nothing of the instrument came or went, but money on it. The shares of a dividend
    that is reinvested are bought by an activity of their own, where this one brings the money."""
    is_bought = _income(activity, leg) is S.REINVESTMENT and activity.amount <= 0
    return activity.type == INCOME and not is_bought


def _activity(record: Record) -> _Activity:
    type = text(record, "type")
    description = text_or_none(record, "description")
    day = day_of(record, "tradeDate") or day_of(record, "time")
    if day is None:
        raise Malformed("tradeDate is missing")
    legs, fees, paid = _items(record)
    stated = decimal_or_none(record, "netAmount")
    parts = EXACT.add(exact_sum(leg.cost for leg in legs), EXACT.add(fees, paid))
    if stated is None and not parts and not legs:
        raise Malformed("netAmount is missing")
    amount = parts if stated is None else stated
    if len(legs) > 1 and amount != parts:
        raise Malformed("netAmount is not what its transferItems come to")
    if not legs and type == TRADE:
        legs = [_worded(description or "", amount)]
    return _Activity(
        type=type,
        amount=amount,
        description=description,
        day=day,
        sub_account=text_or_none(record, "subAccount"),
        legs=legs,
        fees=fees,
    )


def _items(record: Record) -> tuple[list[_Leg], Decimal, Decimal]:
    """The instruments, what was charged, and what else was paid in dollars."""
    items = record.get("transferItems")
    if items is None:
        items = ()
    elif not isinstance(items, list):
        raise Malformed("transferItems is not a list")
    legs: list[_Leg] = []
    plain: list[Decimal] = []
    fees = Decimal(0)
    for item in items:
        said = as_record(item, "a transferItem")
        instrument = instrument_of(said)
        cost = decimal_or_none(said, "cost") or Decimal(0)
        if said.get("feeType") is not None:
            fees = EXACT.add(fees, cost)
        elif is_money(instrument):
            plain.append(cost)
        else:
            legs.append(_leg(said, instrument, cost))
    paid = exact_sum(plain)
    if record.get("type") == TRADE and legs:  # some fees are not said to be any
        every = EXACT.add(fees, paid)
        whole = EXACT.add(exact_sum(leg.cost for leg in legs), every)
        if decimal_or_none(record, "netAmount") in (None, whole):
            return legs, every, Decimal(0)
    return legs, fees, paid


def _leg(item: Record, instrument: Record, cost: Decimal) -> _Leg:
    quantity = decimal_or_none(item, "amount") or Decimal(0)
    price = decimal_or_none(item, "price")
    shown = None
    if price and is_contract(instrument):
        shown = shown_multiplier(cost, quantity, price)
    return _Leg(
        security=security_of(instrument, shown=shown),
        quantity=quantity,
        cost=cost,
        price=price or None,
        effect=text_or_none(item, "positionEffect"),
    )


def _worded(description: str, amount: Decimal) -> _Leg:
    """A trade whose items were left out, by its description: BOUGHT 10 AAPL @ 145.32."""
    said = _WORDED.search(description)
    if said is None:
        raise Malformed("transferItems do not say what was traded")
    word, *_ = said.groups()
    numbers = {"amount": said[2].replace(",", ""), "price": said[4].replace(",", "")}
    quantity, symbol = decimal(numbers, "amount"), said[3]
    security = SecurityTerms(name=symbol, asset_type=AssetType.EQUITY, currency=USD, symbol=symbol)
    return _Leg(
        security=security,
        quantity=-quantity if word.upper() == "SOLD" else quantity,
        cost=amount,
        price=decimal(numbers, "price"),
    )


# ── what it is ──────────────────────────────────────────────────────────────


def _transaction(
    activity: _Activity, *, account: str, id: str, status: TransactionStatus
) -> ReceivedTransaction:
    fees = activity.fees
    subtype = _subtype(activity, None)
    described = activity.description or _described(activity)
    is_part = fees < 0 and fees != activity.amount
    return ReceivedTransaction(
        account_key=account,
        key=id,
        subtype=subtype,
        status=status,
        amount=usd(activity.amount),
        description=described,
        date=activity.day,
        commission=usd(fees) if is_part else None,
    )


def _described(activity: _Activity) -> str:
    names = ", ".join(leg.security.name for leg in activity.legs)
    said = _SPELT.get(activity.type) or activity.type.replace("_", " ").capitalize()
    return names or said


def _subtype(activity: _Activity, leg: _Leg | None) -> TransactionSubtype:
    description = activity.description or ""
    if activity.type == TRADE and leg is not None:
        return _trade(activity, leg)
    if activity.type == DELIVERY:
        return _delivery(activity, leg)
    if activity.type == INCOME:
        return _income(activity, leg)
    if activity.type not in _TRANSFERS:
        return S.OTHER
    is_out = activity.amount < 0
    if is_out and activity.fees == activity.amount:
        return S.ACCOUNT_FEE
    if is_out and (charge := _said(_CHARGES, description)) is not None:
        return charge
    return _TRANSFERS[activity.type][is_out]


def _trade(activity: _Activity, leg: _Leg) -> TransactionSubtype:
    said = _said(_DELIVERIES, activity.description or "")
    if said in _OVER and leg.security.asset_type is AssetType.OPTION and not leg.price:
        return said
    if not leg.quantity:
        raise Malformed("a trade of nothing")
    is_short = activity.sub_account == "SHORT" and leg.effect in (None, "UNKNOWN", "AUTOMATIC")
    if leg.quantity > 0:
        return S.BUY_TO_COVER if is_short or leg.effect == "CLOSING" else S.BUY
    return S.SHORT_SELL if is_short or leg.effect == "OPENING" else S.SELL


def _delivery(activity: _Activity, leg: _Leg | None) -> TransactionSubtype:
    """Securities that come or go unpaid: from another broker, by a split, or at an option's end."""
    said = _said(_DELIVERIES, activity.description or "")
    if leg is None:
        return said or S.JOURNAL
    option = leg.security.option
    if said is not None:
        return said
    if option is not None and leg.effect == "CLOSING" and activity.day >= option.expires_on:
        return S.OPTION_EXPIRATION
    return S.WITHDRAWAL if leg.quantity < 0 else S.DEPOSIT


def _income(activity: _Activity, leg: _Leg | None) -> TransactionSubtype:
    description = activity.description or ""
    is_out = activity.amount < 0
    if is_out and (charge := _said(_CHARGES, description)) is not None:
        return charge
    income = _said(_INCOMES, description)
    if leg is None:
        if income is None:  # interest says so, a dividend may have its security's name only
            return S.DIVIDEND if description else S.INTEREST
        return S.MARGIN_INTEREST if is_out and income is S.INTEREST else income
    bears_interest = leg.security.asset_type in _INTEREST_BEARING
    if income is None or (income is S.INTEREST and not bears_interest):  # a fund may be called INT
        return S.INTEREST if bears_interest else S.DIVIDEND
    return income


def _said(
    words: Sequence[tuple[re.Pattern[str], TransactionSubtype]], description: str
) -> TransactionSubtype | None:
    return next((subtype for pattern, subtype in words if pattern.search(description)), None)


def _signed(one: ReceivedTransaction) -> ReceivedTransaction:
    """Nobody is paid for buying, nor pays for selling more than its fees."""
    if one.subtype.type is not TransactionType.TRADE or one.quantity is None:
        return one
    fees = one.commission.amount if one.commission else Decimal(0)
    gross = EXACT.subtract(one.amount.amount, fees)
    if one.subtype in (S.BUY, S.BUY_TO_COVER) and gross > 0:
        raise Malformed("netAmount of what was bought is positive")
    if one.subtype in (S.SELL, S.SHORT_SELL) and gross < 0:
        raise Malformed("netAmount of what was sold is negative")
    return one


def order_of(record: object) -> tuple[str, str]:
    """By time, then number, for one order in every answer."""
    return _text(record, "time"), _text(record, "activityId").zfill(24)


def _text(record: object, name: str) -> str:
    return str(record.get(name, "")) if isinstance(record, Mapping) else ""
