"""A statement file in the terms of the domain.

What a balance means:
    BANK, CARD  LEDGERBAL as written: an overdraft, and what is owed on a card, are negative
    LOAN        LEDGERBAL, always negative: some write what is owed as a positive number
    INVESTMENT  what the institution says is the total (the 401(k)'s, or the net worth among the
                named balances); else cash, margin balance and positions together. SHORTBALANCE is
                what the short positions are worth, and those are among the positions. A sweep
                fund that is both cash and a position counts once.

Where nothing is stated, or what is cannot be read, there is no balance, and a row in `unreadable`
says so. Of an account's number no text holds more than its end; `key` and `number` do.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TypeAlias, TypeVar

from adapters.ofx.errors import Illegible, OfxError
from adapters.ofx.investments import InvestmentTransaction, Position
from adapters.ofx.reader import read
from adapters.ofx.records import AccountRef, BankTransaction, OfxFile, StatementKind
from adapters.ofx.records import Statement as OfxStatement
from adapters.ofx.records import Unreadable as OfxUnreadable
from adapters.ofx.statement_rows import Row, bank_row, investment_row
from adapters.ofx.statement_securities import (
    Securities,
    holding_of,
    invested,
    joined,
    known_currency,
)
from adapters.ofx.statement_values import clean, instant, storable, without_numbers
from adapters.ofx.tags import (
    BANK_TRANSACTIONS,
    INVESTMENT_TRANSACTIONS,
    POSITIONS,
    SECURITIES,
)
from domain.accounts import AccountType, mask_of, masked
from domain.errors import ErrorCode, UnreadableFile
from domain.imports import FILE_BYTES_MAX, Statement, content_keys
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

# Institutions whose ORG is no name that anyone knows them by, by their FID.
_NAMES = {"10898": "Chase"}
_BANK_TYPES = {
    "CHECKING": AccountType.CHECKING,
    "SAVINGS": AccountType.SAVINGS,
    "MONEYMRKT": AccountType.MONEY_MARKET,
    "CREDITLINE": AccountType.LINE_OF_CREDIT,
    "CD": AccountType.CERTIFICATE_OF_DEPOSIT,
}
_LABELS = {
    AccountType.CERTIFICATE_OF_DEPOSIT: "Certificate",
    AccountType.TRADITIONAL_401K: "401(k)",
    AccountType.OTHER: "Account",
}
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


class _Translation:
    def __init__(self, file: OfxFile) -> None:
        self._file = file
        self._securities = Securities(file.securities)
        self._found: dict[str, _Found] = {}
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
        key = _key_of(statement)
        self._keys[statement.account] = key
        try:
            self._read_in(statement, key, _currency_of(statement))
        except Illegible as fault:
            self._refuse(statement, key, str(fault))

    def _read_in(self, statement: OfxStatement, key: str, of: Currency) -> None:
        """Raises Illegible: the account itself cannot be read."""
        as_of = _as_of(statement, self._file)
        positions = statement.positions
        held = self._read(
            positions,
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
            known.holdings = joined(held)
            known.is_complete = bool(positions) and len(held) == len(positions)
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
        kind, mask = _type_of(statement), mask_of(number)
        balance = self._balance(statement, of, held, key)
        available = statement.available_balance
        can_be_spent = None if available is None else available.amount
        cash = None
        if (parts := statement.investment_balances) is not None:
            can_be_spent = cash = parts.available_cash
            if cash is not None:
                cash = EXACT.add(cash, parts.margin or Decimal(0))
        label = _LABELS.get(kind) or kind.value.replace("_", " ").capitalize()
        return ReceivedAccount(
            key=key,
            institution=_institution(self._file, statement),
            name=f"{label} {masked(number)}" if mask else label,
            type=kind,
            currency=of,
            balance=None if balance is None else Money(balance, of),
            as_of=as_of,
            number=number,
            mask=mask,
            available_balance=None
            if can_be_spent is None
            else Money(storable(can_be_spent, "AVAILBAL"), of),
            cash=None if cash is None else Money(storable(cash, "AVAILCASH"), of),
        )

    def _balance(
        self,
        statement: OfxStatement,
        of: Currency,
        held: Sequence[ReceivedHolding],
        key: str,
    ) -> Decimal | None:
        stated: Decimal | None
        if any(
            r.account == statement.account and r.kind in _BALANCES for r in self._file.unreadable
        ):
            return None
        if statement.kind is StatementKind.INVESTMENT:
            stated = invested(statement, of, held)
        else:
            ledger = statement.ledger_balance or statement.available_balance
            stated = None if ledger is None else ledger.amount
        if stated is None:
            self._unreadable.append(
                Unreadable(
                    scope=SyncScope.ACCOUNTS,
                    reason="the statement states no balance",
                    raw=f"{statement.kind} {masked(statement.account.account_id)}",
                    line=statement.line,
                    account_key=key,
                )
            )
            return None
        if statement.kind is StatementKind.LOAN:
            stated = EXACT.minus(EXACT.abs(stated))
        return storable(stated, "BALAMT")

    def _refuse(self, statement: OfxStatement, key: str, reason: str) -> None:
        """The account and each of its records, with the reason."""
        self._unreadable.append(
            Unreadable(
                scope=SyncScope.ACCOUNTS,
                reason=reason,
                raw=f"{statement.kind} {masked(statement.account.account_id)} {statement.currency}",
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


def _currency_of(statement: OfxStatement) -> Currency:
    if statement.currency is None:
        raise Illegible("the statement does not say its currency")
    return known_currency(statement.currency)


def _key_of(statement: OfxStatement) -> str:
    account = statement.account
    where = account.bank_id or account.broker_id or ""
    kind = (account.account_type or "").upper()  # some banks number checking and savings alike
    parts = (statement.kind, where, account.account_id, kind, statement.currency or "")
    return clean(":".join(parts))


def _institution(file: OfxFile, statement: OfxStatement) -> str:
    if file.fid in _NAMES:
        return _NAMES[file.fid]
    if said := clean(file.organization):
        return said
    if file.fid:
        return f"FI {clean(file.fid)}"
    account = statement.account
    return clean(account.broker_id) or clean(account.bank_id) or "Unknown institution"


def _type_of(statement: OfxStatement) -> AccountType:
    written = (statement.account.account_type or "").upper()
    match statement.kind:
        case StatementKind.CARD:
            return AccountType.CREDIT_CARD
        case StatementKind.LOAN:
            return AccountType.MORTGAGE if "MORT" in written else AccountType.LOAN
        case StatementKind.INVESTMENT:
            sources = {p.plan_source for p in statement.positions}
            sources |= {t.plan_source for t in statement.investment_transactions}
            is_plan = statement.plan_balances is not None or bool(sources - {None})
            return AccountType.TRADITIONAL_401K if is_plan else AccountType.BROKERAGE
        case _:
            return _BANK_TYPES.get(written, AccountType.OTHER)


def _as_of(statement: OfxStatement, file: OfxFile) -> datetime:
    """The balance's own time; else the statement's, the file's, that of its last day, or now."""
    balance = statement.ledger_balance or statement.available_balance
    for when in (balance.as_of if balance else None, statement.as_of, file.as_of):
        if (found := instant(when)) is not None:
            return found
    days = [t.posted.local_date for t in statement.transactions]
    last = statement.end or max(days, default=None)
    return datetime.combine(last, time.min, UTC) if last else datetime.now(UTC)


def _rank(account: ReceivedAccount) -> tuple[bool, datetime]:
    return account.balance is not None, account.as_of


def _day(row: Row) -> date:
    source = row.source
    written = source.posted if isinstance(source, BankTransaction) else source.trade_date
    return written.local_date
