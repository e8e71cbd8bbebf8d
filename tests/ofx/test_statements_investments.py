"""Trades, positions and what an investment account is worth, in the domain's terms."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from adapters.ofx.statements import statement_of
from domain.accounts import AccountType
from domain.errors import UnreadableFile
from domain.imports import CASH_ALONE
from domain.money import Currency, Money
from domain.securities import AssetType, OptionSide, OptionTerms
from domain.sync import SyncScope
from domain.transactions import TransactionSubtype as S
from tests.builders import stated
from tests.ofx.samples import transaction
from tests.ofx.statement_samples import (
    APPLE,
    a_bank_file,
    a_broker_file,
    a_position,
    a_trade,
    dec,
    one,
    secid,
)


@pytest.mark.parametrize(
    ("aggregate", "inner", "kind", "subtype", "amount", "quantity"),
    [
        ("BUYSTOCK", "<UNITS>10<UNITPRICE>20<TOTAL>-207.95", "<BUYTYPE>BUY", S.BUY, "-207.95", "10"),
        ("BUYSTOCK", "<UNITS>10<UNITPRICE>20<TOTAL>207.95", "<BUYTYPE>BUY", S.BUY, "-207.95", "10"),
        ("BUYSTOCK", "<UNITS>-4<UNITPRICE>5<TOTAL>-20", "<BUYTYPE>BUYTOCOVER", S.BUY_TO_COVER, "-20",
         "4"),
        ("SELLSTOCK", "<UNITS>-3<UNITPRICE>9<TOTAL>27", "<SELLTYPE>SELL", S.SELL, "27", "-3"),
        ("SELLSTOCK", "<UNITS>3<UNITPRICE>9<TOTAL>-27", "<SELLTYPE>SELL", S.SELL, "27", "-3"),
        ("SELLSTOCK", "<UNITS>-3<UNITPRICE>9<TOTAL>27", "<SELLTYPE>SELLSHORT", S.SHORT_SELL, "27",
         "-3"),
        ("BUYOPT", "<UNITS>1<UNITPRICE>2.5<TOTAL>-250.65", "<OPTBUYTYPE>BUYTOOPEN", S.BUY, "-250.65",
         "1"),
        ("SELLOPT", "<UNITS>-1<UNITPRICE>2<TOTAL>199.35", "<OPTSELLTYPE>SELLTOOPEN", S.SHORT_SELL,
         "199.35", "-1"),
        ("BUYSTOCK", "<UNITS>10<UNITPRICE>20<COMMISSION>7.95", "<BUYTYPE>BUY", S.BUY, "-207.95", "10"),
    ],
)  # fmt: skip
def test_a_trade_has_our_signs_whatever_those_of_the_file(
    aggregate: str, inner: str, kind: str, subtype: S, amount: str, quantity: str
) -> None:
    row = one(statement_of(a_broker_file(a_trade(aggregate, inner, kind=kind), securities=APPLE)))

    assert row.subtype is subtype
    assert row.amount.amount == dec(amount)
    assert row.quantity == dec(quantity)
    assert row.settlement_date == date(2026, 1, 6)
    assert row.security is not None
    assert row.security.symbol == "AAPL"
    assert row.security.cusip == "037833100"


def test_a_sale_that_brings_less_than_its_charges_costs_money() -> None:
    inner = "<UNITS>-1<UNITPRICE>0.30<COMMISSION>0.65<TOTAL>-0.35"
    row = one(statement_of(a_broker_file(a_trade("SELLSTOCK", inner), securities=APPLE)))
    assert (row.subtype, row.amount.amount) == (S.SELL, dec("-0.35"))


def test_commission_fees_and_load_are_one_negative_charge() -> None:
    inner = "<UNITS>10<UNITPRICE>20<COMMISSION>7.95<FEES>0.05<LOAD>1<TOTAL>-209"
    row = one(statement_of(a_broker_file(a_trade("BUYSTOCK", inner), securities=APPLE)))

    assert row.commission is not None
    assert row.commission.amount == dec("-9.00")


def tran(rest: str) -> str:
    return f"<INVTRAN><FITID>i1<DTTRADE>20260105</INVTRAN>{rest}"


@pytest.mark.parametrize(
    ("row", "subtype", "amount", "quantity"),
    [
        (f"<INCOME>{tran(secid('037833100') + '<INCOMETYPE>DIV<TOTAL>5.5')}</INCOME>", S.DIVIDEND, "5.5",
         None),
        (f"<INCOME>{tran(secid('037833100') + '<INCOMETYPE>CGLONG<TOTAL>9')}</INCOME>", S.CAPITAL_GAIN,
         "9", None),
        (f"<INCOME>{tran(secid('037833100') + '<INCOMETYPE>INTEREST<TOTAL>1')}</INCOME>", S.INTEREST, "1",
         None),
        (f"<REINVEST>{tran(secid('037833100') + '<INCOMETYPE>DIV<TOTAL>-5.5<UNITS>0.02')}</REINVEST>",
         S.REINVESTMENT, "-5.5", "0.02"),
        (f"<SPLIT>{tran(secid('037833100') + '<OLDUNITS>10<NEWUNITS>40<NUMERATOR>4')}</SPLIT>", S.SPLIT, "0", "30"),
        (f"<TRANSFER>{tran(secid('037833100') + '<UNITS>7<TFERACTION>OUT<POSTYPE>LONG')}</TRANSFER>",
         S.JOURNAL, "0", "-7"),
        (f"<MARGININTEREST>{tran('<TOTAL>-3.10')}</MARGININTEREST>", S.MARGIN_INTEREST, "-3.10", None),
        (f"<CLOSUREOPT>{tran(secid('037833100') + '<OPTACTION>EXPIRE<UNITS>-2')}</CLOSUREOPT>", S.OPTION_EXPIRATION, "0", "-2"),
        (f"<CLOSUREOPT>{tran(secid('037833100') + '<OPTACTION>ASSIGN<UNITS>2')}</CLOSUREOPT>", S.OPTION_ASSIGNMENT, "0", "2"),
    ],
)  # fmt: skip
def test_other_investment_records_are_what_they_say(
    row: str, subtype: S, amount: str, quantity: str | None
) -> None:
    found = one(statement_of(a_broker_file(row, securities=APPLE)))

    assert found.subtype is subtype
    assert found.amount.amount == dec(amount)
    assert found.quantity == (None if quantity is None else dec(quantity))


CALL = (
    f"<OPTINFO><SECINFO>{secid('AAPL270319C', 'OWN')}<SECNAME>AAPL Mar 27 235 Call"
    "<TICKER>AAPL  270319C00235000</SECINFO><OPTTYPE>CALL<STRIKEPRICE>235<DTEXPIRE>20270319"
    f"<SHPERCTRCT>100{secid('037833100')}</OPTINFO>"
)
BOND = (
    f"<DEBTINFO><SECINFO>{secid('912810TV0')}<SECNAME>US Treasury 4.75% 2053</SECINFO>"
    "<PARVALUE>1000<DEBTTYPE>COUPON</DEBTINFO>"
)


def test_positions_are_worth_what_is_stated_with_shorts_negative() -> None:
    positions = (
        a_position("POSSTOCK", "<POSTYPE>LONG<UNITS>10<UNITPRICE>200<MKTVAL>2000")
        + a_position("POSSTOCK", "<POSTYPE>SHORT<UNITS>5<UNITPRICE>30<MKTVAL>150", "88160R101")
        + a_position("POSDEBT", "<POSTYPE>LONG<UNITS>10000<UNITPRICE>98.5<MKTVAL>9850", "912810TV0")
        + a_position("POSOPT", "<POSTYPE>LONG<UNITS>2<UNITPRICE>5.41", "AAPL270319C")
    )
    statement = statement_of(a_broker_file(positions=positions, securities=APPLE + CALL + BOND))
    stock, short, bond, call = statement.holdings

    assert [stock.quantity, stock.market_value.amount] == [dec("10"), dec("2000")]
    assert [short.quantity, short.market_value.amount] == [dec("-5"), dec("-150")]
    assert short.security.asset_type is AssetType.EQUITY
    assert bond.security.asset_type is AssetType.FIXED_INCOME
    assert bond.security.value(dec("10000"), bond.market_price or bond.market_value).amount == 9850
    assert call.market_value.amount == dec("1082.00")  # 2 contracts of 100 at 5.41
    assert call.security.multiplier == 100
    strike = call.security.option
    assert strike is not None
    assert strike == OptionTerms(
        underlying="AAPL", side=OptionSide.CALL, strike=strike.strike, expires_on=date(2027, 3, 19)
    )
    assert strike.strike.amount == 235
    assert statement.holdings_complete == [statement.accounts[0].key]
    assert stated(statement.accounts[0]).amount == 2000 - 150 + 9850 + 1082


def test_a_ticker_that_is_too_long_for_one_is_kept_with_its_position() -> None:
    long = APPLE.replace("aapl", "A" * 65)
    position = a_position("POSSTOCK", "<UNITS>1<MKTVAL>5")
    statement = statement_of(a_broker_file(positions=position, securities=long))
    assert not statement.holdings
    assert "TICKER" in statement.unreadable[0].reason


def test_an_id_without_its_check_digit_is_the_institutions_own() -> None:
    row = a_trade("BUYSTOCK", "<UNITS>1<UNITPRICE>1<TOTAL>-1").replace("037833100", "037833101")
    security = one(statement_of(a_broker_file(row))).security

    assert security is not None
    assert (security.cusip, security.key) == (None, "CUSIP:037833101")
    assert security.asset_type is AssetType.EQUITY


def test_a_fund_listed_once_for_each_source_of_money_is_one_holding() -> None:
    part = "<POSTYPE>LONG<UNITS>10<UNITPRICE>20<MKTVAL>200<INV401KSOURCE>"
    positions = a_position("POSMF", f"{part}PRETAX") + a_position("POSMF", f"{part}MATCH")
    statement = statement_of(a_broker_file(positions=positions))

    [holding] = statement.holdings
    assert [holding.quantity, holding.market_value.amount] == [dec("20"), dec("400")]
    assert holding.market_price is not None
    other = positions.replace("<UNITPRICE>20", "<UNITPRICE>21", 1)
    [mixed] = statement_of(a_broker_file(positions=other)).holdings
    assert (mixed.quantity, mixed.market_price) == (dec("20"), None)  # it is not that of all
    assert statement.accounts[0].type is AccountType.TRADITIONAL_401K


NET_WORTH = (
    "<INVBAL><AVAILCASH>500<MARGINBALANCE>0<SHORTBALANCE>0<BALLIST><BAL><NAME>Net Worth"
    "<DESC>All<BALTYPE>DOLLAR<VALUE>2500.01</BAL></BALLIST></INVBAL>"
)


@pytest.mark.parametrize(
    ("balances", "balance", "cash"),
    [
        ("<INVBAL><AVAILCASH>500<MARGINBALANCE>-120<SHORTBALANCE>0</INVBAL>", "2380", "380"),
        (NET_WORTH, "2500.01", "500"),
        ("", "2000", None),
    ],
)  # fmt: skip
def test_an_investment_account_is_worth_its_reported_total_or_its_parts(
    balances: str, balance: str, cash: str | None
) -> None:
    positions = a_position("POSSTOCK", "<POSTYPE>LONG<UNITS>10<UNITPRICE>200<MKTVAL>2000")
    [account] = statement_of(
        a_broker_file(positions=positions, balances=balances, securities=APPLE)
    ).accounts

    assert stated(account).amount == dec(balance)
    assert account.cash == (None if cash is None else Money(dec(cash), Currency("USD")))
    assert account.type is AccountType.BROKERAGE
    assert account.as_of == datetime(2026, 1, 10, 21, tzinfo=UTC)


def test_a_sweep_fund_that_is_also_the_cash_counts_once() -> None:
    sweep = (
        f"<MFINFO><SECINFO>{secid('922906300')}<SECNAME>Federal Money Market<TICKER>VMFXX</SECINFO>"
        "<MFTYPE>OPENEND<ASSETCLASS>MONEYMRKT</MFINFO>"
    )
    positions = a_position("POSMF", "<POSTYPE>LONG<UNITS>750<UNITPRICE>1<MKTVAL>750", "922906300")
    balances = "<INVBAL><AVAILCASH>750<MARGINBALANCE>0<SHORTBALANCE>0</INVBAL>"
    statement = statement_of(
        a_broker_file(positions=positions, balances=balances, securities=sweep)
    )

    assert statement.holdings[0].security.asset_type is AssetType.CASH_EQUIVALENT
    assert stated(statement.accounts[0]).amount == 750


CASH = "<INVBAL><AVAILCASH>120<MARGINBALANCE>-20<SHORTBALANCE>0</INVBAL>"
TEN = a_position("POSSTOCK", "<POSTYPE>LONG<UNITS>10<UNITPRICE>200<MKTVAL>2000")


def and_then(first: bytes, second: bytes, *, as_of: str = "20260210") -> bytes:
    """Both statements in one file, the second of a later day."""
    whole, more = first.decode(), second.decode().replace("<DTASOF>20260110", f"<DTASOF>{as_of}")
    inner = more[more.index("<INVSTMTTRNRS>") : more.index("</INVSTMTMSGSRSV1>")]
    return whole.replace("</INVSTMTMSGSRSV1>", f"{inner}</INVSTMTMSGSRSV1>").encode()


def test_without_a_list_of_positions_nothing_is_said_of_them() -> None:
    silent = statement_of(a_broker_file(positions=None, balances=CASH))
    assert not silent.holdings_complete
    assert (stated(silent.accounts[0]).amount, silent.accounts[0].is_cash_alone) == (
        dec("100"),
        True,
    )

    total = statement_of(a_broker_file(positions=None, balances=NET_WORTH)).accounts[0]
    assert (stated(total).amount, total.is_cash_alone) == (dec("2500.01"), False)


@pytest.mark.parametrize("empty", ["<INVPOSLIST></INVPOSLIST>", "<INVPOSLIST/>", "<INVPOSLIST />"])
def test_a_list_of_positions_that_is_empty_says_that_there_are_none(empty: str) -> None:
    file = a_broker_file(positions="", balances=CASH).decode()
    none = statement_of(file.replace("<INVPOSLIST></INVPOSLIST>", empty).encode())
    [account] = none.accounts
    assert none.holdings_complete == [account.key]
    assert (stated(account).amount, account.is_cash_alone) == (dec("100"), False)


def test_in_one_file_a_statement_without_positions_leaves_those_of_another() -> None:
    held = a_broker_file(positions=TEN, balances=CASH, securities=APPLE)
    silent = a_broker_file(positions=None, balances=CASH.replace("120", "777"))
    for file in (and_then(held, silent), and_then(held, silent, as_of="20251231")):
        statement = statement_of(file)
        [account], [holding], [said] = statement.accounts, statement.holdings, statement.unreadable
        assert (stated(account).amount, holding.quantity) == (dec("2100"), dec("10"))
        assert statement.holdings_complete == [account.key]
        assert (said.scope, said.reason) == (SyncScope.ACCOUNTS, CASH_ALONE)

    worth = statement_of(and_then(held, a_broker_file(positions=None, balances=NET_WORTH)))
    assert stated(worth.accounts[0]).amount == dec("2500.01")
    assert [h.quantity for h in worth.holdings] == [10]

    sold = statement_of(and_then(a_broker_file(positions="", balances=CASH), silent))
    assert (stated(sold.accounts[0]).amount, sold.accounts[0].is_cash_alone) == (dec("757"), False)


@pytest.mark.parametrize(
    "other", [TEN.replace("<UNITS>10", "<UNITS>ten"), "<POSCOIN><UNITS>1</POSCOIN>"]
)
def test_positions_that_cannot_all_be_read_are_neither_complete_nor_added_up(other: str) -> None:
    file = a_broker_file(positions=TEN + other, balances=CASH, securities=APPLE)
    statement = statement_of(file)
    assert len(statement.holdings) == 1
    assert not statement.holdings_complete
    assert statement.accounts[0].balance is None
    assert len(statement.unreadable) == 2  # the position, and the balance


def test_two_statements_of_one_account_are_one_account_with_each_row_once() -> None:
    january = a_bank_file(transaction(FITID="1") + transaction(FITID="2")).decode()
    inner = january[january.index("<STMTTRNRS>") : january.index("</BANKMSGSRSV1>")]
    later = inner.replace("812.50", "700.00").replace("<DTASOF>20260110", "<DTASOF>20260131")
    later = later.replace("<FITID>1", "<FITID>3")
    statement = statement_of(january.replace(inner, inner + later).encode())

    [account] = statement.accounts
    assert stated(account).amount == dec("700.00")
    assert [t.key[0] for t in statement.transactions] == ["1", "2", "3"]


# ── files of real institutions ──────────────────────────────────────────────

# Figures read off the files by eye. Where the folder is absent there is no such case.
FOLDER = Path(__file__).parents[2].parent / "shared/fixtures/ofx-ofxparse/tests/fixtures"
BY_EYE = {
    # file: institution, kind, balance, currency, rows, holdings, sum of the amounts
    "anzcc": ("Unknown institution", "CREDIT_CARD", "-123.45", "AUD", 1, 0, "-5.50"),
    "bank_medium": ("160000100", "CHECKING", "382.34", "CAD", 3, 0, "-345.27"),
    "checking": ("FAKE", "CHECKING", "100.99", "USD", 3, 0, "-59.50"),
    "suncorp": ("SUNCORP", "CHECKING", "1234.12", "AUD", 1, 0, "-16.85"),
    "fidelity": ("fidelity.com", "BROKERAGE", "32993.79", "USD", 17, 6, "-10526.67"),
    "td_ameritrade": ("ameritrade.com", "BROKERAGE", "2000", "USD", 0, 2, "0"),
    "vanguard401k": ("Vanguard", "TRADITIONAL_401K", "5171.44", "USD", 5, 1, "-2019.0"),
    "investment_401k": ("EXAMPLE", "TRADITIONAL_401K", "1000.00", "USD", 3, 3, "-197.2"),
}

# What an institution refused itself, and what holds no statement.
REFUSED = (
    "account_listing_aggregation",
    "bank_small",
    "error_message",
    "signon_fail",
    "signon_success",
    "signon_success_no_message",
)

if FOLDER.is_dir():

    @pytest.mark.parametrize("name", BY_EYE)
    def test_a_real_file_says_what_one_reads_in_it(name: str) -> None:
        institution, kind, balance, currency, rows, holdings, amounts = BY_EYE[name]
        statement = statement_of((FOLDER / f"{name}.ofx").read_bytes())

        [account] = statement.accounts
        assert statement.institution == institution
        assert account.type.value == kind
        assert account.balance == Money(dec(balance), Currency(currency))
        assert len(statement.transactions) == rows
        assert len(statement.holdings) == holdings
        assert sum((t.amount.amount for t in statement.transactions), dec("0")) == dec(amounts)
        assert not statement.unreadable

    @pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.ofx")), ids=lambda path: path.stem)
    def test_any_real_file_is_read_or_refused_with_a_reason(path: Path) -> None:
        try:
            statement = statement_of(path.read_bytes())
        except UnreadableFile:
            assert path.stem in REFUSED
            return
        keys = {account.key for account in statement.accounts}
        assert keys or statement.unreadable
        assert {row.account_key for row in statement.transactions} <= keys
        named = {(row.account_key, row.key) for row in statement.transactions}
        assert len(named) == len(statement.transactions)
