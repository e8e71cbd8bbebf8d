"""What every provider promises. A provider's test subclasses `Conformance` and gives its cases.

Beside it are `Scenarios` (in scenarios.py): twelve things that happen to money, in the same signs
from everybody; and `Hostile` (in hostile.py): 300 and more wrong answers, made of the good ones.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from domain.accounts import AccountGroup
from domain.errors import ProviderUnavailable
from domain.money import Money, storable
from domain.providers import Allowance, Budgets, Provider
from domain.sync import (
    Page,
    PullRequest,
    ReceivedAccount,
    ReceivedBalance,
    ReceivedHolding,
    ReceivedTransaction,
    SyncScope,
)
from domain.transactions import TransactionSubtype as S
from domain.transactions import TransactionType

AT = datetime(2026, 3, 17, 15, 30, tzinfo=UTC)
ALL = frozenset(SyncScope)
ROWS_A_PAGE_MAX = 1_000
CURSORS_TRIED_MAX = 5
NAMES: dict[type, list[str]] = {
    ReceivedAccount: [each.name for each in fields(ReceivedAccount)],
    ReceivedHolding: [each.name for each in fields(ReceivedHolding)],
    ReceivedTransaction: [each.name for each in fields(ReceivedTransaction)],
    ReceivedBalance: [each.name for each in fields(ReceivedBalance)],
}

_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Case:
    """`is_hostile`: ids may repeat. `reads_a_file`: it is read whole, whatever is asked for.

    `within` makes the provider with such budgets; `a_run` are the calls that each run of a pull
    may make, of which it makes `anew` as every run does.
    """

    name: str
    make: Callable[[], Provider]
    request: PullRequest
    is_hostile: bool = False
    reads_a_file: bool = False
    within: Callable[[Budgets], Provider] | None = None
    a_run: int = 8
    anew: int = 0

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class Spare:
    """So many calls of each allowance, and no more before tomorrow."""

    calls: int = 1_000
    taken: Counter[str] = field(default_factory=Counter)

    async def take(self, key: str, allowance: Allowance, at: datetime) -> timedelta | None:
        if self.taken[allowance.name] >= self.calls:
            return timedelta(days=1)
        self.taken[allowance.name] += 1
        return None

    @property
    def most(self) -> int:
        return max(self.taken.values(), default=0)


async def pulled(provider: Provider, request: PullRequest) -> list[Page]:
    pages: AsyncIterator[Page] = provider.pull(request)
    return [page async for page in pages]


def unstorable_numbers(page: Page) -> list[object]:
    """Those that are not exact, or not short enough."""
    rows: list[ReceivedAccount | ReceivedHolding | ReceivedTransaction | ReceivedBalance] = [
        *page.accounts,
        *page.holdings,
        *page.transactions,
        *page.balances,
    ]
    found: list[object] = []
    for row in rows:
        for name in NAMES[type(row)]:
            value = getattr(row, name)
            number = value.amount if type(value) is Money else value
            if isinstance(number, float):
                found.append(number)
            if type(number) is Decimal and not _is_storable(number):
                found.append(number)
    return found


def _is_storable(number: Decimal) -> bool:
    try:
        return storable(number) == number
    except ValueError:
        return False


def unstorable_texts(page: Page) -> list[str]:
    """Those that are not."""
    texts: list[str | None] = [page.cursor, page.position, *page.failed, *page.failed.values()]
    for account in page.accounts:
        texts += [account.key, account.name, account.institution, account.number]
    for row in page.transactions:
        texts += [row.key, row.description, row.merchant, row.category, row.replaces]
    for held in page.holdings:
        texts += [held.security.name, held.security.symbol, *held.security.identities]
    for unreadable in page.unreadable:
        texts += [unreadable.raw, unreadable.reason]
    return [text for text in texts if text and _UNSTORABLE.search(text)]


class Conformance:
    async def test_a_pull_twice_at_the_same_instant_is_equal(self, case: Case) -> None:
        provider = case.make()
        first = await pulled(provider, case.request)

        assert await pulled(provider, case.request) == first
        assert await pulled(case.make(), case.request) == first

    async def test_a_pull_goes_on_after_any_of_its_pages(self, case: Case) -> None:
        provider = case.make()
        pages = await pulled(provider, case.request)
        step = max(len(pages) // CURSORS_TRIED_MAX, 1)

        for number in {*range(0, len(pages), step), len(pages) - 1}:
            later = replace(
                case.request, cursor=pages[number].cursor, at=case.request.at + timedelta(minutes=5)
            )
            assert await pulled(provider, later) == pages[number + 1 :]

    async def test_what_a_budget_stops_goes_on_there_with_the_next(self, case: Case) -> None:
        """In as many runs as it takes; none asks again for what the one before it has told."""
        if case.within is None:
            return
        ample = Spare()
        whole = await pulled(case.within(ample), case.request)
        found: list[Page] = []
        runs = asked = 0
        while not found or found[-1].progress < 1:
            spare, runs = Spare(case.a_run), runs + 1
            assert runs < 20, "it never comes to its end"
            later = replace(case.request, cursor=found[-1].cursor if found else None)
            with suppress(ProviderUnavailable):
                async for page in case.within(spare).pull(later):
                    found.append(page)  # noqa: PERF401 - those before a refusal too
            asked += spare.most

        for rows in ("accounts", "holdings", "transactions", "balances", "unreadable"):
            assert [row for page in found for row in getattr(page, rows)] == [
                row for page in whole for row in getattr(page, rows)
            ]
        assert runs > 1 or ample.most <= case.a_run
        assert asked <= ample.most + (runs - 1) * case.anew
        assert found[-1].position == whole[-1].position

    async def test_progress_grows_and_ends_at_one(self, case: Case) -> None:
        progress = [page.progress for page in await pulled(case.make(), case.request)]

        assert progress == sorted(progress)
        assert progress[0] > 0
        assert progress[-1] == 1

    async def test_every_row_is_of_an_account_that_was_named_before(self, case: Case) -> None:
        named: set[str] = set()
        for page in await pulled(case.make(), case.request):
            named |= {account.key for account in page.accounts}
            assert {row.account_key for row in page.transactions} <= named
            assert {row.account_key for row in page.holdings} <= named
            assert {row.account_key for row in page.balances} <= named
            assert {key for key, _ in page.removed} <= named
            assert set(page.holdings_complete) <= named

    async def test_keys_name_one_row_of_an_account(self, case: Case) -> None:
        pages = await pulled(case.make(), case.request)
        rows = Counter((t.account_key, t.key) for page in pages for t in page.transactions)
        accounts = Counter(a.key for page in pages for a in page.accounts)

        assert all(count == 1 for count in accounts.values())
        assert case.is_hostile or all(count == 1 for count in rows.values())

    async def test_what_is_owed_is_negative(self, case: Case) -> None:
        for page in await pulled(case.make(), case.request):
            for account in page.accounts:
                owed = account.type.group in (AccountGroup.CREDIT, AccountGroup.LOAN)
                if owed and account.balance is not None:
                    assert account.balance.amount <= 0, account.name
                if account.credit_limit is not None:
                    assert account.credit_limit.amount > 0

    async def test_trades_and_charges_have_our_signs(self, case: Case) -> None:
        for page in await pulled(case.make(), case.request):
            for row in page.transactions:
                if row.subtype in (S.BUY, S.BUY_TO_COVER):
                    assert row.amount.amount <= 0
                    assert row.quantity is not None
                    assert row.quantity > 0
                if row.subtype in (S.SELL, S.SHORT_SELL):
                    assert row.amount.amount >= 0
                    assert row.quantity is not None
                    assert row.quantity < 0
                if row.subtype.type is TransactionType.FEE:
                    assert row.amount.amount <= 0
                if row.commission is not None:
                    assert row.commission.amount < 0

    async def test_a_holding_is_worth_its_quantity_at_its_price(self, case: Case) -> None:
        for page in await pulled(case.make(), case.request):
            for held in page.holdings:
                assert (held.quantity < 0) == (held.market_value.amount < 0)
                if held.cost_basis is not None:
                    assert (held.quantity < 0) == (held.cost_basis.amount < 0)
                if held.market_price is not None:
                    worth = held.security.value(held.quantity, held.market_price)
                    assert worth.rounded() == held.market_value.rounded()

    async def test_every_amount_is_an_exact_decimal(self, case: Case) -> None:
        for page in await pulled(case.make(), case.request):
            assert unstorable_numbers(page) == []

    async def test_every_text_can_be_stored(self, case: Case) -> None:
        for page in await pulled(case.make(), case.request):
            assert unstorable_texts(page) == []

    async def test_what_cannot_be_read_is_kept_with_its_reason(self, case: Case) -> None:
        pages = await pulled(case.make(), case.request)
        rows = [row for page in pages for row in page.unreadable]

        assert all(row.raw and row.reason for row in rows)
        assert bool(rows) == case.is_hostile

    async def test_a_page_is_bounded(self, case: Case) -> None:
        for page in await pulled(case.make(), case.request):
            assert len(page.transactions) <= ROWS_A_PAGE_MAX
            assert len(page.balances) <= ROWS_A_PAGE_MAX

    async def test_only_what_is_asked_for_is_told(self, case: Case) -> None:
        if case.reads_a_file:
            return
        for scope in SyncScope:
            request = replace(case.request, scopes=frozenset({scope}))
            for page in await pulled(case.make(), request):
                assert page.step is scope
                assert not page.accounts or scope is SyncScope.ACCOUNTS
                assert not page.balances or scope is SyncScope.ACCOUNTS
                assert not page.holdings or scope is SyncScope.HOLDINGS
                assert not page.transactions or scope is SyncScope.TRANSACTIONS

    async def test_only_the_days_that_are_asked_for_are_told(self, case: Case) -> None:
        if case.reads_a_file:
            return
        since, until = AT.date() - timedelta(days=30), AT.date() - timedelta(days=3)
        everything = await pulled(case.make(), case.request)
        some = await pulled(case.make(), replace(case.request, since=since, until=until))

        wanted = [t for p in everything for t in p.transactions if since <= t.date <= until]
        assert [t for p in some for t in p.transactions] == wanted
        days = [b.at.date() for p in some for b in p.balances]
        assert all(since <= day <= until for day in days)

    async def test_only_the_accounts_that_are_asked_for_are_told(self, case: Case) -> None:
        if case.reads_a_file:
            return
        pages = await pulled(case.make(), case.request)
        keys = [a.key for page in pages for a in page.accounts][:1]
        some = await pulled(case.make(), replace(case.request, account_keys=frozenset(keys)))

        assert [a.key for page in some for a in page.accounts] == keys
        assert not any(page.accounts_complete for page in some)
        assert {t.account_key for page in some for t in page.transactions} <= set(keys)
