"""The change feed: five kinds of things, in the order in which they last changed.

Data versions are taken one after the other and commit in their order, so that whoever has read up
to one will never meet a lower one later. What changes again moves to a higher version and comes
once more; what is gone comes as a tombstone. An id is never given to anything else, and nothing
that is gone comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias
from uuid import UUID

from domain.accounts import Account
from domain.holdings import Holding
from domain.links import Link
from domain.securities import Security
from domain.transactions import Transaction

Entity: TypeAlias = Link | Account | Security | Holding | Transaction

FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)  # nothing has either id
PLACES = 6  # within a version: the kinds, in their order, then what is gone
GONE = PLACES


class Kind(Enum):
    """What the feed tells of, in the order within a version."""

    LINK = "Link"
    ACCOUNT = "Account"
    SECURITY = "Security"
    HOLDING = "Holding"
    TRANSACTION = "Transaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a copy has come: it has all up to this version, place and id.

    A copy that was begun at version `since` is not told of what was gone by then.
    """

    since: int = 0
    version: int = 0
    place: int = 0
    id: UUID = FIRST

    def of(self, place: int) -> UUID:
        """The id after which what has this place goes on, within the version."""
        if place == self.place:
            return self.id
        return LAST if place < self.place else FIRST


def all_of(version: int) -> Position:
    """Everything up to this version."""
    return Position(version=version, place=PLACES, id=LAST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Something that has changed, or at the last place is gone."""

    version: int
    place: int
    kind: Kind
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """What to put into a copy, and what to take out of it: no id is in both."""

    upserted: Sequence[Entity]
    gone: Sequence[Changed]
    reached: Position
    has_more: bool
