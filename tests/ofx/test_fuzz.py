"""Whatever the bytes, `read` answers or raises OfxError, and it loses no record."""

import re
from datetime import date
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ofx import OfxError, OfxFile, read
from adapters.ofx.tags import AGGREGATES, LEAVES
from tests.ofx import samples

PROFILE = settings(max_examples=150, deadline=None, derandomize=True, database=None)
WHOLE = (
    samples.CHASE_CARD.encode(),
    samples.bank(samples.FULL_TRANSACTION, header=samples.XML_HEADER),
    samples.investment("".join(map(samples.investment_record, sorted(samples.INVESTMENT_BODIES)))),
)
PIECES = st.one_of(
    st.sampled_from(sorted(AGGREGATES)).map("<{}>".format),
    st.sampled_from(sorted(AGGREGATES)).map("</{}>".format),
    st.sampled_from(sorted(LEAVES)).map("<{}>".format),
    st.sampled_from(["<X>", "</X>", "<Y/>", "<![CDATA[", "]]>", "<!--", "-->", "&amp;", "<", ">"]),
    st.sampled_from(["1", "-2.5", "20260105", "20260105120000[-5:EST]", "NaN", "1,234", "0", "\n"]),
    st.text(max_size=5),
)


def attempt(raw: bytes) -> OfxFile | None:
    try:
        return read(raw)
    except OfxError as refused:
        if not refused.reason or refused.line < 1:
            raise AssertionError("a refusal says why and where") from refused
        return None


@PROFILE
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    attempt(raw)
    attempt(b"<OFX>" + raw + b"</OFX>")


@PROFILE
@given(st.lists(PIECES, max_size=60).map("".join))
def test_any_heap_of_tags_is_read_or_refused(text: str) -> None:
    attempt(samples.ofx(text.encode(errors="ignore").decode()))
    attempt(samples.investment(text.encode(errors="ignore").decode()))


@PROFILE
@given(st.sampled_from(WHOLE), st.data())
def test_a_damaged_file_is_read_or_refused(whole: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(whole)))
    until = data.draw(st.integers(at, min(len(whole), at + 40)))
    attempt(whole[:at] + data.draw(st.binary(max_size=20)) + whole[until:])


@PROFILE
@given(st.lists(st.lists(PIECES, max_size=8).map("".join), max_size=6))
def test_every_transaction_is_read_or_listed(bodies: list[str]) -> None:
    """Junk inside records, but none that opens or closes other aggregates."""
    harmless = [re.sub(r"</?[A-Z0-9]+>|<!|-->|\0", "", body) for body in bodies]
    records = "".join(
        samples.transaction(MEMO=body.encode(errors="ignore").decode()) for body in harmless
    )

    file = attempt(samples.bank(records))

    assert file is not None
    assert len(file.statements[0].transactions) + len(file.unreadable) == len(bodies)


@PROFILE
@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**24), max_value=10**24))  # fmt: skip
def test_an_amount_survives_exactly(amount: Decimal) -> None:
    file = read(samples.bank(samples.transaction(TRNAMT=f"{amount:f}")))

    assert file.statements[0].transactions[0].amount == amount


@PROFILE
@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)), st.integers(-12, 14), st.integers(0, 23))
def test_no_time_zone_ever_moves_a_date(day: date, zone: int, hour: int) -> None:
    written = f"{day:%Y%m%d}{hour:02}0000[{zone:+d}:X]"

    file = read(samples.bank(samples.transaction(DTPOSTED=written)))

    posted = file.statements[0].transactions[0].posted
    assert posted.local_date == day
