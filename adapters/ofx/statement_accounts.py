"""The account that a statement is of, in our terms: which, at whom, of what kind, as of when."""

from datetime import UTC, datetime, time

from adapters.ofx.errors import Illegible
from adapters.ofx.records import OfxFile, Statement, StatementKind
from adapters.ofx.statement_securities import known_currency
from adapters.ofx.statement_values import clean, instant
from domain.accounts import AccountType, mask_of, masked
from domain.money import Currency

# Institutions whose ORG is no name that anyone knows them by, by their FID.
_NAMES = {"10898": "Chase"}
_BANK_TYPES = {
    "CHECKING": AccountType.CHECKING,
    "SAVINGS": AccountType.SAVINGS,
    "MONEYMRKT": AccountType.MONEY_MARKET,
    "CREDITLINE": AccountType.LINE_OF_CREDIT,
    "CD": AccountType.CERTIFICATE_OF_DEPOSIT,
}
_LABELS = {
    AccountType.CERTIFICATE_OF_DEPOSIT: "Certificate",
    AccountType.TRADITIONAL_401K: "401(k)",
    AccountType.OTHER: "Account",
}


def stated_currency(statement: Statement) -> Currency:
    """Raises Illegible."""
    if statement.currency is None:
        raise Illegible("the statement does not say its currency")
    return known_currency(statement.currency)


def key_of(statement: Statement) -> str:
    account = statement.account
    where = account.bank_id or account.broker_id or ""
    kind = (account.account_type or "").upper()  # some banks number checking and savings alike
    parts = (statement.kind, where, account.account_id, kind, statement.currency or "")
    return clean(":".join(parts))


def institution_of(file: OfxFile, statement: Statement) -> str:
    if file.fid in _NAMES:
        return _NAMES[file.fid]
    if said := clean(file.organization):
        return said
    if file.fid:
        return f"FI {clean(file.fid)}"
    account = statement.account
    return clean(account.broker_id) or clean(account.bank_id) or "Unknown institution"


def type_of(statement: Statement) -> AccountType:
    written = (statement.account.account_type or "").upper()
    match statement.kind:
        case StatementKind.CARD:
            return AccountType.CREDIT_CARD
        case StatementKind.LOAN:
            return AccountType.MORTGAGE if "MORT" in written else AccountType.LOAN
        case StatementKind.INVESTMENT:
            sources = {p.plan_source for p in statement.positions}
            sources |= {t.plan_source for t in statement.investment_transactions}
            is_plan = statement.plan_balances is not None or bool(sources - {None})
            return AccountType.TRADITIONAL_401K if is_plan else AccountType.BROKERAGE
        case _:
            return _BANK_TYPES.get(written, AccountType.OTHER)


def name_of(kind: AccountType, number: str) -> str:
    label = _LABELS.get(kind) or kind.value.replace("_", " ").capitalize()
    return f"{label} {masked(number)}" if mask_of(number) else label


def time_of(statement: Statement, file: OfxFile) -> datetime:
    """The balance's own time; else the statement's, the file's, that of its last day, or now."""
    balance = statement.ledger_balance or statement.available_balance
    for when in (balance.as_of if balance else None, statement.as_of, file.as_of):
        if (found := instant(when)) is not None:
            return found
    days = [t.posted.local_date for t in statement.transactions]
    last = statement.end or max(days, default=None)
    return datetime.combine(last, time.min, UTC) if last else datetime.now(UTC)
