"""One pull of an Item.

what the Item is ──> its accounts ──> holdings ──> updates of transactions ──> investments' own
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from adapters.providers.kit import (
    Record,
    inner_or_none,
    progress,
    raw_text,
    read_rows,
    rows_of,
    text_or_nothing,
)
from adapters.providers.plaid import item as about
from adapters.providers.plaid.accounts import OWED, account_of
from adapters.providers.plaid.api import Api
from adapters.providers.plaid.faults import SLUG, refusal
from adapters.providers.plaid.investments import (
    holding_of,
    invested_of,
    is_cash,
    with_securities,
)
from adapters.providers.plaid.place import (
    ACCOUNTS,
    END,
    HOLDINGS,
    INVESTED,
    UPDATES,
    Place,
    Position,
)
from adapters.providers.plaid.transactions import account_named, removed_of, transaction_of
from adapters.providers.plaid.updates import COUNT, Listed, Updates
from domain.accounts import AccountGroup
from domain.errors import ProviderUnavailable
from domain.money import Currency
from domain.sync import Page, PullRequest, ReceivedTransaction, SyncScope, Unreadable
from domain.transactions import TransactionStatus

HISTORY = timedelta(days=730)  # of investment transactions; of others Link was asked for as much
# An account in points or miles never can be read: it is kept apart, and fails no pull. If it did,
# all of the past would be read again each time.
NO_MONEY = re.compile(r"(iso|unofficial)_currency_code is no currency that we know")
UNKNOWN = "its account could not be read"
PAGES_MAX = 400


class Pull:
    """`webhook` is where Plaid is to tell us that there is more, None where it cannot."""

    def __init__(self, api: Api, request: PullRequest, *, webhook: str | None) -> None:
        self._api, self._request, self._webhook = api, request, webhook
        self._tells = False
        self._token = request.credentials["accessToken"]
        self._item = request.link or request.credentials.get("itemId", "")
        self._deadline = api.deadline()
        self._position = Position.of(request.position)
        sync = self._position.sync
        begun = Place(begun=request.at, sync=sync, first=sync)
        self._place = Place.of(request.cursor) or begun
        self._products: frozenset[str] = frozenset()
        self._invested = self._position.invested
        self._known: dict[str, Currency] = {}  # the accounts that could be read
        self._spent: set[str] = set()  # those of them that have no other list of what is pending
        self._positions: Record | None = None

    async def pages(self) -> AsyncIterator[Page]:
        """Raises CredentialsRejected, ProviderUnavailable."""
        if self._place.step == END:
            return
        accounts, rows = await self._accounts()
        plan = self._plan(rows)
        for number, step in enumerate(plan):
            if step < self._place.step:
                continue
            if step != self._place.step:
                self._place = self._place.at(step)
            async for page, done in self._step(step, accounts):
                is_last = done == 1 and number + 1 == len(plan)
                if done == 1:
                    step_after = END if is_last else plan[number + 1]
                    self._place = self._place.at(step_after)
                yield replace(
                    page,
                    progress=progress((number + done) / len(plan)),
                    cursor=self._place.text,
                    position=self._reached() if is_last else None,
                )

    def _plan(self, rows: Iterable[Record]) -> list[int]:
        """The steps of this pull."""
        scopes, invests = self._request.scopes, any(map(about.is_invested, rows))
        plan = [ACCOUNTS] if SyncScope.ACCOUNTS in scopes else []
        if SyncScope.HOLDINGS in scopes and invests and "investments" in self._products:
            plan.append(HOLDINGS)
        if SyncScope.TRANSACTIONS in scopes:
            plan.append(UPDATES)
            if invests and "investments" in self._products:
                plan.append(INVESTED)
        return plan

    async def _step(self, step: int, accounts: Page) -> AsyncIterator[tuple[Page, Decimal]]:
        """The pages of a step, each with how much of the step is read by then."""
        if step == ACCOUNTS:
            yield accounts, Decimal(1)
        elif step == HOLDINGS:
            yield await self._holdings(), Decimal(1)
        elif step == UPDATES:
            async for page in self._updates():
                yield page
        else:
            async for page in self._investments():
                yield page

    def _reached(self) -> str:
        return Position(sync=self._place.sync, invested=self._invested).text

    # ── accounts ────────────────────────────────────────────────────────────

    async def _accounts(self) -> tuple[Page, list[Record]]:
        answer = await self._ask("/item/get")
        item = about.inner(answer, "item")
        error = inner_or_none(item, "error") if isinstance(item.get("error"), Mapping) else None
        if error is not None and (why := refusal(error)) is not None:
            raise why
        self._products = about.products(item)
        self._tells = self._webhook is not None and item.get("webhook") == self._webhook
        listed = rows_of(await self._ask("/accounts/get"), "accounts", SLUG)
        rows = self._wanted(listed)
        whole = [row for row in rows if isinstance(row, Mapping)]
        beside = await self._beside(whole) if SyncScope.ACCOUNTS in self._request.scopes else {}
        context = {
            "institution_name": _institution(item, self._request),
            "as_of": about.updated_at(answer, self._place.begun),
        }
        told = [
            {**row, **context, **beside.get(str(row.get("account_id")), {})}
            if isinstance(row, Mapping)
            else row
            for row in rows
        ]
        found, unreadable = read_rows(
            told,
            account_of,
            scope=SyncScope.ACCOUNTS,
            account=account_named,
            number="account_number",
        )
        found, twice = about.once(found)
        self._known = {account.key: account.currency for account in found}
        self._spent = {a.key for a in found if a.type.group is not AccountGroup.INVESTMENT}
        failed = {
            u.account_key: u.reason
            for u in unreadable
            if u.account_key is not None and not NO_MONEY.match(u.reason)
        }
        page = Page(
            step=SyncScope.ACCOUNTS,
            progress=Decimal(0),
            accounts=found,
            accounts_complete=self._request.account_keys is None and not [*unreadable, *twice],
            unreadable=[*unreadable, *twice],
            failed={key: why for key, why in failed.items() if key not in self._known},
        )
        return page, whole

    async def _beside(self, rows: list[Record]) -> Mapping[str, Mapping[str, object]]:
        """What other products tell of the accounts: their cash, and the numbers of loans."""
        beside: dict[str, dict[str, object]] = {}
        if any(map(about.is_invested, rows)) and "investments" in self._products:
            held = await self._held()
            told = _list((self._positions or {}).get("accounts"))
            for row in filter(about.is_invested, rows):
                if (cash := about.cash_of(row, held, told)) is not None:
                    beside[str(row.get("account_id"))] = {"cash": cash}
        if any(row.get("type") in OWED for row in rows) and "liabilities" in self._products:
            answer = await self._product("/liabilities/get")
            for key, number in about.numbers(answer).items():
                beside.setdefault(key, {})["account_number"] = number
        return beside

    # ── holdings ────────────────────────────────────────────────────────────

    async def _held(self) -> list[object]:
        """Each holding with its security; asked for once a pull."""
        if self._positions is None:
            self._positions = await self._product("/investments/holdings/get") or {}
        if not self._positions:
            return []
        holdings = rows_of(self._positions, "holdings", SLUG)
        return with_securities(holdings, rows_of(self._positions, "securities", SLUG))

    async def _holdings(self) -> Page:
        held = await self._held()
        as_of = self._place.begun.isoformat()
        rows = [
            {**row, "as_of": as_of} if isinstance(row, Mapping) else row
            for row in self._wanted(held)
            if not is_cash(row, self._known)
        ]
        ours, lost = self._of_known(rows, SyncScope.HOLDINGS)
        found, unreadable = read_rows(
            ours, holding_of, scope=SyncScope.HOLDINGS, account=account_named
        )
        told = {
            str(account_named(row))
            for row in _list((self._positions or {}).get("accounts"))
            if about.is_invested(row)
        }
        doubtful = {row.account_key for row in unreadable}
        is_sure = None not in doubtful
        return Page(
            step=SyncScope.HOLDINGS,
            progress=Decimal(0),
            holdings=found,
            holdings_complete=[k for k in self._known if k in told - doubtful and is_sure],
            unreadable=[*lost, *unreadable],
        )

    # ── transactions ────────────────────────────────────────────────────────

    async def _updates(self) -> AsyncIterator[tuple[Page, Decimal]]:
        place = self._place
        updates = Updates(
            self._api,
            token=self._token,
            item=self._item,
            deadline=self._deadline,
            tells=self._tells,
            read=self._update,
        )
        if "transactions" not in self._products:
            yield Page(step=SyncScope.TRANSACTIONS, progress=Decimal(0)), Decimal(1)
            return
        listed = await updates.since(place.sync, first=place.first)
        before = 0 if listed.restarted else place.done
        pending = self._pending(listed)
        for number, update in enumerate(listed.updates, before + 1):
            self._place = replace(self._place, sync=update.cursor, done=number)
            page = replace(update.page, pending=pending if number == 1 else {})
            yield page, Decimal(number) / (before + len(listed.updates))

    def _pending(self, listed: Listed) -> Mapping[str, list[str]]:
        """All that is pending, of each account of which a list of everything could be read; with
        it what settles further on in the list. It says nothing of what was there and is gone."""
        pages = [update.page for update in listed.updates]
        doubtful = {row.account_key for page in pages for row in page.unreadable}
        if not listed.is_everything or None in doubtful:
            return {}
        pending: dict[str, list[str]] = {key: [] for key in self._spent - doubtful}
        for key, rows in ((k, rows) for page in pages for k, rows in page.pending.items()):
            if key in pending:
                pending[key] += rows
        return pending

    def _update(self, update: Record) -> Page:
        # With a position all of it is news, however old it is.
        since = self._request.since if self._request.position is None else None
        rows = [*rows_of(update, "added", SLUG), *rows_of(update, "modified", SLUG)]
        ours, lost = self._of_known(self._wanted(rows), SyncScope.TRANSACTIONS)
        found, unreadable = read_rows(
            ours, transaction_of, scope=SyncScope.TRANSACTIONS, account=account_named
        )
        gone, odd = read_rows(
            self._wanted(rows_of(update, "removed", SLUG)),
            removed_of,
            scope=SyncScope.TRANSACTIONS,
            account=account_named,
        )
        return Page(
            step=SyncScope.TRANSACTIONS,
            progress=Decimal(0),
            transactions=_in_days(found, since, self._request.until),
            removed=[(account, key) for account, key in gone if account in self._known],
            pending=_pending_in(found),
            unreadable=[*lost, *unreadable, *odd],
        )

    async def _investments(self) -> AsyncIterator[tuple[Page, Decimal]]:
        """By offset within a window of days, newest first; one that comes meanwhile moves the
        others on, so that some are told twice, which does no harm. One that goes moves them up,
        and some would not be told at all: then it begins anew."""
        request, begun = self._request, self._place.begun
        earliest = (begun - HISTORY).date()
        is_partial = self._position.invested or request.position is None
        since = (request.since if is_partial else None) or earliest
        until = request.until or begun.date()
        if since > until:
            yield Page(step=SyncScope.TRANSACTIONS, progress=Decimal(0)), Decimal(1)
            return
        for _ in range(PAGES_MAX):
            answer = await self._product(
                "/investments/transactions/get",
                start_date=since.isoformat(),
                end_date=until.isoformat(),
                options={"count": COUNT, "offset": self._place.done},
            )
            if answer is None:
                yield Page(step=SyncScope.TRANSACTIONS, progress=Decimal(0)), Decimal(1)
                return
            rows = rows_of(answer, "investment_transactions", SLUG)
            total, offset = about.total_of(answer), self._place.done + len(rows)
            if total < self._place.total:
                self._place = replace(self._place, done=0, total=total)
                continue
            is_last = offset >= total or not rows
            self._place = replace(self._place, done=offset, total=total)
            self._invested = self._invested or (is_last and since == earliest)
            share = Decimal(1) if is_last else Decimal(offset) / total
            yield self._investment(rows, answer, since, until), share
            if is_last:
                return
        raise ProviderUnavailable("Plaid does not come to the end of a list", provider=SLUG)

    def _investment(self, rows: list[object], answer: Record, since: date, until: date) -> Page:
        told = with_securities(rows, rows_of(answer, "securities", SLUG))
        ours, lost = self._of_known(self._wanted(told), SyncScope.TRANSACTIONS)
        found, unreadable = read_rows(
            ours, invested_of, scope=SyncScope.TRANSACTIONS, account=account_named
        )
        return Page(
            step=SyncScope.TRANSACTIONS,
            progress=Decimal(0),
            transactions=_in_days(found, since, until),
            unreadable=[*lost, *unreadable],
        )

    # ── asking ──────────────────────────────────────────────────────────────

    async def _ask(self, path: str) -> Record:
        return await self._api.read(
            path, item=self._item, deadline=self._deadline, access_token=self._token
        )

    async def _product(self, path: str, **said: object) -> Record | None:
        return await self._api.product(
            path, item=self._item, deadline=self._deadline, access_token=self._token, **said
        )

    def _wanted(self, rows: Iterable[object]) -> list[object]:
        """Those of the accounts that are asked for; what names no account could be of them."""
        keys = self._request.account_keys
        return [r for r in rows if keys is None or (account_named(r) or "") in {*keys, ""}]

    def _of_known(
        self, rows: Iterable[object], scope: SyncScope
    ) -> tuple[list[object], list[Unreadable]]:
        """Rows of accounts that were read; what is of another one is kept until that can be."""
        ours: list[object] = []
        lost: list[Unreadable] = []
        for row in rows:
            key = account_named(row)
            if key is None or key in self._known:
                ours.append(row)
                continue
            lost.append(Unreadable(scope=scope, reason=UNKNOWN, raw=raw_text(row), account_key=key))
        return ours, lost


def _institution(item: Record, request: PullRequest) -> str:
    name = text_or_nothing(item, "institution_name")
    return name or request.credentials.get("institution") or "Plaid"


def _in_days(
    found: Iterable[ReceivedTransaction], since: date | None, until: date | None
) -> list[ReceivedTransaction]:
    return [t for t in found if (since or date.min) <= t.date <= (until or date.max)]


def _pending_in(found: Iterable[ReceivedTransaction]) -> dict[str, list[str]]:
    """By account: the keys of what is pending, and of what was and is settled by one of them."""
    pending: dict[str, list[str]] = {}
    for row in found:
        key = row.key if row.status is TransactionStatus.PENDING else row.replaces
        if key is not None:
            pending.setdefault(row.account_key, []).append(key)
    return pending


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
