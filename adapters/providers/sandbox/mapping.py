"""The sandbox institution's records in our terms."""

from collections.abc import Mapping
from datetime import UTC, datetime, time

from adapters.providers.kit import (
    Malformed,
    Record,
    choice,
    currency_of,
    day,
    day_or_none,
    decimal,
    decimal_or_none,
    inner_or_none,
    instant,
    key,
    money,
    money_or_none,
    text,
    text_or_none,
)
from domain.accounts import MASK, AccountType, mask_of
from domain.money import Money
from domain.securities import AssetType, OptionSide, OptionTerms, SecurityTerms, is_cusip, is_isin
from domain.sync import ReceivedAccount, ReceivedBalance, ReceivedHolding, ReceivedTransaction
from domain.transactions import TransactionStatus, TransactionSubtype

NOON = time(12, tzinfo=UTC)  # the same day from UTC-12 to UTC+11

_KINDS = {kind.value.lower(): kind for kind in AccountType}
_SUBTYPES = {subtype.value.lower(): subtype for subtype in TransactionSubtype}
_STATUSES = {"pending": TransactionStatus.PENDING, "settled": TransactionStatus.SETTLED}
_SIDES = {"call": OptionSide.CALL, "put": OptionSide.PUT}
_ASSETS = {
    "equity": AssetType.EQUITY,
    "etf": AssetType.ETF,
    "mutual_fund": AssetType.MUTUAL_FUND,
    "option": AssetType.OPTION,
    "bond": AssetType.FIXED_INCOME,
    "crypto": AssetType.CRYPTOCURRENCY,
}


def account_of(record: Record) -> ReceivedAccount:
    id = key(record, "id")
    of = currency_of(record, "currency")
    number = text(record, "number")
    return ReceivedAccount(
        key=id,
        institution=text(record, "institution"),
        name=text(record, "name"),
        type=choice(record, "kind", _KINDS),
        currency=of,
        balance=_signed(record, money(record, "balance", of)),
        as_of=instant(record, "as_of"),
        number=None if number.startswith(MASK) else number,  # as quarantine has it
        mask=mask_of(number),
        available_balance=money_or_none(record, "available", of),
        credit_limit=money_or_none(record, "limit", of),
        cash=money_or_none(record, "cash", of),
    )


def balance_of(record: Record) -> ReceivedBalance:
    of = currency_of(record, "currency")
    return ReceivedBalance(
        account_key=key(record, "account_id"),
        at=datetime.combine(day(record, "day"), NOON),
        balance=_signed(record, money(record, "balance", of)),
        holdings_value=money_or_none(record, "positions", of),
        cash_value=money_or_none(record, "cash", of),
    )


def holding_of(record: Record) -> ReceivedHolding:
    of = currency_of(record, "currency")
    security = _security_of(record)
    if security is None:
        raise Malformed("security is missing")
    return ReceivedHolding(
        account_key=key(record, "account_id"),
        security=security,
        quantity=decimal(record, "quantity"),
        market_value=money(record, "value", of),
        as_of=instant(record, "as_of"),
        market_price=money_or_none(record, "price", of),
        average_price=money_or_none(record, "average_price", of),
        cost_basis=money_or_none(record, "cost_basis", of),
    )


def transaction_of(record: Record) -> ReceivedTransaction:
    of = currency_of(record, "currency")
    return ReceivedTransaction(
        account_key=key(record, "account_id"),
        key=key(record, "id"),
        subtype=choice(record, "type", _SUBTYPES),
        status=choice(record, "status", _STATUSES),
        amount=money(record, "amount", of),
        description=text(record, "description"),
        date=day(record, "date"),
        merchant=text_or_none(record, "merchant"),
        category=text_or_none(record, "category"),
        settlement_date=day_or_none(record, "settles_on"),
        security=_security_of(record),
        quantity=decimal_or_none(record, "quantity"),
        unit_price=money_or_none(record, "unit_price", of),
        commission=money_or_none(record, "commission", of),
        replaces=text_or_none(record, "replaces"),
    )


def whose(record: Mapping[str, object], name: str = "account_id") -> str | None:
    """The account that a record which cannot be read says that it is of."""
    try:
        return key(record, name)
    except Malformed:
        return None


def _security_of(record: Record) -> SecurityTerms | None:
    inner = inner_or_none(record, "security")
    if inner is None:
        return None
    of = currency_of(inner, "currency")
    isin, cusip = text_or_none(inner, "isin"), text_or_none(inner, "cusip")
    terms = inner_or_none(inner, "option")
    multiplier = decimal_or_none(inner, "multiplier")
    found = SecurityTerms(
        name=text(inner, "name"),
        asset_type=choice(inner, "kind", _ASSETS),
        currency=of,
        symbol=text_or_none(inner, "symbol"),
        isin=isin if isin and is_isin(isin) else None,
        cusip=cusip if cusip and is_cusip(cusip) else None,
    )
    if terms is None or multiplier is None:
        return found
    return SecurityTerms(
        name=found.name,
        asset_type=found.asset_type,
        currency=of,
        symbol=found.symbol,
        multiplier=multiplier,
        option=OptionTerms(
            underlying=text(terms, "underlying"),
            side=choice(terms, "side", _SIDES),
            strike=money(terms, "strike", of),
            expires_on=day(terms, "expires_on"),
        ),
    )


def _signed(record: Record, amount: Money) -> Money:
    """The institution writes what is owed as a positive number."""
    return -amount if record.get("owed") is True else amount
