"""The patrol: a worker that goes along the chain, round after round, and reports what it found."""

from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

import structlog

from adapters.postgres import audit
from adapters.postgres.audit import Report
from adapters.security.audit import AuditKeys
from domain.audit import Flaw, Walk
from gateway.audit.checkpoints import Checkpoint, Checkpoints
from gateway.audit.verifying import FIRST, doubled, unchained
from gateway.settings import SettingsError

ROWS = 500  # a step, of which there is one a second: 2 % of a processor
PAUSE_S = 15.0  # between two rounds
REPORT_EVERY_S = 60.0

log = structlog.get_logger("dashtam.audit")


class Patrol:
    """Every entry is looked at once a round; at its end the furthest checkpoint is compared, and
    what is outside of the chain looked at. A report of a flaw stands until a whole round finds
    none, whichever worker makes that. Where there is no checkpoint, there is no report.
    """

    def __init__(
        self, keys: AuditKeys, checkpoints: Checkpoints, now: Callable[[], datetime]
    ) -> None:
        self._keys, self._checkpoints, self._now = keys, checkpoints, now
        self._walk = Walk(keys.is_ours)
        self._begin_at = self._report_at = float("-inf")

    async def step(self, connection: Any) -> Flaw | None:
        """The next few links; the flaw at which the round ended, if it did so at one."""
        if monotonic() < self._begin_at:
            return None
        links = await audit.links(connection, self._begin(), ROWS)
        for link in links:
            if (flaw := self._walk.step(link)) is not None:
                return await self._end(connection, flaw)
        if len(links) == ROWS:
            await self._still(connection)
            return None
        last = self._newest()
        if last is None and self._walk.position:  # nobody can tell whether that was all of it
            self._begin_again()
            return None
        return await self._end(connection, await self._beside(connection, last))

    def _begin(self) -> int:
        return self._walk.position + 1 if self._walk.position else FIRST

    def _begin_again(self) -> None:
        self._walk, self._begin_at = Walk(self._keys.is_ours), monotonic() + PAUSE_S

    def _newest(self) -> Checkpoint | None:
        try:
            return self._checkpoints.newest()
        except SettingsError as error:
            log.warning("audit.no_checkpoints", reason=str(error))
            return None

    async def _beside(self, connection: Any, last: Checkpoint | None) -> Flaw | None:
        """What is wrong though every link is right."""
        if last is not None:
            link = (await audit.hashes(connection, [last.position])).get(last.position)
            if link is None or link["hash"] != last.hash:
                return Flaw(
                    what="the chain is not the one of its last checkpoint",
                    position=last.position,
                    seq=last.seq,
                    id=None if link is None else link["id"],
                )
        outside, _ = await unchained(connection, self._keys, self._walk)
        return outside or await doubled(connection)

    async def _end(self, connection: Any, flaw: Flaw | None) -> Flaw | None:
        """Of a round."""
        entries = self._walk.position
        self._begin_again()
        if flaw is not None:
            log.error("audit.broken", count=flaw.position, reason=flaw.what)
        await self._report(connection, entries, flaw)
        return flaw

    async def _report(self, connection: Any, entries: int, flaw: Flaw | None) -> None:
        broken = flaw.id if flaw is not None else None
        report = Report(at=self._now(), entries=entries, intact=flaw is None, broken_id=broken)
        await audit.save(connection, report, self._keys.mac(text_of(report)))
        self._report_at = monotonic()

    async def _still(self, connection: Any) -> None:
        """Within a long round: that somebody is at it, and what was found before."""
        if monotonic() - self._report_at < REPORT_EVERY_S:
            return
        report = vouched(await audit.state(connection), self._keys)
        if report is not None and self._newest() is not None:
            again = Report(
                at=self._now(),
                entries=report.entries,
                intact=report.intact,
                broken_id=report.broken_id,
            )
            await audit.save(connection, again, self._keys.mac(text_of(again)))
        self._report_at = monotonic()


def text_of(report: Report) -> bytes:
    broken: UUID | None = report.broken_id
    said = (report.at.isoformat(), report.entries, report.intact, broken)
    return b"dashtam.report.1|" + "|".join(map(str, said)).encode()


def vouched(state: audit.State, keys: AuditKeys) -> Report | None:
    """The last report, if a worker of ours made it."""
    if state.report is None or state.mac is None:
        return None
    return state.report if keys.is_ours(text_of(state.report), state.mac) else None
