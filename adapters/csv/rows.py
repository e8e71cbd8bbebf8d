"""A layout's rows as transactions, in the owner's signs."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from adapters.csv.cells import day, days, number, number_or_none
from adapters.csv.errors import Illegible
from adapters.csv.layouts import Table
from adapters.csv.profiles import Profile
from adapters.csv.securities import security_of
from adapters.csv.table import Line
from domain.accounts import AccountGroup, AccountType
from domain.money import EXACT, Currency, Money, currency
from domain.sync import ReceivedTransaction
from domain.transactions import TransactionStatus, TransactionSubtype, TransactionType

S = TransactionSubtype
_BUYING, _SELLING = (S.BUY, S.BUY_TO_COVER), (S.SELL, S.SHORT_SELL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A transaction that waits for its key; `name` tells apart what else is alike."""

    day: date
    amount: Decimal
    name: str
    balance: Decimal | None
    is_pending: bool
    make: Callable[[str, str], ReceivedTransaction]  # from the account's key and its own


def row_of(table: Table, line: Line, kind: AccountType) -> Row:
    """Raises Illegible."""
    profile = table.profile

    def said(column: str) -> str:
        return table.cell(line, column)

    if any(line.cells[table.width :]):
        raise Illegible("there are more cells than columns")
    of = currency_in(table, line)
    on, booked = days(said("date"), "the date", profile.written)
    if said("booked") and booked is None:
        day(said("booked"), "the transaction date", profile.written)
    amount = _amount(table, line, of)
    balance = number_in(table, line, "balance", of)
    is_pending = _is_pending(profile, said, balance)
    quantity = number_in(table, line, "quantity")
    price, fees = number_in(table, line, "price", of), number_in(table, line, "fees", of)
    subtype = _subtype(profile, said("type"), amount, quantity, kind)
    if quantity is not None and subtype in _SELLING:
        quantity = EXACT.minus(EXACT.abs(quantity))
    text = said("description") or said("merchant") or said("memo") or said("type")
    if not text and said("check"):
        text = f"Check {said('check')}"
    security = security_of(said("symbol"), said("description"), "", profile, of)
    is_of_security = security is not None and (quantity is not None or subtype is not S.OTHER)

    def make(account_key: str, key: str) -> ReceivedTransaction:
        return ReceivedTransaction(
            account_key=account_key,
            key=key,
            subtype=subtype,
            status=TransactionStatus.PENDING if is_pending else TransactionStatus.SETTLED,
            amount=Money(amount, of),
            description=text or "No description",
            date=on,
            merchant=said("merchant") or None,
            category=said("category") or None,
            settlement_date=booked,
            security=security if is_of_security else None,
            quantity=quantity if is_of_security else None,
            unit_price=Money(price, of) if price is not None and is_of_security else None,
            commission=Money(EXACT.minus(EXACT.abs(fees)), of) if fees else None,
        )

    name = " ".join(filter(None, (said("type") if security else "", said("symbol"), text)))
    if quantity is not None:
        name = f"{name} {quantity.normalize():f}"
    return Row(day=on, amount=amount, name=name, balance=balance, is_pending=is_pending, make=make)


def currency_in(table: Table, line: Line) -> Currency:
    """Raises Illegible."""
    said = table.cell(line, "currency").upper() or table.profile.currency
    try:
        return currency(said)
    except ValueError as fault:
        raise Illegible(str(fault)) from None


def _amount(table: Table, line: Line, of: Currency) -> Decimal:
    profile = table.profile
    if "amount" in profile.columns:
        found = number_in(table, line, "amount", of)
        if found is None and table.cell(line, "quantity"):
            return Decimal(0)  # only securities moved
        if found is None:
            raise Illegible("the amount is missing")
        return profile.signed(found)
    debit, credit = (number_in(table, line, column, of) for column in ("debit", "credit"))
    if (debit is None) == (credit is None) and not (debit or credit):
        raise Illegible("neither debit nor credit is told")
    return EXACT.subtract(EXACT.abs(credit or Decimal(0)), EXACT.abs(debit or Decimal(0)))


def _is_pending(profile: Profile, said: Callable[[str], str], balance: Decimal | None) -> bool:
    if said("status").casefold() in profile.pending_words:
        return True
    return profile.pending_without_balance and balance is None


def _subtype(
    profile: Profile, word: str, amount: Decimal, quantity: Decimal | None, kind: AccountType
) -> TransactionSubtype:
    """By the institution's word for it, unless its sign says the opposite; else by the sign."""
    known = profile.words.get(re.sub(r"\s+", " ", word).casefold())
    if isinstance(known, tuple):
        known = known[0] if amount > 0 else known[1]
    if known is None:
        return _by_sign(amount, kind)
    if known in (*_BUYING, *_SELLING):
        is_right = amount <= 0 if known in _BUYING else amount >= 0
        return known if is_right and quantity else S.OTHER
    if known.type is TransactionType.FEE and amount > 0:
        return S.OTHER  # it was given back
    return known


def _by_sign(amount: Decimal, kind: AccountType) -> TransactionSubtype:
    if amount == 0 or kind.group not in (AccountGroup.DEPOSIT, AccountGroup.CREDIT):
        return S.OTHER
    if kind.group is AccountGroup.CREDIT:
        return S.REFUND if amount > 0 else S.PURCHASE
    return S.DEPOSIT if amount > 0 else S.WITHDRAWAL


def number_in(table: Table, line: Line, column: str, of: Currency | None = None) -> Decimal | None:
    """Raises Illegible."""
    said, point = table.cell(line, column), table.profile.point
    return number_or_none(said, f"the {column}", point=point, of=of)


def required_number(table: Table, line: Line, column: str, of: Currency | None = None) -> Decimal:
    """Raises Illegible."""
    said, point = table.cell(line, column), table.profile.point
    return number(said, f"the {column}", point=point, of=of)
