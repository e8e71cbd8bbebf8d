"""Queries are batch functions: keys in, aligned results out, a missing key is a value."""

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from domain.accounts import AccountId
from domain.errors import TooMuch
from domain.history import BalanceSnapshot, Interval, Span
from domain.holdings import HoldingFilter
from domain.identity import new_id
from domain.links import LinkId
from domain.money import Currency
from domain.queries.accounts import accounts_by_id, accounts_of_links
from domain.queries.budget import Budget
from domain.queries.history import balance_history, latest_balances, snapshots_in, span
from domain.queries.holdings import holdings_of_accounts
from domain.queries.holdings import totals as holding_totals
from domain.queries.links import links_by_id
from domain.queries.pages import within
from domain.queries.portfolio import net_worth, net_worth_history
from domain.queries.sync import last_runs, quarantine, runs_by_id
from domain.queries.transactions import totals, transactions, transactions_of_accounts
from domain.rates import Publication
from domain.sync import RunId
from domain.transactions import TransactionFilter, TransactionOrder
from tests.schema.builders import (
    NOW,
    TODAY,
    a_holding,
    a_link,
    a_run,
    a_security,
    a_snapshot,
    a_transaction,
    a_user,
    an_account,
    money,
)
from tests.schema.ledger import Ledger, LedgerReads

YEAR = Span(since=TODAY - timedelta(days=365), until=TODAY, zone=ZoneInfo("UTC"))
NOBODYS = AccountId(new_id())


@pytest.fixture
def ledger() -> Ledger:
    user = a_user()
    link = a_link(user)
    one, two = an_account(link, name="one"), an_account(name="two")
    return Ledger(
        user=user,
        links=[link],
        accounts=[one, two],
        holdings=[a_holding(one, security=a_security(symbol=s)) for s in "ABC"],
        transactions=[a_transaction(one), a_transaction(two), a_transaction(two)],
        snapshots=[a_snapshot(one, NOW - timedelta(days=2), "5.00")],
        runs=[a_run(link)],
    )


@pytest.fixture
def reads(ledger: Ledger) -> LedgerReads:
    return LedgerReads(ledger)


async def test_a_key_that_is_not_there_is_none_in_its_place(
    ledger: Ledger, reads: LedgerReads
) -> None:
    one, two = ledger.accounts
    [link], [run] = ledger.links, ledger.runs

    assert await accounts_by_id(reads, [two.id, NOBODYS, one.id, two.id]) == [two, None, one, two]
    assert await links_by_id(reads, [None, LinkId(new_id()), link.id]) == [None, None, link]
    assert await runs_by_id(reads, [RunId(new_id()), run.id]) == [None, run]
    assert await last_runs(reads, [link.id, LinkId(new_id())]) == [run, None]
    assert await accounts_of_links(reads, [LinkId(new_id()), link.id]) == [[], [one]]
    assert await quarantine(reads, [run.id], limit=1) == [[]]
    latest = await latest_balances(reads, [two.id, one.id])
    assert [point and point.balance for point in latest] == [None, money("5.00")]


async def test_nothing_asked_is_no_statement(reads: LedgerReads) -> None:
    assert await links_by_id(reads, [None, None]) == [None, None]
    assert await runs_by_id(reads, []) == []
    assert await latest_balances(reads, []) == []
    assert await snapshots_in(reads, [], YEAR, Budget()) == {}
    nothing = HoldingFilter(account_ids=())
    [page] = await holdings_of_accounts(reads, [NOBODYS], nothing, limit=5, after=None)
    assert (page.nodes, page.has_next) == ([], False)
    assert await holding_totals(reads, [page]) == [0]
    assert reads.statements == 0


async def test_a_page_of_each_account_is_one_statement(ledger: Ledger, reads: LedgerReads) -> None:
    one, two = ledger.accounts
    filter = TransactionFilter()
    pages = await transactions_of_accounts(
        reads, [two.id, one.id, two.id], filter, TransactionOrder.DATE_DESC, limit=1, after=None
    )

    assert reads.sent == ["transactions_of"]
    assert [(len(p.nodes), p.has_next) for p in pages] == [(1, True), (1, False), (1, True)]
    assert await totals(reads, pages) == [2, 1, 2]
    assert reads.sent == ["transactions_of", "count_transactions_of"]


async def test_the_totals_of_one_filter_are_counted_together(
    ledger: Ledger, reads: LedgerReads
) -> None:
    keys = [a.id for a in ledger.accounts]
    wide, narrow = HoldingFilter(), HoldingFilter(symbol="B")
    pages = [
        *await holdings_of_accounts(reads, keys, wide, limit=1, after=None),
        *await holdings_of_accounts(reads, keys, narrow, limit=1, after=None),
    ]
    reads.sent.clear()

    assert await holding_totals(reads, pages) == [3, 0, 1, 0]
    assert reads.sent == ["count_holdings_of"] * 2


async def test_a_root_page_is_counted_over_all_accounts(reads: LedgerReads) -> None:
    page = await transactions(
        reads, TransactionFilter(), TransactionOrder.DATE_ASC, limit=1, after=None
    )

    assert await totals(reads, [page, page]) == [3, 3]
    assert reads.sent == ["transactions", "count_transactions"]


def test_keys_within_an_allowed_set_keep_their_order() -> None:
    assert within([3, 1, 3, 2], None) == [3, 1, 2]
    assert within([3, 1, 3, 2], {2, 3}) == [3, 2]
    assert within([1], ()) == []


async def test_points_over_the_budget_are_refused(ledger: Ledger, reads: LedgerReads) -> None:
    keys = [a.id for a in ledger.accounts]
    enough, not_enough = Budget(points=3), Budget(points=2)

    with pytest.raises(TooMuch, match="points"):
        await balance_history(
            reads, keys, within=YEAR, interval=Interval.DAY, at=NOW, budget=not_enough
        )
    [points, none] = await balance_history(
        reads, keys, within=YEAR, interval=Interval.DAY, at=NOW, budget=enough
    )
    assert (len(points), none) == (3, [])
    assert (enough.points, enough.snapshots) == (0, 199_999)


async def test_a_net_worth_history_is_paid_for_too(ledger: Ledger, reads: LedgerReads) -> None:
    budget = Budget(points=366 + 365)

    for _ in range(2):
        with pytest.raises(TooMuch) if budget.points < 366 else nullcontext():
            await net_worth_history(
                reads, within=YEAR, interval=Interval.DAY, into=None, at=NOW, budget=budget
            )
    assert budget.points == 365


async def test_histories_are_made_one_after_the_other_so_that_a_budget_is_not_overspent(
    ledger: Ledger, reads: LedgerReads
) -> None:
    keys = [a.id for a in ledger.accounts]
    budget = Budget(points=7)

    outcomes = await asyncio.gather(
        *(
            balance_history(reads, keys, within=YEAR, interval=Interval.DAY, at=NOW, budget=budget)
            for _ in range(5)
        ),
        return_exceptions=True,
    )

    assert [isinstance(o, TooMuch) for o in outcomes] == [False, False, True, True, True]
    assert budget.points == 1


def test_what_is_held_back_is_nobody_elses_until_it_is_given_back() -> None:
    budget = Budget(objects=10)

    with budget.reserved(8), pytest.raises(TooMuch, match="objects"), budget.reserved(3):
        pass

    assert budget.objects == 10


class Plenty(LedgerReads):
    """As many snapshots as anyone asks for."""

    async def snapshots(
        self, accounts: Sequence[AccountId], *, since: datetime, before: datetime, limit: int
    ) -> Sequence[BalanceSnapshot]:
        return [self._live.snapshots[0]] * limit


async def test_more_snapshots_than_can_be_read_are_refused_not_cut_off(ledger: Ledger) -> None:
    with pytest.raises(TooMuch, match="stored balances"):
        await snapshots_in(Plenty(ledger), [NOBODYS], YEAR, Budget())


@pytest.mark.parametrize("cents", ["0.005", "0.015", "0.333", "-0.005"])
async def test_today_agrees_with_net_worth_whatever_the_fractions(
    ledger: Ledger, cents: str
) -> None:
    fractions = money(cents)
    ledger.accounts += [an_account(name=f"a{n}", balance=fractions) for n in range(7)]
    reads = LedgerReads(ledger)

    now = await net_worth(reads, None, NOW)
    points = await net_worth_history(
        reads, within=YEAR, interval=Interval.DAY, into=None, at=NOW, budget=Budget()
    )

    last = points[-1]
    assert (last.at, last.total, last.assets) == (TODAY, now.total, now.assets)
    assert (last.liabilities, last.by_group) == (now.liabilities, now.by_group)
    assert now.total.amount == now.assets.amount + now.liabilities.amount
    assert now.total.amount == now.total.amount.quantize(Decimal("0.01"))


@pytest.mark.parametrize("zone", ["Pacific/Honolulu", "UTC", "Pacific/Kiritimati"])
@pytest.mark.parametrize("hour", [1, 23])
async def test_today_has_the_rates_of_net_worth_wherever_the_viewer_lives(
    ledger: Ledger, zone: str, hour: int
) -> None:
    at = NOW.replace(hour=hour)
    ledger.user = replace(ledger.user, time_zone=zone)
    ledger.accounts.append(an_account(name="euros", balance=money("100", "EUR")))
    ledger.published += [
        Publication(TODAY + timedelta(days=n), {Currency("USD"): Decimal("1.2") + n})
        for n in (-1, 0, 1)
    ]
    reads = LedgerReads(ledger)

    now = await net_worth(reads, None, at)
    within = await span(reads, None, None, at)
    points = await net_worth_history(
        reads, within=within, interval=Interval.DAY, into=None, at=at, budget=Budget()
    )

    assert points[-1].total == now.total


async def test_an_account_without_a_past_has_no_value_before_today(ledger: Ledger) -> None:
    points = await net_worth_history(
        LedgerReads(ledger), within=YEAR, interval=Interval.DAY, into=None, at=NOW, budget=Budget()
    )

    assert [(p.at.day, p.total.amount) for p in points] == [
        (19, Decimal("5.00")),
        (20, Decimal("5.00")),
        (21, Decimal("200.00")),
    ]


async def test_a_span_that_ended_before_today_ends_with_what_was_stored(ledger: Ledger) -> None:
    until = Span(since=date(2026, 11, 16), until=TODAY - timedelta(days=1), zone=ZoneInfo("UTC"))
    points = await net_worth_history(
        LedgerReads(ledger),
        within=until,
        interval=Interval.WEEK,
        into=None,
        at=NOW,
        budget=Budget(),
    )

    assert [(p.at, p.total.amount) for p in points] == [(date(2026, 11, 22), Decimal("5.00"))]
