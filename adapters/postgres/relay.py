"""The outbox relay: events leave oldest first, at least once."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import asyncpg

from adapters.postgres.pool import AWAY, Connection, Pool, drop, first_words
from domain.errors import Unavailable
from domain.events import Event, EventName

BATCH = 100
WAITING = f"SELECT user_id, seq, name, at, facts FROM waiting_events($1, {BATCH})"
RELAYED = "SELECT events_relayed($1)"
KNOWN = {name.value: name for name in EventName}

Send: TypeAlias = Callable[[int, Event], Awaitable[None]]  # its number in the log, and the event


async def relay(pool: Pool, send: Send) -> int:
    """Send up to BATCH waiting events and return how many.

    Rows stay locked until the batch commits, so two workers never send the same event at once;
    a failure before the commit sends the batch again. Receivers must tolerate repeats and, with
    several workers, neighbours out of order. An event of a newer version is left to its workers.

    Raises:
        Unavailable: the database is away.
    """
    connection, rows = await first_words(pool, _waiting)
    try:
        for row in rows:
            await send(row["seq"], _event(row))
        await _relayed(connection, [row["seq"] for row in rows])
    except BaseException:
        drop(connection)  # which ends its transaction; the next one finds the events again
        raise
    await pool.release(connection)
    return len(rows)


async def _waiting(connection: Connection) -> Sequence[Any]:
    await connection.execute("BEGIN")
    rows: Sequence[Any] = await connection.fetch(WAITING, [*KNOWN])
    return rows


async def _relayed(connection: Connection, seqs: Sequence[int]) -> None:
    try:
        await connection.execute(RELAYED, seqs)
        await connection.execute("COMMIT")
    except (*AWAY, asyncpg.InterfaceError) as error:
        raise Unavailable("the database is away") from error


def _event(row: Any) -> Event:
    return Event(
        name=KNOWN[row["name"]],
        user_id=row["user_id"],
        at=row["at"],
        facts=json.loads(row["facts"]),
    )
