from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import (
    CredentialsRejected,
    DomainError,
    ErrorCode,
    InvalidInput,
    ProviderUnavailable,
)
from domain.identity import (
    Session,
    SessionId,
    UserId,
    known_time_zone,
    new_id,
    normal_email,
    session_limit,
)
from domain.imports import Statement, content_keys, pages_of
from domain.links import SyncError
from domain.securities import is_cusip, is_isin
from domain.sync import Page, SyncCounts, SyncScope, SyncStatus
from tests.builders import NOW, a_run, received_account, received_transaction

NONE = SyncCounts()
counts = st.builds(
    SyncCounts, **{n: st.integers(0, 99) for n in ("created", "updated", "unchanged")}
)


def page(**said: object) -> Page:
    return Page(step=SyncScope.ACCOUNTS, progress=Decimal("0.5"), **said)  # type: ignore[arg-type]


def advanced(run_page: Page) -> SyncStatus:
    run = a_run().started(NOW)
    run = run.advanced(run_page, accounts=NONE, holdings=NONE, transactions=NONE)
    return run.finished(NOW).status


def test_some_accounts_failing_is_partial_and_all_failing_is_failed() -> None:
    two = [received_account(), received_account(key="a2")]
    assert advanced(page(accounts=two)) is SyncStatus.SUCCEEDED
    assert advanced(page(accounts=two, failed={"a2": "down"})) is SyncStatus.PARTIAL
    assert advanced(page(accounts=two, failed={"a1": "x", "a2": "x"})) is SyncStatus.FAILED


def test_progress_never_goes_back() -> None:
    run = a_run(progress=Decimal("0.9"))
    run = run.advanced(page(), accounts=NONE, holdings=NONE, transactions=NONE)
    assert run.progress == Decimal("0.9")


@given(counts, counts)
def test_counts_add_up(a: SyncCounts, b: SyncCounts) -> None:
    assert (a + b).received == a.received + b.received


def test_an_error_of_a_run_keeps_when_to_come_back() -> None:
    refusal = ProviderUnavailable("down", provider="sandbox", retry_after_s=9)
    assert SyncError.of(refusal).retry_after_s == 9
    rejected = CredentialsRejected("no", provider="x", code=ErrorCode.AUTHORIZATION_EXPIRED)
    assert SyncError.of(rejected).code is ErrorCode.AUTHORIZATION_EXPIRED


def test_every_error_code_belongs_to_one_kind_of_refusal() -> None:
    codes = [code for kind in DomainError.__subclasses__() for code in kind.codes]
    assert sorted(c.name for c in codes) == sorted(c.name for c in ErrorCode)


def test_a_refusal_cannot_carry_anothers_code() -> None:
    with pytest.raises(TypeError):
        InvalidInput("x", code=ErrorCode.NOT_FOUND)


# ── statements ──────────────────────────────────────────────────────────────


def test_reused_ids_are_told_apart_by_what_they_name() -> None:
    day = date(2026, 1, 5)
    rows = [("F1", day, Decimal(-10), "PURCHASE"), ("F1", day, Decimal("-0.30"), "FOREIGN FEE")]
    keys = content_keys(rows)
    assert len(set(keys)) == 2
    assert content_keys([rows[1], rows[0]]) == [keys[1], keys[0]]


def test_equal_rows_without_an_id_are_numbered_and_amounts_compare_by_value() -> None:
    day = date(2026, 1, 5)
    keys = content_keys(
        [(None, day, Decimal("-4.50"), "A  b"), (None, day, Decimal("-4.5"), "a B")]
    )
    assert keys == ["~a b|2026-01-05|-4.5|0", "~a b|2026-01-05|-4.5|1"]


@given(st.integers(0, 3_500))
def test_pages_of_a_statement_resume_anywhere_and_hold_everything_once(count: int) -> None:
    row = received_transaction()
    statement = Statement(
        institution=None, accounts=[received_account()], transactions=[row] * count
    )
    pages = list(pages_of(statement))
    assert sum(len(p.transactions) for p in pages) == count
    assert pages[-1].progress == 1
    for index, one in enumerate(pages):
        assert list(pages_of(statement, cursor=one.cursor)) == pages[index + 1 :]


# ── people ──────────────────────────────────────────────────────────────────


def test_ids_are_version_7_and_grow_with_time() -> None:
    ids = [new_id() for _ in range(2_000)]
    assert {i.version for i in ids} == {7}
    assert {i.variant for i in ids} == {"specified in RFC 4122"}
    stamps = [i.int >> 80 for i in ids]
    assert stamps == sorted(stamps)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "bad", ["", "a", "a@", "@b.c", "a b@c.de", "a@b", "a@b.c\0", "x" * 255 + "@b.c"]
)
def test_what_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(InvalidInput):
        normal_email(bad)
    assert normal_email("  Demo@Example.COM ") == "demo@example.com"


@pytest.mark.parametrize("bad", ["Mars/Olympus", "../etc/passwd", "", "utc ", "EST5EDT4"])
def test_only_iana_time_zones_are_known(bad: str) -> None:
    with pytest.raises(InvalidInput):
        known_time_zone(bad)
    assert known_time_zone("Pacific/Kiritimati")


def test_a_session_limit_is_1_to_100() -> None:
    for bad in (0, -1, 101):
        with pytest.raises(InvalidInput):
            session_limit(bad)
    assert (session_limit(None), session_limit(1)) == (None, 1)


def test_a_session_lives_30_days_from_its_last_rotation() -> None:
    session = Session(
        id=SessionId(new_id()),
        user_id=UserId(new_id()),
        created_at=NOW,
        last_used_at=NOW,
        expires_at=NOW + timedelta(days=30),
        refresh_hash=b"1",
        is_cookie=False,
    ).rotated(refresh_hash=b"2", at=NOW + timedelta(days=20))
    assert session.refresh_hash == b"2"
    assert session.is_live(NOW + timedelta(days=50, seconds=-1))
    assert not session.is_live(NOW + timedelta(days=50))


# ── identifiers ─────────────────────────────────────────────────────────────


def test_check_digits_decide() -> None:
    assert all(map(is_isin, ("US0378331005", "GB0002634946", "DE0007164600")))
    assert not any(map(is_isin, ("US0378331006", "us0378331005", "US037833100", "")))
    assert all(map(is_cusip, ("037833100", "17275R102", "594918104")))
    assert not any(map(is_cusip, ("037833101", "03783310", "")))
