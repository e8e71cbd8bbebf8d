"""Transactions."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias
from uuid import UUID

import strawberry

import domain.accounts
import domain.transactions
from domain.accounts import AccountId
from domain.commands import transactions as commands
from domain.identity import Permission
from domain.links import LinkId
from domain.queries import accounts as account_queries
from domain.queries import transactions as queries
from domain.queries.transactions import TransactionPage
from domain.transactions import (
    TransactionId,
    TransactionKey,
    TransactionOrder,
    TransactionStatus,
    TransactionSubtype,
    TransactionType,
)
from schema import ids, paging
from schema.context import Context, Info
from schema.edges import edge
from schema.errors import UserError
from schema.fields import NOT_GIVEN, After, First, described, field, given, optional, query, said
from schema.holdings import Security
from schema.ids import Node, describes
from schema.money import Money
from schema.paging import Edge, PageInfo
from schema.payloads import Payload, mutation
from schema.scalars import DAY, DECIMAL

if TYPE_CHECKING:
    from schema.accounts import Account

AnAccount: TypeAlias = Annotated["Account", strawberry.lazy("schema.accounts")]
Day: TypeAlias = date  # in a class whose own field is called date

strawberry.enum(TransactionType, description="The broad kind of a transaction.")
strawberry.enum(TransactionSubtype, description="What happened exactly.")
strawberry.enum(TransactionStatus, description="How far a transaction has come.")
strawberry.enum(
    TransactionOrder,
    description="What a list of transactions is sorted by: the date, or the signed amount in "
    "whatever currency it is; then by id.",
)


async def accounts_of_transactions(
    context: Context, transactions: Sequence[domain.transactions.Transaction]
) -> list[domain.accounts.Account | None]:
    """The account in which it happened."""
    keys = [t.account_id for t in transactions]
    return await account_queries.accounts_by_id(context.reads, keys)


@strawberry.type(description="Something that happened in an account.")
class Transaction(Node):
    is_type_of = describes(domain.transactions.Transaction)

    type: TransactionType
    subtype: TransactionSubtype
    status: TransactionStatus
    amount: Money = described("Positive is money in, negative is money out.")
    description: str
    merchant: str | None
    category: str | None = described("Yours where you gave one, else the provider's.")
    notes: str | None = described("Yours.")
    date: Day = described(
        "The trade or posting date as the institution wrote it, never moved between time zones."
    )
    settlement_date: Day | None
    removed_at: datetime | None = described(
        "When it was found gone at the provider. It is kept, and left out of lists unless "
        "`includeRemoved` asks for it."
    )
    security: Security | None
    quantity: Decimal | None = described("Units of the security; negative where they were sold.")
    unit_price: Money | None
    commission: Money | None = described("Negative where it was paid.")
    created_at: datetime = described("When we first saw it.")
    updated_at: datetime = described("When it last changed here.")
    account: AnAccount = edge(accounts_of_transactions, of=AnAccount)


@strawberry.input(description="Which transactions. What is left out or null does not restrict.")
class TransactionFilter:
    account_ids: list[strawberry.ID] | None = optional()
    types: list[TransactionType] | None = optional()
    subtypes: list[TransactionSubtype] | None = optional()
    statuses: list[TransactionStatus] | None = optional()
    link_ids: list[strawberry.ID] | None = optional("Of the accounts that these links feed.")
    categories: list[str] | None = optional()
    since: date | None = optional("The first date, inclusive.", name="from")
    until: date | None = optional("The last date, inclusive.", name="to")
    symbol: str | None = optional("The whole symbol, whatever the case.")
    search: str | None = optional("In description and merchant, whatever the case.")
    min_amount: Decimal | None = optional("Of the signed amount, in whatever currency it is.")
    max_amount: Decimal | None = optional("Of the signed amount, in whatever currency it is.")
    include_removed: bool = False


def chosen(filter: TransactionFilter | None) -> domain.transactions.TransactionFilter:
    """Raises BadQuery."""
    if not filter:
        return domain.transactions.TransactionFilter()
    accounts = ids.keys("Account", given(filter.account_ids))
    links = ids.keys("Link", given(filter.link_ids))
    return domain.transactions.TransactionFilter(
        account_ids=None if accounts is None else tuple(AccountId(id) for id in accounts),
        link_ids=None if links is None else tuple(LinkId(id) for id in links),
        types=_tuple(filter.types),
        subtypes=_tuple(filter.subtypes),
        statuses=_tuple(filter.statuses),
        categories=_tuple(filter.categories),
        since=given(filter.since),
        until=given(filter.until),
        symbol=given(filter.symbol),
        search=given(filter.search),
        min_amount=given(filter.min_amount),
        max_amount=given(filter.max_amount),
        include_removed=filter.include_removed,
    )


def _tuple(values: Any) -> tuple[Any, ...] | None:
    return tuple(values) if isinstance(values, list) else None


def position(after: str | None, order: TransactionOrder) -> TransactionKey | None:
    """Raises BadQuery, also for a cursor of another order."""
    if not isinstance(after, str):
        return None
    by, id = paging.decoded(after, "transactions", 2)
    if not (DECIMAL if order.by_amount else DAY).fullmatch(by):
        raise paging.not_a_cursor()
    try:
        value = Decimal(by) if order.by_amount else date.fromisoformat(by)
        return TransactionKey(by=value, id=UUID(id))
    except ValueError:
        raise paging.not_a_cursor() from None


def _cursor(key: TransactionKey) -> str:
    by = format(key.by, "f") if isinstance(key.by, Decimal) else key.by.isoformat()
    return paging.encoded("transactions", by, str(key.id))


async def totals_of_pages(context: Context, pages: Sequence[TransactionPage]) -> list[int]:
    """How many there are on all pages; it is counted only where it is asked for."""
    return await queries.totals(context.reads, pages)


@strawberry.type(description="A transaction and its place in a list.")
class TransactionEdge:
    cursor: str
    node: Transaction


@strawberry.type(description="A page of transactions.")
class TransactionConnection:
    nodes: list[Transaction]
    total_count: int = edge(totals_of_pages, of=int)

    @field(list[TransactionEdge])
    def edges(self: Any) -> list[Edge[domain.transactions.Transaction]]:
        return paging.edges(self, lambda t: _cursor(queries.key_of(t, self.order)))

    @field(PageInfo)
    def page_info(self: Any) -> PageInfo:
        return paging.page_info(self, lambda t: _cursor(queries.key_of(t, self.order)))


async def transactions_of_accounts(
    context: Context,
    accounts: Sequence[domain.accounts.Account],
    *,
    filter: TransactionFilter | None = NOT_GIVEN,
    order_by: TransactionOrder = TransactionOrder.DATE_DESC,
    first: First = 50,
    after: After = NOT_GIVEN,
) -> list[TransactionPage]:
    """What happened in the account, the latest first unless asked otherwise."""
    keys = [a.id for a in accounts]
    limit, begin = paging.limit(first), position(after, order_by)
    return await queries.transactions_of_accounts(
        context.reads, keys, chosen(filter), order_by, limit=limit, after=begin
    )


@strawberry.input(
    description="What you say of a transaction; no sync changes it. What is left out stays."
)
class UpdateTransactionInput:
    transaction_id: strawberry.ID
    category: str | None = optional(
        "Of 100 characters at most; null goes back to the provider's, an empty one says: none."
    )
    notes: str | None = optional("Of 2,000 characters at most; null clears them.")


@strawberry.type(description="The answer of `updateTransaction`.")
class UpdateTransactionPayload:
    transaction: Transaction | None
    errors: list[UserError]


@strawberry.type
class TransactionQuery:
    @query(
        TransactionConnection,
        "What happened in all accounts, the latest first by default.",
        permits=Permission.READ_DATA,
    )
    async def transactions(
        self,
        info: Info,
        filter: TransactionFilter | None = NOT_GIVEN,
        order_by: TransactionOrder = TransactionOrder.DATE_DESC,
        first: First = 50,
        after: After = NOT_GIVEN,
    ) -> TransactionPage:
        reads = info.context.reads
        limit, begin = paging.limit(first), position(after, order_by)
        return info.context.paid(
            await queries.transactions(reads, chosen(filter), order_by, limit=limit, after=begin)
        )


@strawberry.type
class TransactionMutation:
    @mutation(
        UpdateTransactionPayload,
        "Give a transaction your own category, and notes.",
        runs=commands.update_transaction,
        id_at=("input", "transactionId"),
    )
    async def update_transaction(self, info: Info, input: UpdateTransactionInput) -> Payload:
        context = info.context
        id = TransactionId(ids.key("Transaction", input.transaction_id) or ids.ABSENT)
        cmd = commands.UpdateTransaction(
            actor=context.actor,
            transaction_id=id,
            category=said(input.category),
            notes=said(input.notes),
            at=context.now,
        )
        await commands.update_transaction(context.app, cmd)
        found = await queries.transactions_by_id(context.reads, [id])
        return Payload(transaction=found[0])
