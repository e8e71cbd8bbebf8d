"""Where a pull of Schwab is, and where the next one begins: what is kept as text in between."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

ACCOUNTS, HOLDINGS, TRANSACTIONS, END = range(4)
Order: TypeAlias = tuple[str, str]  # as `activities.order_of` has it
Pending: TypeAlias = dict[str, dict[str, str]]
"""By account and key, the day of each pending transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The instant that the pull is of, the step, and within transactions the account, the part of
    its time that comes next, and the last record of that which was read: by its number they would
    all move up where one before it is gone by now.

    `ends` are the ends of the windows that a longer one was cut into. `each_type` is whether only
    one type a call is answered, None while that is not known.
    """

    at: datetime
    step: int = ACCOUNTS
    account: str = ""
    begins: datetime | None = None
    ends: tuple[datetime, ...] = ()
    last: Order | None = None
    each_type: bool | None = None
    pending: Pending = field(default_factory=dict)

    @property
    def cursor(self) -> str:
        begins = None if self.begins is None else self.begins.isoformat()
        ends = [one.isoformat() for one in self.ends]
        told = [self.at.isoformat(), self.step, self.account, begins, ends, self.last]
        return json.dumps([*told, self.each_type, self.pending])

    @classmethod
    def of(cls, cursor: str | None) -> "Place | None":
        """None for no cursor, and for one that is none of ours: the pull then begins anew."""
        try:
            at, step, account, begins, ends, last, each_type, pending = json.loads(cursor or "")
            return cls(
                at=_instant(at),
                step=int(step),
                account=str(account),
                begins=None if begins is None else _instant(begins),
                ends=tuple(map(_instant, ends)),
                last=None if last is None else _order(*last),
                each_type=None if each_type is None else bool(each_type),
                pending=_pending(pending),
            )
        except (ValueError, TypeError, AttributeError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a pull leaves for the next: the nicknames, for when they cannot be asked for, and what
    was pending, which the next one may not read again."""

    names: Mapping[str, str] = field(default_factory=dict)
    pending: Pending = field(default_factory=dict)

    @property
    def position(self) -> str:
        return json.dumps({"names": dict(self.names), "pending": self.pending}, sort_keys=True)

    @classmethod
    def of(cls, position: str | None) -> "Memory":
        try:
            said = json.loads(position or "")
            names = {str(key): str(name) for key, name in said["names"].items()}
            return cls(names=names, pending=_pending(said["pending"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()


def _instant(said: str) -> datetime:
    found = datetime.fromisoformat(said)
    if found.tzinfo is None:
        raise ValueError("an instant has its offset")
    return found.astimezone(UTC)


def _order(time: object, number: object) -> Order:
    return str(time), str(number)


def _pending(said: Mapping[str, Mapping[str, str]]) -> Pending:
    return {
        str(account): {str(key): str(day) for key, day in days.items()}
        for account, days in said.items()
    }
