"""Alpaca's account activities as transactions: the types of activity, and what each of them is.

The types are those of the description of the Trading API and those that Alpaca's own clients know;
one that is in neither is OTHER, with its name and words. Amounts have the owner's sign already,
but for a fill's, which is what quantity and price come to.

A fill's day is New York's: Alpaca writes its id in New York's time, so a fill at 23:30 there is
of that day, as on the statement, though by UTC it is of the next. All else has a `date`, which is
taken as it is written.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from adapters.providers.alpaca.symbols import COIN, pair_of, security_of
from adapters.providers.kit import (
    NEW_YORK,
    Malformed,
    Record,
    choice,
    currency_of,
    day,
    decimal,
    decimal_or_none,
    instant,
    key,
    money_or_none,
    text,
    text_or_none,
)
from domain.currencies import CRYPTO
from domain.money import EXACT, Currency, Money, currency, storable
from domain.securities import SecurityTerms
from domain.sync import ReceivedTransaction
from domain.transactions import TransactionStatus
from domain.transactions import TransactionSubtype as S

FILL, COIN_FEE = "FILL", "CFEE"
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Kind:
    """`words` are for a row without its own; `into` and `out` are what it is when money (or, of a
    row without money, units) comes in and goes out. `moves`: its `qty` are units that came or
    went, not those that a dividend was paid on.
    """

    words: str
    into: S
    out: S
    moves: bool = False


def _same(words: str, subtype: S, *, moves: bool = False) -> Kind:
    return Kind(words, subtype, subtype, moves)


def _charge(words: str, subtype: S = S.ACCOUNT_FEE) -> Kind:
    """What is given back of it is a refund."""
    return Kind(words, S.REFUND, subtype)


def _transfer(words: str, *, moves: bool = False) -> Kind:
    return Kind(words, S.DEPOSIT, S.WITHDRAWAL, moves)


def _interest(words: str) -> Kind:
    return Kind(words, S.INTEREST, S.MARGIN_INTEREST)


KINDS = {
    "ACATC": _transfer("Transfer of cash between brokers"),
    "ACATS": _transfer("Transfer of securities between brokers", moves=True),
    COIN_FEE: _charge("Crypto fee", S.COMMISSION),
    "CIL": _same("Cash in lieu of a fraction", S.OTHER),
    "CSD": _transfer("Cash deposit"),
    "CSW": _transfer("Cash withdrawal"),
    "DIV": _same("Dividend", S.DIVIDEND),
    "DIVCGL": _same("Long-term capital gain", S.CAPITAL_GAIN),
    "DIVCGS": _same("Short-term capital gain", S.CAPITAL_GAIN),
    "DIVFEE": _charge("Dividend fee"),
    "DIVFT": _charge("Foreign tax withheld on a dividend", S.TAX),
    "DIVNRA": _charge("Tax withheld on a dividend (NRA)", S.TAX),
    "DIVROC": _same("Return of capital", S.DIVIDEND),
    "DIVTW": _charge("Tax withheld on a dividend (TEFRA)", S.TAX),
    "DIVTXEX": _same("Tax-exempt dividend", S.DIVIDEND),
    "DIVWH": _charge("Tax withheld on a dividend", S.TAX),
    "EXTRD": Kind("External trade", S.SELL, S.BUY, moves=True),
    "FEE": _charge("Fee"),
    "FXTRD": _same("Exchange of currencies", S.OTHER),
    "INT": _interest("Interest"),
    "INTNRA": _charge("Tax withheld on interest (NRA)", S.TAX),
    "INTPNL": _interest("Interest"),
    "INTTW": _charge("Tax withheld on interest (TEFRA)", S.TAX),
    "JNL": _same("Journal entry", S.JOURNAL, moves=True),
    "JNLC": _same("Journal entry (cash)", S.JOURNAL),
    "JNLS": _same("Journal entry (stock)", S.JOURNAL, moves=True),
    "MA": _same("Merger or acquisition", S.OTHER, moves=True),
    "MEM": _same("Memo", S.OTHER),
    "MISC": _same("Other activity", S.OTHER),
    "NC": _same("Name change", S.OTHER, moves=True),
    "OCT": _same("Other cash transaction", S.OTHER),
    "OPASN": _same("Option assignment", S.OPTION_ASSIGNMENT, moves=True),
    "OPCA": _same("Corporate action on an option", S.OTHER, moves=True),
    "OPCSH": _same("Cash of an exercised option", S.OPTION_EXERCISE),
    "OPEXC": _same("Option exercise", S.OPTION_EXERCISE, moves=True),
    "OPEXP": _same("Option expiration", S.OPTION_EXPIRATION, moves=True),
    "OPTRD": Kind("Shares of an option", S.SELL, S.BUY, moves=True),
    "OPXRC": _same("Option exercise", S.OPTION_EXERCISE, moves=True),
    "PTC": _charge("Pass-through charge"),
    "PTR": _charge("Pass-through rebate"),
    "REORG": _same("Reorganisation", S.OTHER, moves=True),
    "SC": _same("Symbol change", S.OTHER, moves=True),
    "SPIN": _same("Spin-off", S.OTHER, moves=True),
    "SPLIT": _same("Stock split", S.SPLIT, moves=True),
    "SSO": _same("Spin-off", S.OTHER, moves=True),
    "SSP": _same("Stock split", S.SPLIT, moves=True),
    "SWP": _same("Cash sweep", S.INTERNAL),
    "TRANS": _transfer("Cash transaction"),
    "VOF": _same("Offering", S.OTHER, moves=True),
    "WH": _charge("Tax withheld", S.TAX),
}

_SIDES = {
    "buy": S.BUY,
    "buy_to_open": S.BUY,
    "buy_to_close": S.BUY_TO_COVER,
    "buy_to_cover": S.BUY_TO_COVER,
    "sell": S.SELL,
    "sell_to_close": S.SELL,
    "sell_to_open": S.SHORT_SELL,
    "sell_short": S.SHORT_SELL,
    "sell_short_exempt": S.SHORT_SELL,
}
_SAID = {
    S.BUY: "Bought",
    S.BUY_TO_COVER: "Bought to cover",
    S.SELL: "Sold",
    S.SHORT_SELL: "Sold short",
}
_STATUSES = {
    "executed": TransactionStatus.SETTLED,
    "correct": TransactionStatus.SETTLED,
    "canceled": TransactionStatus.CANCELLED,
}


def activity_of(record: Record, account_key: str) -> ReceivedTransaction:
    """`currency` in the record is that of the account, where Alpaca says no other."""
    if text(record, "activity_type") == FILL:
        return _fill(record, account_key)
    return _entry(record, account_key)


def day_of(id: str) -> date | None:
    """New York's day of an activity's id, `yyyyMMddHHmmssSSS::uuid`; None where it has none."""
    try:
        return date(int(id[:4]), int(id[4:6]), int(id[6:8]))
    except ValueError:
        return None


def _fill(record: Record, account_key: str) -> ReceivedTransaction:
    """An execution, each part of an order by itself."""
    symbol, of = text(record, "symbol"), currency_of(record, "currency")
    security = security_of(symbol, of)
    subtype = choice(record, "side", _SIDES)
    quantity, price = abs(decimal(record, "qty")), decimal(record, "price")
    is_bought = subtype in (S.BUY, S.BUY_TO_COVER)
    paid = _quoted_in(symbol, of)
    worth = _booked(security.value(quantity, Money(price, paid)))
    return ReceivedTransaction(
        account_key=account_key,
        key=key(record, "id"),
        subtype=subtype,
        status=_status(record),
        amount=-worth if is_bought else worth,
        description=f"{_SAID[subtype]} {_plain(quantity)} {symbol} at {_plain(price)}",
        date=instant(record, "transaction_time").astimezone(NEW_YORK).date(),
        security=security,
        quantity=quantity if is_bought else -quantity,
        unit_price=Money(price, paid),
    )


def _entry(record: Record, account_key: str) -> ReceivedTransaction:
    """Anything but an execution."""
    name = text(record, "activity_type")
    kind = KINDS.get(name, _same("", S.OTHER, moves=True))
    of = currency_of(record, "currency")
    symbol, units = text_or_none(record, "symbol"), decimal_or_none(record, "qty")
    net = decimal_or_none(record, "net_amount")
    if net is None and not units:
        raise Malformed("net_amount is missing")
    amount = Money(net or ZERO, of)
    if name == COIN_FEE and not net and units and symbol:
        amount = _in_coin(symbol, units, of)
    moved = units or None if kind.moves or not amount.amount else None
    security = None if symbol is None else _security(record, symbol, of, is_coin=name == COIN_FEE)
    return ReceivedTransaction(
        account_key=account_key,
        key=key(record, "id"),
        subtype=_subtype(kind, amount.amount, moved),
        status=_status(record),
        amount=amount,
        description=_words(name, kind, text_or_none(record, "description"), symbol),
        date=_date(record),
        security=security,
        quantity=moved,
        unit_price=money_or_none(record, "price", of) if moved else None,
    )


def _subtype(kind: Kind, amount: Decimal, moved: Decimal | None) -> S:
    """By the side on which the money is; without money, by that of the units."""
    if kind.out is S.BUY:
        if moved and moved > 0 and amount <= 0:
            return S.BUY
        return S.SELL if moved and moved < 0 and amount >= 0 else S.OTHER
    sign = amount or moved or ZERO
    is_charge = kind.into is S.REFUND
    return kind.into if sign > 0 or (not sign and not is_charge) else kind.out


def _in_coin(symbol: str, units: Decimal, of: Currency) -> Money:
    """A fee that was taken of the coin itself: in that coin, where it is one that we know.

    As what a fill is paid in, it is an amount then, and no quantity besides: it went once.
    """
    coin, _ = pair_of(symbol) or (symbol, "")
    return Money(units, Currency(coin)) if coin in CRYPTO else Money(ZERO, of)


def _security(record: Record, symbol: str, of: Currency, *, is_coin: bool) -> SecurityTerms:
    cusip = text_or_none(record, "cusip")
    return security_of(symbol, of, asset_class=COIN if is_coin else None, cusip=cusip)


def _quoted_in(symbol: str, of: Currency) -> Currency:
    """What a fill is paid in: of a pair of coins the second."""
    pair = pair_of(symbol)
    if pair is None or pair[1] == "USD":
        return of
    try:
        return currency(pair[1])
    except ValueError:
        raise Malformed(f"{symbol} is quoted in what we do not know") from None


def _status(record: Record) -> TransactionStatus:
    said = text_or_none(record, "status")
    return TransactionStatus.SETTLED if said is None else choice(record, "status", _STATUSES)


def _date(record: Record) -> date:
    """As it is written; some are written as times, whose day is the one that is meant."""
    said = record.get("date")
    return day({"date": said.partition("T")[0] if type(said) is str else said}, "date")


def _words(name: str, kind: Kind, said: str | None, symbol: str | None) -> str:
    words = said or kind.words
    if name not in KINDS:
        words = f"{name}: {words}" if words else name
    return words if symbol is None or symbol in words else f"{words}, {symbol}"


def _booked(worth: Money) -> Money:
    """As a statement has it: in whole minor units. A position keeps all of its digits."""
    try:
        return Money(storable(worth.rounded().amount), worth.currency)
    except (ValueError, InvalidOperation):
        raise Malformed("qty at price comes to more than there is") from None


def _plain(number: Decimal) -> str:
    return f"{EXACT.normalize(number):f}"
