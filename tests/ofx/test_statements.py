"""A file in the domain's terms: signs, kinds, identities, and nothing lost on the way."""

from datetime import UTC, date, datetime

import pytest

from adapters.ofx.statements import statement_of
from domain.accounts import AccountType
from domain.errors import ErrorCode, UnreadableFile
from domain.imports import FILE_BYTES_MAX
from domain.money import Currency, Money
from domain.sync import SyncScope
from domain.transactions import TransactionStatus
from domain.transactions import TransactionSubtype as S
from tests.ofx.samples import CHASE_CARD, FULL_TRANSACTION, HEADER, SIGN_ON, transaction
from tests.ofx.statement_samples import (
    BALANCE,
    CHECKING,
    a_bank_file,
    dec,
    one,
)


def test_a_chase_card_file_is_read_to_the_cent() -> None:
    statement = statement_of(CHASE_CARD.encode("cp1252"))

    [account] = statement.accounts
    assert account.institution == "Chase"
    assert account.name == "Credit card ····4242"
    assert account.type is AccountType.CREDIT_CARD
    assert account.balance == Money(dec("-1234.56"), Currency("USD"))
    assert account.as_of == datetime(2026, 1, 10, 12, tzinfo=UTC)
    assert account.number == "123456789-4242"
    rows = [(t.subtype, t.amount.amount, t.description) for t in statement.transactions]
    assert rows == [
        (S.PURCHASE, dec("-98.03"), "CAFÉ DE LA GARE PARIS & LYON"),
        (S.ACCOUNT_FEE, dec("-2.94"), "FOREIGN TRANSACTION FEE"),
        (S.BILL_PAYMENT, dec("500.00"), "Payment Thank You-Mobile"),
    ]
    assert (statement.since, statement.until) == (date(2026, 1, 1), date(2026, 1, 10))
    assert not statement.unreadable


def test_one_id_for_a_purchase_and_its_fee_names_two_rows() -> None:
    keys = [t.key for t in statement_of(CHASE_CARD.encode("cp1252")).transactions]
    again = [t.key for t in statement_of(CHASE_CARD.encode("cp1252")).transactions]

    assert len(set(keys)) == 3
    assert keys == again


def test_every_field_of_a_full_transaction_finds_its_place() -> None:
    row = one(statement_of(a_bank_file(FULL_TRANSACTION)))

    assert row.date == date(2023, 9, 9)  # the bank's own day, ten hours east of Greenwich
    assert row.amount.amount == dec("1234.56")
    assert row.description == "Mill and Sons of Bath Flour & oats <5 kg>"
    assert row.merchant == "Mill & Sons"
    assert row.subtype is S.CHECK
    assert row.settlement_date == date(2023, 9, 10)


@pytest.mark.parametrize(
    ("trntype", "amount", "subtype"),
    [
        ("CREDIT", "5", S.DEPOSIT), ("DEBIT", "-5", S.WITHDRAWAL), ("INT", "0.12", S.INTEREST),
        ("DIV", "3", S.DIVIDEND), ("FEE", "-3", S.ACCOUNT_FEE), ("SRVCHG", "-3", S.ACCOUNT_FEE),
        ("DEP", "9", S.DEPOSIT), ("ATM", "-60", S.WITHDRAWAL), ("ATM", "60", S.DEPOSIT),
        ("POS", "-7", S.PURCHASE), ("POS", "7", S.REFUND), ("XFER", "-1", S.INTERNAL),
        ("CHECK", "-25", S.CHECK), ("PAYMENT", "-80", S.BILL_PAYMENT), ("CASH", "-20", S.WITHDRAWAL),
        ("DIRECTDEP", "900", S.ACH_IN), ("DIRECTDEBIT", "-90", S.ACH_OUT),
        ("REPEATPMT", "-9", S.BILL_PAYMENT), ("OTHER", "-1", S.OTHER), ("NEWKIND", "1", S.OTHER),
    ],
)  # fmt: skip
def test_a_banks_kind_of_transaction_is_ours(trntype: str, amount: str, subtype: S) -> None:
    row = one(statement_of(a_bank_file(transaction(TRNTYPE=trntype, TRNAMT=amount))))

    assert row.subtype is subtype
    assert row.amount.amount == dec(amount)
    assert row.status is TransactionStatus.SETTLED


def test_a_hold_is_pending() -> None:
    row = one(statement_of(a_bank_file(transaction(TRNTYPE="HOLD", TRNAMT="-40"))))
    assert row.status is TransactionStatus.PENDING


@pytest.mark.parametrize(
    ("name", "memo", "description"),
    [
        ("SHOP", "", "SHOP"),
        ("", "SHOP", "SHOP"),
        ("SHOP", "shop", "SHOP"),
        ("SHOP", "SHOP #4 BATH", "SHOP #4 BATH"),
        ("SHOP #4 BATH", "SHOP", "SHOP #4 BATH"),
        ("SHOP", "Thursday", "SHOP Thursday"),
        ("", "", "DEBIT"),
    ],
)
def test_name_and_memo_become_one_description(name: str, memo: str, description: str) -> None:
    row = one(statement_of(a_bank_file(transaction(NAME=name, MEMO=memo))))
    assert row.description == description


@pytest.mark.parametrize(
    ("written", "kind", "name"),
    [
        ("CHECKING", AccountType.CHECKING, "Checking ····6789"),
        ("SAVINGS", AccountType.SAVINGS, "Savings ····6789"),
        ("MONEYMRKT", AccountType.MONEY_MARKET, "Money market ····6789"),
        ("CREDITLINE", AccountType.LINE_OF_CREDIT, "Line of credit ····6789"),
        ("CD", AccountType.CERTIFICATE_OF_DEPOSIT, "Certificate ····6789"),
        ("UNHEARD", AccountType.OTHER, "Account ····6789"),
    ],
)
def test_a_banks_kind_of_account_is_ours(written: str, kind: AccountType, name: str) -> None:
    account = CHECKING.replace("CHECKING", written)
    [found] = statement_of(a_bank_file("", account=account)).accounts

    assert (found.type, found.name) == (kind, name)
    assert found.as_of == datetime(2026, 1, 10, tzinfo=UTC)  # a date alone begins its day in UTC


def test_what_is_owed_on_a_loan_is_negative_whatever_its_sign() -> None:
    for written in ("250000.00", "-250000.00"):
        content = (
            f"{HEADER}<OFX>{SIGN_ON}<LOANMSGSRSV1><LOANSTMTTRNRS><LOANSTMTRS><CURDEF>USD"
            "<LOANACCTFROM><LOANACCTID>55512<LOANACCTTYPE>MORTGAGE</LOANACCTFROM>"
            f"<LEDGERBAL><BALAMT>{written}<DTASOF>20260110</LEDGERBAL>"
            "</LOANSTMTRS></LOANSTMTTRNRS></LOANMSGSRSV1></OFX>"
        )
        [account] = statement_of(content.encode()).accounts
        assert account.type is AccountType.MORTGAGE
        assert account.balance == Money(dec("-250000.00"), Currency("USD"))


# ── corrections ─────────────────────────────────────────────────────────────


def test_a_correction_takes_the_place_of_what_it_corrects() -> None:
    rows = transaction(FITID="old", TRNAMT="-10.00") + transaction(
        FITID="new", TRNAMT="-12.00", CORRECTFITID="old", CORRECTACTION="REPLACE"
    )
    row = one(statement_of(a_bank_file(rows)))

    assert row.amount.amount == dec("-12.00")
    assert row.replaces == "old|2026-01-05|-10|0"


def test_a_deletion_takes_both_rows_away_and_says_so_where_it_cannot() -> None:
    deletion = transaction(FITID="d", CORRECTFITID="old", CORRECTACTION="DELETE")
    both = statement_of(a_bank_file(transaction(FITID="old") + deletion))
    assert not both.transactions
    assert not both.unreadable

    alone = statement_of(a_bank_file(deletion))
    assert not alone.transactions
    [kept] = alone.unreadable
    assert kept.reason == "it deletes old, which is not in this file"


# ── what cannot be read ─────────────────────────────────────────────────────


def test_a_row_that_cannot_be_read_is_passed_on_with_its_line_and_account() -> None:
    rows = transaction(FITID="1") + transaction(FITID="2", TRNAMT="12,34.5x")
    statement = statement_of(a_bank_file(rows))

    assert len(statement.transactions) == 1
    [kept] = statement.unreadable
    assert kept.scope is SyncScope.TRANSACTIONS
    assert kept.account_key == statement.accounts[0].key
    assert "12,34.5x" in kept.reason
    assert "<FITID>2" in kept.raw
    assert kept.line is not None


def test_an_unknown_currency_makes_the_account_and_its_rows_unreadable() -> None:
    rows = transaction(FITID="1") + transaction(FITID="2")
    statement = statement_of(a_bank_file(rows, currency="MILES"))

    assert not statement.accounts
    assert not statement.transactions
    scopes = [u.scope for u in statement.unreadable]
    assert scopes == [SyncScope.ACCOUNTS, SyncScope.TRANSACTIONS, SyncScope.TRANSACTIONS]
    assert all("MILES" in u.reason for u in statement.unreadable)
    unsaid = statement_of(a_bank_file("", currency="")).unreadable[0]
    assert (statement.unreadable[0].raw, unsaid.raw) == ("BANK ····6789 MILES", "BANK ····6789")


def test_a_number_too_long_to_store_is_kept_and_not_rounded() -> None:
    statement = statement_of(a_bank_file(transaction(TRNAMT="1" * 30)))

    [kept] = statement.unreadable
    assert "28 digits" in kept.reason
    assert not statement.transactions


def test_a_balance_that_is_not_stated_is_said_to_be_missing_and_replaces_none() -> None:
    statement = statement_of(a_bank_file(transaction(), balance=""))

    assert statement.accounts[0].balance is None
    assert statement.accounts[0].currency == "USD"
    assert statement.accounts[0].as_of.year == 2026
    assert len(statement.transactions) == 1
    [kept] = statement.unreadable
    assert kept.scope is SyncScope.ACCOUNTS
    assert "no balance" in kept.reason


def test_a_balance_that_cannot_be_read_is_not_taken_from_another_field() -> None:
    both = "<LEDGERBAL><BALAMT>ten<DTASOF>20260110</LEDGERBAL>" + BALANCE.replace("LEDGER", "AVAIL")
    statement = statement_of(a_bank_file("", balance=both))

    assert statement.accounts[0].balance is None
    [kept] = statement.unreadable
    assert kept.account_key == statement.accounts[0].key
    assert "ten" in kept.raw


def test_of_two_accounts_with_one_number_each_keeps_its_own_rows() -> None:
    bad = transaction(FITID="2", TRNAMT="x")
    one = a_bank_file(transaction(FITID="1")).decode()
    start = one.index("<STMTTRNRS>")
    end = one.index("</BANKMSGSRSV1>")
    second = one[start:end].replace("<ACCTTYPE>CHECKING", "<ACCTTYPE>SAVINGS")
    second = second.replace(transaction(FITID="1"), bad)
    statement = statement_of((one[:end] + second + one[end:]).encode())

    checking, savings = statement.accounts
    assert (checking.type, savings.type) == (AccountType.CHECKING, AccountType.SAVINGS)
    assert checking.key != savings.key
    assert [t.account_key for t in statement.transactions] == [checking.key]
    assert [u.account_key for u in statement.unreadable] == [savings.key]


def test_no_text_of_what_cannot_be_read_holds_an_account_number() -> None:
    other = "<BANKACCTTO><BANKID>9<ACCTID>777888999<ACCTTYPE>SAVINGS</BANKACCTTO>"
    bad = transaction(TRNAMT="x").replace("</STMTTRN>", f"{other}</STMTTRN>")
    for file in (
        a_bank_file(bad),
        a_bank_file(bad, balance=""),
        a_bank_file(bad, currency="MILES"),
        a_bank_file(bad, account=CHECKING.replace("<ACCTTYPE>CHECKING", "")),
    ):
        statement = statement_of(file)
        assert statement.unreadable
        for kept in statement.unreadable:
            assert "777888999" not in kept.raw + kept.reason
            assert "000123456789" not in kept.raw + kept.reason


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Date,Amount\n2026-01-01,5.00\n", "not an OFX, QFX or QBO file"),
        (b"", "empty"),
        (b"%PDF-1.7\n", "not an OFX"),
        (f"{HEADER}<OFX>{SIGN_ON}</OFX>".encode(), "no statement"),
        (a_bank_file(transaction())[:-60], "cut off"),
    ],
)
def test_a_file_that_is_no_statement_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(UnreadableFile, match=message) as caught:
        statement_of(content)
    assert caught.value.code is ErrorCode.FILE_UNREADABLE


def test_a_file_over_the_cap_is_too_large() -> None:
    with pytest.raises(UnreadableFile) as caught:
        statement_of(b" " * (FILE_BYTES_MAX + 1))
    assert caught.value.code is ErrorCode.FILE_TOO_LARGE


@pytest.mark.parametrize(
    "number",
    [
        "<ACCTID>987654321",
        "<ACCTID >987654321",
        "<ACCTID x='1'>987654321",
        "<ACCTID/x>987654321",
        "<ACCTID><![CDATA[987654321]]>",
        "<ACCTID>98< 7654321",
    ],
)
def test_of_what_cannot_be_read_no_text_holds_more_than_the_end_of_an_account_number(
    number: str,
) -> None:
    row = (
        "<STMTTRN><TRNTYPE>XFER<DTPOSTED>20260105<TRNAMT>none<FITID>1"
        f"<BANKACCTTO><BANKID>1{number}</ACCTID><ACCTTYPE>SAVINGS</BANKACCTTO></STMTTRN>"
    )
    [lost] = statement_of(a_bank_file(row)).unreadable
    assert "····4321<" in lost.raw
    assert "7654" not in lost.raw


INDEXED_BYTES_MAX = 2_600  # of one column; PostgreSQL takes no longer row into an index


def test_an_id_longer_than_ofx_has_them_is_not_read_and_a_long_text_makes_no_long_key() -> None:
    row, name = "<STMTTRN><TRNTYPE>XFER<DTPOSTED>20260105<TRNAMT>-1", "\u0390" * 5_000
    rows = f"{row}<FITID>{'1' * 256}</STMTTRN>{row}<NAME>{name}</STMTTRN>"
    statement = statement_of(a_bank_file(rows))
    assert "FITID" in statement.unreadable[0].reason
    [named] = statement.transactions
    assert len(named.description) == 5_000
    assert len(named.key.encode()) < INDEXED_BYTES_MAX


def test_what_only_looks_like_a_number_that_never_ends_is_gone_through_once() -> None:
    day = "&lt;ACCTID&gt;" + "&lt;![CDATA[" * 60_000  # each looking for its end took minutes
    file = a_bank_file("").replace(b"<DTSTART>20260101", f"<DTSTART>{day}".encode())
    [row] = statement_of(file).unreadable
    assert row.raw.startswith("<ACCTID>")
    assert len(row.raw) < 100
