"""The sandbox's data reconcile, its pending rows settle, and its faults are those of real feeds."""

import time
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.providers.sandbox import Sandbox
from adapters.providers.sandbox.hostile import (
    ODD_BUT_READABLE,
    SENT_TWICE,
    SPOILT_ACCOUNTS,
    SPOILT_BALANCES,
    SPOILT_HOLDINGS,
    SPOILT_TRANSACTIONS,
)
from adapters.providers.sandbox.pull import LISTS_A_PAGE
from adapters.providers.sandbox.world import world
from domain.accounts import AccountGroup, AccountType
from domain.errors import CredentialsRejected, ErrorCode, InvalidInput, ProviderUnavailable
from domain.money import Money, total
from domain.securities import AssetType, is_cusip, is_isin
from domain.sync import (
    Page,
    QuarantinedRow,
    ReceivedAccount,
    ReceivedHolding,
    ReceivedTransaction,
    RunId,
    SyncScope,
    Unreadable,
)
from domain.transactions import TransactionStatus
from tests.builders import stated
from tests.providers.conformance import AT, pulled
from tests.providers.fakes import Clock
from tests.providers.test_sandbox_conformance import a_request

INVESTMENT = AccountGroup.INVESTMENT


def a_sandbox() -> Sandbox:
    return Sandbox(timing=Clock().timing)


def accounts_of(pages: list[Page]) -> dict[str, ReceivedAccount]:
    return {a.key: a for page in pages for a in page.accounts}


def rows_of(pages: list[Page]) -> list[ReceivedTransaction]:
    return [t for page in pages for t in page.transactions]


def holdings_of(pages: list[Page]) -> list[ReceivedHolding]:
    return [h for page in pages for h in page.holdings]


def unreadable_of(pages: list[Page]) -> list[Unreadable]:
    return [u for page in pages for u in page.unreadable]


def assert_reconciles(pages: list[Page], today: date) -> None:
    """Each day's balance is the day before's with what settled; positions and cash are the whole."""
    settled: dict[tuple[str, date], Decimal] = defaultdict(Decimal)
    for row in rows_of(pages):
        if row.status is TransactionStatus.SETTLED:
            settled[row.account_key, row.date] += row.amount.amount
    history: dict[str, dict[date, tuple[Money, Money | None]]] = defaultdict(dict)
    for page in pages:
        for point in page.balances:
            history[point.account_key][point.at.date()] = (point.balance, point.cash_value)
            if point.cash_value is not None and point.holdings_value is not None:
                assert point.cash_value + point.holdings_value == point.balance
    for key, account in accounts_of(pages).items():
        cash = stated(account)
        if account.type.group is INVESTMENT:
            held = (h.market_value for h in holdings_of(pages) if h.account_key == key)
            cash = cash - total(held, account.currency)
        day = today
        while day - timedelta(days=1) in history[key]:
            yesterday, its_cash = history[key][day - timedelta(days=1)]
            before = its_cash if account.type.group is INVESTMENT else yesterday
            assert before is not None
            assert before.amount + settled[key, day] == cash.amount, (key, day)
            day, cash = day - timedelta(days=1), before
        assert day == today - timedelta(days=365)


async def test_the_default_household_has_what_is_promised() -> None:
    pages = await pulled(a_sandbox(), a_request("default"))
    holdings, rows = holdings_of(pages), rows_of(pages)

    assert [a.type for a in accounts_of(pages).values()] == [
        AccountType.BROKERAGE,
        AccountType.IRA,
        AccountType.CHECKING,
        AccountType.SAVINGS,
        AccountType.CREDIT_CARD,
        AccountType.MORTGAGE,
    ]
    assert len(holdings) == 25
    assert [h.security.multiplier for h in holdings if h.security.option] == [100]
    assert [h.security.symbol for h in holdings if h.quantity < 0] == ["TSLA"]
    kinds = Counter(h.security.asset_type for h in holdings)
    assert kinds[AssetType.FIXED_INCOME] == 1
    assert kinds[AssetType.CRYPTOCURRENCY] >= 1
    assert len(rows) >= 400
    assert max(r.date for r in rows) - min(r.date for r in rows) >= timedelta(days=360)
    per_account = Counter(b.account_key for page in pages for b in page.balances)
    assert set(per_account.values()) == {365}
    assert {a.currency for a in accounts_of(pages).values()} == {"USD"}


async def test_the_identifiers_of_its_securities_have_their_check_digits() -> None:
    for held in holdings_of(await pulled(a_sandbox(), a_request("default"))):
        if held.security.asset_type not in (AssetType.CRYPTOCURRENCY, AssetType.OPTION):
            assert is_isin(held.security.isin or "")
            assert is_cusip(held.security.cusip or "")


@pytest.mark.parametrize("scenario", ["default", "flaky"])
async def test_everything_reconciles_to_the_cent(scenario: str) -> None:
    assert_reconciles(await pulled(a_sandbox(), a_request(scenario)), AT.date())


@settings(max_examples=8, deadline=None)
@given(
    seed=st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12),
    day=st.dates(date(2019, 1, 1), date(2031, 12, 31)),
)
async def test_any_seed_reconciles_on_any_day(seed: str, day: date) -> None:
    request = replace(
        a_request("default", seed), at=AT.replace(year=day.year, month=day.month, day=day.day)
    )
    pages = await pulled(a_sandbox(), request)

    assert_reconciles(pages, day)
    assert len(holdings_of(pages)) == 25
    assert len(rows_of(pages)) >= 400
    for account in accounts_of(pages).values():
        is_debt = account.type.group in (AccountGroup.CREDIT, AccountGroup.LOAN)
        assert is_debt == (stated(account).amount < 0)


async def test_equal_seeds_give_equal_data_and_others_give_others() -> None:
    first = await pulled(a_sandbox(), a_request("default", "one"))
    world.cache_clear()

    assert await pulled(a_sandbox(), a_request("default", "one")) == first
    other = await pulled(a_sandbox(), a_request("default", "two"))
    numbers = {a.number for a in accounts_of(first).values()}
    assert numbers.isdisjoint(a.number for a in accounts_of(other).values())
    assert rows_of(other) != rows_of(first)


async def test_later_on_the_same_day_nothing_has_changed() -> None:
    morning = await pulled(a_sandbox(), a_request("default"))
    evening = replace(a_request("default"), at=AT + timedelta(hours=8))

    assert await pulled(a_sandbox(), evening) == morning


async def test_what_is_pending_today_settles_tomorrow_under_a_new_id() -> None:
    today = rows_of(await pulled(a_sandbox(), a_request("default")))
    pages = await pulled(a_sandbox(), replace(a_request("default"), at=AT + timedelta(days=1)))
    tomorrow = rows_of(pages)

    pending = {r.key: r for r in today if r.status is TransactionStatus.PENDING}
    successors = {r.replaces: r for r in tomorrow if r.replaces in pending}
    assert pending
    gone = {key for page in pages for _, key in page.removed}
    assert set(successors) == set(pending) - gone
    for key, row in successors.items():
        assert row.status is TransactionStatus.SETTLED
        assert row.amount == pending[key].amount
        assert row.key != key
    assert not {r.key for r in tomorrow} & set(pending)


async def test_what_is_settled_is_told_the_same_on_the_next_day() -> None:
    today = {r.key: r for r in rows_of(await pulled(a_sandbox(), a_request("default")))}
    following = replace(a_request("default"), at=AT + timedelta(days=1))
    tomorrow = {r.key: r for r in rows_of(await pulled(a_sandbox(), following))}

    both = today.keys() & tomorrow.keys()
    assert len(both) > 900
    assert all(today[key] == tomorrow[key] for key in both)
    first = AT.date() - timedelta(days=363)
    lost = [r for key, r in today.items() if key not in both and r.date >= first]
    assert all(r.status is TransactionStatus.PENDING for r in lost)


async def test_a_hold_that_never_settles_is_said_to_be_gone_the_next_day() -> None:
    day = next(d for n in range(7) if (d := AT + timedelta(days=n)).toordinal() % 7 == 0)
    before = await pulled(a_sandbox(), replace(a_request("default"), at=day))
    since = (day - timedelta(days=14)).date()
    after = await pulled(
        a_sandbox(), replace(a_request("default"), at=day + timedelta(days=1), since=since)
    )

    holds = {r.key for r in rows_of(before) if r.description == "SHELL OIL PUMP AUTHORIZATION"}
    assert len(holds) == 1
    removed = {key for page in after for _, key in page.removed}
    assert holds <= removed
    assert not holds & {key for page in before for _, key in page.removed}
    assert not holds & {r.replaces for r in rows_of(after)}


async def test_transfers_leave_one_account_and_reach_another() -> None:
    rows = rows_of(await pulled(a_sandbox(), a_request("default")))
    moved: dict[date, Decimal] = defaultdict(Decimal)
    for row in rows:
        if row.category == "Transfer":
            moved[row.date] += row.amount.amount

    assert len(moved) > 50
    assert set(moved.values()) == {Decimal("0.00")}


async def test_large_has_ten_thousand_transactions_in_a_hundred_accounts_within_a_second() -> None:
    world.cache_clear()
    began = time.process_time()
    pages = await pulled(a_sandbox(), a_request("large", "speed"))
    seconds = time.process_time() - began

    assert len(accounts_of(pages)) == 100
    assert len(rows_of(pages)) == 10_000
    assert len({a.number for a in accounts_of(pages).values()}) == 100
    assert seconds < 1.5  # 0.6 measured; the rest is for a machine that has more to do


async def test_the_lists_of_several_accounts_make_one_page_and_every_cursor_resumes() -> None:
    request = a_request("large")
    whole = await pulled(a_sandbox(), request)

    assert [len(page.holdings) for page in whole if page.holdings] == [50]
    assert [len(page.transactions) for page in whole if page.transactions] == [500] * 20
    assert whole[-1].progress == 1
    for number in (0, 2, 3, 11, len(whole) - 1):
        later = replace(request, cursor=whole[number].cursor)
        assert await pulled(a_sandbox(), later) == whole[number + 1 :]
    recent = await pulled(a_sandbox(), replace(request, since=AT.date() - timedelta(days=14)))
    assert max(len({t.account_key for t in page.transactions}) for page in recent) == LISTS_A_PAGE


async def test_large_reconciles_from_month_to_month() -> None:
    pages = await pulled(a_sandbox(), a_request("large"))
    rows = rows_of(pages)
    for key in ("checking-000", "savings-004", "credit_card-007"):
        points = [b for page in pages for b in page.balances if b.account_key == key]
        assert len(points) == 12
        own = [r for r in rows if r.account_key == key]
        last = points[-1]
        since = sum((r.amount.amount for r in own if r.date > last.at.date()), Decimal(0))
        assert last.balance.amount + since == stated(accounts_of(pages)[key]).amount
        for earlier, later in pairwise(points):
            between = sum(
                (r.amount.amount for r in own if earlier.at.date() < r.date <= later.at.date()),
                Decimal(0),
            )
            assert earlier.balance.amount + between == later.balance.amount


async def test_flaky_fails_every_fifth_call_and_tells_the_same_as_default() -> None:
    clock = Clock()
    pages = await pulled(Sandbox(timing=clock.timing), a_request("flaky"))

    assert len(clock.slept) >= 2
    assert [r.key for r in rows_of(pages)] == [
        r.key for r in rows_of(await pulled(a_sandbox(), a_request("default")))
    ]


async def test_down_is_unavailable_and_stops_being_asked() -> None:
    clock = Clock()
    sandbox = Sandbox(timing=clock.timing)
    for _ in range(3):
        with pytest.raises(ProviderUnavailable) as caught:
            await pulled(sandbox, a_request("down"))

    assert caught.value.provider == "sandbox"
    assert caught.value.retry_after_s is not None  # the breaker is open and says for how long
    with pytest.raises(ProviderUnavailable):
        await sandbox.connect({"scenario": "down"}, AT)
    assert await pulled(sandbox, a_request("default"))  # another login is not stopped by it


async def test_expired_connects_and_then_needs_a_new_authorization() -> None:
    sandbox = a_sandbox()
    login = await sandbox.connect({"scenario": "expired"}, AT)

    with pytest.raises(CredentialsRejected) as caught:
        await pulled(sandbox, replace(a_request("expired"), credentials=login.credentials))
    assert caught.value.code is ErrorCode.AUTHORIZATION_EXPIRED


async def test_hostile_loses_nothing() -> None:
    pages = await pulled(a_sandbox(), a_request("hostile"))
    sound = await pulled(a_sandbox(), a_request("default"))
    kept = Counter(u.scope for u in unreadable_of(pages))

    assert kept == {
        SyncScope.ACCOUNTS: SPOILT_ACCOUNTS + SPOILT_BALANCES,
        SyncScope.HOLDINGS: SPOILT_HOLDINGS,
        SyncScope.TRANSACTIONS: SPOILT_TRANSACTIONS,
    }
    assert len(rows_of(pages)) == len(rows_of(sound)) + SENT_TWICE + ODD_BUT_READABLE
    twice = [k for k, n in Counter(r.key for r in rows_of(pages)).items() if n == 2]
    assert len(twice) == SENT_TWICE
    assert set(pages[0].failed) == {"miles", "broken", "undated"}
    assert not pages[0].accounts_complete
    assert {u.account_key for u in unreadable_of(pages)[-2:]} == {"checking"}
    assert_reconciles(pages_without_repeats(pages), AT.date())


def pages_without_repeats(pages: list[Page]) -> list[Page]:
    return [
        replace(page, transactions=list({t.key: t for t in page.transactions}.values()))
        for page in pages
    ]


async def test_odd_texts_are_cleaned_and_not_lost() -> None:
    rows = {r.key: r for r in rows_of(await pulled(a_sandbox(), a_request("hostile")))}

    assert rows["odd-1"].description == "LINE ONE LINE TWO [31m"
    assert rows["odd-2"].description == "CAFE \ufffd CENTRAL"
    assert rows["odd-3"].description == "NUL INSIDE"


async def test_a_kept_row_is_read_again_once_it_can_be() -> None:
    unreadable = unreadable_of(await pulled(a_sandbox(), a_request("hostile")))

    def quarantined(row: Unreadable, raw: str) -> QuarantinedRow:
        return QuarantinedRow(
            id=uuid4(),
            run_id=RunId(uuid4()),
            kind=row.scope,
            reason=row.reason,
            raw=raw,
            account_key=row.account_key,
        )

    as_it_came = [quarantined(row, row.raw) for row in unreadable]
    assert a_sandbox().replay(as_it_came) == {}
    mended = [
        quarantined(row, row.raw.replace('"amount": NaN', '"amount": -3.10')) for row in unreadable
    ]
    found = a_sandbox().replay(mended)
    [page] = found.values()
    assert page.step is SyncScope.TRANSACTIONS
    assert page.transactions[0].amount.amount == Decimal("-3.10")
    assert page.transactions[0].account_key == "checking"


async def test_a_login_is_its_scenario_and_seed() -> None:
    sandbox = a_sandbox()
    bare = await sandbox.connect({}, AT)
    chosen = await sandbox.connect({"scenario": "large", "seed": "42"}, AT)

    assert bare.identity == "default:demo"
    assert chosen.identity == "large:42"
    assert chosen.institution == "Sandbox Financial"
    assert chosen.credentials["token"].startswith("large 42 ")


@pytest.mark.parametrize(
    "credentials",
    [{"scenario": "nowhere"}, {"seed": "x" * 65}, {"seed": "a b"}, {"password": "hunter2"}],
)
async def test_what_the_sandbox_does_not_know_is_invalid_input(credentials: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        await a_sandbox().connect(credentials, AT)
    assert caught.value.field == ("input", "using", "credentials")


async def test_latency_is_waited_before_each_answer() -> None:
    clock = Clock()
    pages = await pulled(Sandbox(timing=clock.timing, latency_s=0.25), a_request("empty"))

    assert len(pages) == 1
    assert clock.slept == [0.25]


async def test_a_cursor_that_is_none_of_ours_begins_anew() -> None:
    request = a_request("default")
    whole = await pulled(a_sandbox(), request)

    assert await pulled(a_sandbox(), replace(request, cursor='{"page": 3}')) == whole


async def test_a_pull_that_goes_on_the_next_day_stays_in_the_day_it_began() -> None:
    request = a_request("default")
    whole = await pulled(a_sandbox(), request)
    later = replace(request, cursor=whole[5].cursor, at=AT + timedelta(days=1))

    assert await pulled(a_sandbox(), later) == whole[6:]


async def test_credentials_of_no_login_are_rejected() -> None:
    with pytest.raises(CredentialsRejected):
        await pulled(a_sandbox(), replace(a_request("default"), credentials={"seed": "x"}))
