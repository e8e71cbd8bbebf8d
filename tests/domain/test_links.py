from collections.abc import Callable
from datetime import timedelta

import pytest

from domain.errors import Conflict, ErrorCode, InvalidInput
from domain.links import BACK_OFF_MAX, FAILURES_MAX, Link, LinkStatus, alias, sync_every_s
from tests.builders import NOW, a_link


def test_five_failures_in_a_row_fail_a_link_and_a_success_mends_it() -> None:
    link = a_link()
    for _ in range(FAILURES_MAX - 1):
        link = link.failed(at=NOW)
        assert link.status is LinkStatus.ACTIVE
    link = link.failed(at=NOW)
    assert (link.status, link.can_sync) == (LinkStatus.FAILED, True)
    mended = link.synced(at=NOW, cursor=None, again=True)
    assert (mended.status, mended.consecutive_failures) == (LinkStatus.ACTIVE, 0)


def test_waiting_grows_with_each_failure_up_to_a_day() -> None:
    link, waits = a_link(), []
    for _ in range(20):
        link = link.failed(at=NOW)
        assert link.next_sync_at is not None
        waits.append(link.next_sync_at - NOW)
    assert waits == sorted(waits)
    assert waits[-1] == BACK_OFF_MAX


def test_a_lapsed_link_waits_for_its_owner_and_is_mended_by_connecting() -> None:
    link = a_link().lapsed()
    assert (link.status, link.can_sync, link.next_sync_at) == (
        LinkStatus.NEEDS_REAUTHORIZATION,
        False,
        None,
    )
    assert link.connected(at=NOW).status is LinkStatus.ACTIVE


def test_disconnecting_forgets_the_login_and_ends_every_other_transition() -> None:
    link = a_link(login="x", cursor="c").disconnected()
    assert (link.login, link.cursor, link.next_sync_at) == (None, None, None)
    changes: list[Callable[[], Link]] = [
        lambda: link.failed(at=NOW),
        link.lapsed,
        link.revoked,
        lambda: link.synced(at=NOW, cursor=None, again=True),
    ]
    for change in changes:
        with pytest.raises(Conflict) as refused:
            change()
        assert refused.value.code is ErrorCode.LINK_NOT_ACTIVE


def test_a_files_link_is_never_due() -> None:
    assert a_link().synced(at=NOW, cursor=None, again=False).next_sync_at is None
    due = a_link(sync_every_s=3_600).synced(at=NOW, cursor=None, again=True).next_sync_at
    assert due == NOW + timedelta(hours=1)


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
