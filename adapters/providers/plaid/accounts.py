"""Plaid's accounts in our terms.

What its types and subtypes are is in its "Account type schema". A positive balance of a credit or
loan account is owed; that of any other is what its owner has.
"""

from adapters.providers.kit import (
    Malformed,
    Record,
    currency_of,
    decimal_or_none,
    inner_or_none,
    instant,
    key,
    money_or_none,
    text,
    text_or_none,
)
from domain.accounts import AccountGroup, AccountType, mask_of
from domain.money import Currency, Money
from domain.sync import ReceivedAccount

_T = AccountType
_DEPOSITORY = {
    "checking": _T.CHECKING,
    "savings": _T.SAVINGS,
    "money market": _T.MONEY_MARKET,
    "cd": _T.CERTIFICATE_OF_DEPOSIT,
    "hsa": _T.HSA,
    "cash management": _T.CHECKING,
    "ebt": _T.CHECKING,
    "limited purpose checking": _T.CHECKING,
    "payroll": _T.CHECKING,
    "paypal": _T.CHECKING,
    "prepaid": _T.CHECKING,
}
_CREDIT = {"credit card": _T.CREDIT_CARD, "paypal": _T.CREDIT_CARD}
_LOAN = {
    **dict.fromkeys(
        ("auto", "business", "commercial", "construction", "consumer", "loan", "other", "student"),
        _T.LOAN,
    ),
    "mortgage": _T.MORTGAGE,
    "home equity": _T.LINE_OF_CREDIT,
    "line of credit": _T.LINE_OF_CREDIT,
    "overdraft": _T.LINE_OF_CREDIT,
}
_INVESTMENT = {
    **dict.fromkeys(
        (
            *("brokerage", "mutual fund", "stock plan", "trust", "ugma", "utma", "other", "qshr"),
            *("non-taxable brokerage account", "isa", "cash isa", "tfsa", "fhsa", "rdsp"),
        ),
        _T.BROKERAGE,
    ),
    **dict.fromkeys(
        (
            *("401k", "401a", "457b", "pension", "profit sharing plan"),
            "thrift savings plan",
        ),
        _T.TRADITIONAL_401K,
    ),
    **dict.fromkeys(
        (
            *("roth 401k", "roth 457b", "roth pension", "roth profit sharing plan"),
            "roth thrift savings plan",
        ),
        _T.ROTH_401K,
    ),
    **dict.fromkeys(("403b", "roth 403b"), _T.PLAN_403B),
    **dict.fromkeys(
        (
            *("ira", "simple ira", "retirement", "keogh", "rrsp", "rrif", "sipp", "lira", "lif"),
            *("lrif", "lrsp", "prif", "rlif"),
        ),
        _T.IRA,
    ),
    "roth": _T.ROTH_IRA,
    **dict.fromkeys(("sep ira", "sarsep"), _T.SEP_IRA),
    **dict.fromkeys(("529", "education savings account", "resp"), _T.PLAN_529),
    **dict.fromkeys(("hsa", "health reimbursement arrangement"), _T.HSA),
    **dict.fromkeys(("crypto exchange", "non-custodial wallet"), _T.CRYPTO),
    "gic": _T.CERTIFICATE_OF_DEPOSIT,
    **dict.fromkeys(
        (
            *("fixed annuity", "variable annuity", "other annuity"),
            *("life insurance", "other insurance"),
        ),
        _T.OTHER,
    ),
}
# By type; what each is where the subtype says no more.
TYPES = {
    "depository": (_DEPOSITORY, _T.CHECKING),
    "credit": (_CREDIT, _T.CREDIT_CARD),
    "loan": (_LOAN, _T.LOAN),
    "investment": (_INVESTMENT, _T.BROKERAGE),
    "brokerage": (_INVESTMENT, _T.BROKERAGE),
    "other": ({}, _T.OTHER),
}
OWED = ("credit", "loan")
INVESTED = ("investment", "brokerage")
NUMBER_MIN = 8  # characters; a shorter one is the end of a number only


def account_of(record: Record) -> ReceivedAccount:
    """An account with what the pull knows of it beside: `institution_name`, `as_of`, `cash`, and
    `account_number` where liabilities told it."""
    balances = inner_or_none(record, "balances")
    if balances is None:
        raise Malformed("balances is missing")
    of = currency_in(balances)
    kind = type_of(record)
    sign = -1 if record.get("type") in OWED else 1
    limit = money_or_none(balances, "limit", of)
    has_limit = limit is not None and limit.amount > 0 and kind.group is AccountGroup.CREDIT
    mask = text_or_none(record, "mask")
    return ReceivedAccount(
        key=key(record, "account_id"),
        institution=text(record, "institution_name"),
        name=text(record, "name"),
        type=kind,
        currency=of,
        balance=_signed(balances, "current", of, sign),
        as_of=instant(balances, "last_updated_datetime")
        if balances.get("last_updated_datetime")
        else instant(record, "as_of"),
        number=_whole_number(record),
        mask=None if mask is None else mask_of(mask),
        available_balance=money_or_none(balances, "available", of),
        credit_limit=limit if has_limit else None,
        cash=money_or_none(record, "cash", of),
    )


def type_of(record: Record) -> AccountType:
    """By type and subtype; by the type alone where it has none that we know."""
    said = text(record, "type")
    if said not in TYPES:
        raise Malformed(f"type is none of those we know: {ascii(said)[:40]}")
    subtypes, otherwise = TYPES[said]
    return subtypes.get((text_or_none(record, "subtype") or "").lower(), otherwise)


def currency_in(record: Record) -> Currency:
    """Of two fields, of which one is null: ISO codes, and what exchanges call a coin."""
    if record.get("iso_currency_code") is not None:
        return currency_of(record, "iso_currency_code")
    return currency_of(record, "unofficial_currency_code")


def _signed(balances: Record, name: str, of: Currency, sign: int) -> Money | None:
    amount = decimal_or_none(balances, name)
    if amount is None:
        return None
    return Money(-amount if sign < 0 and amount else amount, of)


def _whole_number(record: Record) -> str | None:
    """Of some loans Plaid knows the number, and of others the end of it, which is none."""
    said = text_or_none(record, "account_number")
    kept = "".join((said or "").split())
    return kept if len(kept) >= NUMBER_MIN and kept.isdigit() else None
