"""Plaid's holdings and investment transactions in our terms: a positive amount is cash out."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal

from adapters.providers.kit import (
    Malformed,
    Record,
    as_record,
    day,
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
from adapters.providers.plaid.accounts import currency_in
from adapters.providers.plaid.securities import amount_of, cash_of, fitting, security_of
from domain.money import Currency, Money, total
from domain.sync import ReceivedHolding, ReceivedTransaction
from domain.transactions import TransactionStatus, TransactionSubtype, TransactionType

NOON = time(12, tzinfo=UTC)  # the same day from UTC-12 to UTC+11

_S = TransactionSubtype
# "Investment transaction types schema" in its documentation.
SUBTYPES: Mapping[str, TransactionSubtype] = {
    **dict.fromkeys(
        (
            *("account fee", "fund fee", "legal fee", "management fee", "miscellaneous fee"),
            *("transfer fee", "trust fee"),
        ),
        _S.ACCOUNT_FEE,
    ),
    **dict.fromkeys(("non-resident tax", "tax", "tax withheld"), _S.TAX),
    "margin expense": _S.MARGIN_INTEREST,
    **dict.fromkeys(("dividend", "non-qualified dividend", "qualified dividend"), _S.DIVIDEND),
    **dict.fromkeys(("interest", "interest receivable"), _S.INTEREST),
    **dict.fromkeys(
        ("long-term capital gain", "short-term capital gain", "unqualified gain"),
        _S.CAPITAL_GAIN,
    ),
    **dict.fromkeys(
        (
            *("dividend reinvestment", "interest reinvestment"),
            *("long-term capital gain reinvestment", "short-term capital gain reinvestment"),
        ),
        _S.REINVESTMENT,
    ),
    "buy": _S.BUY,
    "buy to cover": _S.BUY_TO_COVER,
    "sell": _S.SELL,
    "sell short": _S.SHORT_SELL,
    "assignment": _S.OPTION_ASSIGNMENT,
    "exercise": _S.OPTION_EXERCISE,
    "expire": _S.OPTION_EXPIRATION,
    "split": _S.SPLIT,
    **dict.fromkeys(("contribution", "deposit", "pending credit"), _S.DEPOSIT),
    **dict.fromkeys(("distribution", "withdrawal", "pending debit", "loan payment"), _S.WITHDRAWAL),
    **dict.fromkeys(
        (
            *("adjustment", "merger", "request", "send", "spin off", "stock distribution"),
            *("transfer",),
        ),
        _S.JOURNAL,
    ),
    **dict.fromkeys(("rebalance", "trade"), _S.OTHER),  # by what it moved, below
    "return of principal": _S.OTHER,
}
# Where the type says more: shares that are bought with what is put in, or sold to be paid out.
BY_TYPE: Mapping[tuple[str, str], TransactionSubtype] = {
    ("buy", "contribution"): _S.BUY,
    ("buy", "rebalance"): _S.BUY,
    ("buy", "trade"): _S.BUY,
    ("sell", "distribution"): _S.SELL,
    ("sell", "rebalance"): _S.SELL,
    ("sell", "trade"): _S.SELL,
}
TYPES = ("buy", "sell", "cancel", "cash", "fee", "transfer")
PENDING = ("pending credit", "pending debit")
BOUGHT, SOLD = (_S.BUY, _S.BUY_TO_COVER), (_S.SELL, _S.SHORT_SELL)


def with_securities(rows: Iterable[object], securities: Iterable[object]) -> list[object]:
    """Each row with the security that it names, so that it can be read by itself."""
    by_id = {}
    for security in securities:
        if isinstance(security, Mapping) and isinstance(security.get("security_id"), str):
            by_id[security["security_id"]] = security

    def joined(row: object) -> object:
        if not isinstance(row, Mapping) or not isinstance(row.get("security_id"), str):
            return row
        return {**row, "security": by_id.get(row["security_id"])}

    return [joined(row) for row in rows]


def holding_of(record: Record) -> ReceivedHolding:
    """One with its `security`, and `as_of` for an institution that tells no time of its price."""
    of = currency_in(record)
    inner = as_record(record.get("security"), "security")
    security = security_of(inner, otherwise=of)
    quantity = decimal(record, "quantity")
    value = money(record, "institution_value", of)
    price = money_or_none(record, "institution_price", of)
    cost = money_or_none(record, "cost_basis", of)
    value = _as_held(value, quantity)
    held = fitting(amount_of(inner, security, quantity, price, value), value)
    return ReceivedHolding(
        account_key=key(record, "account_id"),
        security=held.security,
        quantity=held.quantity,
        market_value=value,
        as_of=_priced_at(record),
        market_price=held.price,
        cost_basis=None if cost is None else _as_held(cost, quantity),
    )


def cash_in(rows: Iterable[object], account: str, of: Currency) -> Money | None:
    """What of an account's holdings is money in its own currency; None where none is told."""
    found = [amount for row in rows if (amount := _money_held(row, account, of)) is not None]
    return total(found, of) if found else None


def is_cash(row: object, currencies: Mapping[str, Currency]) -> bool:
    """Money in the currency of the account: counted as its cash, and so no position besides."""
    if not isinstance(row, Mapping):
        return False
    of = currencies.get(str(row.get("account_id")))
    return of is not None and _money_held(row, str(row.get("account_id")), of) is not None


def invested_of(record: Record) -> ReceivedTransaction:
    """An investment transaction with its `security`, if it has one."""
    of = currency_in(record)
    kind, said = text(record, "type"), text(record, "subtype")
    if kind not in TYPES:
        raise Malformed(f"type is none of those we know: {ascii(kind)[:40]}")
    if said not in SUBTYPES:
        raise Malformed(f"subtype is none of those we know: {ascii(said)[:40]}")
    amount = _flipped(money(record, "amount", of))
    inner = inner_or_none(record, "security")
    if inner is None and record.get("security_id") is not None:
        raise Malformed("security_id names none of the securities")
    quantity = decimal_or_none(record, "quantity") or None
    price = money_or_none(record, "price", of)
    price = price if price is not None and price.amount else None
    security = None if inner is None else security_of(inner, otherwise=of)
    if inner is not None and security is not None and quantity is not None:
        moved = amount_of(inner, security, quantity, price, amount)
        quantity, price = moved.quantity, moved.price
    subtype = _fitting(BY_TYPE.get((kind, said), SUBTYPES[said]), amount, quantity)
    return ReceivedTransaction(
        account_key=key(record, "account_id"),
        key=key(record, "investment_transaction_id"),
        subtype=subtype,
        status=_status(kind, said),
        amount=amount,
        description=text_or_none(record, "name") or said,
        date=day(record, "date"),
        security=None if inner is not None and cash_of(inner) else security,
        quantity=quantity,
        unit_price=price,
        commission=_commission(record, of, subtype),
    )


def _money_held(row: object, account: str, of: Currency) -> Money | None:
    try:
        record = as_record(row, "the record")
        security = inner_or_none(record, "security")
        if record.get("account_id") != account or security is None or cash_of(security) != of:
            return None
        return money(record, "institution_value", of) if currency_in(record) == of else None
    except Malformed:
        return None


def _as_held(amount: Money, quantity: Decimal) -> Money:
    """Of what is owed to the market, negative, whichever way it is written."""
    return -abs(amount) if quantity < 0 and amount.amount else amount


def _flipped(amount: Money) -> Money:
    return -amount if amount.amount else Money(abs(amount.amount), amount.currency)


def _priced_at(record: Record) -> datetime:
    if record.get("institution_price_datetime"):
        return instant(record, "institution_price_datetime")
    if record.get("institution_price_as_of"):
        return datetime.combine(day(record, "institution_price_as_of"), NOON)
    return instant(record, "as_of")


def _status(kind: str, said: str) -> TransactionStatus:
    if kind == "cancel":
        return TransactionStatus.CANCELLED
    return TransactionStatus.PENDING if said in PENDING else TransactionStatus.SETTLED


def _fitting(
    subtype: TransactionSubtype, amount: Money, quantity: Decimal | None
) -> TransactionSubtype:
    """What it is by what it moved, where that is not what it is called."""
    came, went = amount.amount > 0, amount.amount < 0
    if subtype in BOUGHT:
        return subtype if quantity is not None and quantity > 0 and not came else _S.OTHER
    if subtype in SOLD:
        return subtype if quantity is not None and quantity < 0 and not went else _S.OTHER
    if subtype.type is TransactionType.FEE:
        return _S.REFUND if came else subtype
    if subtype is _S.DEPOSIT and went:
        return _S.WITHDRAWAL
    if subtype is _S.WITHDRAWAL and came:
        return _S.DEPOSIT
    return subtype


def _commission(record: Record, of: Currency, subtype: TransactionSubtype) -> Money | None:
    """Of a charge it is the amount itself."""
    fees = money_or_none(record, "fees", of)
    if fees is None or fees.amount <= 0 or subtype.type is TransactionType.FEE:
        return None
    return -fees
