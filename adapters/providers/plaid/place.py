"""Where a pull of Plaid is, and where the next one begins; both as text that is kept."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Self

ACCOUNTS, HOLDINGS, UPDATES, INVESTED, END = range(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`begun` is when the pull began: its parts are of that instant. `sync` is the cursor of
    /transactions/sync, `first` the one with which its pages began, to which a list that changed
    while it was read goes back. `done` is how many pages of the updates, or rows of the investment
    transactions, are stored; `total` how many of these rows there were.
    """

    begun: datetime
    step: int = ACCOUNTS
    sync: str = ""
    first: str = ""
    done: int = 0
    total: int = 0

    def at(self, step: int) -> Self:
        """The beginning of a step."""
        return replace(self, step=step, done=0, total=0)

    @property
    def text(self) -> str:
        return json.dumps({**asdict(self), "begun": self.begun.isoformat()})

    @classmethod
    def of(cls, said: str | None) -> Self | None:
        """None for no cursor, and for one that is none of ours: the pull then begins anew."""
        known = _record(said)
        try:
            return cls(
                begun=datetime.fromisoformat(str(known["begun"])),
                step=int(str(known["step"])),
                sync=str(known["sync"]),
                first=str(known["first"]),
                done=int(str(known["done"])),
                total=int(str(known["total"])),
            )
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the last pull ended: `sync` is "" where Plaid had nothing ready yet, `invested` whether
    the investment transactions of two years have been read."""

    sync: str = ""
    invested: bool = False

    @property
    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, said: str | None) -> Self:
        known = _record(said)
        return cls(sync=str(known.get("sync", "")), invested=known.get("invested") is True)


def _record(said: str | None) -> Mapping[str, object]:
    try:
        found = json.loads(said or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
