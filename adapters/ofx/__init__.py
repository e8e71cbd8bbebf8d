"""Reader for OFX 1 SGML, OFX 2 XML, QFX and QBO.

`read` turns a file's bytes into an `OfxFile` or raises `OfxError`. It uses the standard library
only: the one complete OFX library is GPL, and both known ones move dates into UTC.
"""

from adapters.ofx.currency import CurrencyOf
from adapters.ofx.errors import OfxError
from adapters.ofx.investments import (
    DebtTerms,
    InvestmentBalances,
    InvestmentTransaction,
    NamedBalance,
    OptionTerms,
    PlanBalances,
    Position,
    SecurityId,
    SecurityInfo,
    SecurityKind,
)
from adapters.ofx.reader import read
from adapters.ofx.records import (
    AccountRef,
    Balance,
    BankTransaction,
    Correction,
    ListedAccount,
    OfxFile,
    Payee,
    Statement,
    StatementKind,
    Unreadable,
)
from adapters.ofx.source import BYTES_MAX
from adapters.ofx.values import OfxDate

__all__ = [
    "BYTES_MAX",
    "AccountRef",
    "Balance",
    "BankTransaction",
    "Correction",
    "CurrencyOf",
    "DebtTerms",
    "InvestmentBalances",
    "InvestmentTransaction",
    "ListedAccount",
    "NamedBalance",
    "OfxDate",
    "OfxError",
    "OfxFile",
    "OptionTerms",
    "Payee",
    "PlanBalances",
    "Position",
    "SecurityId",
    "SecurityInfo",
    "SecurityKind",
    "Statement",
    "StatementKind",
    "Unreadable",
    "read",
]
