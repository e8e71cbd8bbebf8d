"""Balance history."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import strawberry

import domain.accounts
import domain.history
from domain.accounts import AccountFilter, AccountId
from domain.history import Interval, SnapshotSource
from domain.identity import Permission
from domain.queries import accounts as account_queries
from domain.queries import history as queries
from schema import ids
from schema.context import Context, Info
from schema.edges import edge
from schema.fields import NOT_GIVEN, Since, Until, described, field, given, query
from schema.money import Money

strawberry.enum(
    Interval,
    description="How far the points of a history lie apart. WEEK is the ISO week, labelled by "
    "its last day, MONTH likewise; RAW are the balances as they were stored.",
)
strawberry.enum(SnapshotSource, description="How a balance came to be known.")


@strawberry.type(
    description="What an account was worth at the end of an interval: the last value known "
    "then. `at` is the beginning of the interval's last day in your time zone; RAW points have "
    "their own instant."
)
class BalancePoint:
    at: datetime
    balance: Money = described("What it was worth to you: a debt is negative.")
    available_balance: Money | None
    holdings_value: Money | None = described("The part of it that is invested.")
    cash_value: Money | None = described("The part of it that is cash.")
    change: Money | None = described(
        "To the point before, or the last balance before the span; null where nothing was known."
    )
    change_percent: Decimal | None = described(
        "The change, per cent of what it is to, with two places; null where that was zero."
    )
    source: SnapshotSource

    @field(strawberry.ID)
    def account_id(self: Any) -> strawberry.ID:
        return ids.global_id("Account", self.account_id)


async def balance_history_of_accounts(
    context: Context,
    accounts: Sequence[domain.accounts.Account],
    *,
    since: Since = NOT_GIVEN,
    until: Until = NOT_GIVEN,
    interval: Interval = Interval.DAY,
) -> list[list[domain.history.BalancePoint]]:
    """What the account was worth, oldest first: one year by default, ten at most; 10,000
    points a list, and 100,000 an operation.
    """
    reads = context.reads
    within = await queries.span(reads, given(since), given(until), context.now)
    keys = [a.id for a in accounts]
    return await queries.balance_history(
        reads, keys, within=within, interval=interval, at=context.now, budget=context.budget
    )


async def latest_balances_of_accounts(
    context: Context, accounts: Sequence[domain.accounts.Account]
) -> list[domain.history.BalancePoint | None]:
    """The newest balance that was stored, with its change to the one before."""
    return await queries.latest_balances(context.reads, [a.id for a in accounts])


history_edge = edge(balance_history_of_accounts, of=list[BalancePoint], long=True)
latest_edge = edge(latest_balances_of_accounts, of=BalancePoint | None)


@strawberry.type
class HistoryQuery:
    @query(
        list[BalancePoint],
        "What accounts were worth, account by account in the order of `accounts`, each oldest "
        "first: one year by default, ten years and 10,000 points at most, and 100,000 points an "
        "operation. Without ids, of all active accounts.",
        permits=Permission.READ_DATA,
    )
    async def balance_history(
        self,
        info: Info,
        account_ids: list[strawberry.ID] | None = NOT_GIVEN,
        since: Since = NOT_GIVEN,
        until: Until = NOT_GIVEN,
        interval: Interval = Interval.DAY,
    ) -> list[domain.history.BalancePoint]:
        reads, now = info.context.reads, info.context.now
        asked = ids.keys("Account", given(account_ids))
        within = await queries.span(reads, given(since), given(until), now)
        filter = AccountFilter()
        if asked is not None:
            chosen = tuple(AccountId(id) for id in asked)
            filter = AccountFilter(ids=chosen, include_inactive=True)
        keys = [a.id for a in await account_queries.accounts(reads, filter)]
        series = await queries.balance_history(
            reads, keys, within=within, interval=interval, at=now, budget=info.context.budget
        )
        queries.check_points(sum(map(len, series)))
        return [point for points in series for point in points]
