"""The transactions of an OFX file in our terms: what they are, and with which sign.

Bank, card and loan amounts stand as written: negative is money out. Of trades not every
institution keeps to the standard's signs, so theirs follow from what the trade is: buying takes
cash and adds units, selling brings cash and takes units. Charges are negative whatever their sign.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from adapters.ofx.errors import Illegible
from adapters.ofx.investments import InvestmentTransaction
from adapters.ofx.records import BankTransaction
from adapters.ofx.statement_securities import Securities, currency_of
from adapters.ofx.statement_values import clean, storable, storable_or_none
from domain.money import EXACT, Currency, Money, exact_sum
from domain.securities import SecurityTerms
from domain.sync import ReceivedTransaction
from domain.transactions import TransactionStatus, TransactionSubtype

S = TransactionSubtype

# OFX 2.3 §11.4.4.3, by what is the same for money in and out; None where the sign decides.
_TRNTYPES = {
    "INT": S.INTEREST,
    "DIV": S.DIVIDEND,
    "FEE": S.ACCOUNT_FEE,
    "SRVCHG": S.ACCOUNT_FEE,
    "DEP": S.DEPOSIT,
    "XFER": S.INTERNAL,
    "CHECK": S.CHECK,
    "PAYMENT": S.BILL_PAYMENT,
    "DIRECTDEP": S.ACH_IN,
    "DIRECTDEBIT": S.ACH_OUT,
    "REPEATPMT": S.BILL_PAYMENT,
}
_BY_SIGN = {  # money in, money out
    "ATM": (S.DEPOSIT, S.WITHDRAWAL),
    "CASH": (S.DEPOSIT, S.WITHDRAWAL),
    "POS": (S.REFUND, S.PURCHASE),
    "CREDIT": (S.DEPOSIT, S.WITHDRAWAL),
    "DEBIT": (S.DEPOSIT, S.WITHDRAWAL),
    "HOLD": (S.OTHER, S.PURCHASE),
}
_OF_CARD_BY_SIGN = {"CREDIT": (S.REFUND, S.PURCHASE), "DEBIT": (S.REFUND, S.PURCHASE)}
_PAYMENT_WORDS = ("payment", "autopay", "thank you")

_INCOMES = {
    "DIV": S.DIVIDEND,
    "INTEREST": S.INTEREST,
    "CGLONG": S.CAPITAL_GAIN,
    "CGSHORT": S.CAPITAL_GAIN,
}
_CLOSURES = {
    "EXERCISE": S.OPTION_EXERCISE,
    "ASSIGN": S.OPTION_ASSIGNMENT,
    "EXPIRE": S.OPTION_EXPIRATION,
}
_OTHER_AGGREGATES = {
    "REINVEST": S.REINVESTMENT,
    "SPLIT": S.SPLIT,
    "JRNLFUND": S.JOURNAL,
    "JRNLSEC": S.JOURNAL,
    "TRANSFER": S.JOURNAL,
    "MARGININTEREST": S.MARGIN_INTEREST,
    "INVEXPENSE": S.ACCOUNT_FEE,
}
FITID_CHARS_MAX = 255  # OFX 2.3 §3.2.1
_BUYING = (S.BUY, S.BUY_TO_COVER)
_SELLING = (S.SELL, S.SHORT_SELL)
_COVERING = ("BUYTOCOVER", "BUYTOCLOSE")
_SHORTING = ("SELLSHORT", "SELLTOOPEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A transaction that waits for its key; `name` tells apart what has no id of its own."""

    fitid: str | None
    name: str
    amount: Decimal
    make: Callable[[str], ReceivedTransaction]
    source: BankTransaction | InvestmentTransaction


def bank_row(record: BankTransaction, *, account_key: str, default: Currency, of_card: bool) -> Row:
    """Raises Illegible."""
    amount = Money(storable(record.amount, "TRNAMT"), currency_of(record.currency, default))
    description = _description(record)
    pending = record.pending or record.type == "HOLD"
    available = record.available_date.local_date if record.available_date else None

    def make(key: str) -> ReceivedTransaction:
        return ReceivedTransaction(
            account_key=account_key,
            key=key,
            subtype=_bank_subtype(record, description, of_card=of_card),
            status=TransactionStatus.PENDING if pending else TransactionStatus.SETTLED,
            amount=amount,
            description=description,
            date=record.posted.local_date,
            merchant=clean(record.payee.name) or None if record.payee else None,
            settlement_date=None if pending else available,
        )

    return Row(fitid=_id(record), name=description, amount=amount.amount, make=make, source=record)


def investment_row(
    record: InvestmentTransaction, *, account_key: str, default: Currency, securities: Securities
) -> Row:
    """Raises Illegible."""
    of = currency_of(record.currency, default)
    security = None
    if record.security is not None:
        security = securities.of(record.security, record.aggregate, of)
    subtype = _investment_subtype(record)
    quantity = _quantity(record, subtype)
    price = storable_or_none(record.unit_price, "UNITPRICE")
    unit_price = None if price is None else Money(price, of)
    charges = _charges(record)
    amount = Money(_amount(record, subtype, security, quantity, unit_price), of)
    about = security.name if security else ""
    description = clean(record.memo) or clean(f"{subtype.value.replace('_', ' ')} {about}")
    settled = record.settle_date.local_date if record.settle_date else None

    def make(key: str) -> ReceivedTransaction:
        return ReceivedTransaction(
            account_key=account_key,
            key=key,
            subtype=subtype,
            status=TransactionStatus.SETTLED,
            amount=amount,
            description=description,
            date=record.trade_date.local_date,
            settlement_date=settled,
            security=security,
            quantity=quantity,
            unit_price=unit_price,
            commission=Money(charges, of) if charges else None,
        )

    name = f"{record.aggregate} {about} {quantity} {description}"
    return Row(fitid=_id(record), name=name, amount=amount.amount, make=make, source=record)


def _id(record: BankTransaction | InvestmentTransaction) -> str | None:
    if record.fitid is not None and len(record.fitid) > FITID_CHARS_MAX:
        raise Illegible(f"FITID: it has over {FITID_CHARS_MAX} characters")
    return record.fitid


def _bank_subtype(
    record: BankTransaction, description: str, *, of_card: bool
) -> TransactionSubtype:
    written = (record.type or "").upper()
    if written in _TRNTYPES:
        return _TRNTYPES[written]
    money_in = record.amount > 0
    if of_card and money_in and written == "CREDIT":
        text = description.casefold()
        # Chase writes both refunds and the owner's payments as CREDIT.
        return S.BILL_PAYMENT if any(word in text for word in _PAYMENT_WORDS) else S.REFUND
    by_sign = _OF_CARD_BY_SIGN.get(written) if of_card else None
    either = by_sign or _BY_SIGN.get(written, (S.OTHER, S.OTHER))
    return either[0] if money_in else either[1]


def _description(record: BankTransaction) -> str:
    """Name and memo as one text: some banks cut it in two, some say the same in both."""
    name = clean(record.extended_name) or clean(record.name)
    if not name and record.payee:
        name = clean(record.payee.name)
    memo = clean(record.memo)
    if not memo or memo.casefold() in name.casefold():
        joined = name
    elif memo.casefold().startswith(name.casefold()):
        joined = memo
    else:
        joined = f"{name} {memo}"
    if not joined and record.check_number:
        joined = f"Check {clean(record.check_number)}"
    return joined or clean(record.type) or "No description"


def _investment_subtype(record: InvestmentTransaction) -> TransactionSubtype:
    aggregate = record.aggregate
    if aggregate.startswith("BUY"):
        return S.BUY_TO_COVER if _said(record.buy_type) in _COVERING else S.BUY
    if aggregate.startswith("SELL"):
        return S.SHORT_SELL if _said(record.sell_type) in _SHORTING else S.SELL
    if aggregate == "INCOME":
        return _INCOMES.get(_said(record.income_type), S.OTHER)
    if aggregate == "CLOSUREOPT":
        return _CLOSURES.get(_said(record.option_action), S.OTHER)
    return _OTHER_AGGREGATES.get(aggregate, S.OTHER)


def _quantity(record: InvestmentTransaction, subtype: TransactionSubtype) -> Decimal | None:
    if subtype is S.SPLIT:
        if record.old_units is None or record.new_units is None:
            return None
        return storable(EXACT.subtract(record.new_units, record.old_units), "NEWUNITS")
    units = storable_or_none(record.units, "UNITS")
    if units is None:
        return None
    if subtype in _BUYING or subtype is S.REINVESTMENT:
        return EXACT.abs(units)
    if subtype in _SELLING or _said(record.transfer_action) == "OUT":
        return EXACT.minus(EXACT.abs(units))
    return EXACT.abs(units) if _said(record.transfer_action) == "IN" else units


def _amount(
    record: InvestmentTransaction,
    subtype: TransactionSubtype,
    security: SecurityTerms | None,
    quantity: Decimal | None,
    price: Money | None,
) -> Decimal:
    """What the cash of the account gained; 0 where only securities moved."""
    total = storable_or_none(record.total, "TOTAL")
    if subtype in (*_BUYING, *_SELLING):
        reckoned = None
        if security is not None and quantity is not None and price is not None:
            gross = security.value(quantity, price).rounded().amount
            reckoned = EXACT.subtract(_charges(record), gross)
        if total is None or total == reckoned:  # a sale may bring less than it costs
            if reckoned is None:
                raise Illegible("neither TOTAL nor UNITPRICE is stated")
            return reckoned
        paid = EXACT.abs(total)
        return EXACT.minus(paid) if subtype in _BUYING else paid
    if subtype is S.SPLIT:
        return storable_or_none(record.fractional_cash, "FRACCASH") or Decimal(0)
    return total if total is not None else Decimal(0)


def _charges(record: InvestmentTransaction) -> Decimal:
    """Commission, fees, load and taxes together, not positive."""
    named = (
        (record.commission, "COMMISSION"),
        (record.fees, "FEES"),
        (record.load, "LOAD"),
        (record.taxes, "TAXES"),
    )
    found = [EXACT.abs(storable(n, name)) for n, name in named if n is not None]
    return EXACT.minus(exact_sum(found))


def _said(word: str | None) -> str:
    return (word or "").strip().upper()
