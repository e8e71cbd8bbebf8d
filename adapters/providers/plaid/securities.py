"""Plaid's securities in our terms, and how much of one it says that there is.

Plaid counts options by the underlying's units ("typically the number of contracts multiplied by
100"), and bonds by units of a face value; we count contracts, and par. The value tells which it is.
"""

from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from adapters.providers.kit import (
    Malformed,
    Record,
    currency_of,
    day,
    decimal_or_none,
    inner_or_none,
    key,
    money,
    text_or_none,
)
from domain.currencies import ISO_4217
from domain.money import DIGITS_MAX, EXACT, Currency, Money, storable
from domain.securities import (
    EQUITY_OPTION_MULTIPLIER,
    PERCENT_OF_PAR,
    AssetType,
    OptionSide,
    OptionTerms,
    SecurityTerms,
    is_cusip,
    is_isin,
)

_A = AssetType
ASSETS = {
    "cash": _A.CASH_EQUIVALENT,
    "cryptocurrency": _A.CRYPTOCURRENCY,
    "derivative": _A.OTHER,  # those that are options say so
    "equity": _A.EQUITY,
    "etf": _A.ETF,
    "fixed income": _A.FIXED_INCOME,
    "loan": _A.OTHER,
    "mutual fund": _A.MUTUAL_FUND,
    "other": _A.OTHER,
}
SIDES = {"call": OptionSide.CALL, "put": OptionSide.PUT}
PRICE_PLACES = Decimal("1E-12")


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of a security: signed, in the units in which its price is told to be."""

    security: SecurityTerms
    quantity: Decimal
    price: Money | None


def security_of(record: Record, *, otherwise: Currency) -> SecurityTerms:
    """`otherwise` is the currency of what is held, for a security that tells none that we know."""
    of = _currency(record) or otherwise
    symbol = text_or_none(record, "ticker_symbol")
    name = text_or_none(record, "name") or symbol
    if name is None:
        raise Malformed("the security has no name")
    isin, cusip = text_or_none(record, "isin"), text_or_none(record, "cusip")
    found = SecurityTerms(
        name=name,
        asset_type=_asset_type(record),
        currency=of,
        symbol=symbol,
        isin=isin if isin and is_isin(isin) else None,
        cusip=cusip if cusip and is_cusip(cusip) else None,
        key=key(record, "security_id"),
    )
    terms = inner_or_none(record, "option_contract")
    if terms is None:
        is_option = text_or_none(record, "subtype") == "option"
        return _contract(found, None) if is_option else found
    return _contract(found, _option(terms, of))


def cash_of(record: Record) -> Currency | None:
    """The currency that a security is, if it is one: money itself, no fund of it."""
    if record.get("type") != "cash":
        return None
    symbol = (text_or_none(record, "ticker_symbol") or "").upper().removeprefix("CUR:")
    return Currency(symbol) if symbol in ISO_4217 else None


def amount_of(
    record: Record, security: SecurityTerms, quantity: Decimal, price: Money | None, value: Money
) -> Amount:
    """`record` is the security's; `value` what all of it is worth, or came to."""
    if security.asset_type is AssetType.OPTION and not _is_in_contracts(quantity, price, value):
        quantity = _stored(EXACT.divide(quantity, security.multiplier))
    if security.asset_type is AssetType.FIXED_INCOME:
        return _par(record, security, quantity, price, value)
    return Amount(security, quantity, price)


def fitting(amount: Amount, value: Money) -> Amount:
    """With a price at which the quantity has that value: the institution's, or what it comes to,
    since it is often told rounded or of another day."""
    if amount.price is None or _fits(amount, value):
        return amount
    one = Money(Decimal(1), value.currency)
    worth = amount.security.value(amount.quantity, one).amount
    price = None if not worth else _rounded(value.amount, worth)
    found = replace(amount, price=None if price is None else Money(price, value.currency))
    return found if _fits(found, value) else replace(amount, price=None)


def _asset_type(record: Record) -> AssetType:
    said = text_or_none(record, "type")
    if said is not None and said not in ASSETS:
        raise Malformed(f"type is none of those we know: {ascii(said)[:40]}")
    found = AssetType.OTHER if said is None else ASSETS[said]
    is_fund = found in (AssetType.MUTUAL_FUND, AssetType.OTHER)
    if record.get("is_cash_equivalent") is True and is_fund:
        return AssetType.CASH_EQUIVALENT
    return found


def _contract(security: SecurityTerms, terms: OptionTerms | None) -> SecurityTerms:
    return replace(
        security,
        asset_type=AssetType.OPTION,
        multiplier=EQUITY_OPTION_MULTIPLIER,
        option=terms,
    )


def _option(terms: Record, of: Currency) -> OptionTerms:
    underlying, side = (
        text_or_none(terms, name) for name in ("underlying_security_ticker", "contract_type")
    )
    if underlying is None or side not in SIDES:
        raise Malformed("option_contract has no underlying, or is neither call nor put")
    return OptionTerms(
        underlying=underlying,
        side=SIDES[side],
        strike=money(terms, "strike_price", of),
        expires_on=day(terms, "expiration_date"),
    )


def _currency(record: Record) -> Currency | None:
    for name in ("iso_currency_code", "unofficial_currency_code"):
        if record.get(name) is not None:
            try:
                return currency_of(record, name)
            except Malformed:
                return None
    return None


def _is_in_contracts(quantity: Decimal, price: Money | None, value: Money) -> bool:
    """Where its value is a hundred times what quantity and price come to."""
    if price is None or not price.amount or not quantity:
        return False
    of_units = price.times(quantity)
    of_contracts = of_units.times(EQUITY_OPTION_MULTIPLIER)
    worth = abs(value).amount
    return abs(abs(of_contracts).amount - worth) < abs(abs(of_units).amount - worth)


def _par(
    record: Record, security: SecurityTerms, quantity: Decimal, price: Money | None, value: Money
) -> Amount:
    """Par, at a price in per cent of it; without a face value as it is told, where that fits."""
    as_told = Amount(security, quantity, price)
    terms = inner_or_none(record, "fixed_income")
    face = None if terms is None else decimal_or_none(terms, "face_value")
    if _fits(as_told, value) or face is None or face <= 0:
        return as_told if _fits(as_told, value) else replace(as_told, price=None)
    par = _stored(EXACT.multiply(quantity, face))
    percent = (
        None if price is None else _rounded(price.amount, EXACT.multiply(face, PERCENT_OF_PAR))
    )
    told = None if price is None or percent is None else Money(percent, price.currency)
    return Amount(security, par, told)


def _fits(amount: Amount, value: Money) -> bool:
    if amount.price is None or amount.price.currency != value.currency:
        return False
    worth = amount.security.value(amount.quantity, amount.price)
    if worth.amount.adjusted() > DIGITS_MAX:
        return False
    return worth.rounded() == value.rounded()


def _rounded(dividend: Decimal, divisor: Decimal) -> Decimal | None:
    """To PRICE_PLACES; None where that is longer than we store."""
    try:
        exact = EXACT.divide(dividend, divisor).quantize(PRICE_PLACES, context=EXACT)
        return storable(EXACT.add(exact.normalize(EXACT), Decimal(0)))
    except (InvalidOperation, ValueError):
        return None


def _stored(number: Decimal) -> Decimal:
    try:
        return storable(number)
    except ValueError as fault:
        raise Malformed(f"quantity: {fault}") from None
