"""SimpleFIN's accounts, holdings and transactions in our terms.

Amounts and balances come from the owner's side: money in is positive, what a card owes negative.
What the protocol does not tell is not made up:

type          by the account's own name (`_TYPES`); where that says nothing, or its balance says
              otherwise, OTHER. With positions and no such name it is a BROKERAGE.
subtype       by the account's kind and the sign, and a few words that are always what they say
price         is not told of a holding, so it has none; a cost of 0 is one that is not known
day           the UTC day of `posted`: the Bridge writes noon UTC of the bank's day. Of a pending
              one that of `transacted_at`, else of the balance that it was seen beside.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime

from adapters.providers.kit import (
    Malformed,
    Record,
    currency_of,
    decimal,
    decimal_or_none,
    key,
    money,
    money_or_none,
    text,
    text_or_none,
)
from adapters.providers.kit.reading import YEAR_MAX, YEAR_MIN
from domain.accounts import AccountGroup, AccountType
from domain.money import Money
from domain.securities import AssetType, SecurityTerms
from domain.sync import ReceivedAccount, ReceivedHolding, ReceivedTransaction
from domain.transactions import TransactionStatus, TransactionSubtype

A, S = AccountType, TransactionSubtype

# The first that fits, where all that fit are of one group.
_TYPES: tuple[tuple[re.Pattern[str], AccountType], ...] = tuple(
    (re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE), kind)
    for words, kind in (
        (r"roth 401 ?\(?k\)?", A.ROTH_401K),
        (r"401 ?\(?k\)?", A.TRADITIONAL_401K),
        (r"403 ?\(?b\)?", A.PLAN_403B),
        (r"529", A.PLAN_529),
        (r"hsa|health savings", A.HSA),
        (r"roth ira|roth contributory ira", A.ROTH_IRA),
        (r"sep[ -]ira", A.SEP_IRA),
        (r"ira", A.IRA),
        (r"brokerage", A.BROKERAGE),
        (r"mortgage", A.MORTGAGE),
        (r"(?:home equity )?line of credit|heloc", A.LINE_OF_CREDIT),
        (r"credit card|visa|mastercard|american express|amex", A.CREDIT_CARD),
        (r"(?:auto|car|student|personal|home) loan", A.LOAN),
        (r"money market", A.MONEY_MARKET),
        (r"certificate of deposit|cd", A.CERTIFICATE_OF_DEPOSIT),
        (r"checking|chequing", A.CHECKING),
        (r"savings?", A.SAVINGS),
    )
)
# Whatever stands on the other side of it, this is what it is.
_FEES = (
    r"(?:service|monthly|annual|maintenance|late|overdraft|foreign transaction|atm|wire) fee"
    r"|service charge"
)
_WORDS: tuple[tuple[re.Pattern[str], int, TransactionSubtype], ...] = tuple(
    (re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE), sign, subtype)
    for words, sign, subtype in (
        (r"dividend", 1, S.DIVIDEND),
        (r"interest", 1, S.INTEREST),
        (_FEES, -1, S.ACCOUNT_FEE),
    )
)
_OF_CARD_PAID = re.compile(r"(?<!\w)(?:payment|autopay|thank you)(?!\w)", re.IGNORECASE)
_MASK = re.compile(r"(?:\.{2,}|[x*]{2,}|\(|\N{BULLET}{2,})\s?([0-9]{4})\)?\s*$", re.IGNORECASE)
_DEBTS = (A.LOAN, A.MORTGAGE, A.LINE_OF_CREDIT)


class CustomCurrency(Malformed):
    """Points or miles. Their URL is never asked for: it can lead anywhere."""


def epoch(record: Record, name: str) -> datetime:
    """A UNIX timestamp in seconds; a part of one is cut off."""
    said = decimal(record, name)
    try:
        found = datetime.fromtimestamp(int(said), UTC)
    except (OverflowError, ValueError, OSError):
        raise Malformed(f"{name} is not a time: {said:f}"[:200]) from None
    if not YEAR_MIN <= found.year <= YEAR_MAX:
        raise Malformed(f"{name} is not between {YEAR_MIN} and {YEAR_MAX}: {said:f}")
    return found


def epoch_or_none(record: Record, name: str) -> datetime | None:
    """None also for 0, which is how the protocol says that it has not happened yet."""
    said = decimal_or_none(record, name)
    return None if said is None or said == 0 else epoch(record, name)


def account_of(record: Record, *, account_key: str, institution: str) -> ReceivedAccount:
    """Raises CustomCurrency, Malformed."""
    name = text(record, "name")
    said = record.get("currency")
    if isinstance(said, str) and "://" in said:
        raise CustomCurrency("currency is one of its own, no money")
    of = currency_of(record, "currency")
    balance = money(record, "balance", of)
    held = record.get("holdings")
    has_holdings = isinstance(held, list) and bool(held)
    mask = _MASK.search(name)
    return ReceivedAccount(
        key=account_key,
        institution=institution,
        name=name,
        type=_type_of(name, balance, has_holdings=has_holdings),
        currency=of,
        balance=balance,
        as_of=epoch(record, "balance-date"),
        mask=mask[1] if mask else None,
        available_balance=money_or_none(record, "available-balance", of),
    )


def holding_of(record: Record, account: ReceivedAccount) -> ReceivedHolding:
    """Raises Malformed."""
    of = currency_of(record, "currency") if text_or_none(record, "currency") else account.currency
    symbol = text_or_none(record, "symbol")
    name = text_or_none(record, "description") or symbol
    if name is None:
        raise Malformed("neither symbol nor description is told")
    shares, value = decimal(record, "shares"), money(record, "market_value", of)
    if (shares < 0) != (value.amount < 0):
        raise Malformed("shares and market_value are not of one sign")
    cost = money_or_none(record, "cost_basis", of)
    if cost is not None and shares < 0 < cost.amount:
        cost = -cost
    known = cost is not None and cost.amount != 0 and (shares < 0) == (cost.amount < 0)
    return ReceivedHolding(
        account_key=account.key,
        security=SecurityTerms(name=name, asset_type=AssetType.OTHER, currency=of, symbol=symbol),
        quantity=shares,
        market_value=value,
        as_of=account.as_of,
        cost_basis=cost if known else None,
    )


def transaction_of(record: Record, account: ReceivedAccount) -> ReceivedTransaction:
    """Raises Malformed."""
    amount = money(record, "amount", account.currency)
    payee = text_or_none(record, "payee")
    said = text_or_none(record, "description") or payee or text_or_none(record, "memo")
    extra = record.get("extra")
    category = extra.get("category") if isinstance(extra, Mapping) else None
    pending = is_pending(record)
    return ReceivedTransaction(
        account_key=account.key,
        key=key(record, "id"),
        subtype=_subtype_of(account.type, amount, said or ""),
        status=TransactionStatus.PENDING if pending else TransactionStatus.SETTLED,
        amount=amount,
        description=said or "No description",
        date=_day_of(record, account, pending=pending),
        merchant=payee,
        category=text_or_none({"category": category}, "category") if _is_text(category) else None,
    )


def _is_text(value: object) -> bool:
    return type(value) is str  # nor what stands for a number that is none


def is_pending(record: Record) -> bool:
    """Raises Malformed."""
    said = record.get("pending")
    if said is not None and not isinstance(said, bool):
        raise Malformed("pending is neither true nor false")
    return said is True or (record.get("posted") is not None and decimal(record, "posted") == 0)


def _day_of(record: Record, account: ReceivedAccount, *, pending: bool) -> date:
    if not pending:
        return epoch(record, "posted").date()
    seen = epoch_or_none(record, "transacted_at") or epoch_or_none(record, "posted")
    return (seen or account.as_of).date()


def _type_of(name: str, balance: Money, *, has_holdings: bool) -> AccountType:
    named = _named(name)
    if has_holdings and (named is None or named.group is not AccountGroup.INVESTMENT):
        return A.BROKERAGE
    if named in _DEBTS and balance.amount > 0:
        return A.OTHER  # it may be owed, or be lent: only the sign was told
    return named or A.OTHER


def _named(name: str) -> AccountType | None:
    """None where a name says nothing, or two things at once, as "Visa Checking" does; an IRA is
    one whatever it is kept in."""
    found = [kind for words, kind in _TYPES if words.search(name)]
    invested = [kind for kind in found if kind.group is AccountGroup.INVESTMENT]
    is_sure = bool(invested) or len({kind.group for kind in found}) == 1
    return (invested or found)[0] if is_sure else None


def _subtype_of(kind: AccountType, amount: Money, said: str) -> TransactionSubtype:
    is_in = amount.amount > 0
    group = kind.group
    if kind is A.CREDIT_CARD and is_in and _OF_CARD_PAID.search(said):
        return S.BILL_PAYMENT
    for words, sign, subtype in _WORDS:
        if (amount.amount * sign) > 0 and words.search(said):
            return subtype
    if amount.amount == 0 or group in (AccountGroup.INVESTMENT, AccountGroup.OTHER):
        return S.OTHER
    if kind is A.CREDIT_CARD:
        return S.REFUND if is_in else S.PURCHASE
    if group is AccountGroup.LOAN:
        return S.BILL_PAYMENT if is_in else S.OTHER
    return S.DEPOSIT if is_in else S.WITHDRAWAL
