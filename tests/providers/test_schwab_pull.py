"""Pulls of Schwab: what is asked in which order, in which windows, and what becomes of trouble."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from adapters.providers.schwab.place import Memory
from domain.errors import (
    ProviderUnavailable,
)
from domain.links import LinkId
from domain.merging import Merge, merge_account, merge_holdings, merge_securities
from domain.money import total
from domain.reconciliation import Balances, reconcile
from domain.sync import Page, SyncScope
from domain.transactions import TransactionStatus
from tests.builders import USD, stated
from tests.providers.conformance import AT, pulled
from tests.providers.fakes import Clock
from tests.providers.schwab import (
    a_request,
    a_schwab,
    a_sim,
    failures,
    holdings_of,
    rows_of,
    some_books,
)
from tests.providers.simulators import schwab_rules as rules
from tests.providers.simulators.base import Trouble
from tests.providers.simulators.schwab import SchwabSimulator
from tests.providers.simulators.schwab_books import Books, paid

BASE = "/trader/v1"
HISTORY = f"{BASE}/accounts/*/transactions"
PREFERENCES = f"{BASE}/userPreference"
YEAR = timedelta(days=365)
INCREMENTAL = Memory().position


def busy(count: int, *, first: datetime, every: timedelta, **said: object) -> Books:
    """So many entries of a cent, one after another."""
    books = some_books(**said)
    for n in range(count):
        books.enter("JOURNAL", first + n * every, "0.01", paid("0.01"))
    return books


def spans(sim: SchwabSimulator) -> list[tuple[datetime, datetime]]:
    asked = sim.asked(HISTORY)
    dates = [(a.param("startDate") or "", a.param("endDate") or "") for a in asked]
    return [(rules.instant(begins), rules.instant(ends)) for begins, ends in dates]


async def told(sim: SchwabSimulator, **said: object) -> list[Page]:
    pages = await pulled(a_schwab(sim), a_request(sim, **said))
    assert not sim.complaints
    return pages


# ── what is asked ───────────────────────────────────────────────────────────


async def test_hashes_are_asked_for_first_and_no_number_is_ever_in_a_path() -> None:
    sim = a_sim()
    await told(sim)

    paths = [asked.path for asked in sim.requests]
    assert paths[:3] == [f"{BASE}/accounts/accountNumbers", f"{BASE}/accounts", PREFERENCES]
    assert not any(books.number in path for books in sim.books for path in paths)
    assert all("Bearer " in asked.headers["authorization"] for asked in sim.requests)


async def test_ten_years_are_asked_for_in_years_the_oldest_first_without_a_gap() -> None:
    sim = a_sim(some_books())
    sim.books[0].enter("JOURNAL", AT, "1", paid("1"))
    await told(sim)

    asked = spans(sim)  # the newest before, to see whether several types are answered
    windows = sorted(asked)
    assert asked == [windows[-1], *windows[:-1]]
    assert all(ends - begins < YEAR for begins, ends in windows)
    assert [begins for begins, _ in windows[1:]] == [
        ends + timedelta(milliseconds=1) for _, ends in windows[:-1]
    ]
    assert windows[-1][1] == AT
    assert windows[0][0] <= AT - 10 * YEAR + timedelta(seconds=1)
    for one in sim.asked(HISTORY):
        assert sorted((one.param("types") or "").split(",")) == sorted(rules.TYPES)


async def test_four_hundred_days_are_all_there_in_windows_of_a_year() -> None:
    sim = a_sim(busy(400, first=AT - timedelta(days=400), every=timedelta(days=1)))
    since = AT.date() - timedelta(days=400)
    rows = rows_of(await told(sim, since=since))
    assert len({row.key for row in rows}) == len(rows) == 400
    assert 2 <= len({begins for begins, _ in spans(sim)}) <= 3


async def test_an_incremental_pull_is_one_window_and_takes_what_was_entered_late() -> None:
    sim = a_sim(some_books())
    late = sim.books[0].enter("JOURNAL", AT - timedelta(days=1), "1", paid("1"))
    late["tradeDate"] = "2025-11-03T00:00:00+0000"
    since = AT.date() - timedelta(days=14)

    [row] = rows_of(await told(sim, since=since, position=INCREMENTAL))
    assert row.date < since
    [(begins, ends)] = spans(sim)
    assert (begins.date(), ends) == (since, AT)
    assert rows_of(await told(sim, since=since)) == []  # an owner who asks for days gets those


async def test_where_schwab_remembers_less_the_years_before_are_left_out() -> None:
    sim = a_sim(busy(30, first=AT - timedelta(days=300), every=timedelta(days=10)))
    sim.remembers_since = AT - timedelta(days=3 * 365 + 1)
    assert len(rows_of(await told(sim))) == 30
    sim.remembers_since = AT
    with pytest.raises(ProviderUnavailable, match="HTTP 400"):
        await pulled(a_schwab(sim), a_request(sim))


# ── full answers, and empty ones ────────────────────────────────────────────


async def test_a_full_answer_is_asked_for_in_halves() -> None:
    books = busy(900, first=AT - timedelta(days=350), every=timedelta(hours=9))
    sim = a_sim(books, rows_max=200)
    pages = await told(sim, since=(AT - timedelta(days=360)).date())
    rows = rows_of(pages)

    assert len(rows) == len({row.key for row in rows}) == 900
    assert [row.date for row in rows] == sorted(row.date for row in rows)
    assert sum(len(page.transactions) for page in pages) == 900
    assert max(len(page.transactions) for page in pages) <= 1_000
    for number in range(len(pages)):
        later = a_request(sim, since=(AT - timedelta(days=360)).date(), cursor=pages[number].cursor)
        assert await pulled(a_schwab(sim), later) == pages[number + 1 :]


async def test_more_than_that_on_one_day_is_had_type_by_type_or_told_to_be_missing() -> None:
    day = AT.replace(hour=0, minute=0) - timedelta(days=2)
    books = busy(25, first=day, every=timedelta(minutes=20))
    for n in range(25):
        books.enter("MEMORANDUM", day + n * timedelta(minutes=20), "0", paid("0"))
    sim = a_sim(books, rows_max=30)
    request = {"since": day.date() - timedelta(days=3), "position": INCREMENTAL}
    pages = await told(sim, **request)
    assert len(rows_of(pages)) == 50
    assert failures(pages) == {}

    for n in range(9):
        books.enter("JOURNAL", day + n * timedelta(minutes=20), "0.01", paid("0.01"))
    pages = await told(sim, **request)
    assert len(rows_of(pages)) == 25 + 30
    assert "30" in failures(pages)[books.hash]
    assert str(day.date()) in failures(pages)[books.hash]
    assert not any(page.pending for page in pages)


async def test_where_several_types_bring_nothing_each_is_asked_for_by_itself() -> None:
    sim = a_sim(each_type=True)
    since = AT.date() - timedelta(days=200)
    each = await told(sim, since=since)
    assert {"," in (asked.param("types") or "") for asked in sim.asked(HISTORY)} == {True, False}
    sim.each_type = False
    assert rows_of(each)
    assert rows_of(await told(sim, since=since)) == rows_of(each)

    cursor = next(page.cursor for page in each if page.step is SyncScope.HOLDINGS)
    sim.each_type = True
    assert await told(sim, since=since, cursor=cursor) == each[2:]


async def test_our_own_allowance_is_waited_for_and_not_exceeded() -> None:
    sim, clock = a_sim(each_type=True), Clock()
    began = clock.seconds
    schwab = a_schwab(sim, sim.inside(clock))
    await pulled(schwab, a_request(sim, link="l1"))

    assert len(sim.requests) > 240
    assert len(sim.requests) <= 120 * ((clock.seconds - began) // 60 + 1)
    assert clock.slept


# ── nicknames, pending, days ────────────────────────────────────────────────


async def test_nicknames_are_done_without_where_they_cannot_be_had() -> None:
    sim, since = a_sim(), AT.date() - timedelta(days=30)
    pages = await told(sim, since=since)
    names = {a.name for page in pages for a in page.accounts}
    assert names == {"Trading", "Contributory"}

    for trouble in (Trouble.BROKEN, Trouble.FORBIDDEN_PAGE, Trouble.UNAUTHORIZED, Trouble.NOT_JSON):
        sim.fault(trouble, path=PREFERENCES, times=9)
        known = await told(sim, since=since, position=pages[-1].position)
        assert {a.name for page in known for a in page.accounts} == names
        unknown = await told(sim, since=since)
        assert {a.name[-4:] for page in unknown for a in page.accounts} == {"4567", "4321"}
        assert not failures(known)
        sim.mend()


async def test_what_is_pending_is_told_for_as_long_as_it_may_be() -> None:
    sim = a_sim(some_books())
    [books] = sim.books
    old = books.enter("JOURNAL", AT - timedelta(days=60), "1", paid("1"), status="PENDING")
    new = books.enter("JOURNAL", AT - timedelta(days=2), "2", paid("2"), status="PENDING")
    first = (await told(sim))[-1]
    keys = [str(old["activityId"]), str(new["activityId"])]
    assert {k: list(v) for k, v in first.pending.items()} == {books.hash: keys}

    books.settle(new)
    since = AT.date() - timedelta(days=14)
    second = (await told(sim, since=since, position=first.position))[-1]
    assert {k: list(v) for k, v in second.pending.items()} == {books.hash: keys[:1]}
    assert [t.status for t in second.transactions] == [TransactionStatus.SETTLED]
    assert [t.key for t in second.transactions] == keys[1:]
    for some in ({"since": since}, {"until": AT.date()}):
        assert not any(page.pending for page in await told(sim, **some))


async def test_accounts_come_to_the_totals_that_schwab_reports_to_the_cent() -> None:
    pages = await told(a_sim())
    accounts = [a for page in pages for a in page.accounts]
    assert len(accounts) == 2
    for received in accounts:
        account = merge_account(
            Merge(), None, received, link_id=LinkId(uuid4()), provider_slug="schwab",
            may_set_balance=True,
        )  # fmt: skip
        held = [h for h in holdings_of(pages) if h.account_key == received.key]
        _, securities = merge_securities([], [h.security for h in held])
        merged = merge_holdings(
            [], held, account_id=account.id, securities=securities, complete=True
        )
        verdict = reconcile(account, merged.created, Balances())
        assert verdict.balanced, verdict.findings
        assert verdict.checked_at == AT
        worth = total((h.market_value for h in held), USD)
        assert received.cash is not None
        assert stated(received) == received.cash + worth


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati", "UTC"])
async def test_days_are_the_same_wherever_the_server_stands(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        sim = a_sim(some_books())
        sim.books[0].enter("JOURNAL", datetime(2026, 3, 2, 0, 1, tzinfo=UTC), "1", paid("1"))
        sim.books[0].enter("JOURNAL", datetime(2026, 3, 2, 23, 59, tzinfo=UTC), "1", paid("1"))
        rows = rows_of(await told(sim))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert {row.date.isoformat() for row in rows} == {"2026-03-01", "2026-03-02"}
    assert {row.amount.amount for row in rows} == {Decimal(1)}
