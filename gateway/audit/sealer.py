"""The sealer: chains the rows of the audit log, in any number of workers, one at a time."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import asyncpg
import structlog

from adapters.postgres import audit
from adapters.security.audit import AuditKeys
from domain.audit import chained, unlike
from gateway.audit.checkpoints import Checkpoint, Checkpoints

BATCH = 1_000
CHECKPOINT_EVERY_S = 10.0
CHECKPOINT_ROWS = 1_000
SAY_AGAIN_S = 60.0
# A gateway of the release before writes rows without a MAC, which only the beginning of the chain
# may have: it ends this long after the last one, and after the first one that has a MAC.
UNSIGNED = timedelta(minutes=10)

log = structlog.get_logger("dashtam.audit")


class Sealer:
    """A chain that is not the one of its last checkpoint it does not go on with, nor with one
    whose checkpoint cannot be written: what happens from then on waits, unsealed, and every
    gateway's /readyz says so.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        keys: AuditKeys,
        checkpoints: Checkpoints,
        now: Callable[[], datetime],
    ) -> None:
        """Raises SettingsError where checkpoints cannot be written, or read."""
        self._pool, self._keys, self._checkpoints, self._now = pool, keys, checkpoints, now
        checkpoints.open()
        self._last = checkpoints.newest()
        self._end: Checkpoint | None = None  # of the chain, as it was last seen
        self._written_at = self._said_at = float("-inf")
        self._is_refused = False  # the last checkpoint that was due could not be written

    async def run(self) -> None:
        """Seal all that waits. Raises what a database does that is away."""
        if self._is_refused:
            await self._checkpoint()
        if (await audit.state(self._pool)).unsealed_s is not None:
            while not self._is_refused and await self._batch():
                await self._checkpoint()
        if not self._is_refused:
            await self._checkpoint()

    async def close(self) -> None:
        """The last checkpoint, however short it is since the one before."""
        await self._checkpoint(at_once=True)

    async def _batch(self) -> bool:
        """Whether more may wait."""
        known = self._last.position if self._last else 0
        async with self._pool.acquire() as connection, connection.transaction():
            tip = await audit.tip(connection, known)
            if tip is None:
                return False
            if self._last is not None and tip.known_hash != self._last.hash:
                self._contradicted(self._last, tip)
                return False
            rows = await self._waiting(connection, tip)
            hashes = self._chained(tip, rows)
            if rows:
                await audit.seal(connection, tip.position, [row["seq"] for row in rows], hashes)
        if rows:
            end = tip.position + len(rows)
            self._end = self._checkpoints.made(
                position=end, seq=rows[-1]["seq"], hash=hashes[-1], at=self._now()
            )
        return len(rows) == BATCH

    async def _waiting(self, connection: Any, tip: audit.Tip) -> Sequence[Any]:
        """Rows without a MAC first, while the chain has no others; then all, by their number."""
        rows: Sequence[Any] = ()
        if not tip.is_signed:
            rows = await audit.unsealed(connection, unsigned=True, most=BATCH)
        if rows:
            return rows
        rows = await audit.unsealed(connection, unsigned=False, most=BATCH)
        if rows and tip.last_at is not None and not tip.is_signed:
            now = self._now()
            if any(abs(now - at) < UNSIGNED for at in (tip.last_at, rows[0]["at"])):
                return ()
        return rows

    def _chained(self, tip: audit.Tip, rows: Sequence[Any]) -> list[bytes]:
        hashes, before, is_signed, strange = [], tip.hash, bool(tip.is_signed), 0
        for row in rows:
            before = chained(before, row["seq"], row)
            hashes.append(before)
            strange += unlike(row, self._keys.is_ours, is_signed=is_signed) is not None
            is_signed = is_signed or row["mac"] is not None
        if strange:  # sealed all the same: then it stays to be seen
            log.error("audit.not_ours", count=strange)
        return hashes

    def _contradicted(self, last: Checkpoint, tip: audit.Tip) -> None:
        if monotonic() - self._said_at >= SAY_AGAIN_S:
            self._said_at = monotonic()
            log.error(
                "audit.contradicted",
                count=last.position,
                reason=f"{'it ends before' if tip.known_hash is None else 'it is not the one of'} "
                "its last checkpoint: run `dashtam audit verify`",
            )

    async def _checkpoint(self, *, at_once: bool = False) -> None:
        end, last = self._end, self._last
        if end is None or (last is not None and end.position <= last.position):
            return
        rows = end.position - (last.position if last else 0)
        is_due = monotonic() - self._written_at >= CHECKPOINT_EVERY_S
        if not (at_once or is_due or rows >= CHECKPOINT_ROWS):
            return
        self._written_at = monotonic()
        try:
            await asyncio.to_thread(self._checkpoints.append, end)
        except OSError as error:
            self._is_refused = True
            log.exception("audit.no_checkpoint", reason=str(error))
        else:
            self._last, self._is_refused = end, False
