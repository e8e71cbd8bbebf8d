"""Statement files put together from pieces, and what to look at in them."""

from decimal import Decimal

from domain.imports import Statement
from domain.sync import ReceivedTransaction
from tests.ofx.samples import HEADER, SIGN_ON

CHECKING = "<BANKACCTFROM><BANKID>071000013<ACCTID>000123456789<ACCTTYPE>CHECKING</BANKACCTFROM>"
BALANCE = "<LEDGERBAL><BALAMT>812.50<DTASOF>20260110</LEDGERBAL>"


def a_bank_file(
    rows: str, *, account: str = CHECKING, currency: str = "USD", balance: str = BALANCE
) -> bytes:
    return (
        f"{HEADER}<OFX>{SIGN_ON}<BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>{currency}{account}"
        f"<BANKTRANLIST><DTSTART>20260101<DTEND>20260110{rows}</BANKTRANLIST>{balance}"
        "</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
    ).encode()


def a_broker_file(
    rows: str = "", positions: str | None = "", balances: str = "", securities: str = ""
) -> bytes:
    """With `positions` None it says nothing of them."""
    listed = "" if positions is None else f"<INVPOSLIST>{positions}</INVPOSLIST>"
    return (
        f"{HEADER}<OFX>{SIGN_ON}<INVSTMTMSGSRSV1><INVSTMTTRNRS><INVSTMTRS>"
        "<DTASOF>20260110160000[-5:EST]<CURDEF>USD"
        "<INVACCTFROM><BROKERID>mill.example<ACCTID>Z99-123456</INVACCTFROM>"
        f"<INVTRANLIST><DTSTART>20260101<DTEND>20260110{rows}</INVTRANLIST>"
        f"{listed}{balances}"
        "</INVSTMTRS></INVSTMTTRNRS></INVSTMTMSGSRSV1>"
        f"<SECLISTMSGSRSV1><SECLIST>{securities}</SECLIST></SECLISTMSGSRSV1></OFX>"
    ).encode()


def secid(value: str, kind: str = "CUSIP") -> str:
    return f"<SECID><UNIQUEID>{value}<UNIQUEIDTYPE>{kind}</SECID>"


def a_trade(aggregate: str, inner: str, *, fitid: str = "t1", kind: str = "") -> str:
    part = "INVBUY" if aggregate.startswith("BUY") else "INVSELL"
    return (
        f"<{aggregate}><{part}><INVTRAN><FITID>{fitid}<DTTRADE>20260105<DTSETTLE>20260106"
        f"</INVTRAN>{secid('037833100')}{inner}</{part}>{kind}</{aggregate}>"
    )


def a_position(aggregate: str, inner: str, security: str = "037833100") -> str:
    return (
        f"<{aggregate}><INVPOS>{secid(security)}<HELDINACCT>CASH{inner}"
        f"<DTPRICEASOF>20260109</INVPOS></{aggregate}>"
    )


APPLE = (
    f"<STOCKINFO><SECINFO>{secid('037833100')}<SECNAME>Apple Inc<TICKER>aapl</SECINFO></STOCKINFO>"
)


def one(statement: Statement) -> ReceivedTransaction:
    [row] = statement.transactions
    return row


def dec(text: str) -> Decimal:
    return Decimal(text)
