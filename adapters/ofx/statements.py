"""A statement file in the terms of the domain.

What a balance means:
    BANK, CARD  LEDGERBAL as written: an overdraft, and what is owed on a card, are negative
    LOAN        LEDGERBAL, always negative: some write what is owed as a positive number
    INVESTMENT  what the institution says is the total (the 401(k)'s, or the net worth among the
                named balances); else cash, margin balance and positions together, where all of
                these could be read. SHORTBALANCE is what the short positions are worth, and
                those are among the positions. A sweep fund that is both cash and a position
                counts once.

Without INVPOSLIST nothing is said of positions: those that are known stay, and cash alone is a
balance only where none is known. An empty one says that there are none.

Where nothing is stated, or what is cannot be read, there is no balance, and a row in `unreadable`
says so. Of an account's number no text holds more than its end; `key` and `number` do.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias, TypeVar

from adapters.ofx.errors import Illegible, OfxError
from adapters.ofx.investments import InvestmentTransaction, Position
from adapters.ofx.reader import read
from adapters.ofx.records import AccountRef, BankTransaction, OfxFile, StatementKind
from adapters.ofx.records import Statement as OfxStatement
from adapters.ofx.records import Unreadable as OfxUnreadable
from adapters.ofx.statement_accounts import (
    institution_of,
    key_of,
    name_of,
    stated_currency,
    time_of,
    type_of,
)
from adapters.ofx.statement_rows import Row, bank_row, investment_row
from adapters.ofx.statement_securities import (
    Securities,
    holding_of,
    invested,
    joined,
    says_positions,
    stated_total,
    unread_positions,
)
from adapters.ofx.statement_values import clean, storable, without_numbers
from adapters.ofx.tags import (
    BANK_TRANSACTIONS,
    INVESTMENT_TRANSACTIONS,
    POSITIONS,
    SECURITIES,
)
from domain.accounts import mask_of, masked
from domain.errors import ErrorCode, UnreadableFile
from domain.imports import CASH_ALONE, FILE_BYTES_MAX, Statement, content_keys
from domain.money import EXACT, Currency, Money
from domain.sync import (
    ReceivedAccount,
    ReceivedHolding,
    ReceivedTransaction,
    SyncScope,
    Unreadable,
)

T = TypeVar("T")
Record: TypeAlias = BankTransaction | InvestmentTransaction | Position

_BALANCES = ("LEDGERBAL", "INVBAL", "INV401KBAL")


def statement_of(raw: bytes) -> Statement:
    """What an OFX, QFX or QBO file says, every record of it once: read, or in `unreadable`.

    Raises UnreadableFile: not such a file, over FILE_BYTES_MAX, cut off, hostile, without any
    statement, or the institution's own refusal.
    """
    if len(raw) > FILE_BYTES_MAX:
        raise UnreadableFile(
            f"a file has at most {FILE_BYTES_MAX // 1024 // 1024} MB",
            code=ErrorCode.FILE_TOO_LARGE,
        )
    try:
        file = read(raw, bytes_max=FILE_BYTES_MAX)
    except OfxError as fault:
        raise UnreadableFile(fault.reason, line=fault.line) from fault
    if not file.statements and not file.unreadable:
        raise UnreadableFile("the file holds no statement of any account")
    return _Translation(file).statement()


@dataclass(slots=True)
class _Found:
    """What was made of one account, of all its statements in the file."""

    account: ReceivedAccount
    holdings: list[ReceivedHolding] = field(default_factory=list)
    transactions: dict[str, ReceivedTransaction] = field(default_factory=dict)
    is_complete: bool = False
    positions_of: ReceivedAccount | None = None  # the statement that they are from


class _Translation:
    def __init__(self, file: OfxFile) -> None:
        self._file = file
        self._securities = Securities(file.securities)
        self._found: dict[str, _Found] = {}
        self._holds: dict[str, bool] = {}  # of accounts whose positions are stated
        for s in file.statements:
            if says_positions(s):
                has_some = bool(s.positions or s.positions_listed)
                self._holds[key_of(s)] = self._holds.get(key_of(s), False) or has_some
        self._keys: dict[AccountRef, str] = {}
        self._unreadable: list[Unreadable] = []

    def statement(self) -> Statement:
        for statement in self._file.statements:
            self._take(statement)
        theirs = [self._passed_on(row) for row in self._file.unreadable]
        starts = [s.start for s in self._file.statements if s.start]
        ends = [s.end for s in self._file.statements if s.end]
        found = list(self._found.values())
        return Statement(
            institution=found[0].account.institution if found else None,
            accounts=[one.account for one in found],
            holdings=[h for one in found for h in one.holdings],
            holdings_complete=[key for key, one in self._found.items() if one.is_complete],
            transactions=[t for one in found for t in one.transactions.values()],
            unreadable=[*theirs, *self._unreadable],
            since=min(starts, default=None),
            until=max(ends, default=None),
        )

    def _take(self, statement: OfxStatement) -> None:
        key = key_of(statement)
        self._keys[statement.account] = key
        try:
            self._read_in(statement, key, stated_currency(statement))
        except Illegible as fault:
            self._refuse(statement, key, str(fault))

    def _read_in(self, statement: OfxStatement, key: str, of: Currency) -> None:
        """Raises Illegible: the account itself cannot be read."""
        as_of = time_of(statement, self._file)
        held = self._read(
            statement.positions,
            lambda p: holding_of(
                p, account_key=key, securities=self._securities, default=of, as_of=as_of
            ),
            key,
        )
        account = self._account(statement, key, of, as_of, held)
        known = self._found.get(key)
        if known is None:
            known = self._found[key] = _Found(account)
        if _rank(account) >= _rank(known.account):  # of two statements the later one
            known.account = account
        before = known.positions_of
        if says_positions(statement) and (before is None or _rank(account) >= _rank(before)):
            known.positions_of = account
            known.holdings = joined(held)
            is_listed = statement.positions_listed is not None
            known.is_complete = is_listed and not unread_positions(statement, held)
        for row in self._rows(statement, key, of):
            known.transactions[row.key] = row

    def _rows(
        self, statement: OfxStatement, key: str, of: Currency
    ) -> Iterable[ReceivedTransaction]:
        of_card = statement.kind is StatementKind.CARD
        rows = self._read(
            statement.transactions,
            lambda t: bank_row(t, account_key=key, default=of, of_card=of_card),
            key,
        )
        rows += self._read(
            statement.investment_transactions,
            lambda t: investment_row(t, account_key=key, default=of, securities=self._securities),
            key,
        )
        days = [_day(row) for row in rows]
        named = [(r.fitid, d, r.amount, r.name) for r, d in zip(rows, days, strict=True)]
        made = [row.make(own) for row, own in zip(rows, content_keys(named), strict=True)]
        return self._corrected(rows, made, key)

    def _corrected(
        self, rows: Sequence[Row], made: Sequence[ReceivedTransaction], key: str
    ) -> list[ReceivedTransaction]:
        """A row that another one of the file corrects is left out, as is the one that deletes.

        A replacement whose original is not here stands as a transaction of its own; a deletion
        then cannot be done, and says so.
        """
        places = {row.fitid: i for i, row in enumerate(rows) if row.fitid}
        gone: set[int] = set()
        corrected = list(made)
        for i, row in enumerate(rows):
            correction = row.source.correction if isinstance(row.source, BankTransaction) else None
            if correction is None:
                continue
            original = places.get(correction.fitid, i)
            if original != i:
                gone.add(original)
                corrected[i] = replace(made[i], replaces=made[original].key)
            if (correction.action or "").upper() == "DELETE":
                gone.add(i)
                if original == i:
                    reason = f"it deletes {clean(correction.fitid)}, which is not in this file"
                    self._note(row.source, reason, key)
        return [one for i, one in enumerate(corrected) if i not in gone]

    def _account(
        self,
        statement: OfxStatement,
        key: str,
        of: Currency,
        as_of: datetime,
        held: Sequence[ReceivedHolding],
    ) -> ReceivedAccount:
        number = clean(statement.account.account_id)
        kind = type_of(statement)
        balance = self._balance(statement, of, held, key)
        available = statement.available_balance
        can_be_spent = None if available is None else available.amount
        cash = None
        if (parts := statement.investment_balances) is not None:
            can_be_spent = cash = parts.available_cash
            if cash is not None:
                cash = EXACT.add(cash, parts.margin or Decimal(0))
        return ReceivedAccount(
            key=key,
            institution=institution_of(self._file, statement),
            name=name_of(kind, number),
            type=kind,
            currency=of,
            balance=None if balance is None else Money(balance, of),
            as_of=as_of,
            number=number,
            mask=mask_of(number),
            available_balance=None
            if can_be_spent is None
            else Money(storable(can_be_spent, "AVAILBAL"), of),
            cash=None if cash is None else Money(storable(cash, "AVAILCASH"), of),
            is_cash_alone=statement.kind is StatementKind.INVESTMENT
            and key not in self._holds
            and stated_total(statement) is None,
        )

    def _balance(
        self,
        statement: OfxStatement,
        of: Currency,
        held: Sequence[ReceivedHolding],
        key: str,
    ) -> Decimal | None:
        if any(
            r.account == statement.account and r.kind in _BALANCES for r in self._file.unreadable
        ):
            return None
        try:
            stated = self._stated(statement, of, held, key)
        except Illegible as fault:
            self._unreadable.append(
                Unreadable(
                    scope=SyncScope.ACCOUNTS,
                    reason=str(fault),
                    raw=f"{statement.kind} {masked(statement.account.account_id)}",
                    line=statement.line,
                    account_key=key,
                )
            )
            return None
        if statement.kind is StatementKind.LOAN:
            stated = EXACT.minus(EXACT.abs(stated))
        return storable(stated, "BALAMT")

    def _stated(
        self,
        statement: OfxStatement,
        of: Currency,
        held: Sequence[ReceivedHolding],
        key: str,
    ) -> Decimal:
        """Raises Illegible: there is none, or what it would be added up from is not all known."""
        if statement.kind is not StatementKind.INVESTMENT:
            ledger = statement.ledger_balance or statement.available_balance
            stated = None if ledger is None else ledger.amount
        elif (stated := stated_total(statement)) is None:
            if unread_positions(statement, held):
                raise Illegible("not all of its positions could be read: no balance")
            if not says_positions(statement) and self._holds.get(key):
                raise Illegible(CASH_ALONE)
            stated = invested(statement, of, held)
        if stated is None:
            raise Illegible("the statement states no balance")
        return stated

    def _refuse(self, statement: OfxStatement, key: str, reason: str) -> None:
        """The account and each of its records, with the reason."""
        shown = masked(statement.account.account_id)
        self._unreadable.append(
            Unreadable(
                scope=SyncScope.ACCOUNTS,
                reason=reason,
                raw=" ".join(filter(None, (statement.kind, shown, statement.currency))),
                line=statement.line,
                account_key=key,
            )
        )
        noted = {(row.line, row.raw) for row in self._unreadable}
        records: list[Record] = [
            *statement.transactions,
            *statement.investment_transactions,
            *statement.positions,
        ]
        for record in records:
            if (record.line, without_numbers(record.raw)) not in noted:
                self._note(record, reason, key)

    def _read(
        self,
        records: Sequence[Record],
        reads: Callable[..., T],
        key: str,
    ) -> list[T]:
        found: list[T] = []
        for record in records:
            try:
                found.append(reads(record))
            except Illegible as fault:
                self._note(record, str(fault), key)
        return found

    def _note(self, record: Record, reason: str, key: str) -> None:
        is_position = isinstance(record, Position)
        scope = SyncScope.HOLDINGS if is_position else SyncScope.TRANSACTIONS
        self._unreadable.append(
            Unreadable(
                scope=scope,
                reason=reason,
                raw=without_numbers(record.raw),
                line=record.line,
                account_key=key,
            )
        )

    def _passed_on(self, row: OfxUnreadable) -> Unreadable:
        scope = SyncScope.ACCOUNTS
        if row.kind in BANK_TRANSACTIONS | INVESTMENT_TRANSACTIONS:
            scope = SyncScope.TRANSACTIONS
        elif row.kind in POSITIONS | SECURITIES:
            scope = SyncScope.HOLDINGS
        return Unreadable(
            scope=scope,
            reason=f"{row.kind}: {row.reason}",
            raw=without_numbers(row.raw),
            line=row.line,
            account_key=self._keys.get(row.account) if row.account else None,
        )


def _rank(account: ReceivedAccount) -> tuple[bool, datetime]:
    return account.balance is not None, account.as_of


def _day(row: Row) -> date:
    source = row.source
    written = source.posted if isinstance(source, BankTransaction) else source.trade_date
    return written.local_date
