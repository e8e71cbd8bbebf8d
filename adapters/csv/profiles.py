"""The layouts that are known, as data: a new bank's is a few lines at the end of this file.

A layout is recognised by its header: it has all `needed` columns, and of those that fit the one
with the most is meant. A column is named as the institution writes it, in any case; where it
changed its mind, by each of its names.

    columns    what of ours stands in which of theirs:
               date, booked, description, amount | debit and credit, balance, type, category, memo,
               merchant, check, number (the end of the account's), currency,
               symbol, quantity, price, fees          of a brokerage's transactions
               symbol, description, quantity, value, price, cost, kind     of its positions
    words      what `type` says, as one kind, or as two, for money in and for money out
    sign       -1 where money out is written as a positive amount
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

from domain.accounts import AccountType
from domain.money import EXACT
from domain.securities import AssetType
from domain.transactions import TransactionSubtype as S

Words: TypeAlias = Mapping[str, S | tuple[S, S]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One layout of one institution.

    `file_name` and `title` are patterns with the groups "mask", the last digits of the account's
    number, "name" and, of a title, "when". `totals` are the first cells of lines that are no
    records. `pending_without_balance`: what has no running balance yet is pending. `kinds` are
    words of the account's name that tell what it is, `assets` those of a security's kind.
    """

    name: str
    institution: str
    kind: AccountType
    columns: Mapping[str, str | Sequence[str]]
    optional: Sequence[str] = ()
    words: Words = field(default_factory=dict)
    sign: int = 1
    written: str = "%m/%d/%Y"
    point: str = "."
    currency: str = "USD"
    newest_first: bool = True
    pending_without_balance: bool = False
    pending_words: Sequence[str] = ()
    file_name: str = r"(?P<mask>)(?!)"
    title: str = r"(?P<mask>)(?!)"
    totals: Sequence[str] = ()
    kinds: Mapping[str, AccountType] = field(default_factory=dict)
    assets: Mapping[str, AssetType] = field(default_factory=dict)

    @property
    def needed(self) -> frozenset[str]:
        return frozenset(self.columns) - {*self.optional}

    @property
    def holds_positions(self) -> bool:
        return "value" in self.columns

    def names(self, column: str) -> Sequence[str]:
        given = self.columns[column]
        return (given,) if isinstance(given, str) else given

    def signed(self, amount: Decimal) -> Decimal:
        return amount if self.sign > 0 else EXACT.minus(amount)


_A, _T = AccountType, AssetType
_IN_OUT = (S.DEPOSIT, S.WITHDRAWAL)

CHASE_DEPOSIT = Profile(
    name="Chase, checking and savings",
    institution="Chase",
    kind=_A.CHECKING,
    columns={
        "type": "Type",
        "date": "Posting Date",
        "description": "Description",
        "amount": "Amount",
        "balance": "Balance",
        "check": "Check or Slip #",
        "details": "Details",
    },
    words={
        **dict.fromkeys(("ach_debit", "ach_credit"), (S.ACH_IN, S.ACH_OUT)),
        **dict.fromkeys(("debit_card", "misc_debit_card"), (S.REFUND, S.PURCHASE)),
        **dict.fromkeys(("check_paid", "check"), S.CHECK),
        **dict.fromkeys(("billpay", "loan_pmt"), S.BILL_PAYMENT),
        **dict.fromkeys(("acct_xfer", "chase_to_partnerfi", "partnerfi_to_chase"), S.INTERNAL),
        **dict.fromkeys(("wire_incoming", "wire_outgoing"), (S.WIRE_IN, S.WIRE_OUT)),
        "fee_transaction": S.ACCOUNT_FEE,
        "refund_transaction": S.REFUND,
        "interest": S.INTEREST,
    },
    pending_without_balance=True,
    file_name=r"chase(?P<mask>\d{4})",
)

CHASE_CARD = Profile(
    name="Chase, cards",
    institution="Chase",
    kind=_A.CREDIT_CARD,
    columns={
        "number": "Card",
        "booked": "Transaction Date",
        "date": "Post Date",
        "description": "Description",
        "category": "Category",
        "type": "Type",
        "amount": "Amount",
        "memo": "Memo",
    },
    optional=("number", "memo"),
    words={
        "sale": S.PURCHASE,
        "return": S.REFUND,
        "payment": S.BILL_PAYMENT,
        "fee": S.ACCOUNT_FEE,
    },
    file_name=r"chase(?P<mask>\d{4})",
)

# X only where a row of them begins: else a line of nothing but X is tried from each of them.
_SCHWAB_FILE = r"(?:(?P<name>[A-Za-z][A-Za-z _]*?)_?)?(?<!X)X{2,}(?P<mask>\d{3,4})_"
_SCHWAB_TITLE = (
    r"(?:(?:Transactions|Positions)\s+for\s+(?:account\s+)?)?(?P<name>[A-Za-z][\w ()&'-]*?)?"
    r"\s*(?:\.{2,}|(?<!X)X{2,}-?)(?P<mask>\d{3,4})(?:\s+as of\s+(?P<when>.+))?"
    r"|(?:Transactions|Positions)\s+for\s+(?P<all>.+?)\s+as of\s+(?P<of_all>.+)"
)
_SCHWAB_KINDS = {
    "roth": _A.ROTH_IRA,
    "sep": _A.SEP_IRA,
    "ira": _A.IRA,
    "401": _A.TRADITIONAL_401K,
    "403": _A.PLAN_403B,
    "529": _A.PLAN_529,
    "hsa": _A.HSA,
}

SCHWAB_TRANSACTIONS = Profile(
    name="Schwab, transactions of a brokerage account",
    institution="Charles Schwab",
    kind=_A.BROKERAGE,
    columns={
        "date": "Date",
        "type": "Action",
        "symbol": "Symbol",
        "description": "Description",
        "quantity": "Quantity",
        "price": "Price",
        "fees": "Fees & Comm",
        "amount": "Amount",
    },
    words={
        "buy": S.BUY,
        "sell": S.SELL,
        "buy to open": S.BUY,
        "sell to close": S.SELL,
        **dict.fromkeys(("sell to open", "sell short"), S.SHORT_SELL),
        **dict.fromkeys(("buy to close", "buy to cover", "cover short"), S.BUY_TO_COVER),
        "expired": S.OPTION_EXPIRATION,
        "assigned": S.OPTION_ASSIGNMENT,
        "exchange or exercise": S.OPTION_EXERCISE,
        **dict.fromkeys(("stock split", "reverse split"), S.SPLIT),
        **dict.fromkeys(("reinvest shares", "reinvestment adj"), S.REINVESTMENT),
        **dict.fromkeys(
            (
                *("cash dividend", "qualified dividend", "non-qualified div", "special dividend"),
                *("special qual div", "pr yr cash div", "pr yr div reinvest", "div adjustment"),
                *("reinvest dividend", "qual div reinvest", "pr yr special div"),
            ),
            S.DIVIDEND,
        ),
        **dict.fromkeys(
            (
                *("long term cap gain", "short term cap gain"),
                *("long term cap gain reinvest", "short term cap gain reinvest"),
            ),
            S.CAPITAL_GAIN,
        ),
        **dict.fromkeys(("bank interest", "credit interest", "bond interest"), S.INTEREST),
        "margin interest": S.MARGIN_INTEREST,
        **dict.fromkeys(("adr mgmt fee", "service fee", "advisor fee", "fee"), S.ACCOUNT_FEE),
        **dict.fromkeys(("foreign tax paid", "nra tax adj", "nra withholding"), S.TAX),
        **dict.fromkeys(
            ("moneylink transfer", "moneylink deposit", "funds received", "funds paid"),
            (S.ACH_IN, S.ACH_OUT),
        ),
        **dict.fromkeys(
            ("wire funds received", "wire received", "wire funds", "wire sent"),
            (S.WIRE_IN, S.WIRE_OUT),
        ),
        **dict.fromkeys(
            ("journal", "journaled shares", "security transfer", "internal transfer"), S.JOURNAL
        ),
    },
    file_name=_SCHWAB_FILE,
    title=_SCHWAB_TITLE,
    totals=("transactions total",),
    kinds=_SCHWAB_KINDS,
)

SCHWAB_POSITIONS = Profile(
    name="Schwab, positions",
    institution="Charles Schwab",
    kind=_A.BROKERAGE,
    columns={
        "symbol": "Symbol",
        "description": "Description",
        "quantity": ("Qty (Quantity)", "Quantity"),
        "price": "Price",
        "value": ("Mkt Val (Market Value)", "Market Value"),
        "cost": "Cost Basis",
        "kind": ("Security Type", "Asset Type"),
    },
    file_name=_SCHWAB_FILE,
    title=_SCHWAB_TITLE,
    totals=("account total", "positions total"),
    kinds=_SCHWAB_KINDS,
    assets={
        "equity": _T.EQUITY,
        "etfs & closed end funds": _T.ETF,
        "mutual fund": _T.MUTUAL_FUND,
        "option": _T.OPTION,
        "fixed income": _T.FIXED_INCOME,
        "cash and money market": _T.CASH_EQUIVALENT,
    },
)

SCHWAB_BANK = Profile(
    name="Schwab Bank, checking and savings",
    institution="Charles Schwab",
    kind=_A.CHECKING,
    columns={
        "date": "Date",
        "status": "Status",
        "type": "Type",
        "check": "CheckNumber",
        "description": "Description",
        "debit": "Withdrawal",
        "credit": "Deposit",
        "balance": "RunningBalance",
    },
    words={
        "ach": (S.ACH_IN, S.ACH_OUT),
        "wire": (S.WIRE_IN, S.WIRE_OUT),
        "check": S.CHECK,
        "transfer": S.INTERNAL,
        "visa": (S.REFUND, S.PURCHASE),
        "intadjust": S.INTEREST,
        "atm": _IN_OUT,
    },
    pending_words=("pending",),
    file_name=_SCHWAB_FILE,
)

PROFILES: Sequence[Profile] = (
    CHASE_DEPOSIT,
    CHASE_CARD,
    SCHWAB_TRANSACTIONS,
    SCHWAB_POSITIONS,
    SCHWAB_BANK,
)
