"""One pull of the sandbox, page by page.

accounts ──> balances of the past ──> holdings of each account ──> transactions of each account

The lists of several accounts make one page: what storing a page costs, whatever is in it, is
spent on fewer of them.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TypeAlias

from adapters.providers.kit import (
    PAGES_MAX,
    Http,
    Record,
    decimal,
    progress,
    read_rows,
    record_of,
    rows_of,
)
from adapters.providers.sandbox.mapping import (
    account_of,
    balance_of,
    holding_of,
    transaction_of,
    whose,
)
from domain.accounts import AccountGroup
from domain.errors import ProviderUnavailable
from domain.sync import Page, PullRequest, ReceivedAccount, SyncScope

ROWS_A_PAGE = 500
BALANCES_A_PAGE = 1_000
LISTS_A_PAGE = 10  # asked for before any of them is stored


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pull is: the day it is of, the step, the account, and the row to go on from."""

    day: date
    step: int = 0
    account: str = ""
    offset: int = 0

    @property
    def cursor(self) -> str:
        return json.dumps([self.day.isoformat(), self.step, self.account, self.offset])


ACCOUNTS, BALANCES, HOLDINGS, TRANSACTIONS, END = range(5)
Plan: TypeAlias = list[tuple[int, str]]  # step and account of each list
DONE = Decimal(0)  # of a list that is read to its end: the place is before the next one


class Pull:
    """A resumed pull goes on in the day on which it began, so that its parts fit together."""

    def __init__(self, http: Http, request: PullRequest) -> None:
        self._http, self._request = http, request
        self._deadline = http.deadline()
        self._place = place_of(request.cursor) or Place(request.at.date())

    async def pages(self) -> AsyncIterator[Page]:
        if self._place.step == END:
            return
        first, accounts = await self._accounts()
        plan = self._plan(accounts)
        begins = self._begin(plan)
        if begins is None:
            return
        number, offset = begins
        for _ in range(PAGES_MAX):
            if plan[number][0] == ACCOUNTS:
                page, number, offset = first, number + 1, 0
            else:
                page, number, offset = await self._page(plan, number, offset, accounts)
            reached = number + page.progress
            here = Place(self._place.day, END)
            if number < len(plan):
                here = Place(self._place.day, *plan[number], offset)
            yield replace(page, progress=progress(reached / len(plan)), cursor=here.cursor)
            if number == len(plan):
                return
        raise ProviderUnavailable("Sandbox does not come to an end", provider="sandbox")

    def _plan(self, accounts: list[ReceivedAccount]) -> Plan:
        """Every list that will be read, in order."""
        scopes = self._request.scopes
        plan = [(ACCOUNTS, "")] if SyncScope.ACCOUNTS in scopes else []
        if SyncScope.ACCOUNTS in scopes and accounts:
            plan.append((BALANCES, ""))
        if SyncScope.HOLDINGS in scopes:
            invested = (a for a in accounts if a.type.group is AccountGroup.INVESTMENT)
            plan += [(HOLDINGS, a.key) for a in invested]
        if SyncScope.TRANSACTIONS in scopes:
            plan += [(TRANSACTIONS, a.key) for a in accounts]
        return plan

    def _begin(self, plan: Plan) -> tuple[int, int] | None:
        """The list and row to go on from; from the next list where the cursor's own is gone."""
        place = self._place
        for number, (step, account) in enumerate(plan):
            if (step, account) == (place.step, place.account):
                return number, place.offset
        later = (n for n, (step, _) in enumerate(plan) if step > place.step)
        return next(((n, 0) for n in later), (0, 0) if plan and not place.step else None)

    async def _page(
        self, plan: Plan, number: int, offset: int, accounts: list[ReceivedAccount]
    ) -> tuple[Page, int, int]:
        """Lists of one step from this row of this list on, and the list and row to go on from."""
        step, room, parts = plan[number][0], ROWS_A_PAGE, list[Page]()
        for _ in range(LISTS_A_PAGE):
            part, following = await self._part(plan[number], offset, room, accounts)
            parts.append(part)
            if following is not None:
                return _joined(parts), number, following
            number, offset = number + 1, 0
            room -= len(part.holdings) + len(part.transactions) + len(part.unreadable)
            if room <= 0 or number == len(plan) or plan[number][0] != step:
                break
        return _joined(parts), number, offset

    async def _part(
        self, of: tuple[int, str], offset: int, room: int, accounts: list[ReceivedAccount]
    ) -> tuple[Page, int | None]:
        """Up to `room` rows of one list, and the row to go on from; `progress` is within it."""
        step, account = of
        if step == BALANCES:
            return await self._balances(offset, [a.key for a in accounts])
        if step == HOLDINGS:
            return await self._holdings(account), None
        return await self._transactions(account, offset, room)

    async def _accounts(self) -> tuple[Page, list[ReceivedAccount]]:
        answer = await self._get("/accounts")
        wanted = self._request.account_keys
        rows = [
            r for r in rows_of(answer, "accounts", "sandbox") if wanted is None or _id(r) in wanted
        ]
        found, unreadable = read_rows(
            rows, account_of, scope=SyncScope.ACCOUNTS, account=_id, number="number"
        )
        page = Page(
            step=SyncScope.ACCOUNTS,
            progress=DONE,
            accounts=found,
            # One that cannot be read is not gone, so then nothing is said to be complete.
            accounts_complete=wanted is None and not unreadable,
            unreadable=unreadable,
            failed={u.account_key: u.reason for u in unreadable if u.account_key is not None},
        )
        return page, found

    async def _balances(self, offset: int, keys: list[str]) -> tuple[Page, int | None]:
        answer = await self._get(
            "/balances", account=keys, offset=offset, limit=BALANCES_A_PAGE, **self._window()
        )
        rows = rows_of(answer, "balances", "sandbox")
        found, unreadable = read_rows(rows, balance_of, scope=SyncScope.ACCOUNTS, account=whose)
        following, done = _following(answer, offset, len(rows))
        page = Page(step=SyncScope.ACCOUNTS, progress=done, balances=found, unreadable=unreadable)
        return page, following

    async def _holdings(self, account: str) -> Page:
        answer = await self._get(f"/accounts/{account}/holdings")
        rows = rows_of(answer, "holdings", "sandbox")
        found, unreadable = read_rows(rows, holding_of, scope=SyncScope.HOLDINGS, account=account)
        return Page(
            step=SyncScope.HOLDINGS,
            progress=DONE,
            holdings=found,
            holdings_complete=() if unreadable else (account,),
            unreadable=unreadable,
        )

    async def _transactions(self, account: str, offset: int, room: int) -> tuple[Page, int | None]:
        answer = await self._get(
            f"/accounts/{account}/transactions",
            offset=offset,
            limit=room,
            **self._window(),
        )
        rows = rows_of(answer, "transactions", "sandbox")
        found, unreadable = read_rows(
            rows, transaction_of, scope=SyncScope.TRANSACTIONS, account=account
        )
        following, done = _following(answer, offset, len(rows))
        voided = rows_of(answer, "voided", "sandbox") if offset == 0 else []
        page = Page(
            step=SyncScope.TRANSACTIONS,
            progress=done,
            transactions=found,
            removed=[(account, str(id)) for id in voided],
            unreadable=unreadable,
        )
        return page, following

    def _window(self) -> Mapping[str, str]:
        days = {"since": self._request.since, "until": self._request.until}
        return {name: day.isoformat() for name, day in days.items() if day is not None}

    async def _get(self, path: str, **params: str | int | list[str]) -> Record:
        answer = await self._http.get(
            path,
            params={"day": self._place.day.isoformat(), **params},
            headers={"authorization": f"Bearer {self._request.credentials['token']}"},
            deadline=self._deadline,
        )
        return record_of(answer, "sandbox")


def place_of(cursor: str | None) -> Place | None:
    """None for no cursor, and for one that is none of ours: the pull then begins anew."""
    try:
        day, step, account, offset = json.loads(cursor or "")
        return Place(date.fromisoformat(day), int(step), str(account), max(int(offset), 0))
    except (ValueError, TypeError):
        return None


def _following(answer: Record, offset: int, count: int) -> tuple[int | None, Decimal]:
    """The row to go on from and how much of the list is read by then; None at the end."""
    total = int(decimal(answer, "total"))
    reached = offset + count
    if reached >= total or not count:
        return None, DONE
    return reached, Decimal(reached) / Decimal(total)


def _joined(parts: Sequence[Page]) -> Page:
    """One page of them all, as far as the last."""
    return replace(
        parts[-1],
        balances=[b for part in parts for b in part.balances],
        holdings=[h for part in parts for h in part.holdings],
        holdings_complete=[key for part in parts for key in part.holdings_complete],
        transactions=[t for part in parts for t in part.transactions],
        removed=[gone for part in parts for gone in part.removed],
        unreadable=[u for part in parts for u in part.unreadable],
    )


def _id(record: object) -> str | None:
    return whose(record, "id") if isinstance(record, Mapping) else None
