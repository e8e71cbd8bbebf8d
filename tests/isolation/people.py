"""The three of them: what each was given, knows and has, as a client would remember it."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import pyotp

from domain.identity import Role
from tests.isolation.gateway import Asker
from tests.isolation.planted import Marks

T = TypeVar("T")
REMEMBERED = 30  # ids of a kind, and cursors of a list
PASSWORD = "correct-horse-battery-staple"


@dataclass(slots=True, kw_only=True)
class Person:
    user_id: UUID
    marks: Marks
    role: Role
    password: str = PASSWORD
    token: str | None = None
    refresh_token: str | None = None
    seed: str | None = None  # of the second factor, once it is on
    new_seed: str | None = None  # while it is not confirmed
    recovery: list[str] = field(default_factory=list)
    reset_tokens: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)  # of consent that they were asked for
    ids: dict[str, list[str]] = field(default_factory=dict)  # global ones, by kind
    gone: dict[str, list[str]] = field(default_factory=dict)
    cursors: dict[str, list[str]] = field(default_factory=dict)  # by the list's name
    said: set[UUID] = field(default_factory=set)  # whatever ids they have asked with
    visitors: set[str] = field(default_factory=set)  # from where somebody tried their address
    logins: int = 0

    def asker(self, *, signed_out: bool = False) -> Asker:
        token = None if signed_out else self.token
        return Asker(token=token, ip=self.marks.ip, client=self.marks.text("Client"))

    def signed_out(self) -> "Person":
        """The same person, who says no token."""
        self.token = None
        return self

    def code(self, at: float) -> str | None:
        seed = self.seed or self.new_seed
        return None if seed is None else pyotp.TOTP(seed).at(int(at))

    def given(self, kind: str, id: str) -> None:
        _remember(self.ids.setdefault(kind, []), id)

    def given_cursor(self, name: str, cursor: str) -> None:
        _remember(self.cursors.setdefault(name, []), cursor)

    def lost(self, kind: str, id: str) -> None:
        if id in (known := self.ids.get(kind, [])):
            known.remove(id)
        _remember(self.gone.setdefault(kind, []), id)


def _remember(known: list[str], one: str) -> None:
    if one not in known:
        known.append(one)
        del known[:-REMEMBERED]


class Dice(Random):
    """What one step chooses by; made of its seed, so that a step is the same again."""

    def chance(self, of: float) -> bool:
        return self.random() < of

    def pick(self, *those: T) -> T:
        return self.choice(those)

    def maybe(self, of: float, value: Any) -> Any:
        return value if self.chance(of) else None
