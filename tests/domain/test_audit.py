"""The form that MACs and the chain are made over: once written, it is for ever."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from domain.audit import COLUMNS, START, Attempt, AuditEntry, AuditOutcome, canonical, chained
from domain.identity import Actor, Role, UserId, new_id

ROW: dict[str, Any] = {
    "id": UUID("01a201f1-f6dd-79bb-9010-a6a4fc84443a"),
    "user_id": UUID(int=7),
    "actor_id": None,
    "session_id": UUID(int=9),
    "at": datetime(2026, 11, 22, 5, 36, 0, 123456, UTC),
    "action": "session.start",
    "outcome": "FAILED",
    "resource": None,
    "ip_address": "192.0.2.1",
    "trace_id": "ab" * 16,
    "detail": "SIGN_IN_FAILED é",
    "mac": b"\x01" * 32,
}


def test_the_form_of_a_row_and_its_hash_stay_what_they_are() -> None:
    assert canonical(ROW) == b"".join(
        [
            b"dashtam.audit.1|",
            *(b"16:", ROW["id"].bytes),
            *(b"16:", ROW["user_id"].bytes),
            b"-",
            *(b"16:", ROW["session_id"].bytes),
            b"16:1795325760123456",  # microseconds since 1970
            b"13:session.start",
            b"6:FAILED",
            b"-",
            b"9:192.0.2.1",
            *(b"32:", b"ab" * 16),
            b"17:SIGN_IN_FAILED \xc3\xa9",
        ]
    )
    assert chained(START, 57, ROW).hex() == (
        "7e582a824e3470870c13edd0d7986dda8dbddf7d9295255d2ea5010f3c6cd8a5"
    )


@pytest.mark.parametrize("column", COLUMNS)
def test_no_two_rows_have_one_form(column: str) -> None:
    others = {
        "at": ROW["at"] + timedelta(microseconds=1),
        "id": UUID(int=1),
        "user_id": UUID(int=1),
        "session_id": None,
        "actor_id": UUID(int=1),
    }
    other = {**ROW, column: others.get(column, "x")}

    assert canonical(other) != canonical(ROW)
    assert canonical({**ROW, "resource": "", "detail": None}) != canonical(
        {**ROW, "resource": None, "detail": ""}
    )


def test_the_same_instant_has_one_form_wherever_it_is_told() -> None:
    elsewhere = ROW["at"].astimezone(timezone(timedelta(hours=9)))

    assert canonical({**ROW, "at": elsewhere}) == canonical(ROW)


def test_an_attempt_and_its_outcome_have_ids_that_differ_in_one_bit() -> None:
    actor = Actor(user_id=UserId(new_id()), role=Role.USER)
    attempt = Attempt("x", actor, ROW["at"])
    tried, *ended = (attempt.row_id(outcome) for outcome in AuditOutcome)

    assert {id.int for id in ended} == {tried.int ^ 1}
    assert tried.version == 7


def test_whom_it_is_about_is_not_told_from_where_somebody_else_did_it() -> None:
    me, other = UserId(new_id()), UserId(new_id())
    entry = AuditEntry(
        id=new_id(),
        user_id=me,
        at=ROW["at"],
        action="role.set",
        outcome=AuditOutcome.SUCCEEDED,
        ip_address="192.0.2.1",
    )

    assert entry.to_its_user().ip_address == "192.0.2.1"
    assert replace(entry, actor_id=me).to_its_user().ip_address == "192.0.2.1"
    assert replace(entry, actor_id=other).to_its_user().ip_address is None
