"""A CSV file in the terms of the domain.

What it does not say is not made up: no account number is in it, so that an account is known by the
last digits in the file's name, its title or a column of cards; else each name of a file stands for
an account of its own. The balance is that of the newest line that has one, or of a total.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import lru_cache

from adapters.csv.cells import instant_in
from adapters.csv.errors import CsvError, Illegible
from adapters.csv.layouts import Table, tables_of
from adapters.csv.positions import positions_of
from adapters.csv.profiles import PROFILES, Profile
from adapters.csv.rows import Row, currency_in, row_of
from adapters.csv.table import Line, seems_a_table, text_of
from domain.accounts import AccountType, masked
from domain.errors import ErrorCode, UnreadableFile
from domain.imports import FILE_BYTES_MAX, Statement, content_keys
from domain.money import Currency, Money
from domain.sync import (
    ReceivedAccount,
    ReceivedHolding,
    ReceivedTransaction,
    SyncScope,
    Unreadable,
)

SOURCE = "csv"
NAME_CHARS_MAX = 60
ACCOUNTS_MAX = 500
PENDING_MAX = 1_000  # each is looked for again with every file that comes later

_COPIES = re.compile(r"\s*(?:\(\d{1,3}\)|[-_ ]?copy(?:[-_ ]?\d{1,3})?)\s*$", re.IGNORECASE)
_DATES = re.compile(r"[-_ ]*\d{4}[-_. ]?\d{2}[-_. ]?\d{2}(?:[-_ T]?\d{4,6})?")
_LABELS = {AccountType.CERTIFICATE_OF_DEPOSIT: "Certificate", AccountType.OTHER: "Account"}


def is_csv(raw: bytes) -> bool:
    """By its content: text in columns, and none of the other formats."""
    return seems_a_table(raw)


def statement_of(raw: bytes, name: str = "", profiles: Sequence[Profile] = PROFILES) -> Statement:
    """What a CSV file of this name says, every record of it once: read, or in `unreadable`.

    Raises UnreadableFile: over FILE_BYTES_MAX, of a layout that is not known, or out of bounds.
    """
    if len(raw) > FILE_BYTES_MAX:
        raise UnreadableFile(
            f"a file has at most {FILE_BYTES_MAX // 1024 // 1024} MB",
            code=ErrorCode.FILE_TOO_LARGE,
        )
    try:
        return _Translation(name).statement(tables_of(text_of(raw), profiles))
    except CsvError as fault:
        raise UnreadableFile(fault.reason, line=fault.line) from fault


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whose:
    """What is known of the account that rows are of."""

    mask: str | None = None
    name: str | None = None
    when: datetime | None = None


@dataclass(slots=True)
class _Translation:
    file_name: str
    accounts: list[ReceivedAccount] = field(default_factory=list)
    holdings: list[ReceivedHolding] = field(default_factory=list)
    complete: list[str] = field(default_factory=list)
    transactions: list[ReceivedTransaction] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    pending: dict[str, list[str]] = field(default_factory=dict)
    days: list[date] = field(default_factory=list)

    def statement(self, tables: Sequence[Table]) -> Statement:
        for table in tables:
            if table.profile.holds_positions:
                self._take_positions(table)
            else:
                self._take_transactions(table)
        return Statement(
            institution=tables[0].profile.institution,
            accounts=self._once(),
            holdings=self.holdings,
            holdings_complete=self.complete,
            transactions=self.transactions,
            unreadable=self.unreadable,
            since=min(self.days, default=None),
            until=max(self.days, default=None),
            source=SOURCE,
            pending=self.pending,
        )

    def _once(self) -> list[ReceivedAccount]:
        """Of two tables of one account, the newer word, and of two of one day the later."""
        by_age = sorted(self.accounts, key=lambda account: account.as_of)
        found = {account.key: account for account in by_age}
        if len(found) > ACCOUNTS_MAX:
            raise CsvError(f"more than {ACCOUNTS_MAX} accounts")
        return [found[key] for key in dict.fromkeys(account.key for account in self.accounts)]

    def _take_transactions(self, table: Table) -> None:
        by_account: dict[tuple[str, Currency], list[Line]] = defaultdict(list)
        for line in table.rows:
            if _is_total(table, line):
                continue
            try:
                of = currency_in(table, line)
            except Illegible as fault:
                self._lose(line, str(fault), None)
                continue
            by_account[table.cell(line, "number")[-4:], of].append(line)
        for (number, of), lines in by_account.items():
            self._take_account(table, _whose(table, self.file_name, number), of, lines)

    def _take_account(
        self, table: Table, whose: _Whose, of: Currency, lines: Sequence[Line]
    ) -> None:
        profile = table.profile
        kind = _kind(profile, whose.name)
        key = self._key(profile, kind, whose, of)
        rows: list[Row] = []
        for line in lines:
            try:
                rows.append(row_of(table, line, kind))
            except Illegible as fault:
                self._lose(line, str(fault), key)
        if _is_oldest_first(rows, profile):
            rows.reverse()
        keys = content_keys([(None, row.day, row.amount, row.name) for row in rows])
        made = [row.make(key, own) for row, own in zip(rows, keys, strict=True)]
        stated = next((row for row in rows if row.balance is not None), None)
        newest = max((row.day for row in rows), default=None)
        as_of = _midnight(stated.day if stated else newest) or whose.when or datetime.now(UTC)
        balance = None
        if stated is not None and stated.balance is not None:
            balance = Money(stated.balance, of)
        self.accounts.append(self._account(profile, kind, key, whose, of, balance, as_of, None))
        self.transactions += made
        self.days += [row.day for row in rows]
        if profile.pending_without_balance or profile.pending_words:
            told = zip(rows, keys, strict=True)
            pending = self.pending.setdefault(key, [])
            pending += [own for row, own in told if row.is_pending]
            if len(pending) > PENDING_MAX:
                raise CsvError(f"more than {PENDING_MAX:,} rows are pending")

    def _take_positions(self, table: Table) -> None:
        whose = _whose(table, self.file_name, "")
        profile = table.profile
        kind, of = _kind(profile, whose.name), Currency(profile.currency)
        key = self._key(profile, kind, whose, of)
        as_of = whose.when or datetime.now(UTC)
        rows = [line for line in table.rows if not _is_total(table, line)]
        totals = [line for line in table.rows if _is_total(table, line)]
        found = positions_of(table, rows, totals, key=key, of=of, as_of=as_of)
        for line, reason in found.lost:
            self._lose(line, reason, key, SyncScope.HOLDINGS)
        self.holdings += found.holdings
        if not found.lost:
            self.complete.append(key)
        self.accounts.append(
            self._account(profile, kind, key, whose, of, found.balance, as_of, found.cash)
        )

    def _account(
        self,
        profile: Profile,
        kind: AccountType,
        key: str,
        whose: _Whose,
        of: Currency,
        balance: Money | None,
        as_of: datetime,
        cash: Money | None,
    ) -> ReceivedAccount:
        label = whose.name or _LABELS.get(kind) or kind.value.replace("_", " ").capitalize()
        return ReceivedAccount(
            key=key,
            institution=profile.institution,
            name=f"{label} {masked(whose.mask)}" if whose.mask else label,
            type=kind,
            currency=of,
            balance=balance,
            as_of=as_of,
            mask=whose.mask,
            cash=cash,
        )

    def _key(self, profile: Profile, kind: AccountType, whose: _Whose, of: Currency) -> str:
        which = whose.mask or f"file {_label(self.file_name)}"
        return f"CSV:{profile.institution}:{kind.group.name}:{which}:{of}"

    def _lose(
        self,
        line: Line,
        reason: str,
        key: str | None,
        scope: SyncScope = SyncScope.TRANSACTIONS,
    ) -> None:
        self.unreadable.append(
            Unreadable(
                scope=scope,
                reason=reason,
                raw=",".join(line.cells),
                line=line.number,
                account_key=key,
            )
        )


def _whose(table: Table, file_name: str, number: str) -> _Whose:
    """By a column, else by the title above, else by the file's name."""
    profile = table.profile
    titles = (table.title, table.heading)
    told = [re.fullmatch(profile.title, title, re.IGNORECASE) for title in titles if title]
    told.append(_named(profile.file_name, file_name))
    given = [found.groupdict() for found in told if found is not None]

    def first(group: str) -> str | None:
        return next((said for one in given if (said := one.get(group))), None)

    name = first("name")
    when = first("when") or first("of_all")
    return _Whose(
        mask=number or first("mask"),
        name=name.replace("_", " ").strip()[:NAME_CHARS_MAX] or None if name else None,
        when=instant_in(when or file_name),
    )


@lru_cache(maxsize=64)
def _named(pattern: str, file_name: str) -> re.Match[str] | None:
    """Once a file, though it may be of many tables."""
    return re.search(pattern, file_name, re.IGNORECASE)


def _kind(profile: Profile, name: str | None) -> AccountType:
    said = f" {(name or '').casefold()}"
    return next((kind for word, kind in profile.kinds.items() if f" {word}" in said), profile.kind)


def _label(file_name: str) -> str:
    """A file's name without what changes from one download to the next."""
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", file_name.rpartition("/")[2].rpartition("\\")[2])
    return _DATES.sub("", _COPIES.sub("", stem)).strip(" -_").casefold()[:NAME_CHARS_MAX]


def _is_total(table: Table, line: Line) -> bool:
    said = line.said
    return bool(said) and said[0].casefold() in table.profile.totals


def _is_oldest_first(rows: Sequence[Row], profile: Profile) -> bool:
    if not rows or rows[0].day == rows[-1].day:
        return not profile.newest_first
    return rows[0].day < rows[-1].day


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time.min, UTC)
