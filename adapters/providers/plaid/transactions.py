"""Plaid's bank transactions in our terms: a positive amount is money out.

What a transaction is, is told by its check number, its code (of banks outside of the US), and its
"personal finance category", of which 16 are primary and over a hundred detailed.
"""

from collections.abc import Mapping

from adapters.providers.kit import (
    Malformed,
    Record,
    as_record,
    day,
    inner_or_none,
    key,
    money,
    text_or_none,
)
from adapters.providers.plaid.accounts import currency_in
from domain.money import Money
from domain.sync import ReceivedTransaction
from domain.transactions import TransactionStatus, TransactionSubtype, TransactionType

_S = TransactionSubtype

# Money out, and money in; a charge that comes back is a refund.
Both = tuple[TransactionSubtype, TransactionSubtype]
_CHARGE: Both = (_S.ACCOUNT_FEE, _S.REFUND)
_CASH: Both = (_S.WITHDRAWAL, _S.DEPOSIT)
_BILL: Both = (_S.BILL_PAYMENT, _S.BILL_PAYMENT)
_BUY: Both = (_S.PURCHASE, _S.REFUND)
_INTEREST: Both = (_S.ACCOUNT_FEE, _S.INTEREST)
_BETWEEN: Both = (_S.INTERNAL, _S.INTERNAL)

CODES: Mapping[str, Both] = {
    "adjustment": (_S.OTHER, _S.OTHER),
    "atm": _CASH,
    "bank charge": _CHARGE,
    "bill payment": _BILL,
    "cash": _CASH,
    "cashback": _BUY,
    "cheque": (_S.CHECK, _S.CHECK),
    "direct debit": _BILL,
    "interest": _INTEREST,
    "payment": _BILL,
    "purchase": _BUY,
    "refund": _BUY,
    "standing order": _BILL,
    "transfer": _CASH,
}
DETAILED: Mapping[str, Both] = {
    "INCOME_DIVIDENDS": (_S.OTHER, _S.DIVIDEND),
    "INCOME_INTEREST_EARNED": _INTEREST,
    "TRANSFER_IN_ACCOUNT_TRANSFER": _BETWEEN,
    "TRANSFER_OUT_ACCOUNT_TRANSFER": _BETWEEN,
    "TRANSFER_IN_SAVINGS": _BETWEEN,
    "TRANSFER_OUT_SAVINGS": _BETWEEN,
    "TRANSFER_IN_INVESTMENT_AND_RETIREMENT_FUNDS": _BETWEEN,
    "TRANSFER_OUT_INVESTMENT_AND_RETIREMENT_FUNDS": _BETWEEN,
    "GOVERNMENT_AND_NON_PROFIT_TAX_PAYMENT": (_S.TAX, _S.REFUND),
}
PRIMARY: Mapping[str, Both] = {
    "INCOME": _CASH,
    "TRANSFER_IN": _CASH,
    "TRANSFER_OUT": _CASH,
    "LOAN_DISBURSEMENTS": _CASH,
    "LOAN_PAYMENTS": _BILL,
    "RENT_AND_UTILITIES": _BILL,
    "BANK_FEES": _CHARGE,
}


def transaction_of(record: Record) -> ReceivedTransaction:
    of = currency_in(record)
    amount = -money(record, "amount", of)
    if not amount.amount:
        amount = Money(abs(amount.amount), of)
    category = inner_or_none(record, "personal_finance_category")
    is_pending = record.get("pending")
    if not isinstance(is_pending, bool):
        raise Malformed("pending is neither true nor false")
    merchant = text_or_none(record, "merchant_name")
    description = text_or_none(record, "name") or text_or_none(record, "original_description")
    if description is None and merchant is None:
        raise Malformed("name is missing")
    return ReceivedTransaction(
        account_key=key(record, "account_id"),
        key=key(record, "transaction_id"),
        subtype=_subtype_of(record, category, amount),
        status=TransactionStatus.PENDING if is_pending else TransactionStatus.SETTLED,
        amount=amount,
        description=description or merchant or "",
        date=day(record, "date"),
        merchant=merchant,
        category=None if category is None else _category(category),
        replaces=key(record, "pending_transaction_id")
        if record.get("pending_transaction_id")
        else None,
    )


def removed_of(record: Record) -> tuple[str, str]:
    return key(record, "account_id"), key(record, "transaction_id")


def _subtype_of(record: Record, category: Record | None, amount: Money) -> TransactionSubtype:
    out, into = _both(record, category)
    found = out if amount.amount < 0 else into
    # A charge of nothing is one still: it is no money in.
    return out if not amount.amount and out.type is TransactionType.FEE else found


def _both(record: Record, category: Record | None) -> Both:
    if text_or_none(record, "check_number"):
        return _S.CHECK, _S.CHECK
    detailed = None if category is None else text_or_none(category, "detailed")
    if detailed is not None and detailed in DETAILED:
        return DETAILED[detailed]
    code = text_or_none(record, "transaction_code")
    if code is not None and code in CODES:
        return CODES[code]
    primary = None if category is None else text_or_none(category, "primary")
    if primary is not None:
        return PRIMARY.get(primary, _BUY)
    return _BUY if text_or_none(record, "merchant_name") else _CASH


def _category(record: Record) -> str | None:
    """FOOD_AND_DRINK_FAST_FOOD of FOOD_AND_DRINK: "Food and drink: fast food"."""
    primary, detailed = text_or_none(record, "primary"), text_or_none(record, "detailed")
    if primary is None:
        return None
    words = primary.replace("_", " ").capitalize()
    inner = (detailed or "").removeprefix(primary).strip("_").replace("_", " ").lower()
    return f"{words}: {inner}" if inner else words


def account_named(record: object) -> str | None:
    """The account that a row which cannot be read says that it is of."""
    try:
        return key(as_record(record, "the record"), "account_id")
    except Malformed:
        return None
