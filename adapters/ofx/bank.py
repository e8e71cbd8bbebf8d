"""Reads bank, card and loan transactions, balances and account names."""

from adapters.ofx.currency import currency_of
from adapters.ofx.errors import Illegible
from adapters.ofx.records import (
    AccountRef,
    Balance,
    BankTransaction,
    Correction,
    ListedAccount,
    Payee,
    StatementKind,
)
from adapters.ofx.tree import Node

_COUNTERPARTS = ("BANKACCTTO", "CCACCTTO", "LOANACCTTO", "INVACCTTO")
_LISTED = {
    "BANKACCTINFO": (StatementKind.BANK, "BANKACCTFROM"),
    "CCACCTINFO": (StatementKind.CARD, "CCACCTFROM"),
    "INVACCTINFO": (StatementKind.INVESTMENT, "INVACCTFROM"),
    "LOANACCTINFO": (StatementKind.LOAN, "LOANACCTFROM"),
}


def bank_transaction(node: Node, raw: str) -> BankTransaction:
    """Read an STMTTRN, STMTTRNP, LOANSTMTTRN or INVBANKTRAN.

    Raises:
        Illegible: it has no amount or date, or one of its fields cannot be read.
    """
    inner = _inside(node) if node.tag == "INVBANKTRAN" else node
    get = inner.leaves.get
    pending = inner.tag == "STMTTRNP"
    return BankTransaction(
        aggregate=node.tag,
        fitid=get("FITID"),
        type=get("TRNTYPE") or get("LOANTRNTYPE"),
        posted=inner.date_required("DTTRAN" if pending and get("DTTRAN") else "DTPOSTED"),
        user_date=inner.date("DTUSER"),
        available_date=inner.date("DTAVAIL"),
        amount=inner.decimal_required("TRNAMT"),
        name=get("NAME"),
        extended_name=get("EXTDNAME"),
        memo=get("MEMO"),
        payee=_payee(inner),
        payee_id=get("PAYEEID"),
        check_number=get("CHECKNUM"),
        ref_number=get("REFNUM"),
        server_id=get("SRVRTID"),
        sic=get("SIC"),
        counterpart=_counterpart(inner) if inner.kids else None,
        currency=currency_of(inner) if inner.kids or get("CURRENCY") else None,
        correction=_correction(inner),
        pending=pending,
        sub_account=node.text("SUBACCTFUND"),
        plan_source=node.text("INV401KSOURCE") or get("INV401KSOURCE"),
        raw=raw,
        line=node.line,
    )


def account_ref(node: Node) -> AccountRef:
    """Read a BANKACCTFROM, CCACCTFROM, INVACCTFROM or LOANACCTFROM, or its -TO.

    Raises:
        Illegible: it has no account number.
    """
    account_id = node.text("ACCTID") or node.text("LOANACCTID")
    if account_id is None:
        raise Illegible(f"{node.tag}: ACCTID is missing")
    return AccountRef(
        account_id=account_id,
        bank_id=node.text("BANKID"),
        branch_id=node.text("BRANCHID"),
        broker_id=node.text("BROKERID"),
        account_type=node.text("ACCTTYPE") or node.text("LOANACCTTYPE"),
        account_key=node.text("ACCTKEY"),
    )


def balance(node: Node, _raw: str) -> Balance | None:
    """Read a LEDGERBAL or AVAILBAL; None where the amount was left blank.

    Raises:
        Illegible: its amount or date cannot be read.
    """
    amount = node.decimal("BALAMT")
    return None if amount is None else Balance(amount=amount, as_of=node.date("DTASOF"))


def listed_account(node: Node, description: str | None) -> ListedAccount:
    """Read a BANKACCTINFO, CCACCTINFO, INVACCTINFO or LOANACCTINFO.

    Raises:
        Illegible: it names no account.
    """
    kind, tag = _LISTED[node.tag]
    account = node.kid(tag)
    if account is None:
        raise Illegible(f"{tag} is missing")
    return ListedAccount(
        kind=kind,
        account=account_ref(account),
        description=description,
        status=node.text("SVCSTATUS"),
        product=node.text("USPRODUCTTYPE") or node.text("INVACCTTYPE"),
        line=node.line,
    )


def _inside(node: Node) -> Node:
    inner = [kid for kid in node.kids if kid.tag == "STMTTRN"]
    if len(inner) != 1:
        raise Illegible(f"it holds {len(inner)} STMTTRN instead of one")
    if not inner[0].closed:
        raise Illegible("its STMTTRN is not closed")
    return inner[0]


def _payee(node: Node) -> Payee | None:
    name, found = node.text("PAYEE"), node.kid("PAYEE") if node.kids else None
    if found is None or not found.leaves:
        return _payee_of(name, {}) if name else None
    return _payee_of(found.text("NAME"), found.leaves)


def _payee_of(name: str | None, leaves: dict[str, str]) -> Payee:
    return Payee(
        name=name,
        address=tuple(leaves[tag] for tag in ("ADDR1", "ADDR2", "ADDR3") if tag in leaves),
        city=leaves.get("CITY"),
        state=leaves.get("STATE"),
        postal_code=leaves.get("POSTALCODE"),
        country=leaves.get("COUNTRY"),
        phone=leaves.get("PHONE"),
    )


def _counterpart(node: Node) -> AccountRef | None:
    found = [kid for kid in node.kids if kid.tag in _COUNTERPARTS and kid.leaves]
    return account_ref(found[0]) if found else None


def _correction(node: Node) -> Correction | None:
    fitid = node.text("CORRECTFITID")
    return Correction(fitid=fitid, action=node.text("CORRECTACTION")) if fitid else None
