"""Accounts: what a person has at an institution, and what it is worth to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NewType
from uuid import UUID

from domain.links import LinkId
from domain.money import Currency, Money

AccountId = NewType("AccountId", UUID)

MASK = "\N{MIDDLE DOT}" * 4  # stands for what of a number is not shown


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

    `as_of` is the provider's own time of that balance. `link_ids` are all links that feed it,
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
    is_active: bool = True
    included_in_net_worth: bool = True
    data_version: int = 0

    @property
    def group(self) -> AccountGroup:
        return self.type.group

    @property
    def currency(self) -> Currency:
        return self.balance.currency


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


def in_order(accounts: Iterable[Account]) -> Sequence[Account]:
    """By name, then id."""
    return sorted(accounts, key=lambda a: (a.name, a.id))


def masked(number: str) -> str:
    """An account number as it may be shown."""
    return MASK + (mask_of(number) or "")


def mask_of(number: str) -> str | None:
    """The last four characters of an account number: all of it that is ever shown."""
    kept = "".join(c for c in number if c.isalnum())
    return kept[-4:] or None
