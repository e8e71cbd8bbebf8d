import logging
import subprocess
import sys

import pytest

from adapters.security.casbin_policy import CasbinPolicy, default_rules
from domain.identity import Permission, Role

OBJECTS: dict[Permission, str] = {p: p.value[0] for p in Permission}
ACTIONS: dict[Permission, str] = {p: p.value[1] for p in Permission}
ADMINISTRATIVE = {p for p in Permission if OBJECTS[p] in {"admin", "security"}}


def test_an_administrator_may_do_everything() -> None:
    policy = CasbinPolicy(default_rules())
    assert all(policy.allows(Role.ADMIN, permission) for permission in Permission)


def test_a_user_may_do_everything_but_administer() -> None:
    policy = CasbinPolicy(default_rules())
    assert ADMINISTRATIVE
    for permission in Permission:
        assert policy.allows(Role.USER, permission) == (permission not in ADMINISTRATIVE)


def test_a_reader_may_only_read_and_look_after_their_own_sessions() -> None:
    policy = CasbinPolicy(default_rules())
    allowed = {p for p in Permission if policy.allows(Role.READONLY, p)}
    own = {p for p in Permission if OBJECTS[p] == "session"}
    reading = {p for p in Permission if ACTIONS[p] == "read"} - ADMINISTRATIVE
    assert allowed == own | reading
    assert Permission.WRITE_SESSIONS in allowed


def test_without_a_rule_nobody_may_do_anything() -> None:
    policy = CasbinPolicy([])
    assert not any(policy.allows(role, p) for role in Role for p in Permission)


def test_new_rules_count_at_once_and_old_decisions_are_forgotten() -> None:
    policy = CasbinPolicy(default_rules())
    assert policy.allows(Role.USER, Permission.WRITE_LINKS)
    policy.reload([rule for rule in default_rules() if rule[0] != "USER"])
    assert not policy.allows(Role.USER, Permission.WRITE_LINKS)
    assert policy.allows(Role.ADMIN, Permission.WRITE_LINKS)


@pytest.mark.parametrize(
    "rules", [[("USER", "link")], [("USER", "link", "write", "deny")], [("", "*", "*")]]
)
def test_rules_that_are_no_rules_are_refused_and_the_old_ones_stay(
    rules: list[tuple[str, ...]],
) -> None:
    policy = CasbinPolicy(default_rules())
    with pytest.raises(ValueError, match="a rule is"):
        policy.reload(rules)
    assert policy.allows(Role.USER, Permission.WRITE_LINKS)


def test_a_rule_given_twice_counts_once_and_loses_no_other() -> None:
    policy = CasbinPolicy([("USER", "link", "write")] * 2 + [("USER", "data", "write")])
    assert policy.allows(Role.USER, Permission.WRITE_LINKS)
    assert policy.allows(Role.USER, Permission.WRITE_DATA)


def test_a_star_stands_for_any_word_in_a_rule_and_for_none_in_a_role() -> None:
    policy = CasbinPolicy([("USER", "*", "write"), ("*", "*", "*"), ("READONLY", "link", "*")])
    assert policy.allows(Role.USER, Permission.WRITE_LINKS)
    assert policy.allows(Role.READONLY, Permission.WRITE_LINKS)
    assert not policy.allows(Role.READONLY, Permission.WRITE_DATA)
    assert not policy.allows(Role.ADMIN, Permission.WRITE_DATA)


def test_words_in_a_rule_are_words_and_never_run() -> None:
    policy = CasbinPolicy([('USER" || "1" == "1', "*", "*"), ("USER' or True or '", "*", "*")])
    assert not any(policy.allows(role, p) for role in Role for p in Permission)


def test_a_denial_writes_no_log_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        CasbinPolicy([]).allows(Role.USER, Permission.ADMINISTER)
    assert not caplog.records


def test_it_imports_without_a_warning() -> None:
    code = "import adapters.security.casbin_policy, adapters.security.tokens"
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
