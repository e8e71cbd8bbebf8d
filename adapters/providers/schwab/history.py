"""The transactions of one pull, account by account, the oldest first."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial

from adapters.providers.kit import read_rows
from adapters.providers.schwab import place as steps
from adapters.providers.schwab.accounts import NUMBER
from adapters.providers.schwab.activities import order_of, transactions_of
from adapters.providers.schwab.place import Pending, Place
from adapters.providers.schwab.trader import TICK, WINDOW_MAX, Trader
from adapters.providers.schwab.windows import Windows
from domain.errors import CredentialsRejected, ErrorCode, ProviderUnavailable
from domain.sync import Page, PullRequest, ReceivedTransaction, SyncScope, Unreadable
from domain.transactions import TransactionStatus

RECORDS_A_PAGE = 800  # one of several instruments makes as many transactions
LISTS_A_PAGE = 20  # asked for before any of them is stored
BACK_MAX = WINDOW_MAX * 10  # what is older is not asked for, whatever Schwab may remember
LATE_MAX = timedelta(days=7)  # between a trade's own day and when it was entered


@dataclass(slots=True)
class _Part:
    """What waits for a page."""

    rows: list[ReceivedTransaction] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    pending: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    records: int = 0
    lists: int = 0

    @property
    def is_full(self) -> bool:
        return self.records >= RECORDS_A_PAGE or self.lists >= LISTS_A_PAGE


class History:
    """`place` is where to go on, `before` what was pending when the last pull ended. `pending` is
    what is by now, of the accounts that were read."""

    def __init__(self, trader: Trader, request: PullRequest, place: Place, before: Pending) -> None:
        self._trader, self._request, self._before = trader, request, before
        self.pending = {account: dict(days) for account, days in place.pending.items()}
        self._place = replace(place, step=steps.TRANSACTIONS)
        self._begins, self._ends = _span(request, place.at)
        self._windows = Windows(trader, self._begins, self._ends, each_type=place.each_type)
        self._part = _Part()

    async def pages(self, accounts: Sequence[str]) -> AsyncIterator[Page]:
        """Each with its place and its progress; the last one, and only that, has 1.

        Raises CredentialsRejected, ProviderUnavailable: where none of the accounts can be read, and
        where no more can be asked for, after a page of what was read by then.
        """
        await self._windows.learn(accounts)
        refusal: ProviderUnavailable | CredentialsRejected | None = None
        for number, account in enumerate(accounts):
            if account < self._place.account:
                continue
            try:
                async for _ in self._account(account):
                    yield self._page(self._reached(number, accounts), self._place)
            except (ProviderUnavailable, CredentialsRejected) as said:
                if self._trader.is_late or len(accounts) == 1 or not _is_of_one(said):
                    if self._part.lists:
                        yield self._page(self._reached(number, accounts), self._place)
                    raise
                self._part.failed[account] = said.message
                refusal = refusal or said
        if refusal is not None and len(self._part.failed) == len(accounts):
            raise refusal
        yield self._page(Decimal(1), Place(at=self._place.at, step=steps.END))

    async def _account(self, account: str) -> AsyncIterator[None]:
        """Pauses each time that there is enough for a page."""
        if account != self._place.account:
            begins = self._begins
            self._place = replace(self._place, account=account, begins=begins, ends=(), last=None)
            old = self._before.get(account, {}).items()  # what is not read again may be it still
            self.pending[account] = {k: day for k, day in old if day < str(begins.date())}
        here, answered = self._place, self._place.begins != self._begins
        is_cut = False
        while here.begins is not None and here.begins < self._ends:
            window = self._windows.at(here.begins, here.ends)
            answer = await self._windows.read(account, window, is_first=not answered)
            self._part.lists += 1
            if answer is None:
                cuts = (one.ends for one in window.halves)
                here = replace(here, ends=(*cuts, *here.ends[1:]))
                self._place = here if answered else self._place
                continue
            answered = answered or not answer.refused
            if answer.cut and not is_cut:
                self._part.failed[account] = _cut(window.begins.date(), self._trader.rows_max)
                is_cut = True
            rows = [row for row in answer.rows if here.last is None or order_of(row) > here.last]
            rows.sort(key=order_of, reverse=True)
            answer.rows.clear()
            while rows:
                taken = [rows.pop() for _ in range(min(len(rows), self._room))]
                self._take(account, taken)
                here = replace(here, last=order_of(taken[-1]))
                if rows:
                    self._place = here
                    yield
            here = replace(here, begins=window.ends, ends=here.ends[1:], last=None)
            self._place = here if answered else self._place  # it says nothing of what was refused
            if window.ends >= self._ends and self._is_whole and not is_cut:
                self._part.pending[account] = list(self.pending[account])
            if self._part.is_full and answered:
                yield

    @property
    def _is_whole(self) -> bool:
        """Whether all that is pending is told, or was in the last pull."""
        request = self._request
        return request.until is None and (request.since is None or request.position is not None)

    @property
    def _room(self) -> int:
        return max(RECORDS_A_PAGE - self._part.records, 1)

    def _take(self, account: str, rows: Sequence[object]) -> None:
        found, unreadable = read_rows(
            rows,
            partial(transactions_of, account=account),
            scope=SyncScope.TRANSACTIONS,
            account=account,
            number=NUMBER,
        )
        every = [one for several in found for one in several]
        unread = {str(row.get("activityId")) for row in rows if isinstance(row, Mapping)}
        unread -= {one.key for one in every}
        for key, day in self._before.get(account, {}).items():
            if key.partition("/")[0] in unread:  # it is there, so that it may be pending still
                self.pending[account][key] = day
        kept = [one for one in every if self._is_of(one)]
        for one in kept:
            self.pending[account].pop(one.key, None)
            if one.status is TransactionStatus.PENDING:
                self.pending[account][one.key] = one.date.isoformat()
        self._part.rows += kept
        self._part.unreadable += unreadable
        self._part.records += len(rows)

    def _is_of(self, row: ReceivedTransaction) -> bool:
        """Of the days that were asked for. An incremental pull asks for what is new, however old
        the day that it is of."""
        since, until = self._request.since, self._request.until
        early = since is not None and row.date < since and self._request.position is None
        return not early and not (until is not None and row.date > until)

    def _reached(self, number: int, accounts: Sequence[str]) -> Decimal:
        """The share that is read once the pull is at its place, in the account of this number."""
        reached = (self._place.begins or self._ends) - self._begins
        share = Decimal(reached // TICK) / Decimal(max((self._ends - self._begins) // TICK, 1))
        return min((number + share) / len(accounts), Decimal("0.9999"))

    def _page(self, progress: Decimal, place: Place) -> Page:
        part, self._part = self._part, _Part()
        if place.step != steps.END:
            place = replace(place, each_type=self._windows.each_type, pending=self.pending)
        return Page(
            step=SyncScope.TRANSACTIONS,
            progress=progress,
            cursor=place.cursor,
            transactions=part.rows,
            unreadable=part.unreadable,
            pending=part.pending,
            failed=part.failed,
        )


def _span(request: PullRequest, at: datetime) -> tuple[datetime, datetime]:
    """The time to ask about, by when things were entered."""
    ends = at + TICK
    if request.until is not None:
        ends = min(ends, _midnight(request.until) + timedelta(days=1) + LATE_MAX)
    if request.since is None:
        return ends - BACK_MAX, ends
    begins = _midnight(request.since)
    if request.position is None:
        begins -= LATE_MAX
    return max(begins, ends - BACK_MAX), ends


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _is_of_one(refusal: ProviderUnavailable | CredentialsRejected) -> bool:
    """Whether another account may be read even so."""
    if isinstance(refusal, ProviderUnavailable):
        return refusal.asked
    return refusal.code is not ErrorCode.AUTHORIZATION_EXPIRED


def _cut(day: date, most: int) -> str:
    return f"there were more than the {most} transactions of a type that Schwab tells of {day}"
