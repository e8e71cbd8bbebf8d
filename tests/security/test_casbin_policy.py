import logging
import subprocess
import sys
import time

import pytest

from adapters.security.casbin_policy import CasbinPolicy, default_policy
from domain.identity import Permission, Role

OBJECTS: dict[Permission, str] = {p: p.value[0] for p in Permission}
ACTIONS: dict[Permission, str] = {p: p.value[1] for p in Permission}
ADMINISTRATIVE = {p for p in Permission if OBJECTS[p] == "admin"}
HIERARCHY = [("g", "ADMIN", "USER"), ("g", "USER", "READONLY")]


def test_an_administrator_may_do_everything() -> None:
    policy = CasbinPolicy(default_policy())
    assert all(policy.allows(Role.ADMIN, permission) for permission in Permission)


def test_a_user_may_do_everything_but_administer() -> None:
    policy = CasbinPolicy(default_policy())
    assert {Permission.READ_ADMIN, Permission.ADMINISTER} == ADMINISTRATIVE
    for permission in Permission:
        assert policy.allows(Role.USER, permission) == (permission not in ADMINISTRATIVE)


def test_a_reader_may_only_read_and_look_after_their_own_sessions() -> None:
    policy = CasbinPolicy(default_policy())
    allowed = {p for p in Permission if policy.allows(Role.READONLY, p)}
    own = {p for p in Permission if OBJECTS[p] == "session"}
    reading = {p for p in Permission if ACTIONS[p] == "read"} - ADMINISTRATIVE
    assert allowed == own | reading
    assert Permission.WRITE_SESSIONS in allowed


def test_a_higher_role_has_what_a_lower_one_has() -> None:
    policy = CasbinPolicy([*HIERARCHY, ("p", "READONLY", "data", "read")])
    assert all(policy.allows(role, Permission.READ_DATA) for role in Role)

    flat = CasbinPolicy([("p", "READONLY", "data", "read"), ("p", "ADMIN", "data", "write")])
    assert not flat.allows(Role.ADMIN, Permission.READ_DATA)
    upwards = CasbinPolicy([*HIERARCHY, ("p", "ADMIN", "data", "write")])
    assert not upwards.allows(Role.USER, Permission.WRITE_DATA)


def test_without_a_rule_nobody_may_do_anything() -> None:
    for lines in ([], HIERARCHY):
        policy = CasbinPolicy(lines)
        assert not any(policy.allows(role, p) for role in Role for p in Permission)


def test_new_rules_count_at_once_and_old_decisions_are_forgotten() -> None:
    policy = CasbinPolicy(default_policy())
    assert policy.allows(Role.USER, Permission.WRITE_LINKS)
    policy.reload([line for line in default_policy() if line[:2] != ("p", "USER")])
    assert not policy.allows(Role.USER, Permission.WRITE_LINKS)
    assert policy.allows(Role.ADMIN, Permission.WRITE_LINKS)


@pytest.mark.parametrize(
    "lines",
    [
        [()],
        [("p", "USER", "link")],
        [("p", "USER", "link", "write", "deny")],
        [("p", "", "*", "*")],
        [("p", "USER", "", "write")],
        [("g", "ADMIN")],
        [("g", "ADMIN", "")],
        [("g2", "ADMIN", "USER")],
        [("r", "ADMIN", "*", "*")],
    ],
    ids=str,
)
def test_lines_that_are_no_rules_are_refused_and_the_old_ones_stay(
    lines: list[tuple[str, ...]],
) -> None:
    policy = CasbinPolicy(default_policy())
    with pytest.raises(ValueError, match="a rule is"):
        policy.reload([*default_policy(), *lines])
    assert policy.allows(Role.USER, Permission.WRITE_LINKS)


@pytest.mark.parametrize(
    "circle",
    [
        [("g", "USER", "USER")],
        [("g", "READONLY", "ADMIN")],
        [("g", "READONLY", "x"), ("g", "x", "y"), ("g", "y", "USER")],
    ],
    ids=["itself", "the lowest above the highest", "by others"],
)
def test_roles_that_inherit_in_a_circle_are_refused(circle: list[tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match="inherit from one another"):
        CasbinPolicy([*default_policy(), *circle])


def test_a_rule_given_twice_counts_once_and_loses_no_other() -> None:
    policy = CasbinPolicy([("p", "USER", "link", "write")] * 2 + [("p", "USER", "data", "write")])
    assert policy.allows(Role.USER, Permission.WRITE_LINKS)
    assert policy.allows(Role.USER, Permission.WRITE_DATA)


def test_a_star_stands_for_any_word_in_a_rule_and_for_none_in_a_role() -> None:
    policy = CasbinPolicy(
        [("p", "USER", "*", "write"), ("p", "*", "*", "*"), ("p", "READONLY", "link", "*")]
    )
    assert policy.allows(Role.USER, Permission.WRITE_LINKS)
    assert policy.allows(Role.READONLY, Permission.WRITE_LINKS)
    assert not policy.allows(Role.READONLY, Permission.WRITE_DATA)
    assert not policy.allows(Role.ADMIN, Permission.WRITE_DATA)


def test_words_in_a_rule_are_words_and_never_run() -> None:
    policy = CasbinPolicy(
        [
            ("p", 'USER" || "1" == "1', "*", "*"),
            ("p", "USER' or True or '", "*", "*"),
            ("g", "READONLY", 'x" || true || "'),
        ]
    )
    assert not any(policy.allows(role, p) for role in Role for p in Permission)


def test_a_decision_over_many_rules_is_made_once() -> None:
    many = [("p", f"role{n}", f"object{n}", "write") for n in range(2_000)]
    policy = CasbinPolicy([*many, *default_policy()])
    assert policy.allows(Role.USER, Permission.WRITE_DATA)

    began = time.perf_counter()
    for _ in range(10_000):
        policy.allows(Role.USER, Permission.WRITE_DATA)
    assert (time.perf_counter() - began) / 10_000 < 50e-6


def test_a_denial_writes_no_log_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        CasbinPolicy(HIERARCHY).allows(Role.USER, Permission.ADMINISTER)
    assert not caplog.records


def test_it_imports_without_a_warning() -> None:
    code = "import adapters.security.casbin_policy, adapters.security.tokens"
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
