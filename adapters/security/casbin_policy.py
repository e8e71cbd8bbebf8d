"""Who may do what: Casbin over role, object type and action, with roles that inherit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import casbin
from casbin.persist import Adapter

from domain.identity import Permission, Role

MODEL = """
[request_definition]
r = role, object, action

[policy_definition]
p = role, object, action

[role_definition]
g = _, _

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = g(r.role, p.role) && (p.object == "*" || r.object == p.object) && \
(p.action == "*" || r.action == p.action)
"""
DECISIONS_MAX = 1024
LINES_MAX = 10_000

Line = Sequence[str]
"""As Casbin writes a policy: ("p", role, object type, action), of which the last two may be "*",
and ("g", role, role whose permissions it has too)."""
LENGTHS = {"p": 4, "g": 3}


def default_policy() -> list[tuple[str, ...]]:
    """What the migrations put into the database. READONLY reads, and looks after its own identity;
    USER also writes; ADMIN also administers.

    USER's "session" and ADMIN's "*" say again what is inherited: the release before, which knows
    no hierarchy, reads the same rules.
    """
    reading = sorted({p.value[0] for p in Permission} - {"admin"})
    return [
        ("g", Role.ADMIN.value, Role.USER.value),
        ("g", Role.USER.value, Role.READONLY.value),
        ("p", Role.ADMIN.value, "*", "*"),
        *(("p", Role.USER.value, object, "write") for object in reading),
        *(("p", Role.READONLY.value, object, "read") for object in reading),
        ("p", Role.READONLY.value, "session", "write"),
    ]


class CasbinPolicy:
    """Denies what nothing allows. Decisions are remembered: one over 2,000 rules takes 36 ms."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = [tuple(line) for line in lines]
        self._decide = _decisions(self._lines)

    def allows(self, role: Role, permission: Permission) -> bool:
        return self._decide(role.value, *permission.value)

    def reload(self, lines: Iterable[Line]) -> None:
        """Decide by these from now on. Raises ValueError, and keeps those before."""
        given = [tuple(line) for line in lines]
        if given != self._lines:  # the same again are no reason to forget what was decided
            self._decide, self._lines = _decisions(given), given


class ReadPolicy(Adapter):  # type: ignore[misc]  # Casbin is untyped
    """Casbin's adapter over lines that were read before it is asked: Casbin loads without waiting,
    and reading the database waits. It only loads: the policy is written by the database's owner.
    """

    def __init__(self, lines: Iterable[tuple[str, ...]]) -> None:
        self._lines = lines

    def load_policy(self, model: Any) -> None:
        for kind, *rule in self._lines:
            model.model[kind][kind].policy.append(rule)


def _decisions(lines: Iterable[Line]) -> Callable[[str, str, str], bool]:
    distinct = dict.fromkeys(tuple(line) for line in lines)
    if len(distinct) > LINES_MAX:
        raise ValueError(f"at most {LINES_MAX} rules")
    for line in distinct:
        if not all(line) or len(line) != LENGTHS.get(line[0] if line else ""):
            raise ValueError(f"a rule is p, role, object and action, or g and two roles: {line!r}")
    _check_hierarchy({(role, inherited) for _, role, inherited in _of("g", distinct)})
    model = casbin.Model()
    model.load_model_from_text(MODEL)
    # Its log, every denial a warning, is off by default.
    enforcer = casbin.Enforcer(model, ReadPolicy(distinct))

    @lru_cache(maxsize=DECISIONS_MAX)
    def decide(role: str, object_type: str, action: str) -> bool:
        return bool(enforcer.enforce(role, object_type, action))

    return decide


def _of(kind: str, lines: Iterable[tuple[str, ...]]) -> Iterable[tuple[str, ...]]:
    return (line for line in lines if line[0] == kind)


def _check_hierarchy(inherits: set[tuple[str, str]]) -> None:
    """In a circle of roles, the lowest would have what only the highest may.

    Raises ValueError.
    """
    above: Mapping[str, set[str]] = {role: set() for pair in inherits for role in pair}
    for role, inherited in inherits:
        above[inherited].add(role)
    while above:
        heads = {role for role, higher in above.items() if not higher & above.keys()}
        if not heads:
            raise ValueError(f"these roles inherit from one another: {sorted(above)}")
        above = {role: higher for role, higher in above.items() if role not in heads}
