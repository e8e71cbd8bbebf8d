"""Accounts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import strawberry

import domain.accounts
import domain.links
from domain.accounts import AccountGroup, AccountId, AccountType
from domain.commands import accounts as commands
from domain.identity import Permission
from domain.links import LinkId
from domain.money import Currency
from domain.queries import accounts as queries
from domain.queries import links as link_queries
from schema import ids
from schema.context import Context, Info
from schema.edges import edge
from schema.errors import UserError
from schema.fields import NOT_GIVEN, described, field, given, optional, query, said
from schema.history import BalancePoint, history_edge, latest_edge
from schema.holdings import HoldingConnection, holdings_of_accounts
from schema.ids import Node, describes
from schema.links import Link
from schema.money import Money
from schema.payloads import Payload, mutation
from schema.providers import Provider
from schema.reconciliation import Reconciliation, reconciliation_edge
from schema.transactions import TransactionConnection, transactions_of_accounts

strawberry.enum(AccountType, description="What kind of account it is.")
strawberry.enum(
    AccountGroup,
    description="INVESTMENT: brokerage, retirement, 529, HSA, crypto. DEPOSIT: checking, savings, "
    "money market, certificates. CREDIT: cards and lines of credit. LOAN: loans and mortgages.",
)


async def links_of_accounts(
    context: Context, accounts: Sequence[domain.accounts.Account]
) -> list[domain.links.Link | None]:
    """The link that answered last; it may be disconnected since. Null of a manual account."""
    return await link_queries.links_by_id(context.reads, [a.link_id for a in accounts])


@strawberry.type(description="An account at an institution.")
class Account(Node):
    is_type_of = describes(domain.accounts.Account)

    institution: str
    name: str
    nickname: str | None = described("Your name for it.")
    mask: str | None = described("The last four characters of its number.")
    type: AccountType
    group: AccountGroup
    currency: Currency
    balance: Money = described("What it is worth to you: a debt is negative.")
    available_balance: Money | None = described("What can be spent or drawn now.")
    credit_limit: Money | None = described("Positive.")
    as_of: datetime = described("The provider's own time of the balance, or yours.")
    is_active: bool = described("False once its provider no longer lists it.")
    included_in_net_worth: bool
    link: Link | None = edge(links_of_accounts, of=Link | None)
    holdings: HoldingConnection = edge(holdings_of_accounts, of=HoldingConnection)
    transactions: TransactionConnection = edge(transactions_of_accounts, of=TransactionConnection)
    balance_history: list[BalancePoint] = history_edge
    latest_balance: BalancePoint | None = latest_edge
    reconciliation: Reconciliation = reconciliation_edge

    @field(Provider)
    def provider(self: Any, info: Info) -> domain.links.ProviderInfo:
        return info.context.provider(self.provider_slug)


@strawberry.type(description="What the accounts of one group are worth together.")
class GroupTotal:
    group: AccountGroup
    total: Money
    account_count: int


@strawberry.input(description="Which accounts. What is left out or null does not restrict.")
class AccountFilter:
    ids: list[strawberry.ID] | None = optional()
    link_id: strawberry.ID | None = optional("That this link feeds.")
    types: list[AccountType] | None = optional()
    groups: list[AccountGroup] | None = optional()
    provider: str | None = optional("The slug of a provider.")
    include_inactive: bool = False


def chosen(filter: AccountFilter | None) -> domain.accounts.AccountFilter:
    """Raises BadQuery."""
    if not filter:
        return domain.accounts.AccountFilter()
    keys = ids.keys("Account", given(filter.ids))
    link, types, groups = given(filter.link_id), given(filter.types), given(filter.groups)
    return domain.accounts.AccountFilter(
        ids=None if keys is None else tuple(AccountId(key) for key in keys),
        link_id=None if link is None else LinkId(ids.key("Link", link) or ids.ABSENT),
        types=None if types is None else tuple(types),
        groups=None if groups is None else tuple(groups),
        provider_slug=given(filter.provider),
        include_inactive=filter.include_inactive,
    )


@strawberry.input(
    description="What you say of an account; no sync changes it. What is left out stays."
)
class UpdateAccountInput:
    account_id: strawberry.ID
    nickname: str | None = optional("Your name for it, of 200 characters at most; null clears it.")
    included_in_net_worth: bool | None = optional("Whether it counts; never null.")


@strawberry.type(description="The answer of `updateAccount`.")
class UpdateAccountPayload:
    account: Account | None
    errors: list[UserError]


@strawberry.type
class AccountQuery:
    @query(
        list[Account],
        "By name. Inactive ones only where the filter includes them.",
        permits=Permission.READ_DATA,
    )
    async def accounts(
        self, info: Info, filter: AccountFilter | None = NOT_GIVEN
    ) -> list[domain.accounts.Account]:
        return info.context.paid(await queries.accounts(info.context.reads, chosen(filter)))

    @query(Account | None, permits=Permission.READ_DATA)
    async def account(self, info: Info, id: strawberry.ID) -> domain.accounts.Account | None:
        reads, key = info.context.reads, ids.key("Account", id)
        return None if key is None else (await queries.accounts_by_id(reads, [AccountId(key)]))[0]


@strawberry.type
class AccountMutation:
    @mutation(
        UpdateAccountPayload,
        "Name an account, or leave it out of your net worth.",
        runs=commands.update_account,
        id_at=("input", "accountId"),
    )
    async def update_account(self, info: Info, input: UpdateAccountInput) -> Payload:
        context, id = info.context, named(input.account_id)
        cmd = commands.UpdateAccount(
            actor=context.actor,
            account_id=id,
            nickname=said(input.nickname),
            included_in_net_worth=said(input.included_in_net_worth),
            at=context.now,
        )
        await commands.update_account(context.app, cmd)
        return Payload(account=await account_of(context, id))


def named(id: str) -> AccountId:
    return AccountId(ids.key("Account", id) or ids.ABSENT)


async def account_of(context: Context, id: AccountId) -> domain.accounts.Account | None:
    return (await queries.accounts_by_id(context.reads, [id]))[0]
