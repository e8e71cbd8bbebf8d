from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from adapters.ofx import (
    CurrencyOf,
    InvestmentTransaction,
    OfxDate,
    SecurityId,
    SecurityKind,
    read,
)
from adapters.ofx.tags import INVESTMENT_TRANSACTIONS
from tests.ofx import samples

D = Decimal
TREASURY = SecurityId(value="912810RW0", type="CUSIP")


def test_the_samples_hold_every_aggregate() -> None:
    assert set(samples.INVESTMENT_BODIES) == INVESTMENT_TRANSACTIONS


@pytest.mark.parametrize("xml", [False, True], ids=["sgml", "xml"])
@pytest.mark.parametrize("tag", sorted(INVESTMENT_TRANSACTIONS))
def test_every_investment_aggregate_is_read_in_sgml_and_xml(tag: str, xml: bool) -> None:
    record = samples.investment_record(tag, fitid="i7", xml=xml)

    file = read(samples.investment(record))

    assert file.unreadable == ()
    (found,) = file.statements[0].investment_transactions
    assert (found.aggregate, found.fitid, found.memo) == (tag, "i7", "m")
    assert found.trade_date == OfxDate(date(2026, 1, 15), datetime(2026, 1, 15, 21, tzinfo=UTC))
    assert found.settle_date == OfxDate(date(2026, 1, 17))
    assert found.security == (None if tag in {"JRNLFUND", "MARGININTEREST"} else TREASURY)
    assert found.raw == record


Check = Callable[[InvestmentTransaction], tuple[object, object]]
CHECKS: dict[str, Check] = {
    "BUYSTOCK": lambda t: (
        (t.units, t.unit_price, t.commission, t.fees, t.taxes, t.load, t.total, t.buy_type),
        (D(100), D("25.635"), D("7.95"), D("0.02"), D("0.10"), D("0.5"), D("-2571.45"), "BUY"),
    ),
    "BUYDEBT": lambda t: (t.accrued_interest, D("3.21")),
    "BUYOPT": lambda t: ((t.buy_type, t.shares_per_contract), ("BUYTOOPEN", D(100))),
    "SELLSTOCK": lambda t: (
        (t.units, t.total, t.withholding, t.state_withholding, t.penalty, t.gain, t.sell_type),
        (D(-8), D("1089.30"), D("1.5"), D("0.5"), D(3), D(12), "SELLSHORT"),
    ),
    "SELLMF": lambda t: ((t.average_cost, t.related_fitid), (D("20.5"), "r1")),
    "SELLDEBT": lambda t: (t.sell_reason, "MATURITY"),
    "SELLOPT": lambda t: (
        (t.sell_type, t.related_type, t.secured),
        ("SELLTOOPEN", "SPREAD", "COVERED"),
    ),
    "CLOSUREOPT": lambda t: (
        (t.option_action, t.units, t.shares_per_contract, t.gain),
        ("ASSIGN", D(2), D(100), D(5)),
    ),
    "INCOME": lambda t: (
        (t.income_type, t.total, t.withholding, t.tax_exempt),
        ("DIV", D("5.53"), D("0.83"), "N"),
    ),
    "JRNLFUND": lambda t: (
        (t.sub_account_from, t.sub_account_to, t.total),
        ("CASH", "MARGIN", D(250)),
    ),
    "JRNLSEC": lambda t: ((t.sub_account_from, t.units), ("CASH", D(10))),
    "MARGININTEREST": lambda t: ((t.total, t.sub_account_fund), (D("-12.34"), "MARGIN")),
    "REINVEST": lambda t: (
        (t.income_type, t.total, t.units, t.unit_price, t.commission),
        ("CGLONG", D("-14.47"), D("4.909"), D("2.9474"), D(0)),
    ),
    "SPLIT": lambda t: (
        (t.old_units, t.new_units, t.numerator, t.denominator, t.fractional_cash),
        (D(10), D(15), D(3), D(2), D("4.80")),
    ),
    "TRANSFER": lambda t: (
        (t.units, t.transfer_action, t.position_type, t.transfer_account_id, t.plan_source),
        (D("-9.06"), "OUT", "LONG", "O-1", "MATCH"),
    ),
}


@pytest.mark.parametrize("tag", sorted(CHECKS))
def test_the_fields_of_an_aggregate_keep_value_and_sign(tag: str) -> None:
    file = read(samples.investment(samples.investment_record(tag)))

    found, expected = CHECKS[tag](file.statements[0].investment_transactions[0])
    assert found == expected


@pytest.mark.parametrize(
    ("tag", "cut", "reason"),
    [
        ("BUYSTOCK", "<UNITS>100", "UNITS: it is missing"),
        ("INCOME", "<TOTAL>5.53", "TOTAL: it is missing"),
        ("SELLMF", "<SECID><UNIQUEID>912810RW0<UNIQUEIDTYPE>CUSIP</SECID>", "SECID is missing"),
        ("SPLIT", "<UNIQUEID>912810RW0", "UNIQUEID is missing"),
        ("TRANSFER", "<DTTRADE>20260115160000[-5:EST]", "DTTRADE: it is missing"),
    ],
)
def test_a_record_without_what_the_standard_requires_is_listed(
    tag: str, cut: str, reason: str
) -> None:
    broken = samples.investment_record(tag, fitid="bad").replace(cut, "")

    file = read(samples.investment(broken + samples.investment_record("RETOFCAP")))

    assert [t.aggregate for t in file.statements[0].investment_transactions] == ["RETOFCAP"]
    assert [(u.kind, u.reason, u.raw) for u in file.unreadable] == [(tag, reason, broken)]
    assert file.unreadable[0].account is not None
    assert file.unreadable[0].account.account_id == "B-77"


def test_a_cash_movement_at_a_broker_is_a_bank_transaction_with_its_sub_account() -> None:
    inner = samples.transaction(FITID="x", TRNAMT="-00000000001500.0000")
    record = f"<INVBANKTRAN>{inner}<SUBACCTFUND>CASH<INV401KSOURCE>PRETAX</INVBANKTRAN>"

    file = read(samples.investment(record))

    (found,) = file.statements[0].transactions
    assert (found.aggregate, found.amount, found.sub_account) == ("INVBANKTRAN", D(-1500), "CASH")
    assert found.plan_source == "PRETAX"
    assert found.raw == record


def test_an_invbanktran_must_hold_one_transaction() -> None:
    none = "<INVBANKTRAN><SUBACCTFUND>CASH</INVBANKTRAN>"
    two = f"<INVBANKTRAN>{samples.transaction()}{samples.transaction()}</INVBANKTRAN>"

    file = read(samples.investment(none + two))

    assert [u.reason for u in file.unreadable] == [
        "it holds 0 STMTTRN instead of one",
        "it holds 2 STMTTRN instead of one",
    ]


def test_an_aggregate_unknown_to_us_is_listed_not_dropped() -> None:
    file = read(
        samples.investment("<BUYCOIN><UNITS>1</BUYCOIN>" + samples.investment_record("INCOME"))
    )

    assert [t.aggregate for t in file.statements[0].investment_transactions] == ["INCOME"]
    assert [(u.kind, u.raw) for u in file.unreadable] == [
        ("BUYCOIN", "<BUYCOIN><UNITS>1</BUYCOIN>")
    ]


def test_positions_keep_side_price_and_their_own_currency() -> None:
    def held(tag: str, body: str, after: str = "") -> str:
        return (
            f"<{tag}><INVPOS><SECID><UNIQUEID>{tag}<UNIQUEIDTYPE>CUSIP</SECID><HELDINACCT>MARGIN"
            f"{body}<DTPRICEASOF>20260130160000[-5:EST]</INVPOS>{after}</{tag}>"
        )

    short = "<POSTYPE>SHORT<UNITS>-2<UNITPRICE>1.25<MKTVAL>-250"
    foreign = (
        "<POSTYPE>LONG<UNITS>1,000.5<UNITPRICE>2<MKTVAL>2001<AVGCOSTBASIS>1.5<MEMO>x"
        "<CURRENCY><CURRATE>0.73<CURSYM>CAD</CURRENCY>"
    )
    positions = (
        held("POSOPT", short, "<SECURED>NAKED")
        + held("POSSTOCK", foreign)
        + held("POSMF", "<POSTYPE>LONG<UNITS>0.0", "<REINVDIV>Y")
        + held("POSDEBT", "<POSTYPE>LONG<UNITS>1000<UNITPRICE>100<MKTVAL>1000")
        + held("POSOTHER", "<UNITS>many")
    )

    file = read(samples.investment(positions=positions))

    option, stock, fund, bond = file.statements[0].positions
    assert (option.position_type, option.units, option.market_value) == ("SHORT", D(-2), D(-250))
    assert (option.secured, option.held_in) == ("NAKED", "MARGIN")
    assert option.priced_at == OfxDate(date(2026, 1, 30), datetime(2026, 1, 30, 21, tzinfo=UTC))
    assert (stock.units, stock.average_cost, stock.memo) == (D("1000.5"), D("1.5"), "x")
    assert stock.currency == CurrencyOf(symbol="CAD", rate=D("0.73"), converted=False)
    assert (fund.units, fund.unit_price, fund.market_value) == (D(0), None, None)
    assert (bond.aggregate, bond.unit_price) == ("POSDEBT", D(100))
    assert [(u.kind, u.reason) for u in file.unreadable] == [
        ("POSOTHER", "UNITS: 'many' is not a number")
    ]


def test_brokerage_and_plan_balances_are_read() -> None:
    extra = (
        "<INVBAL><AVAILCASH>18073.98<MARGINBALANCE>-10<SHORTBALANCE>0<BUYPOWER>5<BALLIST>"
        "<BAL><NAME>Networth<DESC>All<BALTYPE>DOLLAR<VALUE>32993.79<DTASOF>20260131</BAL>"
        "<BAL><NAME>Blank<DESC>None<BALTYPE>DOLLAR<VALUE></BAL>"
        "<BAL><NAME>Odd<DESC>Bad<BALTYPE>PERCENT<VALUE>n/a</BAL></BALLIST></INVBAL>"
        "<INV401K><EMPLOYERNAME>E</INV401K><INV401KBAL><CASHBAL>1<PRETAX>2<AFTERTAX>3<MATCH>4"
        "<PROFITSHARING>5<ROLLOVER>6<OTHERVEST>7<OTHERNONVEST>8<TOTAL>36</INV401KBAL>"
    )

    file = read(samples.investment(extra=extra))

    (statement,) = file.statements
    assert statement.as_of == OfxDate(date(2026, 1, 31), datetime(2026, 1, 31, 21, tzinfo=UTC))
    cash = statement.investment_balances
    assert cash is not None
    assert (cash.available_cash, cash.margin, cash.short, cash.buying_power) == (
        D("18073.98"),
        D(-10),
        D(0),
        D(5),
    )
    assert [(b.name, b.type, b.value) for b in cash.named] == [("Networth", "DOLLAR", D("32993.79"))]  # fmt: skip
    plan = statement.plan_balances
    assert plan is not None
    assert (plan.cash, plan.match, plan.other_nonvested, plan.total) == (D(1), D(4), D(8), D(36))
    assert [u.kind for u in file.unreadable] == ["BAL"]


def test_the_security_list_tells_stocks_funds_options_bonds_and_others() -> None:
    def info(value: str, name: str, more: str = "") -> str:
        return (
            f"<SECINFO><SECID><UNIQUEID>{value}<UNIQUEIDTYPE>CUSIP</SECID><SECNAME>{name}"
            f"<TICKER>{name[:4].upper()}{more}</SECINFO>"
        )

    entries = (
        f"<STOCKINFO>{info('1', 'Amazon', '<UNITPRICE>1000<DTASOF>20260130')}"
        "<STOCKTYPE>COMMON<ASSETCLASS>LARGESTOCK</STOCKINFO>"
        f"<MFINFO>{info('2', 'Target 2050', '<FIID>1659<RATING>A')}<MFTYPE>OPENEND"
        "<MFASSETCLASS><PORTION><ASSETCLASS>DOMESTICBOND<PERCENT>15</PORTION></MFASSETCLASS></MFINFO>"
        f"<OPTINFO>{info('3', 'Amazon call')}<OPTTYPE>CALL<STRIKEPRICE>1100.50<DTEXPIRE>20260618"
        "<SHPERCTRCT>100<SECID><UNIQUEID>1<UNIQUEIDTYPE>CUSIP</SECID></OPTINFO>"
        f"<OPTINFO>{info('4', 'Bare put')}<OPTTYPE>PUT</OPTINFO>"
        f"<DEBTINFO>{info('5', 'US Treasury')}<PARVALUE>1000<DEBTTYPE>COUPON<DEBTCLASS>TREASURY"
        "<COUPONRT>2.75<DTCOUPON>20260815<COUPONFREQ>SEMIANNUAL<DTMAT>20470815<YIELDTOMAT>4.1</DEBTINFO>"
        f"<OTHERINFO>{info('6', 'Real Estate', '<CURRENCY><CURRATE>1<CURSYM>USD</CURRENCY>')}"
        "<TYPEDESC>Annuity</OTHERINFO>"
        "<STOCKINFO><SECINFO><SECNAME>Nameless</SECINFO></STOCKINFO>"
    )

    file = read(samples.securities(entries))

    assert [s.kind for s in file.securities] == [
        SecurityKind.STOCK,
        SecurityKind.FUND,
        SecurityKind.OPTION,
        SecurityKind.OPTION,
        SecurityKind.DEBT,
        SecurityKind.OTHER,
    ]
    stock, fund, call, put, bond, other = file.securities
    assert (stock.name, stock.ticker, stock.unit_price, stock.type) == ("Amazon", "AMAZ", D(1000), "COMMON")  # fmt: skip
    assert (fund.fi_id, fund.rating, fund.type, fund.asset_class) == ("1659", "A", "OPENEND", None)
    assert call.option is not None
    assert (call.option.type, call.option.strike, call.option.shares_per_contract) == ("CALL", D("1100.50"), D(100))  # fmt: skip
    assert call.option.expires == OfxDate(date(2026, 6, 18))
    assert call.option.underlying == SecurityId(value="1", type="CUSIP")
    assert call.id.value == "3"
    assert put.option is not None
    assert put.option.shares_per_contract is None
    assert bond.debt is not None
    assert (bond.debt.par_value, bond.debt.coupon_rate, bond.debt.matures) == (D(1000), D("2.75"), OfxDate(date(2047, 8, 15)))  # fmt: skip
    assert other.type == "Annuity"
    assert [u.reason for u in file.unreadable] == ["SECINFO with a SECID is missing"]
