"""One pull of an Alpaca account, page by page.

account ──> equity of each day, by windows ──> positions ──> activities, oldest first, to the end

Where the next pull begins is not the newest activity but the newest that is `OVERLAP` old: fees,
dividends and assignments are entered the next morning under an id of the day that they are of,
before fills that were read already, and are corrected later. What is read again is equal.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial

from adapters.providers.alpaca.activities import activity_of, day_of
from adapters.providers.alpaca.asking import PROVIDER, Asking
from adapters.providers.alpaca.mapping import (
    DEFAULT_CURRENCY,
    account_of,
    balance_of,
    equity_day,
    opened_on,
    position_of,
)
from adapters.providers.kit import (
    NEW_YORK,
    Malformed,
    Record,
    key,
    list_of,
    progress,
    read_rows,
    record_of,
    windows,
)
from domain.errors import CredentialsRejected, DomainError, ProviderUnavailable
from domain.sync import OVERLAP, Page, PullRequest, ReceivedAccount, SyncScope

PAGE_SIZE = 100  # the most that Alpaca gives
LISTS_A_PAGE = 5  # of activities: what storing a page costs is spent on fewer
PAGES_MAX = 1_000
WINDOW_DAYS, WINDOW = 360, "1A"  # of daily equity; the period that holds it
SHORT_WINDOW_DAYS, SHORT_WINDOW = 25, "1M"
HISTORY_MAX = timedelta(days=3_653)
EQUITY_LAG = timedelta(days=2)
"""A day's equity is for some hours told as that of the day before (Alpaca-API#273), and what was
told once of a past day stays."""

END = "end"
ACCOUNT_DONE, EQUITY_DONE, POSITIONS_DONE, ALMOST = (
    Decimal(n) for n in ("0.05", "0.2", "0.25", "0.99")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is read at once, of which days; `progress` is that of the pull when it is done."""

    name: str
    progress: Decimal
    since: date
    until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a pull is: the instant it is of, and the step to do next; of the activities the last
    one that was read, and the last one that is old enough to begin at next time."""

    at: datetime
    step: int = 0
    token: str | None = None
    settled: str | None = None

    @property
    def cursor(self) -> str:
        return json.dumps([self.at.isoformat(), self.step, self.token, self.settled])

    def next(self) -> "Place":
        return replace(self, step=self.step + 1)


class Pull:
    """A resumed pull is of the instant at which it began, so that its parts fit together."""

    def __init__(self, asking: Asking, request: PullRequest) -> None:
        self._asking, self._request = asking, request
        self._place = _place_of(request.cursor) or Place(at=request.at)
        self._today = self._place.at.astimezone(NEW_YORK).date()
        self._of: dict[str, object] = {}  # what every record is given beside what Alpaca said
        self._position: str | None = None
        self._begins = self._today
        self._refusal: DomainError | None = None  # once the lists that came before it are told

    async def pages(self) -> AsyncIterator[Page]:
        request = self._request
        if request.cursor == END or not request.scopes:
            return
        told = record_of(await self._asking.get("/v2/account"), PROVIDER)
        self._of = {"currency": told.get("currency") or DEFAULT_CURRENCY}
        self._of |= {"as_of": self._place.at.isoformat()}
        record = {**told, **self._of}
        try:
            account, opened = _account_of(record)
        except Malformed as fault:
            yield self._unread(record, fault.reason)
            return
        if request.account_keys is not None and account.key not in request.account_keys:
            return
        self._position = _token_of(request.position, account.key)
        plan = self._plan(opened)
        for _ in range(PAGES_MAX):
            if self._place.step >= len(plan):
                return
            page = await self._page(plan[self._place.step], account)
            is_last = self._place.step >= len(plan)
            cursor = END if is_last else self._place.cursor
            yield replace(page, progress=Decimal(1) if is_last else page.progress, cursor=cursor)
            if self._refusal is not None:
                raise self._refusal
        raise _endless()

    def _plan(self, opened: date | None) -> list[Step]:
        """Every step, in order; the same for each part of a pull that is resumed."""
        scopes, until = self._request.scopes, self._request.until or date.max
        is_another = self._request.position is not None and self._position is None
        since = None if is_another else self._request.since  # of that one nothing was read yet
        self._begins = max(opened or self._today, since or date.min)
        whole = partial(Step, since=since or date.min, until=until)
        plan: list[Step] = []
        if SyncScope.ACCOUNTS in scopes:
            plan.append(whole(name="account", progress=ACCOUNT_DONE))
            earliest = max(self._begins, self._today - HISTORY_MAX)
            latest = min(self._today - EQUITY_LAG, until)
            days = list(windows(earliest, latest, WINDOW_DAYS)) if opened else []
            for n, (first, last) in enumerate(days, 1):
                done = ACCOUNT_DONE + (EQUITY_DONE - ACCOUNT_DONE) * n / len(days)
                plan.append(Step(name="equity", progress=progress(done), since=first, until=last))
        if SyncScope.HOLDINGS in scopes:
            plan.append(whole(name="positions", progress=POSITIONS_DONE))
        if SyncScope.TRANSACTIONS in scopes:
            if self._position is not None:
                self._begins = day_of(self._position) or self._begins
                since = None  # whatever was entered since, of whichever day it is
            plan.append(whole(name="activities", progress=ALMOST, since=since or date.min))
        return plan

    async def _page(self, step: Step, account: ReceivedAccount) -> Page:
        """What of this step is read at once; moves on to what is read next."""
        if step.name == "activities":
            return await self._activities(step, account)
        self._place = self._place.next()
        if step.name == "equity":
            return await self._equity(step, account)
        if step.name == "positions":
            return await self._positions(step, account)
        return Page(
            step=SyncScope.ACCOUNTS,
            progress=step.progress,
            accounts=[account],
            accounts_complete=self._request.account_keys is None,
        )

    def _unread(self, record: Record, reason: str) -> Page:
        """The account itself cannot be read, and so nothing of it."""
        whose = self._asking.account
        _, kept = read_rows(
            [record], _account_of, scope=SyncScope.ACCOUNTS, account=whose, number="account_number"
        )
        return Page(
            step=next(scope for scope in SyncScope if scope in self._request.scopes),
            progress=Decimal(1),
            cursor=END,
            unreadable=kept,
            failed={whose: kept[0].reason if kept else reason},
        )

    async def _equity(self, step: Step, account: ReceivedAccount) -> Page:
        is_short = (step.until - step.since).days < SHORT_WINDOW_DAYS
        answer = await self._asking.get(
            "/v2/account/portfolio/history",
            period=SHORT_WINDOW if is_short else WINDOW,
            timeframe="1D",
            date_end=str(step.until + timedelta(days=1)),
        )
        points = [{**self._of, **point} for point in _points(answer)]
        found, kept = read_rows(
            [point for point in points if _is_within(point, step)],
            partial(balance_of, account_key=account.key),
            scope=SyncScope.ACCOUNTS,
            account=account.key,
        )
        by_day = {balance.at: balance for balance in found}
        return Page(
            step=SyncScope.ACCOUNTS,
            progress=step.progress,
            balances=[by_day[at] for at in sorted(by_day)],
            unreadable=kept,
        )

    async def _positions(self, step: Step, account: ReceivedAccount) -> Page:
        rows = list_of(await self._asking.get("/v2/positions"), PROVIDER)
        found, kept = read_rows(
            [self._with_context(row) for row in rows],
            partial(position_of, account_key=account.key),
            scope=SyncScope.HOLDINGS,
            account=account.key,
        )
        return Page(
            step=SyncScope.HOLDINGS,
            progress=step.progress,
            holdings=found,
            holdings_complete=() if kept else (account.key,),
            unreadable=kept,
        )

    async def _activities(self, step: Step, account: ReceivedAccount) -> Page:
        here, parts = self._place.step, [await self._some(step, account)]
        while len(parts) < LISTS_A_PAGE and self._place.step == here:
            try:
                parts.append(await self._some(step, account))
            except (CredentialsRejected, ProviderUnavailable) as refusal:
                self._refusal = refusal
                break
        return replace(
            parts[-1],
            transactions=[row for part in parts for row in part.transactions],
            unreadable=[row for part in parts for row in part.unreadable],
        )

    async def _some(self, step: Step, account: ReceivedAccount) -> Page:
        """One list of them. The end is a list without any id to go on from: a list that is merely
        short is no proof."""
        place = self._place
        answer = await self._asking.get("/v2/account/activities", **self._asked(step))
        rows = list_of(answer, PROVIDER)
        ids = [_id(row) for row in rows]
        last = next((n for n in range(len(ids) - 1, -1, -1) if ids[n] is not None), None)
        if last is not None:
            # What follows it without an id comes again with the next list.
            rows, ids = rows[: last + 1], ids[: last + 1]
        elif len(rows) >= PAGE_SIZE:
            raise _endless()
        found, kept = read_rows(
            [self._with_context(row) for row in rows],
            partial(activity_of, account_key=account.key),
            scope=SyncScope.TRANSACTIONS,
            account=account.key,
        )
        old = self._today - OVERLAP
        settled = [id for id in ids if id and (day := day_of(id)) is not None and day <= old]
        place = replace(place, settled=settled[-1] if settled else place.settled)
        page = Page(
            step=SyncScope.TRANSACTIONS,
            progress=step.progress,
            transactions=[t for t in found if step.since <= t.date <= step.until],
            unreadable=kept,
        )
        if last is None:
            self._place = place.next()
            kept_token = place.settled or self._position
            position = None if kept_token is None else json.dumps([account.key, kept_token])
            return replace(page, position=position)
        if ids[last] == place.token:
            raise _endless()
        self._place = replace(place, token=ids[last])
        return replace(page, progress=self._progress(ids[last]))

    def _asked(self, step: Step) -> dict[str, str | int]:
        """By token; without one by the days asked for, with room for what was entered a day before
        or some days after the day that it is of."""
        asked: dict[str, str | int] = {"direction": "asc", "page_size": PAGE_SIZE}
        token = self._place.token or self._position
        if token is not None:
            asked["page_token"] = token
        if step.since > date.min:
            asked["after"] = f"{step.since - timedelta(days=1)}T00:00:00Z"
        if step.until < self._today - OVERLAP:
            asked["until"] = f"{step.until + OVERLAP}T00:00:00Z"
        return asked

    def _progress(self, token: str | None) -> Decimal:
        """By the days that are read."""
        whole = (self._today - self._begins).days
        read = ((day_of(token or "") or self._begins) - self._begins).days
        share = min(max(Decimal(read) / whole, Decimal(0)), Decimal(1)) if whole > 0 else 1
        return progress(POSITIONS_DONE + (ALMOST - POSITIONS_DONE) * share)

    def _with_context(self, row: object) -> object:
        """What Alpaca says of the currency goes before that of the account."""
        if not isinstance(row, Mapping):
            return row
        own = {"currency": said} if (said := row.get("currency")) else {}
        return {**row, **self._of, **own}


def _account_of(record: Record) -> tuple[ReceivedAccount, date | None]:
    return account_of(record), opened_on(record)


def _points(answer: object) -> list[dict[str, object]]:
    """The days of a portfolio history whose equity is known. Raises ProviderUnavailable."""
    said = record_of(answer, PROVIDER)
    times, values = said.get("timestamp") or [], said.get("equity") or []
    if not isinstance(times, list) or not isinstance(values, list) or len(times) != len(values):
        raise _unusable("a history that does not fit together")
    pairs = zip(times, values, strict=True)
    return [{"timestamp": at, "equity": equity} for at, equity in pairs if equity is not None]


def _is_within(point: Record, step: Step) -> bool:
    """What has no readable time is for the reading to say."""
    try:
        return step.since <= equity_day(point) <= step.until
    except Malformed:
        return True


def _id(row: object) -> str | None:
    try:
        return key(row, "id") if isinstance(row, Mapping) else None
    except Malformed:
        return None


def _place_of(cursor: str | None) -> Place | None:
    """None for no cursor, and for one that is none of ours: the pull then begins anew."""
    try:
        at, step, token, settled = json.loads(cursor or "")
        return Place(at=datetime.fromisoformat(at), step=int(step), token=token, settled=settled)
    except (ValueError, TypeError):
        return None


def _token_of(position: str | None, account_key: str) -> str | None:
    """Where the last pull of this account ended; None of another one."""
    try:
        account, token = json.loads(position or "")
    except (ValueError, TypeError):
        return None
    return str(token) if account == account_key else None


def _unusable(what: str) -> ProviderUnavailable:
    return ProviderUnavailable(f"Alpaca answered with {what}", provider=PROVIDER)


def _endless() -> ProviderUnavailable:
    return _unusable("activities that do not come to an end")
