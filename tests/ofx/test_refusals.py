"""Files that must be refused as a whole, with a reason and a line, within memory."""

import tracemalloc
from collections.abc import Callable

import pytest

from adapters.ofx import BYTES_MAX, OfxError, read
from tests.ofx import samples

MEGABYTE = 1024 * 1024
ENTITY_BOMB = (
    b'<?xml version="1.0"?>\n<!DOCTYPE lolz [\n<!ENTITY a0 "ha">\n'
    + b"".join(b'<!ENTITY a%d "%s">\n' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]>\n<OFX>&a9;</OFX>"
)
TRANSACTION = samples.transaction().encode()


def inside(records: bytes) -> bytes:
    return samples.bank("@").replace(b"@", records)


@pytest.mark.parametrize(
    ("raw", "reason", "line"),
    [
        pytest.param(b"", "the file is empty", 1, id="empty"),
        pytest.param(b" \r\n\t\n", "the file is empty", 1, id="blank"),
        pytest.param(b"%PDF-1.7\n\xff\xfe", "this is a PDF", 1, id="PDF"),
        pytest.param(b"PK\x03\x04\0\0", "this is a ZIP archive", 1, id="ZIP"),
        pytest.param(b"\x1f\x8b\x08\0", "this is a gzip archive", 1, id="gzip"),
        pytest.param(b"\xd0\xcf\x11\xe0", "this is an old Excel", 1, id="xls"),
        pytest.param(b"\n<!DOCTYPE html><html></html>", "this is a web page", 1, id="HTML"),
        pytest.param(b"<HTML><body>Sign in</body>", "this is a web page", 1, id="HTML in capitals"),
        pytest.param(b'{"error": "login"}', "this is JSON", 1, id="JSON"),
        pytest.param(b"!Type:Bank\nD1/1/26\n", "this is a QIF file", 1, id="QIF"),
        pytest.param(b"Date,Amount\n2026-01-05,1\n", "no <OFX> tag", 1, id="CSV"),
        pytest.param(samples.HEADER.encode(), "no <OFX> tag", 1, id="header only"),
        pytest.param(b"<OFXX></OFXX>", "no <OFX> tag", 1, id="another tag"),
        pytest.param(b"x" * 70_000 + b"<OFX></OFX>", "no <OFX> tag", 1, id="OFX too late"),
        pytest.param(b"\xff\xfe<\0O\0F", "the file begins as UTF-16", 1, id="half UTF-16"),
        pytest.param(b"<OFX>\n\n\0</OFX>", "the file contains NUL bytes", 3, id="NUL"),
        pytest.param(ENTITY_BOMB, "<!DOCTYPE is refused", 2, id="entity bomb"),
        pytest.param(b"<OFX>\n<!eNtItY a 'b'></OFX>", "<!ENTITY is refused", 2, id="late entity"),
        pytest.param(b"<OFX>\n<!-- ", "<!-- without -->", 2, id="comment without end"),
        pytest.param(b"<OFX><NAME>\n<![CDATA[x", "<![CDATA[ without ]]>", 2, id="CDATA without end"),
        pytest.param(b"<OFX>" + b"<!-- -->" * 10_001, "more than 10,000 comments", 1, id="comments"),
        pytest.param(b"<OFX>", "the file ends inside the <OFX> of line 1", 1, id="only the start"),
        pytest.param(b"<OFX>\n<OFX></OFX></OFX>", "a second <OFX> begins inside", 2, id="nested OFX"),
        pytest.param(b"<OFX></OFX>\n\n<OFX></OFX>", "a second <OFX> follows", 3, id="two documents"),
    ],
)  # fmt: skip
def test_what_is_no_whole_ofx_file_is_refused_with_reason_and_line(
    raw: bytes, reason: str, line: int
) -> None:
    with pytest.raises(OfxError) as refused:
        read(raw)

    assert refused.value.reason.startswith(reason)
    assert refused.value.line == line
    assert str(refused.value) == f"{refused.value.reason} (line {line})"


def test_a_file_beyond_the_callers_cap_is_refused() -> None:
    with pytest.raises(OfxError, match="at most 100 are read"):
        read(samples.bank(""), bytes_max=100)


HOSTILE: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "64 MB of junk": (lambda: b"A" * 64 * MEGABYTE, "bytes; at most", 1),
    "junk within the cap": (lambda: b"A" * BYTES_MAX, "no <OFX> tag", 40),
    "200,000 deep": (lambda: inside(b"<A>" * 200_000 + b"</A>" * 200_000), "64 deep", 20),
    "deep known": (lambda: inside(b"<SECID><FI><BAL><STATUS>" * 9 + b"<A><B></B>" * 90 + b"</A>" * 90), "64 deep", 20),
    "unclosed records": (lambda: inside(b"<STMTTRN>" * 150_000), "10,000 records cannot", 120),
    "closed blank records": (lambda: inside(b"<STMTTRN></STMTTRN>" * 150_000), "10,000 records cannot", 120),
    "too many records": (lambda: inside(b"<STMTTRN>" * 200_001), "more than 200,000 records", 120),
    "too many aggregates": (lambda: inside(b"<a></a>" * 400_000), "250,000 aggregates", 120),
    "too many tags": (lambda: b"<OFX>" + b"<a>" * 1_500_001, "at most 1,500,000", 40),
    "too many statements": (lambda: samples.ofx("<STMTRS><BANKACCTFROM><ACCTID>1</BANKACCTFROM></STMTRS>" * 2_001), "2,000 statements", 20),
    "stray signs": (lambda: b"<OFX>" + b"<" * 1_400_000, "the file ends inside", 40),
    "a tag without end": (lambda: b"<OFX><a" + b" " * (BYTES_MAX - 10), "the file ends inside", 60),
    "a name without end": (lambda: b"<OFX><" + b"a" * (BYTES_MAX - 10), "the file ends inside", 60),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_bounded_memory(name: str) -> None:
    make, reason, megabytes_max = HOSTILE[name]
    raw = make()
    tracemalloc.start()
    try:
        with pytest.raises(OfxError) as refused:
            read(raw)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert reason in refused.value.reason
    assert refused.value.line >= 1
    assert peak < megabytes_max * MEGABYTE


@pytest.mark.parametrize(
    "digits", [b"9" * MEGABYTE, b"1" + b" " * MEGABYTE + b"2", b"1e" + b"9" * MEGABYTE]
)
def test_an_endless_number_makes_its_record_unreadable(digits: bytes) -> None:
    file = read(inside(TRANSACTION.replace(b"-1.00", digits) + TRANSACTION))

    assert len(file.statements[0].transactions) == 1
    assert "too long for a number" in file.unreadable[0].reason
    assert len(file.unreadable[0].reason) < 100


def test_a_file_cut_anywhere_is_refused_or_lacks_only_its_last_tag() -> None:
    """Cut after every byte: half a file must never pass for a whole one."""
    raw = samples.CHASE_CARD.encode().rstrip()
    whole = len(read(raw).statements[0].transactions)
    end = raw.index(b"</CREDITCARDMSGSRSV1>") + len(b"</CREDITCARDMSGSRSV1>")
    for length in range(len(raw)):
        if length == end:
            assert len(read(raw[:length]).statements[0].transactions) == whole
            continue
        with pytest.raises(OfxError):
            read(raw[:length])


def test_a_cut_file_names_where_it_ends_and_what_is_open() -> None:
    raw = samples.bank(samples.transaction() * 3)
    cut = raw[: raw.rindex(b"<FITID>")]

    with pytest.raises(OfxError) as refused:
        read(cut)

    opened = raw[: raw.rindex(b"<STMTTRN>")].count(b"\n") + 1
    assert refused.value.reason == (
        f"the file ends inside the <STMTTRN> of line {opened}: it is cut off"
    )
    assert refused.value.line == cut.rstrip().count(b"\n") + 1


def test_a_refused_sign_on_is_told_in_the_banks_words() -> None:
    sign_on = samples.SIGN_ON.replace(
        "<CODE>0<SEVERITY>INFO", "<CODE>15500<SEVERITY>ERROR<MESSAGE>Signon\n invalid"
    )

    with pytest.raises(OfxError) as refused:
        read(samples.ofx("", sign_on=sign_on))

    assert refused.value.reason == (
        "the institution refused the sign-on (code 15500): Signon invalid"
    )


FAILED = "<STMTTRNRS><STATUS><CODE>2000<SEVERITY>ERROR<MESSAGE>General error</STATUS></STMTTRNRS>"


def test_an_error_for_all_that_was_asked_refuses_the_file() -> None:
    with pytest.raises(OfxError, match=r"code 2000\): General error"):
        read(samples.ofx(f"<BANKMSGSRSV1>{FAILED}</BANKMSGSRSV1>"))


def test_an_error_for_one_of_two_accounts_is_listed_and_the_other_is_read() -> None:
    file = read(samples.ofx(f"<BANKMSGSRSV1>{FAILED}{samples.statement('')}</BANKMSGSRSV1>"))

    assert len(file.statements) == 1
    assert [(u.kind, u.raw) for u in file.unreadable] == [("STMTTRNRS", FAILED)]
    assert "General error" in file.unreadable[0].reason


def test_a_code_that_is_only_news_is_no_error() -> None:
    sign_on = samples.SIGN_ON.replace("<CODE>0<SEVERITY>INFO", "<CODE>15000<SEVERITY>INFO")

    assert read(samples.ofx("", sign_on=sign_on)).organization == "B1"


def test_a_root_tag_that_never_closes_is_refused() -> None:
    with pytest.raises(OfxError, match="its <OFX> is not closed"):
        read(b"OFXHEADER:100\n\n<OFX <A>")


def test_a_text_full_of_what_opens_no_tag_is_refused() -> None:
    with pytest.raises(OfxError, match=r"more than 1,000 < in one text"):
        read(inside(TRANSACTION.replace(b"-1.00", b"< " * 5_000 + b"<A>")))
