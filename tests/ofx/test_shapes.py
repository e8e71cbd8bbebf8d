"""The same statement in every dress in which banks send it."""

import ast
from pathlib import Path

import pytest

import adapters.ofx
from adapters.ofx import OfxFile, read
from adapters.ofx.tags import AGGREGATES, EITHER, LEAVES
from tests.ofx import samples

PLAIN = samples.bank(
    samples.transaction(NAME="Joe", MEMO="a &amp; b") + samples.transaction(FITID="f2")
)


def facts(file: OfxFile) -> list[object]:
    assert file.unreadable == ()
    return [
        (
            *(s.account, s.currency, s.start, s.end, s.ledger_balance),
            *((t.fitid, t.type, t.posted, t.amount, t.name, t.memo) for t in s.transactions),
        )
        for s in file.statements
    ]


ONE_LINE_HEADER = (
    b"OFXHEADER:100DATA:OFXSGMLVERSION:102SECURITY:NONEENCODING:USASCIICHARSET:1252"
    b"COMPRESSION:NONEOLDFILEUID:NONENEWFILEUID:NONE"
)
BODY = PLAIN[PLAIN.index(b"<OFX>") :]


def test_closing_tags_on_leaves_change_nothing() -> None:
    closed = b"<TRNTYPE>DEBIT</TRNTYPE><DTPOSTED>20260105</DTPOSTED><TRNAMT>-1.00</TRNAMT>"
    raw = samples.bank(
        f"<STMTTRN>{closed.decode()}<FITID>f1</FITID><NAME>Joe</NAME><MEMO>a &amp; b</MEMO></STMTTRN>"
        + samples.transaction(FITID="f2"),
        header=samples.XML_HEADER,
    )

    assert facts(read(raw)) == facts(read(PLAIN))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(BODY, id="no header"),
        pytest.param(ONE_LINE_HEADER + BODY, id="Wells Fargo's header on one line"),
        pytest.param(samples.HEADER.encode() + BODY, id="no blank line"),
        pytest.param(b"\n\n\n   " + PLAIN, id="blank lines first"),
        pytest.param(b"\xef\xbb\xbf" + PLAIN, id="UTF-8 BOM"),
        pytest.param(PLAIN.decode().encode("utf-16"), id="UTF-16"),
        pytest.param(PLAIN.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(PLAIN.replace(b"\n", b"\r"), id="CR"),
        pytest.param(PLAIN.replace(b"\n", b"\r\r\n"), id="CR CRLF"),
        pytest.param(PLAIN.replace(b"<OFX>", b'<OFX xmlns="http://ofx.example/">'), id="attribute"),
        pytest.param(PLAIN.replace(b"<NAME>", b"<!-- <STMTTRN> --><NAME>"), id="comment"),
        pytest.param(PLAIN.replace(b"a &amp; b", b"<![CDATA[a & b]]>"), id="CDATA"),
        pytest.param(PLAIN.replace(b"a &amp; b", b"a &#38; b"), id="numeric entity"),
        pytest.param(PLAIN.replace(b"a &amp; b", b"a & b"), id="bare ampersand"),
        pytest.param(PLAIN.replace(b"<NAME>", b"<X.LOGO><X.A>1</X.A></X.LOGO><NAME>"), id="vendor"),
        pytest.param(PLAIN.replace(b"<NAME>", b"<X.BLANK><X.SELF/><NAME>"), id="vendor blank"),
        pytest.param(PLAIN.replace(b"<NAME>", b"<CURRENCY>\n<PAYEE><NAME>"), id="blank either"),
        pytest.param(PLAIN.replace(b"</OFX>", b""), id="no last tag"),
        pytest.param(PLAIN.replace(b"</FI>", b""), id="FI not closed"),
        pytest.param(PLAIN.replace(b"</BANKACCTFROM>", b"</BANKACCTFROM >"), id="blank in tag"),
        pytest.param(PLAIN + b"\x1a\n", id="end of file mark"),
    ],
)
def test_a_statement_reads_the_same_in_any_dress(raw: bytes) -> None:
    assert facts(read(raw)) == facts(read(PLAIN))


def test_lower_case_tags_are_understood() -> None:
    tags = {tag: tag.lower() for tag in ("OFX", "STMTRS", "STMTTRN", "TRNAMT", "FITID", "CURDEF")}
    raw = PLAIN.decode()
    for tag, lower in tags.items():
        raw = raw.replace(f"<{tag}>", f"<{lower}>").replace(f"</{tag}>", f"</{lower}>")

    assert facts(read(raw.encode())) == facts(read(PLAIN))


def test_the_order_of_elements_does_not_matter() -> None:
    shuffled = "<STMTTRN><FITID>f1<MEMO>a &amp; b<TRNAMT>-1.00<NAME>Joe<DTPOSTED>20260105<TRNTYPE>DEBIT</STMTTRN>"

    file = read(samples.bank(shuffled + samples.transaction(FITID="f2")))

    assert facts(file) == facts(read(PLAIN))


@pytest.mark.parametrize(
    ("header", "encoding", "text"),
    [
        ("CHARSET:1252\n", "cp1252", "Café “Zoë” €"),
        ("CHARSET:1252\n", "utf-8", "CAFÉ ¢ 東京"),
        ("CHARSET:1250\n", "cp1250", "Łódź"),
        ("CHARSET:ISO-8859-15\n", "iso-8859-15", "Œuvre €"),
        ("ENCODING:USASCII CHARSET:NONE\n", "cp1252", "naïve"),
        ('<?xml version="1.0" encoding="ISO-8859-2"?>', "iso-8859-2", "Dvořák"),
        ("CHARSET:zlib_codec\n", "cp1252", "Zürich"),
        ("", "cp1252", "Ålesund"),
    ],
)
def test_text_is_utf8_if_it_fits_else_what_the_header_names(
    header: str, encoding: str, text: str
) -> None:
    body = samples.bank(samples.transaction(NAME=text), header=header).decode()

    file = read(body.encode(encoding))

    assert file.statements[0].transactions[0].name == text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("A&amp;amp;B", "A&amp;B"),
        ("M&amp;M", "M&M"),
        ("&quot;x&quot; &apos;y&apos;", "\"x\" 'y'"),
        ("a&nbsp;b", "a b"),
        ("&#x20AC;5", "€5"),
        ("&copy; &notin", "&copy; &notin"),
        ("&#0;&#xD800;&#99999999;", "&#0;&#xD800;&#99999999;"),
        ("1 < 2 > 0", "1 < 2 > 0"),
        ("<3 YOU", "<3 YOU"),
        ("TO <JOHN", "TO <JOHN"),
        ("<![CDATA[A < B & <i>C</i> &amp;]]> D", "A < B & <i>C</i> &amp; D"),
    ],
)
def test_entities_are_decoded_once_and_stray_signs_stay_text(written: str, meant: str) -> None:
    file = read(samples.bank(samples.transaction(NAME=written)))

    assert file.statements[0].transactions[0].name == meant


def test_a_second_memo_goes_on_where_the_first_ended() -> None:
    file = read(samples.bank(samples.transaction(MEMO="one\n<MEMO>two")))

    assert file.statements[0].transactions[0].memo == "one two"


def test_a_record_that_is_not_closed_is_listed_and_the_next_is_read() -> None:
    open_ended = samples.transaction(FITID="open").replace("</STMTTRN>\n", "")

    file = read(samples.bank(open_ended + samples.transaction(FITID="whole")))

    assert [t.fitid for t in file.statements[0].transactions] == ["whole"]
    assert [(u.reason, u.raw) for u in file.unreadable] == [("</STMTTRN> is missing", open_ended)]


def test_an_open_record_of_another_kind_does_not_swallow_the_next() -> None:
    open_ended = samples.investment_record("BUYSTOCK").replace("</BUYSTOCK>", "")

    file = read(samples.investment(open_ended + samples.investment_record("SELLSTOCK")))

    assert [t.aggregate for t in file.statements[0].investment_transactions] == ["SELLSTOCK"]
    assert [u.kind for u in file.unreadable] == ["BUYSTOCK"]


def test_a_record_outside_any_statement_is_listed() -> None:
    file = read(samples.ofx(f"<BANKMSGSRSV1>{samples.transaction()}</BANKMSGSRSV1>"))

    assert [u.reason for u in file.unreadable] == ["it stands outside any statement"]


def test_a_vendors_wrapper_around_records_is_looked_through() -> None:
    file = read(samples.bank(f"<X.PAGE>{samples.transaction()}</X.PAGE>"))

    assert len(file.statements[0].transactions) == 1
    assert file.unreadable == ()


def test_every_tag_that_the_reader_asks_for_is_one_that_the_tree_keeps() -> None:
    """A leaf missing from LEAVES would silently read as absent for ever."""
    folder = Path(str(adapters.ofx.__file__)).parent
    asked = set()
    for name in ("bank", "brokerage", "seclist", "currency", "reader"):
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = (
                    node.func.attr
                    if isinstance(node.func, ast.Attribute)
                    else getattr(node.func, "id", "")
                )
                if called in {
                    "text",
                    "get",
                    "number",
                    "decimal",
                    "date",
                    "decimal_required",
                    "date_required",
                }:
                    asked.add(node.args[0].value)

    assert len(asked) > 100
    assert asked <= LEAVES
    assert not LEAVES & AGGREGATES
    assert EITHER <= LEAVES
