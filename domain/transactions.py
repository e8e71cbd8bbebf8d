"""Transactions: what happened in an account."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import NewType, TypeAlias
from uuid import UUID

from domain.accounts import AccountId
from domain.errors import InvalidInput
from domain.links import LinkId
from domain.money import Money
from domain.securities import Security

TransactionId = NewType("TransactionId", UUID)
Day: TypeAlias = date  # in a class whose own field is called date

CATEGORY_MAX = 100  # characters
NOTES_MAX = 2_000


class TransactionType(Enum):
    TRADE = "TRADE"
    TRANSFER = "TRANSFER"
    INCOME = "INCOME"
    FEE = "FEE"
    PAYMENT = "PAYMENT"
    OTHER = "OTHER"


class TransactionSubtype(Enum):
    BUY = "BUY"
    SELL = "SELL"
    SHORT_SELL = "SHORT_SELL"
    BUY_TO_COVER = "BUY_TO_COVER"
    OPTION_EXERCISE = "OPTION_EXERCISE"
    OPTION_ASSIGNMENT = "OPTION_ASSIGNMENT"
    OPTION_EXPIRATION = "OPTION_EXPIRATION"
    SPLIT = "SPLIT"
    DEPOSIT = "DEPOSIT"
    WITHDRAWAL = "WITHDRAWAL"
    WIRE_IN = "WIRE_IN"
    WIRE_OUT = "WIRE_OUT"
    ACH_IN = "ACH_IN"
    ACH_OUT = "ACH_OUT"
    INTERNAL = "INTERNAL"
    JOURNAL = "JOURNAL"
    DIVIDEND = "DIVIDEND"
    INTEREST = "INTEREST"
    CAPITAL_GAIN = "CAPITAL_GAIN"
    REINVESTMENT = "REINVESTMENT"
    COMMISSION = "COMMISSION"
    ACCOUNT_FEE = "ACCOUNT_FEE"
    TAX = "TAX"
    MARGIN_INTEREST = "MARGIN_INTEREST"
    PURCHASE = "PURCHASE"
    REFUND = "REFUND"
    BILL_PAYMENT = "BILL_PAYMENT"
    CHECK = "CHECK"
    OTHER = "OTHER"

    @property
    def type(self) -> TransactionType:
        return _TYPES[self]


_S, _T = TransactionSubtype, TransactionType
_OF_TYPE = {
    _T.TRADE: (
        _S.BUY,
        _S.SELL,
        _S.SHORT_SELL,
        _S.BUY_TO_COVER,
        _S.OPTION_EXERCISE,
        _S.OPTION_ASSIGNMENT,
        _S.OPTION_EXPIRATION,
        _S.SPLIT,
    ),
    _T.TRANSFER: (
        _S.DEPOSIT,
        _S.WITHDRAWAL,
        _S.WIRE_IN,
        _S.WIRE_OUT,
        _S.ACH_IN,
        _S.ACH_OUT,
        _S.INTERNAL,
        _S.JOURNAL,
    ),
    _T.INCOME: (_S.DIVIDEND, _S.INTEREST, _S.CAPITAL_GAIN, _S.REINVESTMENT),
    _T.FEE: (_S.COMMISSION, _S.ACCOUNT_FEE, _S.TAX, _S.MARGIN_INTEREST),
    _T.PAYMENT: (_S.PURCHASE, _S.REFUND, _S.BILL_PAYMENT, _S.CHECK),
    _T.OTHER: (_S.OTHER,),
}
_TYPES = {subtype: kind for kind, subtypes in _OF_TYPE.items() for subtype in subtypes}


class TransactionStatus(Enum):
    PENDING = "PENDING"
    SETTLED = "SETTLED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class TransactionOrder(Enum):
    DATE_DESC = "DATE_DESC"
    DATE_ASC = "DATE_ASC"
    AMOUNT_DESC = "AMOUNT_DESC"
    AMOUNT_ASC = "AMOUNT_ASC"

    @property
    def by_amount(self) -> bool:
        return self in (TransactionOrder.AMOUNT_ASC, TransactionOrder.AMOUNT_DESC)

    @property
    def descending(self) -> bool:
        return self in (TransactionOrder.DATE_DESC, TransactionOrder.AMOUNT_DESC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """`amount` is positive for money in, negative for money out.

    `date` is the trade or posting date as the institution wrote it: it is never moved between
    time zones. A sold `quantity` and a `commission` are negative. `category` and `notes` are the
    owner's word, `provider_category` the provider's. `removed_at` is when it was found gone.
    """

    id: TransactionId
    account_id: AccountId
    subtype: TransactionSubtype
    status: TransactionStatus
    amount: Money
    description: str
    date: Day
    created_at: datetime
    updated_at: datetime
    merchant: str | None = None
    provider_category: str | None = None
    own_category: str | None = None
    notes: str | None = None
    settlement_date: Day | None = None
    security: Security | None = None
    quantity: Decimal | None = None
    unit_price: Money | None = None
    commission: Money | None = None
    removed_at: datetime | None = None
    data_version: int = 0

    @property
    def type(self) -> TransactionType:
        return self.subtype.type

    @property
    def category(self) -> str | None:
        """The owner's where they gave one; an empty one of theirs says: none."""
        return self.provider_category if self.own_category is None else self.own_category or None


def folded(text: str) -> str:
    """A description without what one source writes in one way today and in another tomorrow."""
    return " ".join(text.split()).casefold()


def own_category(said: str | None) -> str | None:
    """Trimmed; None where the owner says nothing, empty where they say that it has none.

    Raises InvalidInput for over CATEGORY_MAX characters.
    """
    return None if said is None else _bounded(said, CATEGORY_MAX, "category")


def notes(said: str | None) -> str | None:
    """Trimmed; None and empty clear. Raises InvalidInput for over NOTES_MAX characters."""
    return None if said is None else _bounded(said, NOTES_MAX, "notes") or None


def _bounded(said: str, most: int, name: str) -> str:
    kept = said.strip()
    if len(kept) > most:
        raise InvalidInput(f"at most {most} characters", field=("input", name))
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionFilter:
    """None does not restrict; an empty tuple matches nothing. Days are inclusive.

    `link_ids` stand for the accounts that any of these links feeds. `symbol` is compared whole,
    whatever the case. `search` is case-insensitive over description and merchant. `min_amount` and
    `max_amount` are of the signed amount, in whatever currency it is.
    """

    account_ids: tuple[AccountId, ...] | None = None
    link_ids: tuple[LinkId, ...] | None = None
    types: tuple[TransactionType, ...] | None = None
    subtypes: tuple[TransactionSubtype, ...] | None = None
    statuses: tuple[TransactionStatus, ...] | None = None
    categories: tuple[str, ...] | None = None
    since: date | None = None
    until: date | None = None
    symbol: str | None = None
    search: str | None = None
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    include_removed: bool = False


@dataclass(frozen=True, slots=True)
class TransactionKey:
    """Where a page of transactions begins: after this date or amount, and id."""

    by: date | Decimal
    id: UUID
