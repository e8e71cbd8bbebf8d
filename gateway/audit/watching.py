"""What a gateway sees of the sealing: warnings of /readyz, a metric, and what admins ask for."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog

from adapters.postgres import audit
from adapters.postgres.pool import answer
from adapters.security.audit import AuditKeys
from domain.audit import AuditIntegrity
from domain.errors import Unavailable
from gateway import telemetry
from gateway.audit.patrol import vouched
from gateway.settings import Settings

UNSEALED_S_MAX = 60.0
LOOK_EVERY_S = 15.0
FRESH = timedelta(minutes=5)
NO_PLACE = (
    "Checkpoints of the audit log lie in the data directory: set DASHTAM_AUDIT_CHECKPOINTS to a "
    "folder that whoever holds the database cannot write to."
)

log = structlog.get_logger("dashtam.audit")


def _is_fresh(report: audit.Report) -> bool:
    return datetime.now(UTC) - report.at < FRESH


class Sealing:
    def __init__(self, pool: asyncpg.Pool, keys: AuditKeys, settings: Settings) -> None:
        self._pool, self._keys = pool, keys
        self._has_place = settings.is_development or settings.audit_checkpoints is not None

    async def warnings(self) -> list[str]:
        """Raises Unavailable."""
        found = [] if self._has_place else [NO_PLACE]
        state = await self._look()
        waits = state.unsealed_s or 0.0
        if waits > UNSEALED_S_MAX:
            found.append(
                f"The audit log has not been sealed for {waits:.0f} s: start `dashtam worker`, or "
                "see what its log says of audit."
            )
        report = vouched(state, self._keys)
        if state.report is not None and (report is None or not report.intact):
            found.append("The audit log is not what was written: run `dashtam audit verify`.")
        elif report is not None and not _is_fresh(report):
            found.append(
                f"Nobody has vouched for the audit log since {report.at:%Y-%m-%d %H:%M} UTC: start "
                "`dashtam worker`, or see what its log says of audit."
            )
        return found

    async def integrity(self) -> AuditIntegrity:
        """Raises Unavailable."""
        report = vouched(await self._look(), self._keys)
        if report is None:
            return AuditIntegrity(intact=False, entries=0, first_broken_id=None)
        return AuditIntegrity(
            intact=report.intact and _is_fresh(report),
            entries=report.entries,
            first_broken_id=report.broken_id,
        )

    async def run(self) -> None:
        """Keep the metric going, for ever."""
        while True:
            try:
                await self._look()
            except Unavailable as error:
                log.warning("audit.not_looked_at", exc_info=error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> audit.State:
        state = await answer(self._pool, audit.state)
        if (watch := telemetry.current()) is not None:
            watch.unsealed(state.unsealed_s or 0.0)
        return state
