"""Net worth."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import strawberry

import domain.links
import domain.portfolio
from domain.history import Interval
from domain.identity import Permission
from domain.money import Currency
from domain.queries import history as history_queries
from domain.queries import portfolio as queries
from schema.accounts import GroupTotal
from schema.context import Info
from schema.fields import NOT_GIVEN, Since, Until, described, field, given, query
from schema.money import Money
from schema.providers import Provider

Day: TypeAlias = date  # in a class whose own field is called date


@strawberry.type(description="What the accounts of one provider are worth together.")
class ProviderTotal:
    total: Money
    account_count: int

    @field(Provider)
    def provider(self: Any, info: Info) -> domain.links.ProviderInfo:
        return info.context.provider(self.provider_slug)


@strawberry.type(description="A rate by which balances were converted.")
class ExchangeRate:
    source_currency: Currency = described("What was converted.", name="from")
    to: Currency
    rate: Decimal = described(
        "Units of `to` for one unit of `from`; through the euro, rounded once, half to even, to 20 "
        "digits."
    )
    date: Day = described(
        "The day that the rate is of: the last one of at most seven days on which it was "
        "published, or where no newer rates are loaded, the last of all."
    )
    source: str = described("Who published it: ECB is the European Central Bank.")


@strawberry.type(
    description="What everything is worth: total = assets + liabilities. Inactive accounts, "
    "accounts excluded by their owner and what cannot be converted are left out. Other currencies "
    "are converted at the latest rate. Rounded once, half to even, to minor units."
)
class NetWorth:
    total: Money
    assets: Money = described("The sum of all positive balances.")
    liabilities: Money = described("The sum of all negative balances: negative or zero.")
    as_of: datetime
    by_group: list[GroupTotal]
    by_provider: list[ProviderTotal]
    by_currency: list[Money] = described("Each currency's own sum, unconverted.")
    unconverted: list[Money] = described(
        "Balances, by currency, for which no exchange rate is known; in no other figure but "
        "`byCurrency`."
    )
    rates: list[ExchangeRate] = described("The rates that were used.")


@strawberry.type(
    description="What everything was worth at the end of an interval, at the rates of that day."
)
class NetWorthPoint:
    at: date = described("The interval's last day, in your time zone.")
    total: Money
    assets: Money
    liabilities: Money = described("Negative or zero.")
    by_group: list[GroupTotal]
    unconverted: list[Money] = described(
        "Balances of that day, by currency, for which it has no exchange rate; in no other figure."
    )


@strawberry.type
class PortfolioQuery:
    @query(
        NetWorth,
        "What everything is worth now, in your base currency by default.",
        permits=Permission.READ_DATA,
    )
    async def net_worth(
        self, info: Info, currency: Currency | None = NOT_GIVEN
    ) -> domain.portfolio.NetWorth:
        context = info.context
        return await queries.net_worth(context.reads, given(currency), context.now)

    @query(
        list[NetWorthPoint],
        "What everything was worth, oldest first: one year by default, ten at most. The last "
        "point is the net worth of now where the span ends today. RAW is refused.",
        permits=Permission.READ_DATA,
    )
    async def net_worth_history(
        self,
        info: Info,
        since: Since = NOT_GIVEN,
        until: Until = NOT_GIVEN,
        interval: Interval = Interval.DAY,
        currency: Currency | None = NOT_GIVEN,
    ) -> list[domain.portfolio.NetWorthPoint]:
        context = info.context
        reads, now = context.reads, context.now
        within = await history_queries.span(reads, given(since), given(until), now)
        return await queries.net_worth_history(
            reads,
            within=within,
            interval=interval,
            into=given(currency),
            at=now,
            budget=context.budget,
        )
