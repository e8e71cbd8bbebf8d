"""Alpaca's account, positions and daily equity in our terms.

A record holds, beside what Alpaca said, the `currency` of its account and the time `as_of` which
it was read, so that one which is kept can be read again.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal

from adapters.providers.alpaca.symbols import security_of
from adapters.providers.kit import (
    NEW_YORK,
    Malformed,
    Record,
    currency_of,
    decimal,
    decimal_or_none,
    instant,
    key,
    money,
    money_or_none,
    text,
    text_or_none,
)
from domain.accounts import MASK, AccountType, mask_of
from domain.money import EXACT, Currency, Money
from domain.sync import ReceivedAccount, ReceivedBalance, ReceivedHolding

INSTITUTION = "Alpaca"
DEFAULT_CURRENCY = "USD"
NOON = time(12, tzinfo=UTC)  # the same day from UTC-12 to UTC+11
SECONDS_MAX = 10**11  # of an instant since 1970


def account_of(record: Record) -> ReceivedAccount:
    """The balance is the equity: cash and positions, less what was borrowed on margin.

    What is available is what can be spent without borrowing: the `buying_power` of a margin
    account is mostly the broker's money.
    """
    of = currency_of(record, "currency")
    number = text_or_none(record, "account_number")
    is_paper = bool(number and number.startswith("PA"))
    available = money_or_none(record, "non_marginable_buying_power", of)
    if available is None and decimal_or_none(record, "multiplier") == 1:
        available = money_or_none(record, "buying_power", of)
    equity = money_or_none(record, "equity", of)
    return ReceivedAccount(
        key=key(record, "id"),
        institution=INSTITUTION,
        name="Alpaca Paper" if is_paper else INSTITUTION,
        type=AccountType.BROKERAGE,
        currency=of,
        balance=money_or_none(record, "portfolio_value", of) if equity is None else equity,
        as_of=instant(record, "as_of"),
        number=None if number is None or number.startswith(MASK) else number,  # as quarantine has
        mask=mask_of(number) if number else None,
        available_balance=available,
        cash=money_or_none(record, "cash", of),
    )


def opened_on(record: Record) -> date | None:
    """New York's day on which the account was made."""
    if text_or_none(record, "created_at") is None:
        return None
    return instant(record, "created_at").astimezone(NEW_YORK).date()


def position_of(record: Record, account_key: str) -> ReceivedHolding:
    """A short one is negative throughout, whether Alpaca signs its numbers or only names its side.

    `avg_entry_price` is of one share; `cost_basis` and `market_value` are of all of it, an option's
    multiplier included.
    """
    of = currency_of(record, "currency")
    security = security_of(text(record, "symbol"), of, asset_class=text(record, "asset_class"))
    quantity = decimal(record, "qty")
    is_short = text_or_none(record, "side") == "short" or quantity < 0
    price = money_or_none(record, "current_price", of)
    value = decimal_or_none(record, "market_value")
    if value is None:  # none is told outside of trading hours of what is no longer quoted
        last = price or money(record, "lastday_price", of)
        value = security.value(abs(quantity), last).amount
    cost = decimal_or_none(record, "cost_basis")
    return ReceivedHolding(
        account_key=account_key,
        security=security,
        quantity=_signed(quantity, is_short=is_short),
        market_value=Money(_signed(value, is_short=is_short), of),
        as_of=instant(record, "as_of"),
        market_price=price,
        average_price=money_or_none(record, "avg_entry_price", of),
        cost_basis=None if cost is None else Money(_signed(cost, is_short=is_short), of),
    )


def balance_of(record: Record, account_key: str) -> ReceivedBalance:
    """A day's equity. `timestamp` is an instant; which day it is of, New York says: the windows
    begin at its midnight, at the opening bell, or, in extended hours, at 20:00, when UTC has the
    next day already.
    """
    return ReceivedBalance(
        account_key=account_key,
        at=datetime.combine(equity_day(record), NOON),
        balance=money(record, "equity", currency_of(record, "currency")),
    )


def equity_day(record: Record) -> date:
    seconds = decimal(record, "timestamp")
    if not 0 <= seconds < SECONDS_MAX:
        raise Malformed("timestamp is no time of ours")
    return datetime.fromtimestamp(int(seconds), NEW_YORK).date()


def context(currency: Currency, as_of: datetime) -> Mapping[str, object]:
    """What a record of this account has beside what Alpaca said."""
    return {"currency": str(currency), "as_of": as_of.isoformat()}


def _signed(number: Decimal, *, is_short: bool) -> Decimal:
    return EXACT.minus(EXACT.abs(number)) if is_short else EXACT.abs(number)
