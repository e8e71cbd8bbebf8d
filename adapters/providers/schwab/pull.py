"""One pull of Schwab, page by page.

account numbers, accounts, nicknames ──> accounts ──> positions ──> transactions of each account

Accounts and positions are of one answer, so that they come to the same total. Small answers share
a page: what storing one costs is spent on fewer of them.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial

from adapters.providers.kit import (
    Malformed,
    Record,
    as_record,
    progress,
    read_rows,
    text_or_none,
    unread,
)
from adapters.providers.schwab import place as steps
from adapters.providers.schwab.accounts import NUMBER, Told, account_of, holding_of
from adapters.providers.schwab.history import History
from adapters.providers.schwab.place import Memory, Place
from adapters.providers.schwab.trader import Trader
from domain.accounts import masked
from domain.errors import CredentialsRejected, ProviderUnavailable
from domain.sync import Page, PullRequest, ReceivedAccount, ReceivedHolding, SyncScope, Unreadable

_WEIGHTS = {SyncScope.ACCOUNTS: 1, SyncScope.HOLDINGS: 1, SyncScope.TRANSACTIONS: 8}
_ORDER = tuple(_WEIGHTS)


class Pull:
    """A resumed pull goes on with the instant at which it began, so that its parts fit together."""

    def __init__(self, trader: Trader, request: PullRequest) -> None:
        self._trader, self._request = trader, request
        self._memory = Memory.of(request.position)
        self._place = Place.of(request.cursor) or Place(at=request.at)
        self._names = dict(self._memory.names)

    async def pages(self) -> AsyncIterator[Page]:
        """Raises CredentialsRejected, ProviderUnavailable."""
        scopes = self._request.scopes
        if self._place.step == steps.END or not scopes:
            return
        keys = await self._trader.numbers()
        accounts = Page(step=SyncScope.ACCOUNTS, progress=Decimal(1))
        told: dict[str, Told] = {}
        if scopes & {SyncScope.ACCOUNTS, SyncScope.HOLDINGS}:
            accounts, told = await self._accounts(keys)
        if SyncScope.ACCOUNTS in scopes and self._place.step == steps.ACCOUNTS:
            yield self._page(accounts, steps.HOLDINGS)
        if SyncScope.HOLDINGS in scopes and self._place.step <= steps.HOLDINGS:
            holdings = self._holdings(told)
            if SyncScope.ACCOUNTS not in scopes:  # then nobody else says it
                lost = [*accounts.unreadable, *holdings.unreadable]
                holdings = replace(holdings, unreadable=lost, failed=accounts.failed)
            yield self._page(holdings, steps.TRANSACTIONS)
        if SyncScope.TRANSACTIONS in scopes:
            wanted = [account.key for account in accounts.accounts]
            if SyncScope.ACCOUNTS not in scopes:
                wanted = [key for key in keys.values() if self._is_wanted(key)]
            history = History(self._trader, self._request, self._place, self._memory.pending)
            async for page in history.pages(sorted(wanted)):
                if page.progress == 1:
                    memory = Memory(names=self._names, pending=history.pending)
                    page = replace(page, position=memory.position)  # noqa: PLW2901
                yield self._page(page, steps.END)

    # ── accounts and positions ──────────────────────────────────────────────

    async def _accounts(self, keys: Mapping[str, str]) -> tuple[Page, dict[str, Told]]:
        """The page of accounts, and what they hold, by key."""
        rows = await self._trader.accounts()
        if SyncScope.ACCOUNTS in self._request.scopes:
            self._names |= await self._nicknames(keys)
        lost: list[Unreadable] = []
        by_key: dict[str, Told] = {}
        failed: dict[str, str] = {}
        for row in rows:
            try:
                told = Told.of(as_record(row, "the record"))
                key = keys.get(told.number)
            except Malformed as fault:
                lost.append(unread(row, fault.reason, scope=SyncScope.ACCOUNTS, number=NUMBER))
                continue
            if key is not None:
                by_key[key] = told
            elif self._request.account_keys is None:
                reason = "Schwab does not say by what hash it is called"
                failed[masked(told.number)] = reason
                lost.append(unread(told.record, reason, scope=SyncScope.ACCOUNTS, number=NUMBER))
        by_key = {key: told for key, told in by_key.items() if self._is_wanted(key)}
        found, unreadable = read_rows(
            [told.record for told in by_key.values()],
            lambda record: self._account(by_key, keys, record),
            scope=SyncScope.ACCOUNTS,
            account=lambda record: keys.get(str(record.get(NUMBER))),
            number=NUMBER,
        )
        failed |= {u.account_key: u.reason for u in unreadable if u.account_key is not None}
        for key in keys.values():
            if key not in by_key and self._is_wanted(key):
                failed[key] = "Schwab names it, and says nothing of it"
        page = Page(
            step=SyncScope.ACCOUNTS,
            progress=Decimal(1),
            accounts=found,
            # One that cannot be read is not gone, so then nothing is said to be complete.
            accounts_complete=self._request.account_keys is None and not (failed or lost),
            unreadable=[*lost, *unreadable],
            failed=failed,
        )
        read = {account.key for account in found}
        return page, {key: told for key, told in by_key.items() if key in read}

    def _account(
        self, by_key: Mapping[str, Told], keys: Mapping[str, str], record: Record
    ) -> ReceivedAccount:
        key = keys[str(record.get(NUMBER))]
        name = self._names.get(key)
        return account_of(by_key[key], key=key, nickname=name, at=self._place.at)

    async def _nicknames(self, keys: Mapping[str, str]) -> Mapping[str, str]:
        """By key. A pull does without, if it has to."""
        try:
            answer = await self._trader.preferences()
        except (ProviderUnavailable, CredentialsRejected):
            return {}
        rows = answer.get("accounts")
        found: dict[str, str] = {}
        for row in rows if isinstance(rows, list) else ():
            try:
                record = as_record(row, "the record")
                number, name = text_or_none(record, NUMBER), text_or_none(record, "nickName")
            except Malformed:
                continue
            if name and number and number in keys:
                found[keys[number]] = name
        return found

    def _holdings(self, told: Mapping[str, Told]) -> Page:
        found: list[ReceivedHolding] = []
        lost: list[Unreadable] = []
        complete: list[str] = []
        for key, one in told.items():
            if one.positions is None:
                reason, scope = "positions is not a list", SyncScope.HOLDINGS
                lost.append(unread(one.record, reason, scope=scope, account_key=key, number=NUMBER))
                continue
            read = partial(holding_of, account=key, at=self._place.at)
            rows, unreadable = read_rows(one.positions, read, scope=SyncScope.HOLDINGS, account=key)
            found += [row for row in rows if row is not None]
            lost += unreadable
            if not unreadable:
                complete.append(key)
        return Page(
            step=SyncScope.HOLDINGS,
            progress=Decimal(1),
            holdings=found,
            holdings_complete=complete,
            unreadable=lost,
        )

    def _is_wanted(self, key: str) -> bool:
        return self._request.account_keys is None or key in self._request.account_keys

    def _page(self, page: Page, following: int) -> Page:
        """With how far the pull is by then, and where it goes on; progress is within the step."""
        scopes = self._request.scopes
        done = sum(
            _WEIGHTS[scope] for scope in _ORDER[: _ORDER.index(page.step)] if scope in scopes
        )
        reached = done + page.progress * _WEIGHTS[page.step]
        whole = sum(_WEIGHTS[scope] for scope in scopes)
        return replace(
            page,
            progress=progress(reached / whole),
            cursor=page.cursor or replace(self._place, step=following).cursor,
        )
