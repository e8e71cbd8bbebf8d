"""What a SimpleFIN server tells, in our terms, and how often it is asked for that."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from domain.accounts import AccountType as A
from domain.errors import (
    ProviderUnavailable,
)
from domain.sync import SyncScope
from domain.transactions import TransactionStatus
from domain.transactions import TransactionSubtype as S
from tests.providers.conformance import AT, pulled
from tests.providers.fakes import Clock
from tests.providers.simplefin import a_provider, a_request, a_server, failures, rows
from tests.providers.simulators.simplefin import Entry, SimpleFinServer, household

TODAY = AT.date()


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def sim(request: pytest.FixtureRequest) -> SimpleFinServer:
    return a_server(versions=frozenset({1, request.param}))


# ── what is told ────────────────────────────────────────────────────────────


async def test_the_accounts_of_many_institutions_are_read_alike_in_both_versions(
    sim: SimpleFinServer,
) -> None:
    pages = await pulled(a_provider(sim), a_request(sim))

    accounts = {a.key: a for page in pages for a in page.accounts}
    assert {k: (a.institution, a.type, str(a.balance and a.balance.amount), a.currency, a.mask)
            for k, a in accounts.items()} == {
        "ACT-checking": ("Mill Bank", A.CHECKING, "812.50", "USD", "4321"),
        "ACT-card": ("Mill Bank", A.CREDIT_CARD, "-532.69", "USD", None),
        "ACT-broker": ("Hill Securities", A.BROKERAGE, "16500.00", "USD", None),
        "ACT-loan": ("Castle Lending", A.MORTGAGE, "-240000.00", "USD", None),
        "ACT-euros": ("Castle Lending", A.OTHER, "99.99", "EUR", None),
    }  # fmt: skip
    assert accounts["ACT-checking"].available_balance is not None
    assert pages[0].accounts_complete
    assert pages[1].holdings_complete == list(accounts)
    assert not failures(pages)
    assert not sim.complaints


async def test_transactions_keep_their_banks_day_and_sign_and_pending_ones_come_first(
    sim: SimpleFinServer,
) -> None:
    pages = await pulled(a_provider(sim), a_request(sim))

    def ago(days: int) -> date:
        return TODAY - timedelta(days=days)

    told = rows(pages)
    assert told["T-shop"] == (ago(9), Decimal("-25.40"), S.WITHDRAWAL, TransactionStatus.SETTLED)
    assert told["T-hold"] == (ago(1), Decimal("-4.50"), S.WITHDRAWAL, TransactionStatus.PENDING)
    assert told["T-wage"][2] is S.DEPOSIT
    assert told["T-fuel"][2] is S.PURCHASE
    assert told["T-paid"][2] is S.BILL_PAYMENT
    assert told["T-zins"][2] is S.INTEREST
    assert told["T-div"][2] is S.DIVIDEND
    assert told["T-older"][0] == ago(100)
    assert next(iter(told)) == "T-hold"
    recent = next(page for page in pages if page.step is SyncScope.TRANSACTIONS)
    assert recent.pending["ACT-checking"] == ["T-hold"]
    assert recent.pending["ACT-card"] == []
    categories = {t.category for page in pages for t in page.transactions}
    assert categories == {None, "health"}


async def test_holdings_are_in_the_accounts_currency_where_they_name_none() -> None:
    sim = a_server()
    pages = await pulled(a_provider(sim), a_request(sim))

    fund, short = [h for page in pages for h in page.holdings]
    assert (fund.security.symbol, fund.security.currency) == ("GRW", "USD")
    assert (fund.quantity, fund.market_value.amount) == (Decimal("200.00"), Decimal("15000.00"))
    assert fund.cost_basis is not None
    assert fund.market_price is None  # which nobody told
    assert (short.quantity, short.market_value.amount) == (Decimal(-10), Decimal("-500.00"))
    assert short.cost_basis is None  # 0 stands for: not known


@pytest.mark.parametrize(
    ("name", "balance", "holds", "kind"),
    [
        ("Savings", "5", False, A.SAVINGS),
        ("PRIME SAVINGS", "-5", False, A.SAVINGS),
        ("Platinum Visa ...1234", "5", False, A.CREDIT_CARD),
        ("Visa Checking", "5", False, A.OTHER),
        ("Castle Mortgage", "7500.00", False, A.OTHER),
        ("Castle Mortgage", "-7500.00", False, A.MORTGAGE),
        ("Student Loan 2", "-1", False, A.LOAN),
        ("Roth IRA", "5", False, A.ROTH_IRA),
        ("Rollover IRA CD", "5", False, A.IRA),
        ("401(k) Plan", "5", True, A.TRADITIONAL_401K),
        ("Dr Evil", "5", True, A.BROKERAGE),
        ("Dr Evil", "5", False, A.OTHER),
        ("Piratebooty", "5", False, A.OTHER),
        ("Savings", "5", True, A.BROKERAGE),
    ],
)
async def test_a_kind_is_told_only_where_it_is_sure(
    name: str, balance: str, holds: bool, kind: A
) -> None:
    broker = household(AT)[2]
    held = [replace(broker, name=name, balance=balance, holdings=broker.holdings if holds else [])]
    [account] = (await pulled(a_provider(sim := a_server(held=held)), a_request(sim)))[0].accounts
    assert account.type is kind
    assert account.balance is not None
    assert account.balance.amount == Decimal(balance)


async def test_points_are_quarantined_and_their_url_is_never_asked() -> None:
    miles = replace(household(AT)[0], id="ACT-miles", currency="http://169.254.169.254/miles")
    sim = a_server(held=[*household(AT), miles])
    pages = await pulled(a_provider(sim), a_request(sim))

    [lost] = [row for page in pages for row in page.unreadable]
    assert lost.account_key == "ACT-miles"
    assert "no money" in lost.reason
    assert not failures(pages)  # so that it is no reason to read everything again each time
    assert {r.path for r in sim.requests} == {"/simplefin/accounts"}


async def test_two_institutions_may_use_one_id() -> None:
    checking, _, _, loan, _ = household(AT)
    sim = a_server(held=[checking, replace(loan, id=checking.id)])
    pages = await pulled(a_provider(sim), a_request(sim))

    keys = [a.key for page in pages for a in page.accounts]
    assert len({*keys}) == 2
    assert all(key.startswith("ACT-checking of CON-") for key in keys)


async def test_an_id_that_is_used_twice_in_an_account_loses_no_row_without_a_word() -> None:
    checking = household(AT)[0]
    checking.entries = [
        Entry(id="T1", amount="-5.00", description="A", posted=TODAY),
        Entry(id="T1", amount="-5.00", description="A", posted=TODAY),
        Entry(id="T1", amount="-7.00", description="B", posted=TODAY),
        Entry(id="T2", amount="-3.00", description="C", posted=None),
        Entry(id="T2", amount="-3.00", description="C", posted=TODAY),
    ]
    pages = await pulled(a_provider(sim := a_server(held=[checking])), a_request(sim))

    told = rows(pages)
    assert told["T1"][1] == Decimal("-5.00")
    assert told["T2"][3] is TransactionStatus.SETTLED
    [lost] = [row for page in pages for row in page.unreadable]
    assert "another transaction" in lost.reason
    assert "-7.00" in lost.raw


async def test_what_goes_while_a_pull_is_stopped_hides_nothing_that_is_still_to_come() -> None:
    checking = household(AT)[0]
    checking.entries = [
        Entry(id="hold", amount="-4.50", description="CAFE", posted=None, transacted=TODAY),
        *(Entry(id=f"T{n}", amount="-1.00", description="A", posted=TODAY) for n in range(700)),
    ]
    provider = a_provider(sim := a_server(held=[checking]))
    first = [page for page in await pulled(provider, a_request(sim)) if "hold" in rows([page])]
    del checking.entries[0]
    rest = await pulled(provider, a_request(sim, cursor=first[0].cursor))
    assert rows([*first, *rest]).keys() == {"hold", *(f"T{n}" for n in range(700))}
    assert not rows(first).keys() & rows(rest).keys()


async def test_only_who_tells_all_that_is_pending_says_what_is_not() -> None:
    sim = a_server()

    async def pending(**said: object) -> list[str]:
        pages = await pulled(a_provider(sim), a_request(sim, **said))
        return [key for page in pages for key in page.pending]

    assert "ACT-card" in await pending(since=TODAY - timedelta(days=14))
    # A server may leave out what has been pending since before the days that it is asked for.
    assert await pending(since=TODAY - timedelta(days=2)) == []
    sim.mutate(lambda body: body.replace(b'"transactions"', b'"not-told"'), times=9)
    assert await pending() == []


# ── windows and budgets ─────────────────────────────────────────────────────


async def test_windows_go_back_until_two_in_a_row_are_empty() -> None:
    sim = a_server()
    await pulled(a_provider(sim, days=30), a_request(sim))

    # Something is 2 to 15, 70 and 100 days old: after the fourth window two are empty.
    assert len(sim.requests) == 6
    edges = [(r.param("start-date"), r.param("end-date")) for r in sim.requests]
    assert edges[0][1] is None
    assert [e for _, e in edges[1:]] == [s for s, _ in edges[:-1]]
    assert [r.param("pending") for r in sim.requests] == ["1", None, None, None, None, None]
    assert {r.param("version") for r in sim.requests} == {"2"}

    quiet = a_server(held=household(AT)[3:4])
    await pulled(a_provider(quiet), a_request(quiet))
    assert len(quiet.requests) == 2


async def test_an_incremental_pull_is_one_request_for_everything() -> None:
    sim = a_server()
    since = TODAY - timedelta(days=14)
    pages = await pulled(a_provider(sim), a_request(sim, since=since))

    assert len(sim.requests) == 1
    assert {"T-hold", "T-div", "T-wage"} <= rows(pages).keys()
    assert "T-old" not in rows(pages)
    assert pages[-1].progress == 1


async def test_days_that_are_asked_for_are_read_though_windows_between_are_empty() -> None:
    checking = household(AT)[0]
    checking.entries = [
        Entry(id="T1", amount="-5.00", description="A", posted=TODAY - timedelta(days=355))
    ]
    sim = a_server(held=[checking])
    since = TODAY - timedelta(days=360)
    assert rows(await pulled(a_provider(sim, days=45), a_request(sim, since=since))).keys() == {
        "T1"
    }
    assert not sim.complaints


async def test_the_twenty_fifth_request_of_a_day_is_not_made_and_the_day_after_it_is() -> None:
    sim, clock = a_server(), Clock()
    provider, request = a_provider(sim, clock=clock), a_request(sim, since=TODAY)
    for _ in range(24):
        await pulled(provider, request)

    with pytest.raises(ProviderUnavailable) as refused:
        await pulled(provider, request)
    assert not refused.value.asked
    assert refused.value.retry_after_s == 86_400
    assert len(sim.requests) == 24

    other = replace(request, credentials=sim.credentials("other"))
    await pulled(provider, other)  # each connection has its own
    clock.seconds += 86_400
    await pulled(provider, request)


async def test_a_bank_that_stays_broken_does_not_take_what_the_next_pulls_need() -> None:
    sim = a_server(
        errlist=[{"code": "con.", "msg": "Down", "conn_id": "CON-hillsecurities.example"}]
    )
    provider, request = a_provider(sim), a_request(sim)
    for _ in range(4):  # the syncs of a day, each of everything since one bank was not read
        pages = await pulled(provider, request)
        assert failures(pages).keys() == {"ACT-broker"}
        assert "T-wage" in rows(pages)
    assert len(sim.requests) <= 4 + 12
    assert not sim.complaints


async def test_history_that_was_read_too_often_is_said_where_nothing_else_failed() -> None:
    sim = a_server()
    provider = a_provider(sim)
    for _ in range(4):  # of three windows before the newest one each
        await pulled(provider, a_request(sim))
    with pytest.raises(ProviderUnavailable, match="history") as refused:
        await pulled(provider, a_request(sim))
    assert not refused.value.asked
