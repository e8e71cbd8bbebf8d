"""Real files of other people; each outcome is pinned. Not collected where they are absent."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.ofx import OfxError, OfxFile, StatementKind, read
from adapters.ofx.tags import INVESTMENT_TRANSACTIONS, POSITIONS, SECURITIES
from tests.ofx.conftest import FOLDER

D = Decimal
FILES = sorted(FOLDER.rglob("*.ofx"))

# statements, bank transactions, investment transactions, positions, securities, listed accounts,
# unreadable
READ = {
    "account_listing_aggregation.ofx": (0, 0, 0, 0, 0, 4, 0),
    "anzcc.ofx": (1, 1, 0, 0, 0, 0, 0),
    "bank_medium.ofx": (1, 3, 0, 0, 0, 0, 0),
    "bank_small.ofx": (0, 0, 0, 0, 0, 0, 0),
    "checking.ofx": (1, 3, 0, 0, 0, 0, 0),
    "date_missing.ofx": (1, 0, 0, 0, 0, 0, 3),
    "decimal_error.ofx": (1, 0, 0, 0, 0, 0, 1),
    "empty_balance.ofx": (1, 1, 0, 0, 0, 0, 0),
    "fidelity-savings.ofx": (1, 4, 0, 0, 0, 0, 0),
    "fidelity.ofx": (1, 3, 14, 6, 7, 0, 0),
    "investment_401k.ofx": (1, 0, 3, 3, 3, 0, 0),
    "investment_medium.ofx": (1, 3, 0, 0, 0, 0, 0),
    "multiple_accounts.ofx": (2, 0, 0, 0, 0, 0, 0),
    "multiple_accounts2.ofx": (2, 0, 0, 0, 0, 0, 0),
    "ofx-v102-empty-tags.ofx": (1, 1, 0, 0, 0, 0, 0),
    "signon_success.ofx": (0, 0, 0, 0, 0, 0, 0),
    "signon_success_no_message.ofx": (0, 0, 0, 0, 0, 0, 0),
    "suncorp.ofx": (1, 1, 0, 0, 0, 0, 0),
    "td_ameritrade.ofx": (1, 0, 0, 2, 2, 0, 0),
    "tiaacref.ofx": (1, 0, 1, 6, 6, 0, 0),
    "vanguard.ofx": (1, 0, 1, 2, 2, 0, 0),
    "vanguard401k.ofx": (1, 0, 5, 1, 1, 0, 0),
}
REFUSED = {
    "signon_fail.ofx": ("the institution refused the sign-on (code 15500): Your request", 11),
    "error_message.ofx": ("the institution answered with an error (code 2000): General Server Error", 22),
}  # fmt: skip


def file(name: str) -> OfxFile:
    return read(next(path for path in FILES if path.name == name).read_bytes())


def tags(raw: bytes, names: Iterable[str]) -> int:
    """How often a tag is opened, counted without any parsing."""
    return sum(len(re.findall(rb"<%s>" % name.encode(), raw)) for name in names)


def test_every_file_has_a_pinned_outcome() -> None:
    assert {path.name for path in FILES} == READ.keys() | REFUSED.keys()


@pytest.mark.parametrize("path", [p for p in FILES if p.name in READ], ids=lambda p: p.name)
def test_a_file_is_read_in_full(path: Path) -> None:
    raw = path.read_bytes()

    found = read(raw)

    statements = found.statements
    counts = (
        len(statements),
        sum(len(s.transactions) for s in statements),
        sum(len(s.investment_transactions) for s in statements),
        sum(len(s.positions) for s in statements),
        len(found.securities),
        len(found.accounts),
        len(found.unreadable),
    )
    assert counts == READ[path.name]

    def unread(names: Iterable[str]) -> int:
        return sum(unreadable.kind in names for unreadable in found.unreadable)

    for names, count in (
        (("STMTTRN",), counts[1]),
        (INVESTMENT_TRANSACTIONS, counts[2]),
        (POSITIONS, counts[3]),
        (SECURITIES, counts[4]),
    ):
        assert count == tags(raw, names) - unread(names)


@pytest.mark.parametrize("path", [p for p in FILES if p.name in REFUSED], ids=lambda p: p.name)
def test_a_refused_file_says_why_and_where(path: Path) -> None:
    reason, line = REFUSED[path.name]

    with pytest.raises(OfxError) as refused:
        read(path.read_bytes())

    assert refused.value.reason.startswith(reason)
    assert refused.value.line == line


# Verified by eye against the files.
FACTS: dict[str, Callable[[Any], tuple[object, object]]] = {
    "anzcc.ofx": lambda f: (
        (f.version, f.statements[0].kind, f.statements[0].currency, f.statements[0].ledger_balance.amount, f.statements[0].available_balance.amount),
        ("203", StatementKind.CARD, "AUD", D("-123.45"), D("123.45")),
    ),
    "bank_medium.ofx": lambda f: (
        [(t.posted.local_date, t.posted.instant, t.amount, t.name) for t in f.statements[0].transactions][:2],
        [
            (date(2009, 4, 1), datetime(2009, 4, 1, 17, 20, 17, tzinfo=UTC), D("-6.60"), "MCDONALD'S #112"),
            (date(2009, 4, 2), datetime(2009, 4, 2, 17, 20, 17, tzinfo=UTC), D("-316.67"), "Joe's Bald Hairstyles"),
        ],
    ),
    "checking.ofx": lambda f: (
        (f.intu_bid, f.statements[0].start, f.statements[0].end, f.statements[0].ledger_balance.amount, f.statements[0].transactions[2].check_number),
        ("51123", date(2000, 1, 1), date(2013, 5, 25), D("100.99"), "319"),
    ),
    "empty_balance.ofx": lambda f: (
        (f.statements[0].ledger_balance, f.statements[0].available_balance, f.statements[0].currency),
        (None, None, "CAD"),
    ),
    "fidelity-savings.ofx": lambda f: (
        [(t.amount, t.sub_account, t.currency.symbol) for t in f.statements[0].transactions][:2],
        [(D(-1500), "CASH", "USD"), (D("115.8331"), "CASH", "USD")],
    ),
    "fidelity.ofx": lambda f: (
        (
            sum(p.market_value for p in f.statements[0].positions) + f.statements[0].investment_balances.available_cash,
            {b.name: b.value for b in f.statements[0].investment_balances.named}["Networth"],
            f.statements[0].investment_transactions[12].units,
            f.statements[0].investment_transactions[12].total,
        ),
        (D("32993.78"), D("32993.79"), D(-8), D("1089.30")),
    ),
    "investment_401k.ofx": lambda f: (
        (f.statements[0].plan_balances.total, [t.units for t in f.statements[0].investment_transactions]),
        (D("1000.00"), [D("8.846699"), D("6.800992"), D("-9.060702")]),
    ),
    "investment_medium.ofx": lambda f: (
        (f.as_of.instant, f.statements[0].currency, f.statements[0].transactions[0].currency.rate),
        (datetime(2009, 12, 17, 21, 24, 16, tzinfo=UTC), "CAD", D("1.06")),
    ),
    "ofx-v102-empty-tags.ofx": lambda f: (
        (f.statements[0].currency, f.statements[0].account.account_type, f.statements[0].transactions[0].fitid, f.statements[0].transactions[0].memo),
        (None, None, None, "CBA:Transfer"),
    ),
    "suncorp.ofx": lambda f: (
        (f.statements[0].transactions[0].name, f.statements[0].transactions[0].posted.instant, f.fid),
        ("EFTPOS WDL HANDYWAY ALDI STORE", None, "484-799"),
    ),
    "td_ameritrade.ofx": lambda f: (
        [(p.aggregate, p.units, p.unit_price, p.market_value) for p in f.statements[0].positions],
        [("POSSTOCK", D(1), D(1000), D(1000)), ("POSDEBT", D(1000), D(100), D(1000))],
    ),
    "vanguard401k.ofx": lambda f: (
        (f.statements[0].investment_transactions[4].trade_date.local_date, f.statements[0].investment_transactions[4].plan_source, f.statements[0].plan_balances.total),
        (date(2013, 9, 5), "MATCH", D("0.0")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FACTS))
def test_amounts_and_dates_are_those_of_the_file(name: str) -> None:
    found, expected = FACTS[name](file(name))

    assert found == expected


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_a_real_file_cut_in_the_middle_is_refused(path: Path) -> None:
    raw = path.read_bytes().rstrip()
    last = max(raw.rfind(b"</", 0, raw.rindex(b"</")), raw.index(b"<OFX>"))
    for length in range(0, last, max(1, len(raw) // 40)):
        with pytest.raises(OfxError):
            read(raw[:length])
