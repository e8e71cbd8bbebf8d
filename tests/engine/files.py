"""Statement files of tests, written by hand; and readers of them that say what they are told."""

from collections.abc import Sequence

from tests.ofx.samples import investment, ofx, securities

Row = tuple[str, str, str, str]  # FITID, day, amount, name

BUY = (
    "<BUYSTOCK><INVBUY><INVTRAN><FITID>{id}<DTTRADE>20260115<DTSETTLE>20260117<MEMO>buy</INVTRAN>"
    "<SECID><UNIQUEID>037833100<UNIQUEIDTYPE>CUSIP</SECID><UNITS>10<UNITPRICE>150"
    "<TOTAL>-1500<SUBACCTSEC>CASH<SUBACCTFUND>CASH</INVBUY><BUYTYPE>BUY</BUYSTOCK>"
)
STOCKS = (
    "<STOCKINFO><SECINFO><SECID><UNIQUEID>037833100<UNIQUEIDTYPE>CUSIP</SECID>"
    "<SECNAME>Apple Inc.<TICKER>AAPL</SECINFO></STOCKINFO>"
    "<STOCKINFO><SECINFO><SECID><UNIQUEID>594918104<UNIQUEIDTYPE>CUSIP</SECID>"
    "<SECNAME>Microsoft<TICKER>MSFT</SECINFO></STOCKINFO>"
)


def january(*days: int, start: int = 0) -> list[Row]:
    """Ten dollars more on each day: what tells one row from another."""
    return [
        (f"F{day}", f"202601{day:02}", f"-{day}0.00", f"SHOP {day}") for day in days if day > start
    ]


def account(
    rows: Sequence[Row],
    *,
    number: str = "1001",
    balance: str = "500.00",
    as_of: str = "20260131",
    currency: str = "USD",
    kind: str = "CHECKING",
) -> str:
    written = "".join(
        f"<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>{day}<TRNAMT>{amount}<FITID>{id}<NAME>{name}</STMTTRN>\n"
        for id, day, amount, name in rows
    )
    stated = f"<LEDGERBAL><BALAMT>{balance}<DTASOF>{as_of}</LEDGERBAL>" if balance else ""
    return (
        f"<STMTTRNRS><TRNUID>1<STATUS><CODE>0<SEVERITY>INFO</STATUS><STMTRS><CURDEF>{currency}"
        f"<BANKACCTFROM><BANKID>021000021<ACCTID>{number}<ACCTTYPE>{kind}</BANKACCTFROM>"
        f"<BANKTRANLIST><DTSTART>20260101<DTEND>{as_of}\n{written}</BANKTRANLIST>"
        f"{stated}</STMTRS></STMTTRNRS>"
    )


def bank(*accounts: str) -> bytes:
    return ofx(f"<BANKMSGSRSV1>{''.join(accounts)}</BANKMSGSRSV1>")


def position(cusip: str, units: str, price: str, value: str, *, of: str = "20260131") -> str:
    return (
        f"<POSSTOCK><INVPOS><SECID><UNIQUEID>{cusip}<UNIQUEIDTYPE>CUSIP</SECID><HELDINACCT>CASH"
        f"<POSTYPE>LONG<UNITS>{units}<UNITPRICE>{price}<MKTVAL>{value}<DTPRICEASOF>{of}"
        "</INVPOS></POSSTOCK>"
    )


def brokerage(*positions: str, as_of: str = "20260131", cash: str = "100") -> bytes:
    file = investment(
        BUY.format(id="i1"),
        positions="".join(positions),
        extra=f"<INVBAL><AVAILCASH>{cash}<MARGINBALANCE>0<SHORTBALANCE>0</INVBAL>",
    ).decode()
    listed = securities(STOCKS).decode()
    inside = listed[listed.index("<SECLISTMSGSRSV1>") : listed.index("</OFX>")]
    return file.replace("</OFX>", f"{inside}</OFX>").replace("20260131160000", as_of).encode()
