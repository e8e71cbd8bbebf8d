"""Accounts: what a person has at an institution, and what it is worth to them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import NewType
from uuid import UUID

from domain.errors import InvalidInput
from domain.links import LinkId
from domain.money import Currency, Money, is_whole, minor_digits

AccountId = NewType("AccountId", UUID)

MASK = "\N{MIDDLE DOT}" * 4  # stands for what of a number is not shown
MANUAL = "manual"  # the provider of accounts whose owner says what they are worth
MANUAL_MAX = 500  # accounts of one person
NAME_MAX = 200
BALANCE_MAX = Decimal(10) ** 15  # in major units; no person has more, of any currency
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
CLOCK_SKEW_MAX = timedelta(minutes=5)


class AccountGroup(Enum):
    INVESTMENT = "INVESTMENT"
    DEPOSIT = "DEPOSIT"
    CREDIT = "CREDIT"
    LOAN = "LOAN"
    OTHER = "OTHER"


class AccountType(Enum):
    BROKERAGE = "BROKERAGE"
    IRA = "IRA"
    ROTH_IRA = "ROTH_IRA"
    SEP_IRA = "SEP_IRA"
    TRADITIONAL_401K = "TRADITIONAL_401K"
    ROTH_401K = "ROTH_401K"
    PLAN_403B = "PLAN_403B"
    PLAN_529 = "PLAN_529"
    HSA = "HSA"
    CHECKING = "CHECKING"
    SAVINGS = "SAVINGS"
    MONEY_MARKET = "MONEY_MARKET"
    CERTIFICATE_OF_DEPOSIT = "CERTIFICATE_OF_DEPOSIT"
    CREDIT_CARD = "CREDIT_CARD"
    LINE_OF_CREDIT = "LINE_OF_CREDIT"
    LOAN = "LOAN"
    MORTGAGE = "MORTGAGE"
    CRYPTO = "CRYPTO"
    OTHER = "OTHER"

    @property
    def group(self) -> AccountGroup:
        return _GROUPS[self]


_OF_GROUP = {
    AccountGroup.INVESTMENT: (
        AccountType.BROKERAGE,
        AccountType.IRA,
        AccountType.ROTH_IRA,
        AccountType.SEP_IRA,
        AccountType.TRADITIONAL_401K,
        AccountType.ROTH_401K,
        AccountType.PLAN_403B,
        AccountType.PLAN_529,
        AccountType.HSA,
        AccountType.CRYPTO,
    ),
    AccountGroup.DEPOSIT: (
        AccountType.CHECKING,
        AccountType.SAVINGS,
        AccountType.MONEY_MARKET,
        AccountType.CERTIFICATE_OF_DEPOSIT,
    ),
    AccountGroup.CREDIT: (AccountType.CREDIT_CARD, AccountType.LINE_OF_CREDIT),
    AccountGroup.LOAN: (AccountType.LOAN, AccountType.MORTGAGE),
    AccountGroup.OTHER: (AccountType.OTHER,),
}
_GROUPS = {kind: group for group, kinds in _OF_GROUP.items() for kind in kinds}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`balance` is what it is worth to the owner: a debt is negative.

    `as_of` is the provider's own time of that balance, and `cash_balance` what of it the provider
    says is cash, less what was borrowed on margin. `link_ids` are all links that feed it,
    `link_id` the live one that answered last. `nickname` and `included_in_net_worth` are the
    owner's word, which no sync writes.
    """

    id: AccountId
    link_id: LinkId | None
    link_ids: tuple[LinkId, ...]
    provider_slug: str
    institution: str
    name: str
    type: AccountType
    balance: Money
    as_of: datetime
    nickname: str | None = None
    mask: str | None = None
    available_balance: Money | None = None
    credit_limit: Money | None = None
    cash_balance: Money | None = None
    is_active: bool = True
    included_in_net_worth: bool = True
    data_version: int = 0

    @property
    def group(self) -> AccountGroup:
        return self.type.group

    @property
    def currency(self) -> Currency:
        return self.balance.currency

    @property
    def is_manual(self) -> bool:
        return self.provider_slug == MANUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFilter:
    """None does not restrict; an empty tuple matches nothing."""

    ids: tuple[AccountId, ...] | None = None
    link_id: LinkId | None = None
    types: tuple[AccountType, ...] | None = None
    groups: tuple[AccountGroup, ...] | None = None
    provider_slug: str | None = None
    include_inactive: bool = False

    def matches(self, account: Account) -> bool:
        return (
            (self.include_inactive or account.is_active)
            and (self.ids is None or account.id in self.ids)
            and (self.link_id is None or self.link_id in account.link_ids)
            and (self.types is None or account.type in self.types)
            and (self.groups is None or account.group in self.groups)
            and (self.provider_slug is None or account.provider_slug == self.provider_slug)
        )


def masked(number: str) -> str:
    """An account number as it may be shown."""
    return MASK + (mask_of(number) or "")


def mask_of(number: str) -> str | None:
    """The last four characters of an account number: all of it that is ever shown."""
    kept = "".join(c for c in number if c.isalnum())
    return kept[-4:] or None


def account_name(said: str) -> str:
    """Trimmed. Raises InvalidInput for what is empty or over NAME_MAX characters."""
    return _label(said, "name")


def nickname(said: str | None) -> str | None:
    """None clears. Raises InvalidInput for what is empty or over NAME_MAX characters."""
    return None if said is None else _label(said, "nickname")


def _label(said: str, name: str) -> str:
    kept = said.strip()
    if not 0 < len(kept) <= NAME_MAX:
        raise InvalidInput(f"a {name} has 1 to {NAME_MAX} characters", field=("input", name))
    return kept


def stated_balance(said: Decimal, of: Currency) -> Money:
    """What an owner says that an account is worth to them, as they say it.

    Positive is what they have: an overpaid card is, and no sign is ever turned. Raises InvalidInput
    for parts of the currency's minor unit, and for BALANCE_MAX or more.
    """
    field = ("input", "balance")
    if not said.is_finite() or abs(said) >= BALANCE_MAX:
        raise InvalidInput("a balance has at most 15 digits before the point", field=field)
    if not is_whole(said, of):
        raise InvalidInput(f"{of} has {minor_digits(of)} places after the point", field=field)
    return Money(said, of)


def stated_at(said: datetime | None, *, now: datetime) -> datetime:
    """When a balance is of: now by default, and for a clock that is a little ahead of ours.

    Raises InvalidInput for the future, and for what lies before the year 1900.
    """
    at = now if said is None else said
    if at > now + CLOCK_SKEW_MAX:
        raise InvalidInput("a balance of the future is not known yet", field=("input", "at"))
    if at < EARLIEST:
        raise InvalidInput("a balance is of the year 1900 or later", field=("input", "at"))
    return min(at, now)
