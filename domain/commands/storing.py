"""One page on its way into storage: what all parts of storing it share."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from domain.accounts import Account, AccountId
from domain.events import Event, EventName
from domain.links import Link, LinkId, LinkStatus
from domain.merging import Merge
from domain.ports import App
from domain.sealing import Place, bound_to
from domain.storage.work import Work
from domain.sync import (
    NO_COUNTS,
    Page,
    ReceivedBalance,
    ReceivedHolding,
    ReceivedTransaction,
    SyncCounts,
    SyncRun,
    SyncScope,
    SyncTrigger,
    Unreadable,
)

OfAccount: TypeAlias = ReceivedHolding | ReceivedTransaction | ReceivedBalance


@dataclass(slots=True)
class Stored:
    """What storing one page did, by part and by account; None for what is of no single one."""

    counts: dict[tuple[SyncScope, AccountId | None], SyncCounts] = field(default_factory=dict)
    quarantined: int = 0

    def add(self, scope: SyncScope, account_id: AccountId | None, more: SyncCounts) -> None:
        self.counts[scope, account_id] = self.of(scope, account_id) + more

    def of(self, scope: SyncScope, account_id: AccountId | None) -> SyncCounts:
        return self.counts.get((scope, account_id), NO_COUNTS)

    @property
    def accounts(self) -> SyncCounts:
        return self._all(SyncScope.ACCOUNTS)

    @property
    def holdings(self) -> SyncCounts:
        return self._all(SyncScope.HOLDINGS)

    @property
    def transactions(self) -> SyncCounts:
        return self._all(SyncScope.TRANSACTIONS)

    def _all(self, scope: SyncScope) -> SyncCounts:
        return sum((c for (of, _), c in self.counts.items() if of is scope), NO_COUNTS)


@dataclass(slots=True)
class Storing:
    """What a page is stored for, and the accounts that it names by the key that we keep.

    What a page calls an account goes through `kept_key` or `account`.
    """

    app: App
    work: Work
    link: Link
    run: SyncRun
    page: Page
    at: datetime
    lost: list[Unreadable]
    accounts: dict[str, Account] = field(default_factory=dict)
    _live: frozenset[LinkId] | None = field(default=None)
    _kept_keys: dict[str, str] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        return self.run.trigger is SyncTrigger.IMPORT

    async def live_links(self) -> frozenset[LinkId]:
        """The links that are asked again and again: their word wins over a file's."""
        if self._live is None:
            links = await self.work.links.list((LinkStatus.ACTIVE, LinkStatus.FAILED))
            providers = self.app.providers
            self._live = frozenset(
                link.id
                for link in links
                if (provider := providers.get(link.provider_slug)) and provider.info.can_be_pulled
            )
        return self._live

    async def outdated(self, stated: Iterable[tuple[Account, datetime]]) -> set[AccountId]:
        """The accounts of a file of which more is known than it says, each with its time there.

        A live link feeds them, or their balance is known at a later time.
        """
        if not self.is_file:
            return set()
        given = list(stated)
        live = await self.live_links()
        latest = await self.work.history.latest([account.id for account, _ in given])
        return {
            account.id
            for account, at in given
            if account.link_id in live or (account.id in latest and latest[account.id].at > at)
        }

    def named(self) -> set[str] | None:
        """The keys that we keep of the page's accounts; None where it lists those of the link."""
        page = self.page
        if page.accounts or page.accounts_complete:
            return None
        rows: list[OfAccount] = [*page.holdings, *page.transactions, *page.balances]
        keys = {row.account_key for row in rows}
        keys |= {row.account_key for row in page.unreadable if row.account_key is not None}
        keys |= {key for key, _ in (*page.removed, *(page.all_keys or ()))}
        keys |= {*page.holdings_complete, *page.stated_at, *page.pending}
        return {self.kept_key(key) for key in keys}

    def kept_key(self, key: str) -> str:
        """What is kept of a page's key: itself, or of a file its hash."""
        if key not in self._kept_keys:
            kept = key_in_files(self.app, self.link, key) if self.is_file else key
            self._kept_keys[key] = kept
        return self._kept_keys[key]

    def account(self, key: str) -> Account | None:
        return self.accounts.get(self.kept_key(key))

    def account_of(self, scope: SyncScope, row: OfAccount) -> Account | None:
        """The account that a row names; where there is none the row is lost, with the reason."""
        account = self.account(row.account_key)
        if account is None:
            self.lose(scope, row, "its account is not known, or could not be read")
        return account

    def lose(self, scope: SyncScope, row: OfAccount, reason: str) -> None:
        said = {**asdict(row), "account_key": self.kept_key(row.account_key)}
        raw = json.dumps(said, default=str)
        key = row.account_key
        self.lost.append(Unreadable(scope=scope, reason=reason, raw=raw, account_key=key))

    async def remember(self, *merges: Merge[Any]) -> None:
        """An import can be undone."""
        if self.is_file and any(m.written or m.confirmed for m in merges):
            await self.work.imports.remember(self.run.id, merges)

    def record(self, name: EventName, **facts: str) -> None:
        self.work.record(Event(name=name, user_id=self.link.user_id, at=self.at, facts=facts))


def key_in_files(app: App, link: Link, key: str) -> str:
    """What is kept of the name that a file has for an account.

    It holds the account's number, so it is kept as a keyed hash. A provider that is asked for
    accounts gets its own keys back; a file is never asked for anything.
    """
    return app.vault.fingerprint(key, context=bound_to(Place.ACCOUNT_KEY, link.user_id, link.id))
