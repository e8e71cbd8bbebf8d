"""Reads the security list."""

from adapters.ofx.brokerage import security_id
from adapters.ofx.currency import currency_of
from adapters.ofx.errors import Illegible
from adapters.ofx.investments import DebtTerms, OptionTerms, SecurityInfo, SecurityKind
from adapters.ofx.tree import Node

_KINDS = {
    "STOCKINFO": SecurityKind.STOCK,
    "MFINFO": SecurityKind.FUND,
    "OPTINFO": SecurityKind.OPTION,
    "DEBTINFO": SecurityKind.DEBT,
    "OTHERINFO": SecurityKind.OTHER,
}


def security_info(node: Node, raw: str) -> SecurityInfo:
    """Read a STOCKINFO, MFINFO, OPTINFO, DEBTINFO or OTHERINFO.

    Raises:
        Illegible: it has no id, or one of its fields cannot be read.
    """
    info = node.kid("SECINFO")
    id = info.kid("SECID") if info else None
    if info is None or id is None:
        raise Illegible("SECINFO with a SECID is missing")
    kind = _KINDS[node.tag]
    return SecurityInfo(
        kind=kind,
        id=security_id(id),
        name=info.text("SECNAME"),
        ticker=info.text("TICKER"),
        fi_id=info.text("FIID"),
        rating=info.text("RATING"),
        unit_price=info.decimal("UNITPRICE"),
        priced_at=info.date("DTASOF"),
        memo=info.text("MEMO"),
        type=node.text("STOCKTYPE") or node.text("MFTYPE") or node.text("TYPEDESC"),
        asset_class=node.text("ASSETCLASS") or node.text("FIASSETCLASS"),
        option=_option(node) if kind is SecurityKind.OPTION else None,
        debt=_debt(node) if kind is SecurityKind.DEBT else None,
        currency=currency_of(info, node),
        raw=raw,
        line=node.line,
    )


def _option(node: Node) -> OptionTerms:
    underlying = node.kid("SECID")
    return OptionTerms(
        type=node.text("OPTTYPE"),
        strike=node.decimal("STRIKEPRICE"),
        expires=node.date("DTEXPIRE"),
        shares_per_contract=node.decimal("SHPERCTRCT"),
        underlying=security_id(underlying) if underlying else None,
    )


def _debt(node: Node) -> DebtTerms:
    return DebtTerms(
        par_value=node.decimal("PARVALUE"),
        type=node.text("DEBTTYPE"),
        debt_class=node.text("DEBTCLASS"),
        coupon_rate=node.decimal("COUPONRT"),
        coupon_date=node.date("DTCOUPON"),
        coupon_frequency=node.text("COUPONFREQ"),
        call_price=node.decimal("CALLPRICE"),
        call_date=node.date("DTCALL"),
        yield_to_call=node.decimal("YIELDTOCALL"),
        yield_to_maturity=node.decimal("YIELDTOMAT"),
        matures=node.date("DTMAT"),
    )
