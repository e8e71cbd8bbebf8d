"""Passing on what happened: each event of the outbox becomes a hint to every gateway."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from time import time_ns

import asyncpg

from adapters.postgres.relay import BATCH, relay
from adapters.postgres.store import EVENTS_CHANNEL
from domain.events import Event
from domain.ports import RELAYED, Fanout
from gateway import telemetry


class Outbox:
    """`recorded` is set by each commit that recorded some; what is not heard, is found when the
    outbox is next looked at."""

    def __init__(
        self, pool: asyncpg.Pool, *, heard: Fanout, told: Fanout, now: Callable[[], datetime]
    ) -> None:
        self._pool, self._heard, self._told, self._now = pool, heard, told, now
        self.recorded = asyncio.Event()

    async def pass_on(self) -> None:
        """All that waits. Raises Unavailable."""
        watch, count = telemetry.current(), BATCH
        while count == BATCH:
            began_ns = time_ns()
            count = await relay(self._pool, self._send)
            if watch is not None:
                watch.relayed(count, began_ns)

    async def hear(self) -> None:
        """For ever, as a task of whoever made this."""
        async with self._heard.subscribe(EVENTS_CHANNEL) as said:
            async for _ in said:
                self.recorded.set()

    async def _send(self, seq: int, event: Event) -> None:
        if (watch := telemetry.current()) is not None:
            watch.passed_on(event.at, self._now())
        await self._told.publish(RELAYED, json.dumps({"seq": seq, "user": str(event.user_id)}))
