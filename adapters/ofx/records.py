"""What an OFX file says, typed. Signs, codes and ids stand exactly as the file writes them.

What a sign means depends on the institution and the kind of account, and is decided elsewhere. A
field that is absent or blank is None, never 0. `raw` is the record's text (line ends as `\\n`).
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from adapters.ofx.currency import CurrencyOf
from adapters.ofx.investments import (
    InvestmentBalances,
    InvestmentTransaction,
    PlanBalances,
    Position,
    SecurityInfo,
)
from adapters.ofx.values import OfxDate


class StatementKind(StrEnum):
    """By the aggregate that holds it: a credit line in an STMTRS is a BANK statement."""

    BANK = "BANK"
    CARD = "CARD"
    INVESTMENT = "INVESTMENT"
    LOAN = "LOAN"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRef:
    """How the institution names an account. `account_type` is as written (CHECKING, …)."""

    account_id: str
    bank_id: str | None = None
    branch_id: str | None = None
    broker_id: str | None = None
    account_type: str | None = None
    account_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    amount: Decimal
    as_of: OfxDate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payee:
    name: str | None
    address: tuple[str, ...]
    city: str | None
    state: str | None
    postal_code: str | None
    country: str | None
    phone: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """This transaction replaces or deletes (`action`) the one with the id `fitid`."""

    fitid: str
    action: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BankTransaction:
    """STMTTRN, or STMTTRNP (`pending`), LOANSTMTTRN, or the one inside an INVBANKTRAN.

    `posted` is DTPOSTED, for a pending one DTTRAN. `sub_account` is the SUBACCTFUND of an
    INVBANKTRAN. `fitid` is not unique at every bank.
    """

    aggregate: str
    fitid: str | None
    type: str | None
    posted: OfxDate
    user_date: OfxDate | None
    available_date: OfxDate | None
    amount: Decimal
    name: str | None
    extended_name: str | None
    memo: str | None
    payee: Payee | None
    payee_id: str | None
    check_number: str | None
    ref_number: str | None
    server_id: str | None
    sic: str | None
    counterpart: AccountRef | None
    currency: CurrencyOf | None
    correction: Correction | None
    pending: bool
    sub_account: str | None
    plan_source: str | None
    raw: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One account's statement. `currency` is CURDEF in capitals, None where the file has none.

    `start` and `end` bound the transaction list as the file says, which need not be true.
    `positions_listed` is how many entries the list of positions has, None without a whole list:
    then nothing is said of what is held, unless positions stand elsewhere.
    """

    kind: StatementKind
    account: AccountRef
    currency: str | None
    as_of: OfxDate | None
    start: date | None
    end: date | None
    transactions: tuple[BankTransaction, ...]
    investment_transactions: tuple[InvestmentTransaction, ...]
    positions: tuple[Position, ...]
    positions_listed: int | None
    ledger_balance: Balance | None
    available_balance: Balance | None
    investment_balances: InvestmentBalances | None
    plan_balances: PlanBalances | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAccount:
    """An account of the institution's list that has no statement in this file."""

    kind: StatementKind
    account: AccountRef
    description: str | None
    status: str | None
    product: str | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A record that was not read, kept whole so that it can be shown and read again later.

    `kind` is its tag, `account` that of the statement it stands in, if any.
    """

    kind: str
    reason: str
    line: int
    raw: str
    account: AccountRef | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfxFile:
    """`version` is the header's ("102", "211"), None without one; `as_of` is DTSERVER."""

    version: str | None
    organization: str | None
    fid: str | None
    intu_bid: str | None
    as_of: OfxDate | None
    statements: tuple[Statement, ...]
    accounts: tuple[ListedAccount, ...]
    securities: tuple[SecurityInfo, ...]
    unreadable: tuple[Unreadable, ...]
