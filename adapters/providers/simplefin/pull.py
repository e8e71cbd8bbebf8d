"""One pull of SimpleFIN: the newest window first, then back in time while there is something.

/accounts, no end ──> accounts ──> holdings ──> transactions, the pending ones first
/accounts, the window before ──> transactions ──> ... until two in a row are empty

Where days are asked for, as every pull after the first does, it is as many windows as they need:
one, mostly. A cursor holds the day on which the pull began, so that its windows stay the same.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TypeAlias

from adapters.providers.kit import Http, Outside, Record, progress, record_of
from adapters.providers.simplefin.access import Access
from adapters.providers.simplefin.answers import AccountSet, account_set
from domain.errors import ProviderUnavailable
from domain.providers import Allowance
from domain.sync import OVERLAP, Page, PullRequest, ReceivedTransaction, SyncScope
from domain.transactions import TransactionStatus

SLUG = "simplefin"
ROWS_A_PAGE = 500
WINDOWS_MAX, WINDOWS_ASKED_MAX = 6, 12  # back from now; where days are asked for
EMPTY_MAX = 2
DAY = Allowance(name="day", calls=24, per=timedelta(days=1))
# Of them, for what lies further back: while a bank stays broken every pull reads everything again,
# and must not take what the next ones need.
HISTORY = Allowance(name="history", calls=12, per=timedelta(days=1))

_ONE_DAY = timedelta(days=1)
_Order: TypeAlias = tuple[int, int, str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pull is: the day it is of, the window, how many pages of it are told and the last
    transaction of those, how many windows in a row were empty before it, and which accounts were
    told to have failed. Pages are told apart by that transaction: where one that was told is gone
    by now, all others would move up."""

    day: date
    window: int = 0
    page: int = 0
    empty: int = 0
    last: _Order | None = None
    failed: tuple[str, ...] = ()

    @property
    def cursor(self) -> str:
        place = [self.day.isoformat(), self.window, self.page, self.empty, self.last]
        return json.dumps([*place, *self.failed])


def place_of(cursor: str | None) -> Place | None:
    """None for no cursor, and for one that is none of ours: the pull then begins anew."""
    try:
        day, window, page, empty, last, *failed = json.loads(cursor or "")
        return Place(
            date.fromisoformat(day),
            max(int(window), 0),
            max(int(page), 0),
            max(int(empty), 0),
            None if last is None else _order_of(*last),
            tuple(map(str, failed)),
        )
    except (ValueError, TypeError):
        return None


class Pull:
    def __init__(
        self, http: Http, outside: Outside, access: Access, request: PullRequest, *, days: int
    ) -> None:
        self._http, self._outside = http, outside
        self._access, self._request = access, request
        self._deadline = http.deadline()
        self._place = place_of(request.cursor) or Place(request.at.astimezone(UTC).date())
        self._windows = _windows(self._place.day, request.since, request.until, days)

    async def pages(self) -> AsyncIterator[Page]:
        place, count = self._place, len(self._windows)
        while place.window < count:
            told = await self._told(place)
            if told is None:
                return
            empty = 0 if _has_settled(told.transactions) else place.empty + 1
            is_last = self._is_last(place.window, empty)
            failed = (*place.failed, *(k for k in told.failed if k not in place.failed))
            pages = self._pages_of(told, place)
            whole = place.page + len(pages)
            for number, page in enumerate(pages, place.page + 1):
                last = _order(page.transactions[-1]) if page.transactions else None
                following = replace(place, page=number, last=last)
                if number == whole:
                    window = count if is_last else place.window + 1
                    following = Place(day=place.day, window=window, empty=empty, failed=failed)
                reached = (place.window + Decimal(number) / whole) / count
                if is_last and number == whole:
                    reached = Decimal(1)
                yield replace(
                    page,
                    progress=progress(reached),
                    cursor=following.cursor,
                )
            place = following

    def _is_last(self, window: int, empty: int) -> bool:
        if SyncScope.TRANSACTIONS not in self._request.scopes:
            return True
        is_asked = self._request.since is not None
        return window + 1 == len(self._windows) or (empty >= EMPTY_MAX and not is_asked)

    async def _told(self, place: Place) -> AccountSet | None:
        """None where the days before were read often enough for today, and will be read again
        since something failed."""
        if place.window > 0 and place.page == 0:
            wait = await self._outside.budgets.take(
                f"{SLUG}/{self._access.budget_key}", HISTORY, self._outside.timing.now()
            )
            if wait is not None and place.failed:
                return None
            if wait is not None:
                raise ProviderUnavailable(
                    "SimpleFIN was asked for its history often enough today",
                    provider=SLUG,
                    retry_after_s=max(int(wait.total_seconds()), 1),
                    asked=False,
                )
        request, (since, until) = self._request, self._windows[place.window]
        answer = await self._get(place.window, since, until)
        return account_set(
            answer, keys=request.account_keys, since=request.since, until=request.until
        )

    async def _get(self, window: int, since: date, until: date | None) -> Record:
        """`until` is the day after the last one. Whatever is pending is told once."""
        params: dict[str, str | int | Sequence[str]] = {"version": "2"}
        scopes = self._request.scopes
        if scopes == {SyncScope.ACCOUNTS}:
            params["balances-only"] = "1"
        elif SyncScope.TRANSACTIONS not in scopes:
            params["start-date"] = _midnight(self._place.day)
        else:
            params["start-date"] = _midnight(since)
            if until is not None:
                params["end-date"] = _midnight(until)
            if window == 0:
                params["pending"] = "1"
        answer = await self._http.get(
            f"{self._access.path}/accounts",
            params=params,
            headers={"authorization": self._access.header},
            deadline=self._deadline,
            budget_key=self._access.budget_key,
            shown="/accounts",
        )
        return record_of(answer, SLUG)

    def _pages_of(self, told: AccountSet, place: Place) -> list[Page]:
        """Those of this window that are still to be told."""
        scopes, is_first = self._request.scopes, place.window == 0
        whole = Decimal(1)
        pages: list[Page] = []
        if is_first and SyncScope.ACCOUNTS in scopes:
            pages.append(
                Page(
                    step=SyncScope.ACCOUNTS,
                    progress=whole,
                    accounts=told.accounts,
                    accounts_complete=told.is_complete and self._request.account_keys is None,
                    unreadable=told.unread(SyncScope.ACCOUNTS),
                )
            )
        if is_first and SyncScope.HOLDINGS in scopes:
            pages.append(
                Page(
                    step=SyncScope.HOLDINGS,
                    progress=whole,
                    holdings=told.holdings,
                    holdings_complete=told.holdings_complete,
                    unreadable=told.unread(SyncScope.HOLDINGS),
                )
            )
        is_begun = place.page > len(pages)
        pages = pages[place.page :]
        if SyncScope.TRANSACTIONS in scopes:
            pages += self._transactions(told, place, is_begun=is_begun)
        if place.page:
            return pages
        failed = {k: reason for k, reason in told.failed.items() if k not in place.failed}
        return [replace(pages[0], failed=failed), *pages[1:]]

    def _transactions(self, told: AccountSet, place: Place, *, is_begun: bool) -> list[Page]:
        is_first = place.window == 0
        rows = sorted(told.transactions, key=_order)
        if place.last is not None:
            rows = [row for row in rows if _order(row) > place.last]
        lost = told.unread(SyncScope.TRANSACTIONS)
        if not is_first:
            lost = [*told.newly_unread(place.failed), *lost]
        chunks = [rows[i : i + ROWS_A_PAGE] for i in range(0, len(rows), ROWS_A_PAGE)]
        pages = [
            Page(
                step=SyncScope.TRANSACTIONS,
                progress=Decimal(1),
                transactions=chunk,
                pending=told.pending if is_first and self._tells_all_pending() else {},
            )
            for chunk in chunks or [[]]
        ]
        return pages if is_begun else [replace(pages[0], unreadable=lost), *pages[1:]]

    def _tells_all_pending(self) -> bool:
        """Of fewer days a server may leave out what has been pending since before them."""
        since, until = self._request.since, self._request.until
        return until is None and (since is None or since <= self._place.day - OVERLAP)


def _windows(
    today: date, since: date | None, until: date | None, days: int
) -> list[tuple[date, date | None]]:
    """The first day of each and the day after its last, the newest first. That one has no end,
    since a bank may be ahead of us, unless the days asked for have one."""
    ends = (until or today) + _ONE_DAY
    first = since or ends - timedelta(days=days * WINDOWS_MAX)
    found: list[tuple[date, date | None]] = []
    for _ in range(WINDOWS_MAX if since is None else WINDOWS_ASKED_MAX):
        begins = max(ends - timedelta(days=days), first)
        found.append((begins, ends if found or until is not None else None))
        ends = begins
        if begins <= first:
            break
    return found


def _midnight(day: date) -> int:
    """The first second of a day in UTC, since 1970."""
    return int(datetime.combine(day, time.min, UTC).timestamp())


def _order(row: ReceivedTransaction) -> _Order:
    """What is pending first, and the newest."""
    is_settled = row.status is not TransactionStatus.PENDING
    return int(is_settled), -row.date.toordinal(), row.account_key, row.key


def _order_of(settled: object, day: object, account: object, key: object) -> _Order:
    """Raises ValueError."""
    return int(str(settled)), int(str(day)), str(account), str(key)


def _has_settled(rows: Sequence[ReceivedTransaction]) -> bool:
    return any(row.status is not TransactionStatus.PENDING for row in rows)
