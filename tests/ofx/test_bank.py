from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from adapters.ofx import (
    AccountRef,
    Balance,
    BankTransaction,
    Correction,
    CurrencyOf,
    OfxDate,
    OfxFile,
    Payee,
    StatementKind,
    read,
)
from tests.ofx import samples


def only(file: OfxFile) -> BankTransaction:
    assert file.unreadable == ()
    (statement,) = file.statements
    (transaction,) = statement.transactions
    return transaction


def test_a_card_file_as_chase_writes_it_is_read_in_full() -> None:
    file = read(samples.CHASE_CARD.encode())

    assert (file.version, file.organization, file.fid, file.intu_bid) == ("102", "B1", "10898", "10898")  # fmt: skip
    assert file.as_of == OfxDate(date(2026, 1, 10), datetime(2026, 1, 10, 12, tzinfo=UTC))
    (card,) = file.statements
    assert card.kind is StatementKind.CARD
    assert card.account == AccountRef(account_id="123456789-4242")
    assert (card.currency, card.start, card.end) == ("USD", date(2026, 1, 1), date(2026, 1, 10))
    assert card.ledger_balance is not None
    assert card.ledger_balance.amount == Decimal("-1234.56")
    assert card.available_balance is not None
    assert card.available_balance.amount == 0
    purchase, fee, payment = card.transactions
    assert purchase.name == "CAFÉ DE LA GARE"  # UTF-8 under a CHARSET:1252 header
    assert purchase.memo == "PARIS & LYON"
    assert purchase.fitid == fee.fitid
    assert [t.amount for t in card.transactions] == [Decimal("-98.03"), Decimal("-2.94"), Decimal("500.00")]  # fmt: skip
    assert payment.posted.local_date == date(2026, 1, 7)
    assert file.unreadable == ()


def test_every_field_of_a_transaction_is_kept() -> None:
    file = read(samples.bank(samples.FULL_TRANSACTION, header=samples.XML_HEADER))

    found = only(file)
    assert file.version == "211"
    assert found.type == "CHECK"
    assert found.posted == OfxDate(date(2023, 9, 9), datetime(2023, 9, 8, 14, tzinfo=UTC))
    assert found.user_date == OfxDate(date(2023, 9, 8))
    assert found.available_date == OfxDate(date(2023, 9, 10))
    assert found.amount == Decimal("1234.56")
    assert (found.fitid, found.server_id, found.ref_number) == ("F-1", "S-1", "R-7")
    assert (found.check_number, found.sic, found.payee_id) == ("319", "5411", "P-9")
    assert found.correction == Correction(fitid="F-0", action="REPLACE")
    assert found.payee == Payee(
        name="Mill & Sons",
        address=("1 Weir Lane", "Back yard"),
        city="Bath",
        state="SOM",
        postal_code="BA1",
        country="GBR",
        phone="555-0100",
    )
    assert found.name is None
    assert found.extended_name == "Mill and Sons of Bath"
    assert found.counterpart == AccountRef(account_id="778", bank_id="9", account_type="SAVINGS")
    assert found.memo == "Flour & oats <5 kg>"
    assert found.currency == CurrencyOf(symbol="GBP", rate=Decimal("1.25"), converted=True)
    assert found.raw == samples.FULL_TRANSACTION
    assert not found.pending


def test_a_currency_written_as_a_leaf_is_understood() -> None:
    found = only(read(samples.bank(samples.transaction(CURRENCY="eur"))))

    assert found.currency == CurrencyOf(symbol="EUR", rate=None, converted=False)


def test_a_payee_written_as_a_leaf_is_understood() -> None:
    found = only(read(samples.bank(samples.transaction(PAYEE="Joe"))))

    assert found.payee is not None
    assert found.payee.name == "Joe"


def test_pending_transactions_are_marked_and_dated_by_their_own_tag() -> None:
    pending = "<STMTTRNP><TRNTYPE>HOLD<DTTRAN>20260130<TRNAMT>-7<NAME>Hotel</STMTTRNP>"
    extra = f"<BANKTRANLISTP><DTASOF>20260131{pending}</BANKTRANLISTP>"

    file = read(samples.bank("", extra=extra))

    found = only(file)
    assert found.pending
    assert found.posted.local_date == date(2026, 1, 30)
    assert file.statements[0].start == date(2026, 1, 1)


def test_several_accounts_of_all_kinds_come_apart() -> None:
    card = (
        "<CREDITCARDMSGSRSV1><CCSTMTTRNRS><CCSTMTRS><CURDEF>eur<CCACCTFROM><ACCTID>4</CCACCTFROM>"
        f"<BANKTRANLIST>{samples.transaction(FITID='c')}</BANKTRANLIST></CCSTMTRS></CCSTMTTRNRS>"
        "</CREDITCARDMSGSRSV1>"
    )
    loan = (
        "<LOANMSGSRSV1><LOANSTMTTRNRS><LOANSTMTRS><CURDEF>USD<LOANACCTFROM><LOANACCTID>L-1"
        "<LOANACCTTYPE>AUTO</LOANACCTFROM><LOANTRANLIST><LOANSTMTTRN><LOANTRNTYPE>PAYMENT"
        "<DTPOSTED>20260102<TRNAMT>250<FITID>l</LOANSTMTTRN></LOANTRANLIST>"
        "<LEDGERBAL><BALAMT>-9000<DTASOF>20260131</LEDGERBAL></LOANSTMTRS></LOANSTMTTRNRS>"
        "</LOANMSGSRSV1>"
    )
    two = samples.statement(samples.transaction(FITID="a"), account="1") + samples.statement(
        samples.transaction(FITID="b"), account="2"
    )

    file = read(samples.ofx(f"<BANKMSGSRSV1>{two}</BANKMSGSRSV1>{card}{loan}"))

    assert [(s.kind, s.account.account_id, s.currency) for s in file.statements] == [
        (StatementKind.BANK, "1", "USD"),
        (StatementKind.BANK, "2", "USD"),
        (StatementKind.CARD, "4", "EUR"),
        (StatementKind.LOAN, "L-1", "USD"),
    ]
    assert [[t.fitid for t in s.transactions] for s in file.statements] == [["a"], ["b"], ["c"], ["l"]]  # fmt: skip
    assert file.statements[3].account.account_type == "AUTO"
    assert file.statements[3].transactions[0].type == "PAYMENT"
    assert file.statements[3].ledger_balance == Balance(
        amount=Decimal(-9000), as_of=OfxDate(date(2026, 1, 31))
    )


@pytest.mark.parametrize(
    ("leaves", "reason"),
    [
        ({"TRNAMT": "$120"}, "TRNAMT: '$120' is not a number"),
        ({"TRNAMT": ""}, "TRNAMT: it is missing"),
        ({"TRNAMT": "NaN"}, "TRNAMT: 'NaN' is not a number"),
        ({"TRNAMT": "1\n<TRNAMT>2"}, "TRNAMT: it is given twice, with different values"),
        ({"DTPOSTED": ""}, "DTPOSTED: it is missing"),
        ({"DTPOSTED": "20120231"}, "DTPOSTED: '20120231' is not a date of the calendar"),
        ({"DTPOSTED": "00000000"}, "DTPOSTED: it is missing"),
        ({"DTUSER": "soon"}, "DTUSER: 'soon' is not a date"),
        ({"ORIGCURRENCY": "\n<CURRATE>1.1</ORIGCURRENCY>"}, "ORIGCURRENCY: CURSYM is missing"),
    ],
)
def test_a_record_with_a_field_that_cannot_be_read_is_listed_and_the_others_go_on(
    leaves: dict[str, str], reason: str
) -> None:
    bad = samples.transaction(**leaves)
    raw = samples.bank(samples.transaction(FITID="a") + bad + samples.transaction(FITID="c"))

    file = read(raw)

    assert [t.fitid for t in file.statements[0].transactions] == ["a", "c"]
    (unreadable,) = file.unreadable
    assert (unreadable.kind, unreadable.reason) == ("STMTTRN", reason)
    assert unreadable.raw == bad.rstrip("\n")
    assert unreadable.account is not None
    assert unreadable.account.account_id == "1001"
    lines = raw.decode().split("\n")
    assert lines[unreadable.line - 1] == "<STMTTRN>"
    assert "\n".join(lines[unreadable.line - 1 :]).startswith(bad)


def test_blank_tags_are_absent_and_an_empty_fitid_is_none() -> None:
    blank = samples.transaction(FITID="", NAME=" ", CHECKNUM="</CHECKNUM>", MEMO="</MEMO>")

    found = only(read(samples.bank(blank)))

    assert (found.fitid, found.name, found.check_number, found.memo) == (None, None, None, None)


def test_a_blank_balance_is_none_and_never_zero() -> None:
    blank = b"<LEDGERBAL><BALAMT> <DTASOF>20260131</LEDGERBAL>"
    raw = samples.bank("").replace(b"<LEDGERBAL><BALAMT>10.00<DTASOF>20260131</LEDGERBAL>", blank)

    file = read(raw)

    assert file.statements[0].ledger_balance is None
    assert file.unreadable == ()


def test_an_unreadable_balance_is_listed() -> None:
    file = read(samples.bank("").replace(b"<BALAMT>10.00", b"<BALAMT>ten"))

    assert file.statements[0].ledger_balance is None
    assert [u.kind for u in file.unreadable] == ["LEDGERBAL"]


def test_missing_balance_and_period_are_none() -> None:
    raw = samples.bank(samples.transaction())
    raw = raw.replace(b"<LEDGERBAL><BALAMT>10.00<DTASOF>20260131</LEDGERBAL>", b"")

    file = read(raw.replace(b"<DTSTART>20260101<DTEND>20260131", b""))

    assert only(file).fitid == "f1"
    statement = file.statements[0]
    assert (statement.ledger_balance, statement.start, statement.end) == (None, None, None)


def test_an_unreadable_period_is_listed_and_the_statement_goes_on() -> None:
    raw = samples.bank(samples.transaction()).replace(b"<DTSTART>20260101", b"<DTSTART>20261301")

    file = read(raw)

    assert len(file.statements[0].transactions) == 1
    assert file.statements[0].start is None
    assert [(u.kind, u.raw) for u in file.unreadable] == [("DTSTART", "20261301")]


def test_a_statement_without_an_account_number_is_listed_whole() -> None:
    raw = samples.bank(samples.transaction()).replace(b"<ACCTID>1001", b"")

    file = read(raw)

    assert file.statements == ()
    assert [(u.kind, u.reason) for u in file.unreadable] == [("STMTRS", "BANKACCTFROM: ACCTID is missing")]  # fmt: skip
    assert "<STMTTRN>" in file.unreadable[0].raw


def test_listed_accounts_are_those_that_have_no_statement() -> None:
    def info(number: str, desc: str) -> str:
        return (
            f"<ACCTINFO><DESC>{desc}<BANKACCTINFO><BANKACCTFROM><BANKID>3<ACCTID>{number}"
            "<ACCTTYPE>SAVINGS</BANKACCTFROM><SVCSTATUS>ACTIVE</BANKACCTINFO></ACCTINFO>"
        )

    invest = (
        "<ACCTINFO><DESC>Roth<INVACCTINFO><INVACCTFROM><BROKERID>b<ACCTID>R</INVACCTFROM>"
        "<USPRODUCTTYPE>ROTH<SVCSTATUS>PEND<INVACCTTYPE>INDIVIDUAL</INVACCTINFO></ACCTINFO>"
    )
    listing = (
        "<SIGNUPMSGSRSV1><ACCTINFOTRNRS><STATUS><CODE>0<SEVERITY>INFO</STATUS><ACCTINFORS>"
        f"{info('1001', 'Mine')}{info('2002', 'Other')}{invest}</ACCTINFORS></ACCTINFOTRNRS>"
        "</SIGNUPMSGSRSV1>"
    )

    file = read(samples.ofx(f"{listing}<BANKMSGSRSV1>{samples.statement('')}</BANKMSGSRSV1>"))

    assert [(a.kind, a.account.account_id, a.description, a.status, a.product) for a in file.accounts] == [
        (StatementKind.BANK, "2002", "Other", "ACTIVE", None),
        (StatementKind.INVESTMENT, "R", "Roth", "PEND", "ROTH"),
    ]  # fmt: skip


def test_ten_thousand_transactions_are_all_there() -> None:
    file = read(samples.many(10_000))

    found = file.statements[0].transactions
    assert len({t.fitid for t in found}) == 10_000
    assert sum(t.amount for t in found) == -sum(Decimal(f"{i}.{i % 100:02}") for i in range(10_000))
