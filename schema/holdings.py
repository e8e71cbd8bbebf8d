"""Holdings, and the securities held."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias
from uuid import UUID

import strawberry

import domain.accounts
import domain.holdings
import domain.securities
from domain.accounts import AccountId
from domain.holdings import HoldingKey
from domain.identity import Permission
from domain.money import Currency
from domain.queries import accounts as account_queries
from domain.queries import holdings as queries
from domain.queries.holdings import HoldingPage
from domain.securities import AssetType, OptionSide
from schema import ids, paging
from schema.context import Context, Info
from schema.edges import edge
from schema.fields import NOT_GIVEN, After, First, described, field, given, optional, query
from schema.ids import Node, describes
from schema.money import Money
from schema.paging import Edge, PageInfo

if TYPE_CHECKING:
    from schema.accounts import Account

AnAccount: TypeAlias = Annotated["Account", strawberry.lazy("schema.accounts")]

strawberry.enum(AssetType, description="The class of asset that a security belongs to.")
strawberry.enum(OptionSide, description="The right that an option gives: to buy, or to sell.")


@strawberry.type(description="What the holder of an option may do, at what price, until when.")
class OptionTerms:
    underlying: str = described("The symbol of what may be bought or sold.")
    side: OptionSide
    strike: Money = described("The price of one unit of the underlying.")
    expires_on: date


@strawberry.type(description="Something that can be held: a share, a fund, a bond, a coin.")
class Security(Node):
    is_type_of = describes(domain.securities.Security)

    symbol: str | None = described("The ticker symbol.")
    name: str
    asset_type: AssetType
    currency: Currency = described("What it is priced in.")
    isin: str | None = described("ISO 6166.")
    cusip: str | None
    figi: str | None
    multiplier: Decimal = described(
        "Units of the underlying in one contract: 100 for a US equity option, else 1."
    )
    option: OptionTerms | None = described("Null for what is no option.")


async def accounts_of_holdings(
    context: Context, holdings: Sequence[domain.holdings.Holding]
) -> list[domain.accounts.Account | None]:
    """The account that holds it."""
    keys = [h.account_id for h in holdings]
    return await account_queries.accounts_by_id(context.reads, keys)


@strawberry.type(description="How much of a security an account holds, and what it is worth.")
class Holding(Node):
    is_type_of = describes(domain.holdings.Holding)

    security: Security
    quantity: Decimal = described("Negative for a short position.")
    average_price: Money | None = described("Paid for one unit.")
    cost_basis: Money | None = described("Paid for all of it; negative for a short position.")
    market_price: Money | None = described("Of one unit; of a bond, per cent of par.")
    market_value: Money = described("Negative for a short position.")
    unrealized_gain: Money | None = described("Market value less cost basis.")
    unrealized_gain_percent: Decimal | None = described(
        "Per cent of the cost basis, with two places; null where that is zero or unknown."
    )
    as_of: datetime = described("The provider's own time of these figures.")
    is_active: bool = described("False once it is no longer held.")
    account: AnAccount = edge(accounts_of_holdings, of=AnAccount)


@strawberry.input(description="Which holdings. What is left out or null does not restrict.")
class HoldingFilter:
    account_ids: list[strawberry.ID] | None = optional()
    asset_types: list[AssetType] | None = optional()
    symbol: str | None = optional("The whole symbol, whatever the case.")
    include_closed: bool = False


def chosen(filter: HoldingFilter | None) -> domain.holdings.HoldingFilter:
    """Raises BadQuery."""
    if not filter:
        return domain.holdings.HoldingFilter()
    accounts = ids.keys("Account", given(filter.account_ids))
    types = given(filter.asset_types)
    return domain.holdings.HoldingFilter(
        account_ids=None if accounts is None else tuple(AccountId(id) for id in accounts),
        asset_types=None if types is None else tuple(types),
        symbol=given(filter.symbol),
        include_closed=filter.include_closed,
    )


def position(after: str | None) -> HoldingKey | None:
    """Raises BadQuery."""
    if not isinstance(after, str):
        return None
    symbol, id = paging.decoded(after, "holdings", 2)
    try:
        return HoldingKey(symbol=symbol, id=UUID(id))
    except ValueError:
        raise paging.not_a_cursor() from None


def _cursor(holding: domain.holdings.Holding) -> str:
    key = queries.key_of(holding)
    return paging.encoded("holdings", key.symbol, str(key.id))


async def totals_of_pages(context: Context, pages: Sequence[HoldingPage]) -> list[int]:
    """How many there are on all pages; it is counted only where it is asked for."""
    return await queries.totals(context.reads, pages)


@strawberry.type(description="A holding and its place in a list.")
class HoldingEdge:
    cursor: str
    node: Holding


@strawberry.type(description="A page of holdings, by symbol.")
class HoldingConnection:
    nodes: list[Holding]
    total_count: int = edge(totals_of_pages, of=int)

    @field(list[HoldingEdge])
    def edges(self: Any) -> list[Edge[domain.holdings.Holding]]:
        return paging.edges(self, _cursor)

    @field(PageInfo)
    def page_info(self: Any) -> PageInfo:
        return paging.page_info(self, _cursor)


async def holdings_of_accounts(
    context: Context,
    accounts: Sequence[domain.accounts.Account],
    *,
    filter: HoldingFilter | None = NOT_GIVEN,
    first: First = 100,
    after: After = NOT_GIVEN,
) -> list[HoldingPage]:
    """What the account holds, by symbol."""
    keys = [a.id for a in accounts]
    limit, begin = paging.limit(first), position(after)
    return await queries.holdings_of_accounts(
        context.reads, keys, chosen(filter), limit=limit, after=begin
    )


@strawberry.type
class HoldingQuery:
    @query(HoldingConnection, "What all accounts hold, by symbol.", permits=Permission.READ_DATA)
    async def holdings(
        self,
        info: Info,
        filter: HoldingFilter | None = NOT_GIVEN,
        first: First = 100,
        after: After = NOT_GIVEN,
    ) -> HoldingPage:
        reads = info.context.reads
        limit, begin = paging.limit(first), position(after)
        return info.context.paid(
            await queries.holdings(reads, chosen(filter), limit=limit, after=begin)
        )
