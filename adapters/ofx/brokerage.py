"""Reads investment transactions, positions and the balances of a brokerage or 401(k)."""

from adapters.ofx.currency import currency_of
from adapters.ofx.errors import Illegible
from adapters.ofx.investments import (
    InvestmentBalances,
    InvestmentTransaction,
    NamedBalance,
    PlanBalances,
    Position,
    SecurityId,
)
from adapters.ofx.tags import INVESTMENT_TRANSACTIONS
from adapters.ofx.tree import Node

_WITHOUT_SECURITY = frozenset(("INVEXPENSE", "JRNLFUND", "MARGININTEREST"))
_NEED_TOTAL = _WITHOUT_SECURITY | {"INCOME", "REINVEST", "RETOFCAP"}
_NEED_UNITS = INVESTMENT_TRANSACTIONS - _NEED_TOTAL - {"SPLIT"} | {"REINVEST"}
_PARTS = ("INVBUY", "INVSELL", "INVTRAN")


def investment_transaction(node: Node, raw: str) -> InvestmentTransaction:
    """Read any of the investment aggregates.

    Its fields lie in it, in its INVBUY or INVSELL and in their INVTRAN; each name occurs in one
    place only, so they are read as one.

    Raises:
        Illegible: trade date, security, units or total is missing where the standard requires
            it, or one of its fields cannot be read.
    """
    flat = _flattened(node)
    text, number = flat.text, flat.decimal
    security = _required(flat)
    account = flat.kid("INVACCTFROM") or flat.kid("INVACCTTO")
    return InvestmentTransaction(
        aggregate=node.tag,
        fitid=text("FITID"),
        server_id=text("SRVRTID"),
        trade_date=flat.date_required("DTTRADE"),
        settle_date=flat.date("DTSETTLE"),
        reversal_fitid=text("REVERSALFITID"),
        memo=text("MEMO"),
        security=security,
        units=number("UNITS"),
        unit_price=number("UNITPRICE"),
        total=number("TOTAL"),
        commission=number("COMMISSION"),
        fees=number("FEES"),
        taxes=number("TAXES"),
        load=number("LOAD"),
        markup=number("MARKUP"),
        markdown=number("MARKDOWN"),
        penalty=number("PENALTY"),
        withholding=number("WITHHOLDING"),
        state_withholding=number("STATEWITHHOLDING"),
        gain=number("GAIN"),
        accrued_interest=number("ACCRDINT"),
        average_cost=number("AVGCOSTBASIS"),
        income_type=text("INCOMETYPE"),
        buy_type=text("BUYTYPE") or text("OPTBUYTYPE"),
        sell_type=text("SELLTYPE") or text("OPTSELLTYPE"),
        sell_reason=text("SELLREASON"),
        option_action=text("OPTACTION"),
        shares_per_contract=number("SHPERCTRCT"),
        related_fitid=text("RELFITID"),
        related_type=text("RELTYPE"),
        secured=text("SECURED"),
        position_type=text("POSTYPE"),
        transfer_action=text("TFERACTION"),
        transfer_account_id=account.text("ACCTID") if account else None,
        purchase_date=flat.date("DTPURCHASE"),
        old_units=number("OLDUNITS"),
        new_units=number("NEWUNITS"),
        numerator=number("NUMERATOR"),
        denominator=number("DENOMINATOR"),
        fractional_cash=number("FRACCASH"),
        sub_account_security=text("SUBACCTSEC"),
        sub_account_fund=text("SUBACCTFUND"),
        sub_account_from=text("SUBACCTFROM"),
        sub_account_to=text("SUBACCTTO"),
        plan_source=text("INV401KSOURCE"),
        tax_exempt=text("TAXEXEMPT"),
        currency=currency_of(flat),
        raw=raw,
        line=node.line,
    )


def position(node: Node, raw: str) -> Position:
    """Read a POSSTOCK, POSMF, POSDEBT, POSOPT or POSOTHER.

    Raises:
        Illegible: security or units are missing, or one of its fields cannot be read.
    """
    inner = node.kid("INVPOS") or node
    security = inner.kid("SECID")
    if security is None:
        raise Illegible("SECID is missing")
    return Position(
        aggregate=node.tag,
        security=security_id(security),
        held_in=inner.text("HELDINACCT"),
        position_type=inner.text("POSTYPE"),
        units=inner.decimal_required("UNITS"),
        unit_price=inner.decimal("UNITPRICE"),
        market_value=inner.decimal("MKTVAL"),
        average_cost=inner.decimal("AVGCOSTBASIS"),
        priced_at=inner.date("DTPRICEASOF"),
        secured=node.text("SECURED"),
        plan_source=inner.text("INV401KSOURCE"),
        memo=inner.text("MEMO"),
        currency=currency_of(inner, node),
        raw=raw,
        line=node.line,
    )


def security_id(node: Node) -> SecurityId:
    """Read a SECID.

    Raises:
        Illegible: it has no id.
    """
    value = node.text("UNIQUEID")
    if value is None:
        raise Illegible("UNIQUEID is missing")
    return SecurityId(value=value, type=node.text("UNIQUEIDTYPE"))


def named_balance(node: Node, _raw: str) -> NamedBalance | None:
    """Read a BAL; None where its value was left blank.

    Raises:
        Illegible: its value or date cannot be read.
    """
    value = node.decimal("VALUE")
    if value is None:
        return None
    return NamedBalance(
        name=node.text("NAME"),
        description=node.text("DESC"),
        type=node.text("BALTYPE"),
        value=value,
        as_of=node.date("DTASOF"),
        currency=currency_of(node),
    )


def investment_balances(node: Node, named: tuple[NamedBalance, ...]) -> InvestmentBalances:
    """Read an INVBAL.

    Raises:
        Illegible: one of its fields cannot be read.
    """
    return InvestmentBalances(
        available_cash=node.decimal("AVAILCASH"),
        margin=node.decimal("MARGINBALANCE"),
        short=node.decimal("SHORTBALANCE"),
        buying_power=node.decimal("BUYPOWER"),
        named=named,
    )


def plan_balances(node: Node, _raw: str) -> PlanBalances:
    """Read an INV401KBAL.

    Raises:
        Illegible: one of its fields cannot be read.
    """
    return PlanBalances(
        cash=node.decimal("CASHBAL"),
        pretax=node.decimal("PRETAX"),
        after_tax=node.decimal("AFTERTAX"),
        match=node.decimal("MATCH"),
        profit_sharing=node.decimal("PROFITSHARING"),
        rollover=node.decimal("ROLLOVER"),
        other_vested=node.decimal("OTHERVEST"),
        other_nonvested=node.decimal("OTHERNONVEST"),
        total=node.decimal("TOTAL"),
    )


def _required(flat: Node) -> SecurityId | None:
    """The security, after seeing that what the standard requires is there."""
    if flat.tag in _NEED_UNITS:
        flat.decimal_required("UNITS")
    if flat.tag in _NEED_TOTAL:
        flat.decimal_required("TOTAL")
    security = flat.kid("SECID")
    if security is None:
        if flat.tag in _WITHOUT_SECURITY:
            return None
        raise Illegible("SECID is missing")
    return security_id(security)


def _flattened(node: Node) -> Node:
    """One aggregate with the leaves and aggregates of the record and its parts."""
    flat = Node(node.tag, node.start, node.line)
    leaves: dict[str, str] = {}
    kids: list[Node] = []
    repeated: set[str] = set()
    waiting = [node]
    while waiting:
        part = waiting.pop()
        repeated |= {
            tag for tag in part.leaves if leaves.get(tag, part.leaves[tag]) != part.leaves[tag]
        }
        repeated |= set(part.repeated)
        leaves |= part.leaves
        for kid in part.kids:
            (waiting if kid.tag in _PARTS else kids).append(kid)
    flat.leaves, flat.kids, flat.repeated = leaves, kids, repeated
    return flat
