"""Events, from the place where somebody stands."""

import json

import asyncpg
import structlog

from adapters.postgres.reads.statements import Statements
from domain.events import Event, EventId, EventName
from domain.told import Stretch, Told, told

# One of a newer version is left to those who know it.
AFTER = """
SELECT e.seq, e.id, e.name, e.at, e.facts FROM events AS e
WHERE e.user_id = $1 AND e.seq > $2 AND e.name = ANY($3::text[]) ORDER BY e.seq LIMIT $4"""
PLACE = "SELECT e.seq FROM events AS e WHERE e.user_id = $1 AND e.id = $2"
LAST = "SELECT e.seq FROM events AS e WHERE e.user_id = $1 ORDER BY e.seq DESC LIMIT 1"

NAMES = {name.value: name for name in EventName}

log = structlog.get_logger("dashtam.events")


class EventReads(Statements):
    async def events(self, place: int, *, limit: int) -> Stretch:
        rows = await self.fetch(AFTER, self._viewer, place, [*NAMES], limit)
        return Stretch(
            events=[event for event in map(self._told, rows) if event is not None],
            seq=rows[-1]["seq"] if rows else place,
            is_last=len(rows) < limit,
        )

    async def event_place(self, id: EventId) -> int | None:
        rows = await self.fetch(PLACE, self._viewer, id)
        return int(rows[0]["seq"]) if rows else None

    async def last_event(self) -> int:
        rows = await self.fetch(LAST, self._viewer)
        return int(rows[0]["seq"]) if rows else 0

    def _told(self, row: asyncpg.Record) -> Told | None:
        seq, id, name, at, facts = row
        event = Event(name=NAMES[name], user_id=self._viewer, at=at, facts=json.loads(facts))
        try:
            return told(seq, id, event)
        except ValueError:  # one of them does not hold up all that come after it
            log.exception("event.unreadable")
            return None
