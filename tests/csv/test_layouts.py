"""The layouts of Chase and Schwab, and a new bank's in a few lines."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from adapters.csv import PROFILES, Profile, is_csv, statement_of
from domain.accounts import AccountType as A
from domain.errors import UnreadableFile
from domain.imports import Statement
from domain.securities import AssetType
from domain.transactions import TransactionStatus
from domain.transactions import TransactionSubtype as S
from tests.csv.samples import BANK, BROKERAGE, CARD, CARDS, DEPOSIT, POSITIONS

D = Decimal


def read(text: str, name: str = "Chase4321_Activity_20260113.CSV") -> Statement:
    assert is_csv(text.encode())
    statement = statement_of(text.encode(), name)
    assert not statement.unreadable
    return statement


def rows(statement: Statement) -> list[tuple[int, Decimal, S]]:
    return [(t.date.day, t.amount.amount, t.subtype) for t in statement.transactions]


def test_a_chase_deposit_account_has_the_balance_of_its_newest_line_that_has_one() -> None:
    statement = read(DEPOSIT)
    [account] = statement.accounts

    assert (account.institution, account.type, account.mask) == ("Chase", A.CHECKING, "4321")
    assert account.name.endswith("4321")
    assert account.number is None
    assert account.balance is not None
    assert account.balance.amount == D("1270.10")
    assert account.as_of == datetime(2026, 1, 10, tzinfo=UTC)
    assert rows(statement) == [
        (12, D("-4.50"), S.PURCHASE),
        (10, D("-25.40"), S.PURCHASE),
        (9, D("1500.00"), S.ACH_IN),
        (8, D("-2.00"), S.PURCHASE),
        (8, D("-2.00"), S.PURCHASE),
        (5, D("-200.00"), S.CHECK),
    ]
    first, *others = statement.transactions
    assert first.status is TransactionStatus.PENDING
    assert {t.status for t in others} == {TransactionStatus.SETTLED}
    assert statement.pending == {account.key: [first.key]}
    assert len({t.key for t in statement.transactions}) == 6
    assert (statement.since, statement.until) == (date(2026, 1, 5), date(2026, 1, 12))


def test_a_chase_card_is_dated_by_its_postings_and_states_no_balance() -> None:
    statement = read(CARD)
    [account] = statement.accounts
    assert (account.type, account.balance) == (A.CREDIT_CARD, None)
    assert rows(statement) == [
        (11, D("-40.00"), S.PURCHASE),
        (9, D("300.00"), S.BILL_PAYMENT),
        (8, D("25.40"), S.REFUND),
        (4, D("-35.00"), S.ACCOUNT_FEE),
    ]
    assert statement.transactions[0].category == "Gas"
    assert not statement.pending


def test_a_column_of_cards_tells_accounts_apart_and_goes_before_the_files_name() -> None:
    statement = read(CARDS)
    assert [a.mask for a in statement.accounts] == ["1111", "2222"]
    assert [t.account_key for t in statement.transactions] == [a.key for a in statement.accounts]


def test_a_file_without_digits_in_its_name_is_of_an_account_of_that_name() -> None:
    names = ("export.csv", "Export (2).csv", "export_2026-02-01.csv", "savings.csv")
    keys = [read(DEPOSIT, name).accounts[0].key for name in names]
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]
    assert read(DEPOSIT, "export.csv").accounts[0].mask is None


def test_schwabs_transactions_have_our_signs_terms_and_days() -> None:
    statement = read(BROKERAGE, "Individual_XXX178_Transactions_20260121-115444.csv")
    [account] = statement.accounts
    assert (account.institution, account.type, account.mask) == (
        "Charles Schwab", A.BROKERAGE, "178",
    )  # fmt: skip
    assert account.name.startswith("Individual")
    assert rows(statement) == [
        (20, D("1099.00"), S.SELL),
        (16, D("-1001.00"), S.BUY),
        (14, D("12.50"), S.DIVIDEND),
        (13, D("298.70"), S.SHORT_SELL),
        (12, D("500.00"), S.ACH_IN),
        (12, D("-25.00"), S.ACCOUNT_FEE),
        (9, D("0.09"), S.INTEREST),
        (8, D("0"), S.JOURNAL),
    ]
    sold, bought, dividend, written, *_, journaled = statement.transactions
    assert (sold.quantity, bought.quantity) == (D(-10), D(10))
    assert sold.commission is not None
    assert sold.commission.amount == D("-1.00")
    assert bought.unit_price is not None
    assert bought.unit_price.amount == 100
    assert dividend.settlement_date == date(2026, 1, 15)
    assert dividend.security is not None
    assert dividend.security.symbol == "XYZ"
    assert written.quantity == -2
    assert written.security is not None
    assert written.security.option is not None
    assert (written.security.multiplier, written.security.option.strike.amount) == (D(100), D(105))
    assert journaled.quantity == 3


def test_schwabs_positions_come_to_what_it_says_they_come_to() -> None:
    statement = read(POSITIONS, "Roth-Positions.csv")
    [account] = statement.accounts
    assert (account.type, account.mask) == (A.ROTH_IRA, "178")
    assert account.as_of == datetime(2026, 1, 21, 17, 33, tzinfo=UTC)
    assert account.cash is not None
    assert account.balance is not None
    worth = account.cash.amount + sum(h.market_value.amount for h in statement.holdings)
    assert worth == account.balance.amount == 142_000
    share, option, note = statement.holdings
    assert (share.quantity, share.security.asset_type) == (D(1200), AssetType.EQUITY)
    assert (option.quantity, option.market_value.amount) == (D(-2), D("-300.00"))
    assert option.cost_basis is not None
    assert option.cost_basis.amount == D("-298.70")
    assert (note.security.cusip, note.security.symbol) == ("91282CJL6", None)
    assert note.market_price is not None
    assert note.cost_basis is None
    assert statement.holdings_complete == [account.key]
    assert not statement.transactions


def test_a_short_position_that_is_worth_nothing_is_one_all_the_same() -> None:
    worthless = POSITIONS.replace("($300.00)", "$0.00")
    statement = read(worthless, "Roth-Positions.csv")
    assert not statement.unreadable
    assert statement.holdings_complete
    [option] = [h for h in statement.holdings if h.quantity == D(-2)]
    assert option.market_value.amount == 0


def test_a_symbol_that_is_too_long_for_one_is_kept_with_its_line() -> None:
    long = POSITIONS.replace('"XYZ",', f'"{"X" * 65}",')
    statement = statement_of(long.encode(), "Roth-Positions.csv")
    [lost] = statement.unreadable
    assert "symbol" in lost.reason
    assert not statement.holdings_complete


def test_positions_of_all_accounts_are_of_each() -> None:
    header = '"Symbol","Description","Quantity","Price","Market Value","Cost Basis","Asset Type"'
    text = (
        '"Positions for All-Accounts as of 09:00 AM ET, 2026/01/21"\n\n'
        f'"Individual ...123"\n{header}\n'
        '"XYZ","XYZ CORP","1","$5.00","$5.00","$4.00","Equity"\n'
        '"Positions Total","","--","--","$5.00","--","--"\n\n'
        f'"Roth IRA ...456"\n{header}\n'
        '"XYZ","XYZ CORP","2","$5.00","$10.00","$4.00","Equity"\n'
    )
    statement = read(text, "All-Accounts-Positions.csv")
    assert [(a.mask, a.type, a.balance and a.balance.amount) for a in statement.accounts] == [
        ("123", A.BROKERAGE, D("5.00")),
        ("456", A.ROTH_IRA, D("10.00")),
    ]
    assert {a.as_of for a in statement.accounts} == {datetime(2026, 1, 21, 14, tzinfo=UTC)}
    assert len({h.account_key for h in statement.holdings}) == 2


def test_a_bank_with_a_column_for_each_direction() -> None:
    statement = read(BANK, "XXX234_Checking_Transactions_20260203.csv")
    assert rows(statement) == [
        (31, D("1.00"), S.INTEREST), (30, D("-5.00"), S.PURCHASE), (3, D("-2.00"), S.ACH_OUT),
    ]  # fmt: skip
    assert [t.status.name for t in statement.transactions] == ["SETTLED", "PENDING", "SETTLED"]
    [account] = statement.accounts
    assert (account.mask, account.name[:8]) == ("234", "Checking")
    assert account.balance is not None
    assert account.balance.amount == D("2.00")


@pytest.mark.parametrize("newest_first", [True, False])
def test_two_downloads_in_one_file_are_one_account_with_its_newest_balance(
    newest_first: bool,
) -> None:
    newer = BANK.replace('"01/', '"02/').replace("$2.00", "$7.00").replace("02/30/", "02/20/")
    newer = newer.replace("02/31/", "02/28/")
    statement = read((newer + BANK) if newest_first else (BANK + newer), "XXX234_Checking_.csv")
    [account] = statement.accounts
    assert account.balance is not None
    assert account.balance.amount == D("7.00")
    assert len(statement.transactions) == 6
    assert len(statement.pending[account.key]) == 2


SPARKASSE = Profile(
    name="Sparkasse",
    institution="Sparkasse",
    kind=A.CHECKING,
    columns={
        "date": "Buchungstag",
        "description": "Verwendungszweck",
        "merchant": "Beguenstigter/Zahlungspflichtiger",
        "amount": "Betrag",
        "currency": "Waehrung",
    },
    written="%d.%m.%Y",
    point=",",
)


def test_a_new_banks_layout_is_a_few_lines() -> None:
    text = (
        "Buchungstag;Verwendungszweck;Beguenstigter/Zahlungspflichtiger;Betrag;Waehrung\n"
        "31.01.2026;Miete M\xfcllerstra\xdfe;Hausverwaltung;-1.234,56;EUR\n"
        "02.01.2026;Gehalt;ACME;3.000;EUR\n"
    )
    statement = statement_of(text.encode("cp1252"), "umsatz.csv", [*PROFILES, SPARKASSE])
    [account] = statement.accounts
    assert (account.institution, account.currency) == ("Sparkasse", "EUR")
    assert rows(statement) == [(31, D("-1234.56"), S.WITHDRAWAL), (2, D(3000), S.DEPOSIT)]
    assert statement.transactions[0].description == "Miete Müllerstraße"


def test_charges_that_are_written_as_positive_amounts_are_turned() -> None:
    profile = Profile(
        name="Amex", institution="American Express", kind=A.CREDIT_CARD, sign=-1,
        columns={"date": "Date", "description": "Description", "amount": "Amount"},
    )  # fmt: skip
    text = "Date,Description,Amount\n01/05/2026,SHOP,25.40\n01/04/2026,PAID,-10\n"
    statement = statement_of(text.encode(), "amex.csv", [profile])
    assert rows(statement) == [(5, D("-25.40"), S.PURCHASE), (4, D("10"), S.REFUND)]


def test_columns_that_are_of_no_layout_are_named_in_the_refusal() -> None:
    with pytest.raises(UnreadableFile, match="Date, Amount, Note") as refused:
        statement_of(b"\nDate,Amount,Note\n2026-01-01,5,x\n", "x.csv")
    assert refused.value.line == 2
