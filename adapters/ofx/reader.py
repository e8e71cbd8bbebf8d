"""An OFX file as typed records; what cannot be read is listed, never dropped and never 0."""

from collections.abc import Callable
from datetime import date
from typing import TypeVar

from adapters.ofx.bank import account_ref, balance, bank_transaction, listed_account
from adapters.ofx.brokerage import (
    investment_balances,
    investment_transaction,
    named_balance,
    plan_balances,
    position,
)
from adapters.ofx.errors import Illegible, OfxError
from adapters.ofx.investments import (
    InvestmentBalances,
    InvestmentTransaction,
    Position,
    SecurityInfo,
)
from adapters.ofx.records import (
    AccountRef,
    BankTransaction,
    ListedAccount,
    OfxFile,
    Statement,
    StatementKind,
    Unreadable,
)
from adapters.ofx.seclist import security_info
from adapters.ofx.source import BYTES_MAX, Source, source
from adapters.ofx.tags import (
    BANK_TRANSACTIONS,
    INVESTMENT_TRANSACTIONS,
    LISTED_ACCOUNTS,
    LISTS,
    POSITIONS,
    RECORDS,
    RESPONSES,
    SECURITIES,
    STATEMENTS,
)
from adapters.ofx.tree import Node, tree
from adapters.ofx.values import OfxDate

MESSAGE_CHARS_MAX = 300
STATEMENTS_MAX = 2_000
UNREADABLE_MAX = 10_000  # beyond that the file as a whole is broken, or hostile

_T = TypeVar("_T")
_KINDS = {
    "STMTRS": (StatementKind.BANK, "BANKACCTFROM"),
    "CCSTMTRS": (StatementKind.CARD, "CCACCTFROM"),
    "INVSTMTRS": (StatementKind.INVESTMENT, "INVACCTFROM"),
    "LOANSTMTRS": (StatementKind.LOAN, "LOANACCTFROM"),
}
_TRANSACTION_LISTS = ("BANKTRANLIST", "INVTRANLIST", "LOANTRANLIST")
_BAL = frozenset(("BAL",))


def read(raw: bytes, *, bytes_max: int = BYTES_MAX) -> OfxFile:
    """Read OFX 1 SGML, OFX 2 XML, QFX or QBO of any bank, card, brokerage or 401(k).

    Every record of the file is in the result once: read, or in `unreadable` with the reason. If
    the institution refused some of several requests, those are in `unreadable` as well.

    Raises:
        OfxError: not OFX, cut off, hostile or beyond a cap, or the institution refused the
            sign-on or all that was asked (with its message).
    """
    found = source(raw, bytes_max=bytes_max)
    return _Reading(found).file(tree(found))


class _Records:
    """What has been read of the statement that is being walked."""

    def __init__(self) -> None:
        self.bank: list[BankTransaction] = []
        self.investment: list[InvestmentTransaction] = []
        self.positions: list[Position] = []


class _Reading:
    def __init__(self, text: Source) -> None:
        self._source = text
        self._account: AccountRef | None = None
        self._statements: list[Statement] = []
        self._accounts: list[ListedAccount] = []
        self._securities: list[SecurityInfo] = []
        self._unreadable: list[Unreadable] = []
        self._refusals: list[Node] = []

    def file(self, root: Node) -> OfxFile:
        sign_on = root.find("SONRS")
        status = sign_on.kid("STATUS") if sign_on else None
        if status and _is_error(status):
            raise _refusal("the institution refused the sign-on", status)
        self._walk(root, None)
        self._weigh_refusals()
        institution = sign_on.kid("FI") if sign_on else None
        stated = {statement.account.account_id for statement in self._statements}
        return OfxFile(
            version=self._source.version,
            organization=institution.text("ORG") if institution else None,
            fid=institution.text("FID") if institution else None,
            intu_bid=_bank_of_intuit(root, sign_on, institution),
            as_of=self._date(sign_on, "DTSERVER") if sign_on else None,
            statements=tuple(self._statements),
            accounts=tuple(a for a in self._accounts if a.account.account_id not in stated),
            securities=tuple(self._securities),
            unreadable=tuple(self._unreadable),
        )

    def _walk(self, node: Node, into: _Records | None) -> None:
        """Read what lies under a node; records of a statement go `into` it."""
        for kid in node.kids:
            tag = kid.tag
            if tag in RECORDS:
                self._record(kid, node, into)
            elif tag in STATEMENTS:
                self._statement(kid)
            elif node.tag in LISTS and not any(kid.each(RECORDS)):
                self._quarantine(kid, "a kind of record that this reader does not know")
            else:
                if tag in RESPONSES and _is_error(kid.kid("STATUS")):
                    self._refusals.append(kid)
                self._walk(kid, into)

    def _record(self, node: Node, parent: Node, into: _Records | None) -> None:
        if node.tag in SECURITIES:
            self._collect(self._securities, node, security_info)
        elif node.tag in LISTED_ACCOUNTS:
            described = parent.text("DESC")
            self._collect(self._accounts, node, lambda n, _: listed_account(n, described))
        elif into is None:
            self._quarantine(node, "it stands outside any statement")
        elif node.tag in BANK_TRANSACTIONS:
            self._collect(into.bank, node, bank_transaction)
        elif node.tag in INVESTMENT_TRANSACTIONS:
            self._collect(into.investment, node, investment_transaction)
        elif node.tag in POSITIONS:
            self._collect(into.positions, node, position)

    def _statement(self, node: Node) -> None:
        kind, account_tag = _KINDS[node.tag]
        try:
            account = account_ref(node.kid(account_tag) or Node(account_tag, node.start, node.line))
        except Illegible as error:
            self._quarantine(node, str(error))
            return
        if len(self._statements) >= STATEMENTS_MAX:
            raise OfxError(f"more than {STATEMENTS_MAX:,} statements", node.line)
        outer, self._account = self._account, account
        records = _Records()
        self._walk(node, records)
        listing = node.find(*_TRANSACTION_LISTS)
        held = node.find("INVPOSLIST")
        currency = node.text("CURDEF")
        self._statements.append(
            Statement(
                kind=kind,
                account=account,
                currency=currency.upper() if currency else None,
                as_of=self._date(node, "DTASOF"),
                start=self._day(listing, "DTSTART"),
                end=self._day(listing, "DTEND"),
                transactions=tuple(records.bank),
                investment_transactions=tuple(records.investment),
                positions=tuple(records.positions),
                positions_listed=len(held.kids) if held and held.closed else None,
                ledger_balance=self._part(node.find("LEDGERBAL"), balance),
                available_balance=self._part(node.find("AVAILBAL"), balance),
                investment_balances=self._investment_balances(node.find("INVBAL")),
                plan_balances=self._part(node.find("INV401KBAL"), plan_balances),
                line=node.line,
            )
        )
        self._account = outer

    def _investment_balances(self, node: Node | None) -> InvestmentBalances | None:
        if node is None:
            return None
        parts = [self._part(found, named_balance) for found in node.each(_BAL)]
        named = tuple(part for part in parts if part is not None)
        return self._part(node, lambda n, _: investment_balances(n, named))

    def _collect(self, into: list[_T], node: Node, reads: Callable[[Node, str], _T]) -> None:
        record = self._part(node, reads)
        if record is not None:
            into.append(record)

    def _part(self, node: Node | None, reads: Callable[[Node, str], _T]) -> _T | None:
        if node is None:
            return None
        if not node.closed:
            self._quarantine(node, f"</{node.tag}> is missing")
            return None
        try:
            return reads(node, self._raw(node))
        except Illegible as error:
            self._quarantine(node, str(error))
            return None

    def _day(self, node: Node | None, tag: str) -> date | None:
        found = self._date(node, tag)
        return found.local_date if found else None

    def _date(self, node: Node | None, tag: str) -> OfxDate | None:
        """A date that belongs to no record: where it cannot be read, only it is listed."""
        if node is None:
            return None
        try:
            return node.date(tag)
        except Illegible as error:
            self._quarantine(node, str(error), kind=tag, raw=node.text(tag))
            return None

    def _quarantine(
        self, node: Node, reason: str, *, kind: str | None = None, raw: str | None = None
    ) -> None:
        if len(self._unreadable) >= UNREADABLE_MAX:
            raise OfxError(f"more than {UNREADABLE_MAX:,} records cannot be read", node.line)
        self._unreadable.append(
            Unreadable(
                kind=kind or node.tag,
                reason=reason,
                line=node.line,
                raw=self._raw(node) if raw is None else raw,
                account=self._account,
            )
        )

    def _raw(self, node: Node) -> str:
        return self._source.text[node.start : node.end]

    def _weigh_refusals(self) -> None:
        """A request that the institution refused is an error if nothing else was answered."""
        if not self._refusals:
            return
        status = self._refusals[0].kid("STATUS")
        if status and not (self._statements or self._accounts or self._securities):
            raise _refusal("the institution answered with an error", status)
        for node in self._refusals:
            status = node.kid("STATUS")
            self._quarantine(node, _message("the institution answered with an error", status))


def _is_error(status: Node | None) -> bool:
    """Code 0 is success; other codes may be news, and then say so by their severity."""
    if status is None:
        return False
    code, severity = status.text("CODE"), (status.text("SEVERITY") or "").upper()
    return severity == "ERROR" or (
        code is not None and code.strip("0") != "" and severity not in {"INFO", "WARN"}
    )


def _refusal(what: str, status: Node) -> OfxError:
    return OfxError(_message(what, status), status.line)


def _message(what: str, status: Node | None) -> str:
    said = " ".join((status.text("MESSAGE") or "").split()) if status else ""
    code = status.text("CODE") if status else None
    about = f"{what} (code {code})" if code else what
    return f"{about}: {said[:MESSAGE_CHARS_MAX]}" if said else about


def _bank_of_intuit(root: Node, sign_on: Node | None, institution: Node | None) -> str | None:
    for node in (sign_on, institution, root.kid("SIGNONMSGSRSV1"), root):
        if node and (found := node.text("INTU.BID")):
            return found
    return None
