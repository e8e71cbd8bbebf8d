"""The audit log: what a row says, byte for byte, and how each vouches for all before it.

A row carries a MAC over its canonical form, made by whoever wrote it, so that the database's own
superuser can neither invent nor change one. The chain is what keeps them complete and in order:
the hash of a link is over the hash of the link before, and over its row. What the chain said at
some time is kept, signed, outside of the database; without that, its end could be cut off unseen.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Protocol, Self
from uuid import UUID

from domain.identity import Actor, SessionId, UserId, new_id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
ROW, LINK = b"dashtam.audit.1|", b"dashtam.chain.1|"
START = bytes(32)  # the hash before the first link

# What a row says, in the order of its canonical form; a column that is added goes with a new ROW.
COLUMNS = (
    *("id", "user_id", "actor_id", "session_id", "at", "action", "outcome", "resource"),
    *("ip_address", "trace_id", "detail"),
)


class AuditOutcome(Enum):
    ATTEMPTED = "ATTEMPTED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One row. `user_id` is whom it is about; `actor_id` who did it, None where nobody was signed
    in: a request without credentials, the worker, the shell."""

    id: UUID
    user_id: UserId
    at: datetime
    action: str
    outcome: AuditOutcome
    actor_id: UserId | None = None
    session_id: SessionId | None = None
    resource: str | None = None
    ip_address: str | None = None
    trace_id: str | None = None
    detail: str | None = None

    def to_its_user(self) -> Self:
        """As whom it is about may see it: not from where somebody else did it to them."""
        own = self.actor_id is None or self.actor_id == self.user_id
        return self if own else replace(self, ip_address=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditIntegrity:
    """What a worker found when it last went through the log, which takes it a second for each 500
    entries: of so many entries, which one is wrong, where it has an id. Where none has told within
    the last minutes, nobody vouches for the log, and it does not count as intact.
    """

    intact: bool
    entries: int
    first_broken_id: UUID | None


class Command(Protocol):
    @property
    def actor(self) -> Actor: ...
    @property
    def at(self) -> datetime: ...


def about(cmd: Command) -> UserId:
    """Whom a command is about: the `user_id` that it names, else whoever asks."""
    return getattr(cmd, "user_id", None) or cmd.actor.user_id


@dataclass(slots=True)
class Attempt:
    """What the audit log says about one running command: `about` whom, else its actor; its outcome
    at the time that `clock` says.

    The row of its outcome has the same id but for the last bit, and ids are unique: whoever is cut
    off while they write one, and tries again, there is never a second.
    """

    action: str
    actor: Actor
    at: datetime
    resource: str | None = None
    about: UserId | None = None
    clock: Callable[[], datetime] | None = None
    id: UUID = field(default_factory=new_id)
    why: str | None = None  # its SUCCEEDED says
    begun: bool = False  # ATTEMPTED is committed
    settled: bool = False  # and its outcome

    def row_id(self, outcome: AuditOutcome) -> UUID:
        is_outcome = outcome is not AuditOutcome.ATTEMPTED
        return UUID(int=self.id.int & ~1 | is_outcome)

    def moment(self, outcome: AuditOutcome) -> datetime:
        if outcome is AuditOutcome.ATTEMPTED or self.clock is None:
            return self.at
        return self.clock()


class Row(Protocol):
    """A row of the log, by column."""

    def __getitem__(self, column: str, /) -> Any: ...


def canonical(row: Row) -> bytes:
    """Each value with its length before it, so that no two rows have one form."""
    return ROW + b"".join(_framed(row[column]) for column in COLUMNS)


def chained(before: bytes, seq: int, row: Row) -> bytes:
    """The hash of a link: SHA-256 over the hash before, and the row with its place and its MAC."""
    link = LINK + _framed(str(seq)) + _framed(row["mac"]) + canonical(row)
    return hashlib.sha256(before + link).digest()


def _framed(value: object) -> bytes:
    match value:
        case None:
            return b"-"
        case str():
            said = value.encode()
        case bytes():
            said = value
        case UUID():
            said = value.bytes
        case datetime():
            said = str((value - EPOCH) // MICROSECOND).encode()
        case _:
            raise TypeError(f"the audit log has no {type(value).__name__}")
    return b"%d:%b" % (len(said), said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """`row` is None where the log has none of that number."""

    position: int
    seq: int
    hash: bytes
    row: Row | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """The first row at which the log is not what was written. `position` is in the chain, None
    for a row that is not in it; `id` and `seq` where there is such a row, or was."""

    what: str
    position: int | None = None
    seq: int | None = None
    id: UUID | None = None


IsOurs = Callable[[bytes, bytes], bool]  # a canonical form, and the MAC that it came with


@dataclass(slots=True)
class Walk:
    """Goes along the chain, link by link, from its beginning.

    Rows without a MAC were written before there were any; so the chain may begin with such, and
    after the first with one none may come.
    """

    is_ours: IsOurs
    position: int = 0
    hash: bytes = START
    is_signed: bool = False

    def step(self, link: Link) -> Flaw | None:
        """The link's own flaw, if it has one: then the walk ends before it."""
        if (what := self._wrong(link)) is not None:
            missing = link.position > self.position + 1
            return Flaw(
                what=what,
                position=self.position + 1 if missing else link.position,
                seq=None if missing else link.seq,
                id=None if missing or link.row is None else link.row["id"],
            )
        self.position, self.hash = link.position, link.hash
        self.is_signed = self.is_signed or (link.row is not None and link.row["mac"] is not None)
        return None

    def _wrong(self, link: Link) -> str | None:
        if link.position > self.position + 1:
            return f"this link of the chain is gone; the next one is {link.position}"
        if link.position < 1:
            return "the chain begins at 1, and this link was put before it"
        if link.position <= self.position:
            return "two rows have this place in the log"
        if link.row is None:
            return "the row that was sealed here is gone"
        if (what := unlike(link.row, self.is_ours, is_signed=self.is_signed)) is not None:
            return what
        if chained(self.hash, link.seq, link.row) != link.hash:
            return "this is not the row that was sealed here, or the chain itself was changed"
        return None


def unlike(row: Row, is_ours: IsOurs, *, is_signed: bool) -> str | None:
    """What is wrong with a row by itself."""
    if row["mac"] is None:
        return "the row has no MAC: it was not written by Dashtam" if is_signed else None
    if not is_ours(canonical(row), row["mac"]):
        return "the row was changed, or was not written by Dashtam"
    return None
