from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from domain.errors import (
    Conflict,
    CredentialsRejected,
    ErrorCode,
    InvalidInput,
    LinkAction,
    ProviderUnavailable,
)
from domain.links import (
    BACK_OFF_FIRST,
    BACK_OFF_MAX,
    FAILURES_MAX,
    PAUSE_MIN,
    SYNC_EVERY_S_DEFAULT,
    Link,
    LinkStatus,
    SyncError,
    alias,
    sync_every_s,
)
from tests.builders import NOW, a_link

DOWN = SyncError(code=ErrorCode.PROVIDER_UNAVAILABLE, message="down")
HOUR = timedelta(hours=1)


def test_five_failures_in_a_row_fail_a_link_and_a_success_mends_it() -> None:
    link = a_link()
    for _ in range(FAILURES_MAX - 1):
        link = link.failed(at=NOW, error=DOWN)
        assert link.status is LinkStatus.ACTIVE
    link = link.failed(at=NOW, error=DOWN)
    assert (link.status, link.can_sync, link.error) == (LinkStatus.FAILED, True, DOWN)
    mended = link.synced(at=NOW, cursor=None, again=True)
    assert (mended.status, mended.consecutive_failures) == (LinkStatus.ACTIVE, 0)
    assert (mended.error, mended.action_required) == (None, None)


def test_waiting_grows_with_each_failure_up_to_a_day_and_half_of_it_is_chance() -> None:
    link, waits = a_link(), []
    for failure in range(20):
        link = link.failed(at=NOW, error=DOWN)
        assert link.next_sync_at is not None
        whole = min(BACK_OFF_FIRST * 2 ** min(failure, 10), BACK_OFF_MAX)
        assert whole / 2 <= link.next_sync_at - NOW <= whole
        waits.append(link.next_sync_at - NOW)
    assert waits == sorted(waits)


def test_links_that_are_made_and_fail_together_do_not_come_back_together() -> None:
    synced = {a_link().synced(at=NOW, cursor=None, again=True).next_sync_at for _ in range(50)}
    failed = {a_link().failed(at=NOW, error=DOWN).next_sync_at for _ in range(50)}
    assert len(synced) == len(failed) == 50


def test_a_provider_that_says_when_to_come_back_is_not_asked_before() -> None:
    for seconds in (7 * 3600, 40 * 86_400):
        told = SyncError(code=ErrorCode.PROVIDER_UNAVAILABLE, message="x", retry_after_s=seconds)
        due = a_link().failed(at=NOW, error=told).next_sync_at
        assert due is not None
        assert due - NOW >= timedelta(seconds=min(seconds, 30 * 86_400))


def test_a_budget_that_is_spent_is_no_failure_and_no_reason_to_hurry() -> None:
    for seconds, least in ((0, PAUSE_MIN), (3_600, HOUR), (None, BACK_OFF_FIRST)):
        spent = SyncError(code=ErrorCode.PROVIDER_UNAVAILABLE, message="x", retry_after_s=seconds)
        link = a_link(last_synced_at=NOW).postponed(at=NOW, error=spent)
        assert link.next_sync_at is not None
        assert least <= link.next_sync_at - NOW <= least * 1.11
        assert (link.status, link.consecutive_failures, link.error) == (LinkStatus.ACTIVE, 0, None)
        waits = [
            a_link(last_synced_at=NOW - 9 * HOUR).postponed(at=NOW, error=spent).next_sync_at
            for _ in range(50)
        ]
        assert all(due and least <= due - NOW <= 6 * HOUR for due in waits)
        assert max(due for due in waits if due) > NOW + 3 * HOUR


def test_a_lapsed_link_waits_for_its_owner_and_is_mended_by_connecting() -> None:
    link = a_link().lapsed()
    assert (link.status, link.can_sync, link.next_sync_at) == (
        LinkStatus.NEEDS_REAUTHORIZATION,
        False,
        None,
    )
    assert link.action_required is LinkAction.REAUTHORIZE
    mended = link.connected(at=NOW)
    assert (mended.status, mended.error) == (LinkStatus.ACTIVE, None)


def test_what_its_owner_can_do_is_what_the_provider_says_or_what_its_code_means() -> None:
    rejected = CredentialsRejected("no", provider="x")
    assert SyncError.of(rejected).action is LinkAction.REPLACE_CREDENTIALS
    locked = CredentialsRejected("no", provider="x", action=LinkAction.CONTACT_INSTITUTION)
    assert a_link().lapsed(SyncError.of(locked)).action_required is LinkAction.CONTACT_INSTITUTION
    unpaid = ProviderUnavailable("pay", provider="x", action=LinkAction.PAY_PROVIDER)
    link = a_link().failed(at=NOW, error=SyncError.of(unpaid))
    assert link.action_required is LinkAction.PAY_PROVIDER
    known_before = a_link(status=LinkStatus.REVOKED)  # before reasons were kept
    assert known_before.action_required is LinkAction.REAUTHORIZE


# ── its end ─────────────────────────────────────────────────────────────────

END = NOW + timedelta(days=7)


def looked_at(link: Link, *times: datetime) -> list[int | None]:
    """The hours that are told at each of these times."""
    told = []
    for at in times:
        link, mark = link.told(at)
        told.append(None if mark is None else int(mark / HOUR))
    return told


def test_the_end_of_a_link_is_told_48_and_12_hours_before_once_each() -> None:
    link = a_link(credentials_expire_at=END)
    hours = (49, 48, 47.9, 13, 12, 11, 0.01)
    told = looked_at(link, *(END - HOUR * h for h in hours))
    assert told == [None, 48, None, None, 12, None, None]


def test_who_slept_through_both_marks_is_told_the_nearer_one_alone() -> None:
    link = a_link(credentials_expire_at=END)
    assert looked_at(link, END - HOUR * 3, END - HOUR * 2) == [12, None]


def test_another_deadline_is_told_anew_and_the_same_one_is_not() -> None:
    link, mark = a_link(credentials_expire_at=END).told(END - HOUR * 40)
    assert mark == HOUR * 48
    assert looked_at(link.renewed(expire_at=END), END - HOUR * 39) == [None]
    later = END + timedelta(days=7)
    assert looked_at(link.renewed(expire_at=later), END, later - HOUR * 40) == [None, 48]


def test_disconnecting_forgets_the_login_and_ends_every_other_transition() -> None:
    link = a_link(login="x", cursor="c", error=DOWN).disconnected()
    assert (link.login, link.cursor, link.next_sync_at, link.error) == (None, None, None, None)
    changes: list[Callable[[], Link]] = [
        lambda: link.failed(at=NOW, error=DOWN),
        lambda: link.postponed(at=NOW, error=DOWN),
        link.lapsed,
        link.revoked,
        lambda: link.synced(at=NOW, cursor=None, again=True),
    ]
    for change in changes:
        with pytest.raises(Conflict) as refused:
            change()
        assert refused.value.code is ErrorCode.LINK_NOT_ACTIVE


@pytest.mark.parametrize("every_s", [3_600, None])
def test_a_link_is_due_about_an_interval_later_and_a_files_link_never(every_s: int | None) -> None:
    assert a_link().synced(at=NOW, cursor=None, again=False).next_sync_at is None
    due = a_link(sync_every_s=every_s).synced(at=NOW, cursor=None, again=True).next_sync_at
    assert due is not None
    assert 0.95 <= (due - NOW).total_seconds() / (every_s or SYNC_EVERY_S_DEFAULT) <= 1.05


@pytest.mark.parametrize("bad", ["", "   ", "x" * 61])
def test_an_alias_has_1_to_60_characters(bad: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        alias(bad)
    assert refused.value.field == ("input", "alias")
    assert alias(None) is None


@pytest.mark.parametrize("bad", [0, -1, 3_599, 30 * 86_400 + 1])
def test_a_schedule_is_between_an_hour_and_thirty_days(bad: int) -> None:
    with pytest.raises(InvalidInput):
        sync_every_s(bad)
