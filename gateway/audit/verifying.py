"""Whether the audit log is what was written: all of it, in one snapshot and in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from adapters.postgres import audit
from adapters.security.audit import AuditKeys
from domain.audit import Flaw, Walk, unlike
from gateway.audit.checkpoints import Checkpoint, Checkpoints, Line

PAGE = 2_000
LINES = 500
RESTORED = "where an older backup was restored, move their files away and start the workers anew"
FIRST, LAST = -(2**63), 2**63 - 1  # of all numbers

Progress = Callable[[int], None]  # told how many links have been looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`waiting` rows are yet to be sealed. `checkpoints` agree with the chain, the furthest to
    `vouched`; `torn` lines of theirs say nothing. `flaw` is the first one, None where it is intact.
    """

    entries: int
    waiting: int
    checkpoints: int
    torn: int
    vouched: int
    last_at: datetime | None
    flaw: Flaw | None


async def verified(
    connection: Any, keys: AuditKeys, checkpoints: Checkpoints, progress: Progress = lambda _: None
) -> Verdict:
    """Within a transaction of the caller's, which sees one state of the database.

    What is written and deleted again before it is sealed, nobody can tell: that is a second or two.
    """
    walk = Walk(keys.is_ours)
    broken = await _walked(connection, walk, progress)
    told = _Told(walk.position)
    for lines in _batches(checkpoints.read()):
        await _compared(connection, lines, told)
    outside, waiting = await unchained(connection, keys, walk)
    flaws = [flaw for flaw in (broken, told.flaw, outside, await doubled(connection)) if flaw]
    return Verdict(
        entries=walk.position,
        waiting=waiting,
        checkpoints=told.agreeing,
        torn=told.torn,
        vouched=told.vouched,
        last_at=told.last_at,
        flaw=min(flaws, key=_place, default=None),
    )


def _place(flaw: Flaw) -> tuple[bool, int]:
    """In the order of the chain, and behind it what is not in it."""
    return flaw.position is None, flaw.position or flaw.seq or 0


async def _walked(connection: Any, walk: Walk, progress: Progress) -> Flaw | None:
    begin = FIRST
    while links := await audit.links(connection, begin, PAGE):
        for link in links:
            if (flaw := walk.step(link)) is not None:
                return flaw
        begin = walk.position + 1
        progress(walk.position)
    return None


@dataclass(slots=True)
class _Told:
    """What the checkpoints have said so far of a chain that is whole up to `end`."""

    end: int
    agreeing: int = 0
    torn: int = 0
    vouched: int = 0
    last_at: datetime | None = None
    flaw: Flaw | None = None

    def compare(self, said: Checkpoint, link: Any | None) -> None:
        at = f"{said.at:%Y-%m-%d %H:%M:%S} UTC"
        if link is None:
            what = f"the chain ends before this link: at {at} it went to {said.position}, as "
            what += f"checkpoints say; {RESTORED}"
            self.found(Flaw(what=what, position=min(said.position, self.end + 1)))
        elif (link["hash"], link["seq"]) != (said.hash, said.seq):
            what = f"the chain is not that of {at}: here, or since the checkpoint before"
            self.found(Flaw(what=what, position=said.position, seq=link["seq"], id=link["id"]))
        else:
            self.agreeing += 1
            if said.position >= self.vouched:
                self.vouched, self.last_at = said.position, said.at

    def found(self, flaw: Flaw) -> None:
        if self.flaw is None or _place(flaw) < _place(self.flaw):
            self.flaw = flaw


async def _compared(connection: Any, lines: list[Line], told: _Told) -> None:
    positions = [line.checkpoint.position for line in lines if line.checkpoint is not None]
    found = await audit.hashes(connection, positions)
    for line in lines:
        if line.checkpoint is not None:
            told.compare(line.checkpoint, found.get(line.checkpoint.position))
        elif line.is_ours:
            told.torn += 1
        else:
            told.found(Flaw(what=f"{line.where}: this checkpoint was not signed with our key"))


async def unchained(connection: Any, keys: AuditKeys, walk: Walk) -> tuple[Flaw | None, int]:
    """The first row outside of the chain that should not be there, and how many wait for it."""
    begin, waiting = FIRST, 0
    while begin <= LAST and (rows := await audit.loose(connection, begin, PAGE)):
        for row in rows:
            what = unlike(row, keys.is_ours, is_signed=walk.is_signed)
            if what is None and not row["waits"]:
                what = "the row is not in the chain, and was not to be: it was put in behind it"
            if what is not None:
                return Flaw(what=what, seq=row["seq"], id=row["id"]), waiting
        waiting += len(rows)
        begin = rows[-1]["seq"] + 1
    return None, waiting


async def doubled(connection: Any) -> Flaw | None:
    row = await audit.twice(connection)
    if row is None:
        return None
    return Flaw(what="the row is a copy of another one", seq=row["seq"], id=row["id"])


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while batch := list(islice(lines, LINES)):
        yield batch
