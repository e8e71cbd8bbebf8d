"""Schwab's instruments in our terms: what is held or traded, and how much one contract of it is."""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from adapters.providers.kit import (
    NEW_YORK,
    Malformed,
    Record,
    day_or_none,
    decimal_or_none,
    instant,
    key,
    text_or_none,
)
from adapters.providers.schwab.figures import USD, usd
from domain.money import EXACT
from domain.securities import (
    EQUITY_OPTION_MULTIPLIER,
    AssetType,
    OptionSide,
    OptionTerms,
    SecurityTerms,
    is_cusip,
)

CURRENCY = "CURRENCY"
_ASSETS = {
    "EQUITY": AssetType.EQUITY,
    "OPTION": AssetType.OPTION,
    "INDEX": AssetType.INDEX,
    "MUTUAL_FUND": AssetType.MUTUAL_FUND,
    "CASH_EQUIVALENT": AssetType.CASH_EQUIVALENT,
    "FIXED_INCOME": AssetType.FIXED_INCOME,
    CURRENCY: AssetType.CASH_EQUIVALENT,
    "FUTURE": AssetType.FUTURE,
    "FOREX": AssetType.FOREX,
    "PRODUCT": AssetType.OTHER,
}
_COLLECTIVE = "COLLECTIVE_INVESTMENT"
_FUNDS = {"EXCHANGE_TRADED_FUND": AssetType.ETF, "INDEX": AssetType.ETF, "UNITS": AssetType.EQUITY}
_CONTRACTS = (AssetType.OPTION, AssetType.FUTURE)
_SIDES = {"CALL": OptionSide.CALL, "PUT": OptionSide.PUT, "C": OptionSide.CALL, "P": OptionSide.PUT}
_ONE = Decimal(1)
_CLOSE = Decimal("0.005")  # how far rounded prices may put a multiplier from the true one

# The OCC's symbol: root, expiry, side, strike in thousandths. Schwab pads the root to six.
_OCC = re.compile(r"([A-Z0-9.$/]{1,6}) *(\d{6})([CP])(\d{8})")
_OF_FUTURE = re.compile(r"(/[A-Z0-9]{1,12})_([CP])(\d{1,9}(?:\.\d{1,6})?)(?::[A-Z]+)?")
_DATE_CHARS, _NO_TIME = 10, re.compile(r".{10}(T00:00:00(\.0+)?(Z|[+-].*)|[^Z+-]*)$")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_SPELT = re.compile(r"\b([A-Z][a-z]{2}) (\d{1,2}) (\d{4})\b")


def day_of(record: Record, name: str) -> date | None:
    """The day in New York: Schwab's days are those there, and its times are written in UTC.

    An option's end is midnight there, which is 04:00 or 05:00 in UTC; and what was traded in the
    evening is of that day, though it was the next one in London. What comes without a time of its
    own, as a date or as midnight, or without a zone, is as it was written. A future's evening is
    not counted to the session of the day after, as its exchange does.
    """
    said = text_or_none(record, name)
    if said is None or len(said) <= _DATE_CHARS or _NO_TIME.match(said):
        return day_or_none({name: said and said[:_DATE_CHARS]}, name)
    return instant(record, name).astimezone(NEW_YORK).date()


def security_of(instrument: Record, *, shown: Decimal | None = None) -> SecurityTerms:
    """`shown` is what of the underlying is in one contract, as the amounts show it; it wins over
    what is stated, which wins over what is usual. Raises Malformed."""
    symbol, said = text_or_none(instrument, "symbol"), text_or_none(instrument, "assetType")
    description = text_or_none(instrument, "description")
    cusip = (text_or_none(instrument, "cusip") or "").upper()
    own = key(instrument, "instrumentId") if instrument.get("instrumentId") is not None else None
    if not (symbol or description or is_cusip(cusip)):
        raise Malformed("nothing says what instrument it is")
    kind = _asset_of(said, text_or_none(instrument, "type"))
    option = _option(instrument, symbol, description) if kind is AssetType.OPTION else None
    return SecurityTerms(
        name=description or symbol or cusip,
        asset_type=kind,
        currency=USD,
        symbol=symbol,
        cusip=cusip if is_cusip(cusip) else None,
        multiplier=_multiplier(kind, instrument, symbol, shown),
        option=option,
        key=own,
    )


def is_money(instrument: Record) -> bool:
    """Dollars themselves, which what is bought and charged is paid with."""
    said = text_or_none(instrument, "symbol") or USD
    return text_or_none(instrument, "assetType") == CURRENCY and said.endswith(USD)


def shown_multiplier(cost: Decimal, amount: Decimal, price: Decimal) -> Decimal | None:
    """What a contract must hold for so many at this price to cost so much; None where the figures
    are too rough to tell, or there are none."""
    plain = EXACT.multiply(abs(amount), abs(price))
    if not plain or not cost:
        return None
    exact = EXACT.divide(abs(cost), plain)
    whole = exact.quantize(_ONE, context=EXACT)
    return whole if whole >= 1 and abs(exact - whole) <= whole * _CLOSE else None


def is_contract(instrument: Record) -> bool:
    said = text_or_none(instrument, "assetType")
    return _asset_of(said, text_or_none(instrument, "type")) in _CONTRACTS


def _asset_of(said: str | None, kind: str | None) -> AssetType:
    if said == _COLLECTIVE:
        return _FUNDS.get(kind or "", AssetType.MUTUAL_FUND)
    return _ASSETS.get(said or "", AssetType.OTHER)


def _multiplier(
    kind: AssetType, instrument: Record, symbol: str | None, shown: Decimal | None
) -> Decimal:
    if kind not in _CONTRACTS:
        return _ONE
    if shown is not None:
        return shown
    for name in ("optionPremiumMultiplier", "optionMultiplier", "multiplier"):
        stated = decimal_or_none(instrument, name)
        if stated is not None and stated > 0:
            return stated
    is_usual = kind is AssetType.OPTION and not (symbol or "").startswith("/")
    return EQUITY_OPTION_MULTIPLIER if is_usual else _ONE


def _option(instrument: Record, symbol: str | None, description: str | None) -> OptionTerms | None:
    """By its symbol, which positions and trades have alike; None where something is missing."""
    named = _named(symbol or "", description or "")
    underlying, side, strike, expires_on = named or (None, None, None, None)
    if named is None or not (symbol or "").startswith("/"):
        underlying = text_or_none(instrument, "underlyingSymbol") or underlying
    side = side or _SIDES.get(text_or_none(instrument, "putCall") or "")
    strike = decimal_or_none(instrument, "strikePrice") if strike is None else strike
    expires_on = expires_on or day_of(instrument, "expirationDate")
    if underlying is None or side is None or strike is None or expires_on is None:
        return None
    return OptionTerms(underlying=underlying, side=side, strike=usd(strike), expires_on=expires_on)


_Named = tuple[str | None, OptionSide | None, Decimal | None, date | None]


def _named(symbol: str, description: str) -> _Named | None:
    if found := _OCC.fullmatch(symbol):
        root, day, side, strike = found.groups()
        thousandths = EXACT.multiply(Decimal(strike), Decimal("0.001"))
        expires_on = _date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
        return root, _SIDES[side], _plain(thousandths), expires_on
    if found := _OF_FUTURE.fullmatch(symbol):
        root, side, strike = found.groups()
        spelt = _SPELT.search(description)
        expires_on = None
        if spelt and spelt[1] in _MONTHS:
            expires_on = _date(int(spelt[3]), _MONTHS.index(spelt[1]) + 1, int(spelt[2]))
        return root, _SIDES[side], Decimal(strike), expires_on
    return None


def _plain(number: Decimal) -> Decimal:
    return number.quantize(_ONE) if number == number.to_integral_value() else number.normalize()


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def instrument_of(record: Record) -> Record:
    found = record.get("instrument")
    if not isinstance(found, Mapping):
        raise Malformed("instrument is missing")
    return found
